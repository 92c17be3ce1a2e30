"""OpenPose's JSON and the NumPy archive."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import COCO17, MPII16
from hevitpose.inference.exports import BODY_25, NumpyArchive, OpenPoseFiles, openpose_json
from hevitpose.inference.inputs import Frame

IMAGE = np.zeros((48, 64, 3), dtype=np.uint8)


def poses_of(skeleton, count=2, **changes):
    k = skeleton.num_keypoints
    points = np.arange(count * k * 2, dtype=float).reshape(count, k, 2)
    boxes = np.tile([0.0, 0, 60, 40], (count, 1))
    return replace(
        ImagePoses(skeleton, (64, 48), boxes, points, np.full((count, k), 0.5), np.ones(count), points), **changes
    )


def places(skeleton, **changes):
    values = openpose_json(poses_of(skeleton, 1, **changes))["people"][0]["pose_keypoints_2d"]
    return {names[0]: values[3 * n : 3 * n + 3] for n, names in enumerate(BODY_25)}


def test_openpose_has_its_25_keypoints_with_neck_and_hips_between():
    found = places(COCO17)
    assert found["right knee"] == [28, 29, 0.5]  # the 15th of COCO
    assert found["neck"] == [11, 12, 0.5]
    assert found["pelvis"] == [23, 24, 0.5]
    assert found["left heel"] == [0, 0, 0]


def test_openpose_takes_the_neck_that_a_skeleton_has():
    assert places(MPII16)["neck"] == [16, 17, 0.5]


def test_absent_keypoints_are_zero_in_openpose():
    points = poses_of(COCO17, 1).keypoints.copy()
    points[0, [5, 16]] = np.nan
    found = places(COCO17, keypoints=points)
    assert found["left shoulder"] == found["neck"] == found["right ankle"] == [0, 0, 0]
    assert found["right shoulder"] == [12, 13, 0.5]


def test_openpose_files_are_named_by_frame_and_hold_ids(tmp_path):
    (tmp_path / "clip_000000000099_keypoints.json").write_text("of an earlier, longer run")
    (tmp_path / "mine.json").write_text("not ours")
    writer = OpenPoseFiles(tmp_path, "clip")
    writer.write(Frame(IMAGE, index=12), poses_of(COCO17, track_ids=np.array([3, 0])))
    writer.close()
    content = json.loads((tmp_path / "clip_000000000012_keypoints.json").read_text())
    assert [person["person_id"] for person in content["people"]] == [[3], [-1]]
    assert {file.name for file in tmp_path.iterdir()} == {"clip_000000000012_keypoints.json", "mine.json"}


def test_the_archive_has_a_row_per_person_and_frame(tmp_path):
    writer = NumpyArchive(tmp_path / "clip.npz")
    poses = poses_of(COCO17, track_ids=np.array([1, 2]))
    for index, found in enumerate([poses, ImagePoses.empty(COCO17, (64, 48)), poses]):
        writer.write(Frame(IMAGE, index=index, time_s=index / 10), found)
    writer.close()
    with np.load(tmp_path / "clip.npz", allow_pickle=False) as archive:
        assert archive["frame"].tolist() == [0, 0, 2, 2]
        assert archive["time_s"].tolist() == pytest.approx([0, 0, 0.2, 0.2])
        assert archive["id"].tolist() == [1, 2, 1, 2]
        assert archive["names"].tolist() == list(COCO17.keypoints)
        assert (archive["keypoints"][2:] == poses.keypoints).all()
        assert archive["size_wh"].tolist() == [64, 48]


def test_an_archive_of_images_has_no_times(tmp_path):
    writer = NumpyArchive(tmp_path / "images.npz")
    writer.write(Frame(IMAGE), poses_of(COCO17, 1))
    writer.close()
    with np.load(tmp_path / "images.npz") as archive:
        assert np.isnan(archive["time_s"]).all()
        assert archive["id"].tolist() == [0]
