"""Photos as people take them, made from free ones: cut, turned, grey. What today's weights cannot do is in docs."""

import json
from pathlib import Path

import numpy as np
import pytest

from hevitpose.inference.estimator import PoseEstimator
from hevitpose.io import images

EXAMPLES = Path(__file__).parents[2] / "examples"
SKIER = np.array([280.0, 44, 498, 390])
STREET = np.array([275.0, 128, 417, 379])
MEADOW = {
    "nose": [(361, 161), (58, 182)],
    "l_shoulder": [(370, 200), (65, 205)],
    "r_shoulder": [(337, 188), (26, 204)],
    "l_elbow": [(372, 229), (73, 236)],
    "r_elbow": [(315, 181), (19, 236)],
    "l_wrist": [(393, 238), (80, 269)],
    "r_wrist": [(306, 161), (18, 268)],
    "l_hip": [(365, 263), (62, 264)],
    "r_hip": [(339, 261), (31, 267)],
    "l_knee": [(375, 298), (61, 318)],
    "r_knee": [(366, 299), (37, 318)],
}
"""COCO's labels of the two people."""


def grey(image):
    return np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)


def overlap(box, other):
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    shared = np.clip(high - low, 0, None).prod()
    return shared / ((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - shared)


@pytest.fixture(scope="module")
def estimator():
    return PoseEstimator.from_pretrained()


@pytest.fixture(scope="module")
def skier_image():
    return images.read(EXAMPLES / "skier.jpg")


@pytest.fixture(scope="module")
def street_image():
    return images.read(EXAMPLES / "street.jpg")


def test_two_people_have_their_own_joints(estimator):
    poses = estimator(EXAMPLES / "meadow.jpg")
    assert len(poses) == 2
    order = np.argsort(-poses.boxes[:, 0])
    rows = [poses.skeleton.keypoints.index(name) for name in MEADOW]
    errors = np.linalg.norm(poses.keypoints[order][:, rows] - np.array([*MEADOW.values()]).swapaxes(0, 1), axis=2)
    assert ((errors < 19).sum(axis=1) >= 9).all(), errors.round()  # a tenth of their height


def test_black_and_white(estimator, skier_image, street_image):
    for image, box in ((grey(skier_image), SKIER), (grey(street_image), STREET)):
        poses = estimator(image)
        assert max(overlap(person.box, box) for person in poses) > 0.5


def test_a_person_cut_by_the_edge_has_no_keypoint_outside(estimator, skier_image):
    poses = estimator(np.ascontiguousarray(skier_image[:, :400]))
    assert max(overlap(person.box, np.minimum(SKIER, (400, 500, 400, 500))) for person in poses) > 0.4
    for person in poses:
        present = person.keypoints[np.isfinite(person.keypoints[:, 0])]
        assert (present >= -0.5).all()
        assert (present <= (399.5, 424.5)).all()


def test_a_portrait_shows_the_upper_body(estimator, street_image):
    x, y = 240, 110
    poses = estimator(np.ascontiguousarray(street_image[y:260, x:420]))
    neck = poses[0].keypoints[poses.skeleton.keypoints.index("upper_neck")]
    assert np.linalg.norm(neck + (x, y) - (313, 166)) < 25


@pytest.mark.parametrize("turned", ["lying", "upside down", "face"])
def test_what_these_weights_may_miss_ends_well(hevitpose, skier_image, turned):
    image = {
        "lying": np.rot90(skier_image),
        "upside down": skier_image[::-1, ::-1],
        "face": skier_image[55:115, 350:405].repeat(4, axis=0).repeat(4, axis=1),
    }[turned]
    images.write_png(Path("photo.png"), np.ascontiguousarray(image))
    status, _, errors = hevitpose("predict", "photo.png")
    assert (status, errors) == (0, "")
    result = json.loads(Path("out/photo.json").read_text())
    assert (result["width"], result["height"]) == image.shape[1::-1]
    assert all(0.25 <= person["score"] <= 1 for person in result["people"])
