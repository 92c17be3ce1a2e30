import copy
import json
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.model_config import DETECTOR_KEY, ModelConfig
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.inference.backends import DEFAULT_OPTIONS
from hevitpose.inference.detectors import (
    PersonDetector,
    TiledDetector,
    WholeImage,
    head_keypoints,
    is_human,
    is_person,
    letterbox,
    load_detector,
    shows_only_head,
    tile_boxes,
    windows,
)
from hevitpose.inference.estimator import PERSON_CALIBRATION, PoseEstimator, chosen_people, without_duplicates
from hevitpose.inference.inputs import Frame
from hevitpose.inference.network import Network, find_weights
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
    it.side, it.multiple, it.min_score = detector.side, detector.side, detector.min_score  # as in files of before
    answer = np.array(boxes, dtype=np.float32), np.array(scores, dtype=np.float32)
    it.graph = lambda squares, _: [np.stack([each] * len(squares)) for each in answer]
    return it


def test_images_of_several_shapes_are_answered_in_their_order(detector, skier):
    shapes = [skier, skier[:, 100:300], skier[40:], np.zeros((90, 700, 3), np.uint8), skier[:, 100:300]]
    sizes = []
    it = copy.copy(detector)
    it.graph = lambda inputs, names: sizes.append(inputs.shape) or detector.graph(inputs, names)
    together = it([Frame(image) for image in shapes])
    assert len(sizes) == 3  # two of the five stand beside others
    assert all(height * width <= detector.side**2 for _, height, width, _ in sizes)
    for image, found in zip(shapes, together, strict=True):
        (alone,) = detector([Frame(image)])
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=0.01)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)
    assert [len(found) > 0 for found in together] == [True, True, True, False, True]


def test_a_file_that_does_not_say_more_takes_squares(detector, skier):
    it = given(detector, [[0, 0, 160, 160]], [0.9])
    inputs = []
    answer = it.graph
    it.graph = lambda squares, names: inputs.append(squares.shape) or answer(squares, names)
    it([Frame(skier), Frame(skier[:, :100])])
    assert inputs == [(2, detector.side, detector.side, 3)]


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


@pytest.mark.parametrize("most", [1, 2])
def test_people_are_limited_once_their_poses_are_known(detector, most):
    """The best box, in the dark half of the image, shows no one; the others do."""
    image = np.zeros((320, 320, 3), dtype=np.uint8)
    image[:, 160:] = 255
    it = given(detector, [[10, 20, 100, 120], [180, 20, 300, 120], [190, 150, 300, 300]], [0.9, 0.8, 0.7])
    it.path = None

    def keypoint_fn(crops):
        light = crops.mean(axis=(1, 2, 3), keepdims=True)[..., 0] / 255
        return np.arange(34.0).reshape(17, 2) + np.zeros((len(crops), 1, 1)), light[..., 0] + np.zeros((1, 17))

    network = Network("light", None, ModelConfig("t", COCO17, (64, 64), 1.0), keypoint_fn)
    assert len(PoseEstimator(network, it)(image)) == 2
    found = PoseEstimator(network, it).with_limits(max_people=most)(image)
    assert len(found) == most
    assert (found.boxes[:, 0] >= 180).all()


def test_a_letterbox_keeps_the_image_at_the_upper_left():
    square, scales = letterbox(np.full((30, 60, 3), 200, dtype=np.uint8), (20, 20))
    assert scales == (1 / 3, 1 / 3)
    assert (square[:10] == 200).all()
    assert not square[10:].any()


@pytest.mark.parametrize("size_wh", [(1, 500), (500, 1), (1, 1)])
def test_the_thinnest_images_are_searched(detector, size_wh):
    assert len(detector([Frame(np.zeros((size_wh[1], size_wh[0], 3), dtype=np.uint8))])) == 1


@pytest.mark.parametrize("config", [{"input_size": [0, 0]}, {"input_size": [320, 320], "input_multiple": 0}])
def test_a_detector_without_a_size_is_refused(refused, config):
    graph = load_detector().graph
    it = copy.copy(graph)
    it.metadata = {DETECTOR_KEY: json.dumps(config | {"min_score": 0.2})}
    with refused(graph.path, "has no input size"):
        PersonDetector(it)


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
    assert poses.person_scores[0] > 0.85
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


