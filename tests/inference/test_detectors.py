from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.inference.backends import DEFAULT_OPTIONS
from hevitpose.inference.detectors import PersonDetector, WholeImage, is_human, letterbox
from hevitpose.inference.estimator import PERSON_CALIBRATION, PoseEstimator, without_duplicates
from hevitpose.inference.inputs import Frame
from hevitpose.inference.network import find_weights
from hevitpose.io import images

EXAMPLES = Path(__file__).parents[2] / "examples"
SKIER = (280, 44, 498, 390)


@pytest.fixture(scope="module")
def detector():
    return PersonDetector()


@pytest.fixture
def skier():
    return images.read(EXAMPLES / "skier.jpg")


def overlap(box, other):
    lower, upper = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    shared = np.clip(upper - lower, 0, None).prod()
    return shared / (np.subtract(box[2:], box[:2]).prod() + np.subtract(other[2:], other[:2]).prod() - shared)


def given(detector, boxes, scores):
    """The detector, whose graph answers with these boxes of its square input and scores."""
    it = object.__new__(PersonDetector)
    it.side, it.min_score, it.max_people, it.batch_size = detector.side, detector.min_score, None, 8
    answer = np.array(boxes, dtype=np.float32), np.array(scores, dtype=np.float32)
    it.graph = lambda squares, _: [np.stack([each] * len(squares)) for each in answer]
    return it


def test_the_best_box_of_a_photo_is_around_its_person(detector, skier):
    (found,) = detector([Frame(skier)])
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores[0] > 0.4
    assert overlap(found.boxes[0], SKIER) > 0.6


def test_boxes_are_those_of_the_image_whatever_its_size_and_batch(detector, skier):
    enlarged = images.resize(skier, (850, 1280))
    street = images.read(EXAMPLES / "street.jpg")
    (alone,) = detector([Frame(skier)])
    together = detector([Frame(street), Frame(skier), Frame(enlarged)])
    np.testing.assert_allclose(together[1].boxes, alone.boxes, atol=0.1)
    assert overlap(together[2].boxes[0], 2 * alone.boxes[0]) > 0.9


def test_nobody_is_found_in_a_grey_image(detector):
    assert len(detector([Frame(np.full((200, 300, 3), 128, dtype=np.uint8))])[0]) == 0
    assert detector([]) == []


def test_boxes_are_scaled_back_and_cut_at_the_edges(detector):
    # The image is scaled by a half in both directions, and 320 x 160 of the square are its.
    it = given(
        detector, [[10, 20, 100, 120], [200, -8, 400, 300], [0, 0, 50, 50], [0, 200, 9, 300]], [0.9, 0.8, 0, 0.7]
    )
    (found,) = it([Frame(np.zeros((320, 640, 3), dtype=np.uint8))])
    np.testing.assert_allclose(found.boxes, [[20, 40, 200, 240], [400, 0, 640, 320]])
    np.testing.assert_allclose(found.scores, [0.9, 0.8])


def test_the_best_people_are_kept(detector):
    it = given(detector, [[10, 20, 100, 120], [20, 20, 90, 90]], [0.9, 0.8])
    it.max_people = 1
    assert it([Frame(np.zeros((320, 640, 3), dtype=np.uint8))])[0].scores.tolist() == pytest.approx([0.9])


def test_a_letterbox_keeps_the_image_at_the_upper_left():
    square, scales = letterbox(np.full((30, 60, 3), 200, dtype=np.uint8), 20)
    assert scales == (1 / 3, 1 / 3)
    assert (square[:10] == 200).all()
    assert not square[10:].any()


@pytest.mark.parametrize("size_wh", [(1, 500), (500, 1), (1, 1)])
def test_the_thinnest_images_are_searched(detector, size_wh):
    assert len(detector([Frame(np.zeros((size_wh[1], size_wh[0], 3), dtype=np.uint8))])) == 1


def test_pose_weights_are_no_detector(refused):
    path = find_weights("hevitpose_t_people16").with_suffix(".onnx")
    with refused(path, "detector"):
        PersonDetector(path, DEFAULT_OPTIONS)


def test_the_detector_is_for_keypoints_of_people():
    assert is_human(MPII16)
    assert is_human(COCO17)
    assert not is_human(Skeleton("mouse", ("nose", "left_hip", "tail"), (0, 1, 2)))


def test_everybody_on_a_photo_is_found_and_rated():
    estimator = PoseEstimator.from_pretrained()
    poses = estimator(EXAMPLES / "skier.jpg")
    assert isinstance(estimator.detector, PersonDetector)
    assert overlap(poses.boxes[0], SKIER) > 0.6
    assert poses.person_scores[0] > 0.9
    assert (poses.person_scores >= estimator.min_person_score).all()
    assert len(PoseEstimator.from_pretrained(max_people=1)(EXAMPLES / "street.jpg")) == 1


def test_the_whole_image_is_one_person_where_that_is_wanted():
    estimator = PoseEstimator.from_pretrained(detector="whole")
    assert isinstance(estimator.detector, WholeImage)
    assert len(estimator(EXAMPLES / "skier.jpg")) == 1


def test_given_boxes_need_no_detector():
    estimator = PoseEstimator.from_pretrained(detector="missing.onnx")
    assert len(estimator(EXAMPLES / "skier.jpg", [SKIER])) == 1


def test_calibration_keeps_the_order():
    scores = PERSON_CALIBRATION(np.linspace(0, 1, 50))
    assert (np.diff(scores) > 0).all()
    assert scores[0] == 0
    assert scores[-1] < 1


def test_two_poses_of_one_person_become_one():
    joints = np.random.default_rng(0).uniform(100, 300, (17, 2))
    all_joints = np.stack([joints, joints + 3, joints + 120])
    boxes = np.concatenate([all_joints.min(axis=1), all_joints.max(axis=1)], axis=1)
    scores = np.full((3, 17), 0.8)
    poses = ImagePoses(COCO17, (640, 480), boxes, all_joints, scores, np.array([0.9, 0.8, 0.7]), all_joints)
    assert without_duplicates(poses).person_scores.tolist() == [0.9, 0.7]
