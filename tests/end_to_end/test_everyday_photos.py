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