def test_other_limits_give_what_an_estimator_made_with_them_gives():
    street = images.read(EXAMPLES / "street.jpg")
    estimator = PoseEstimator.from_pretrained()
    for limits in ({}, {"max_people": 1}, {"min_person_score": 0.9}):
        found = PoseEstimator.from_pretrained(**limits)(street)
        limited = estimator.with_limits(**limits)
        assert limited.detector is estimator.detector
        assert limited(street).to_json() == found.to_json()


def people_at(*boxes, scores):
    """People of these boxes with all keypoints in their middle."""
    boxes = np.array(boxes, dtype=np.float64)
    joints = np.repeat(((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None], 17, axis=1)
    return ImagePoses(COCO17, (640, 480), boxes, joints, np.ones(joints.shape[:2]), np.array(scores), joints)


def test_one_person_is_chosen_by_size_place_or_score():
    poses = people_at((0, 0, 200, 400), (300, 200, 340, 280), (500, 0, 560, 90), scores=[0.5, 0.6, 0.9])
    assert chosen_people(poses, person="largest").person_scores.tolist() == [0.5]
    assert chosen_people(poses, person="center").person_scores.tolist() == [0.6]
    assert chosen_people(poses, 2).person_scores.tolist() == [0.6, 0.9]
    assert chosen_people(poses, 2, "largest").person_scores.tolist() == [0.9]
    assert chosen_people(poses).person_scores.tolist() == [0.5, 0.6, 0.9]


def test_a_sure_head_is_a_person_whose_other_keypoints_are_absent():
    head = head_keypoints(COCO17)
    assert [COCO17.keypoints[k] for k in np.flatnonzero(head)] == list(COCO17.keypoints[:5])
    assert not head_keypoints(Skeleton("mouse", ("nose", "left_ear", "tail"), (0, 1, 2))).any()
    face = np.full(17, 0.1)
    face[:3] = 0.8
    assert is_person(face, 0.2, 0.3, head)
    assert not is_person(face, 0.2, 0.3)
    assert not is_person(np.where(head, 0.28, 0.1), 0.2, 0.3, head)
    half = face.copy()
    half[5:7] = 0.7
    assert shows_only_head(np.stack([face, half]), head).tolist() == [True, False]


def test_tiles_cover_the_image_and_overlap():
    covered = np.zeros((97, 203), dtype=int)
    for x1, y1, x2, y2 in tile_boxes((97, 203), 3):
        covered[y1:y2, x1:x2] += 1
    assert covered.min() == 1
    assert covered.max() == 4


def test_people_in_tiles_are_found_once_and_none_by_half():
    """A detector of bright rectangles, that sees only those of at most half of its image."""
    image = np.zeros((400, 400, 3), dtype=np.uint8)
    small, across, large = (20, 30, 40, 70), (180, 190, 215, 240), (250, 20, 390, 380)
    for k, (x1, y1, x2, y2) in enumerate((small, across, large)):
        image[y1:y2, x1:x2] = k + 1

    def detector(frames):
        found = []
        for frame in frames:
            boxes = []
            for k in range(1, 4):
                y, x = np.nonzero(frame.image[..., 0] == k)
                if len(y) and (np.ptp(y) > len(frame.image) / 10 or k == 3):
                    boxes.append((x.min(), y.min(), x.max() + 1, y.max() + 1))
            found.append(Detections(np.array(boxes, dtype=np.float64).reshape(-1, 4), np.full(len(boxes), 0.5)))
        return found

    whole, tiled = detector([Frame(image)])[0], TiledDetector(detector, 2)([Frame(image)])[0]
    assert sorted(map(tuple, whole.boxes.tolist())) == [across, large]
    assert sorted(map(tuple, tiled.boxes.tolist())) == [small, across, large]


@pytest.mark.parametrize("detector", ["whole", "search"])
def test_tiles_need_a_detector(refused, detector):
    with refused("`tiles=2`", f"`detector={detector}`"):
        _ = PoseEstimator.from_pretrained(detector=detector, tiles=2, optimize_graph=False).detector


def test_every_place_lies_near_the_centre_of_a_window():
    boxes = windows((300, 500), [0.2, 0.8])
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert np.unique(sides.round(6)).tolist() == [100, 200, 400]
    for side in (100, 200):
        centers = ((boxes[:, :2] + boxes[:, 2:]) / 2)[sides.round(6) == side]
        for at in ((250, 150), (100, 100), (400, 200), (301, 177)):
            assert abs(centers - at).max(axis=1).min() <= side / 4 + 1e-9
