from dataclasses import replace

import numpy as np
import pytest
import supervision

from hevitpose.core.errors import InputError
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.core.skeleton import COCO17, MPII16, PEOPLE21, Skeleton


def test_smoothed_keypoints_replace_those_that_were_guessed_too():
    points = np.array([[[1.0, 1], [np.nan, np.nan], [np.nan, np.nan]]])
    skeleton = Skeleton("three", ("a", "b", "c"), (0, 1, 2))
    guesses = np.array([[[1.0, 1], [2, 2], [3, 3]]])
    poses = ImagePoses(skeleton, (9, 9), np.zeros((1, 4)), points, np.ones((1, 3)), np.ones(1), guesses)
    smoothed = poses.with_keypoints(points + [[[5], [0], [0]]])
    assert smoothed.all_keypoints.tolist() == [[[6, 6], [2, 2], [3, 3]]]
    assert smoothed.present.tolist() == [[True, False, False]]
    assert smoothed.raw_keypoints is points
    both = smoothed.with_people([smoothed])
    assert both.raw_keypoints.shape == (2, 3, 2)
    assert (both.ids.tolist(), both.track_ids) == ([0, 0], None)


def test_poses_go_to_supervision_and_its_detections_come_back():
    points = np.zeros((2, 17, 2))
    points[1] += 9.0
    seen = points.copy()
    seen[1, 3] = np.nan
    poses = ImagePoses(
        COCO17,
        (99, 99),
        np.array([[0.0, 0, 9, 9], [5, 5, 20, 30]]),
        seen,
        np.full((2, 17), 0.5),
        np.array([0.9, 0.4]),
        points,
    )
    tracked = replace(poses, track_ids=np.array([7, 0]))
    theirs = tracked.to_supervision()
    assert isinstance(theirs, supervision.KeyPoints)
    assert theirs.xy[1, 2:4].tolist() == [[9, 9], [0, 0]]
    assert theirs.visible.tolist() == poses.present.tolist()
    assert theirs.data["tracker_id"].tolist() == [7, 0]
    assert supervision.VertexAnnotator(radius=2).annotate(np.zeros((99, 99, 3), np.uint8), theirs).any()
    boxes = supervision.Detections(poses.boxes.astype(np.float32), confidence=poses.person_scores.astype(np.float32))
    back = Detections.from_boxes(boxes)
    assert (back.boxes == poses.boxes).all()
    assert back.scores == pytest.approx(poses.person_scores)


def test_selected_keypoints_come_in_the_other_skeletons_order_and_names():
    numbers = np.arange(21.0)
    points = np.stack([numbers, numbers], axis=-1)[None]
    poses = ImagePoses(PEOPLE21, (9, 9), np.zeros((1, 4)), points, numbers[None], np.ones(1), points)
    selected = poses.select_keypoints(COCO17)
    assert selected.skeleton == COCO17
    nose, left_eye, right_ankle = (PEOPLE21.keypoints.index(name) for name in ("nose", "l_eye", "r_ankle"))
    assert selected.keypoint_scores[0, [0, 1, 16]].tolist() == [nose, left_eye, right_ankle]
    assert (selected.keypoints == selected.all_keypoints).all()
    with pytest.raises(InputError, match="pelvis"):
        selected.select_keypoints(MPII16)
