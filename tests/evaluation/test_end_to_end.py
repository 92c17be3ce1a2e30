import numpy as np
import pytest

from hevitpose.core.labels import Ignored, ImageFile, labelled_people
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.results import Detections, Predictions
from hevitpose.core.skeleton import Skeleton
from hevitpose.evaluation.end_to_end import IGNORED, STRAY, evaluate_end_to_end, match_end_to_end
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import Network
from hevitpose.io import images

MOUSE = Skeleton("mouse", ("snout", "tail"), (0, 1))
FILES = [ImageFile("a.png", None), ImageFile("b.png", None)]


@pytest.fixture
def mice():
    """Two mice in the first image, the tail of the second not labelled; none in the second image but a crowd."""
    joints = [[(10, 10, 2), (90, 90, 2)], [(210, 10, 2), (0, 0, 0)]]
    crowd = Ignored(np.array([1]), np.array([[0.0, 0, 400, 400]]), np.array([1e4]), np.array([True]))
    boxes = [[0, 0, 100, 100], [200, 0, 300, 100]]
    return labelled_people("mice", MOUSE, FILES, [0, 0], joints, boxes, ignored=crowd)


def predictions(rows):
    """From (image, x of the box, joints, their scores)."""
    index, at, joints, scores = zip(*rows, strict=True)
    boxes = np.array([[x, 0, x + 100.0, 100] for x in at])
    return Predictions(
        np.array(index), boxes, np.array(joints, float), np.array(scores, float), np.full(len(at), 0.9), None, "x"
    )


def test_each_prediction_is_of_one_person_a_stray_or_ignored(mice):
    found = predictions(
        [
            (0, 0, [(15, 10), (90, 101)], [1, 1]),  # the first mouse: snout found, tail off by 0.11
            (0, 0, [(40, 40), (40, 40)], [1, 1]),  # overlaps the first mouse, who is taken
            (0, 200, [(212, 10), (250, 50)], [1, 1]),  # the second mouse
            (1, 50, [(60, 60), (60, 60)], [1, 1]),  # in the crowd
        ]
    )
    result = match_end_to_end(mice, found, 0.2)
    assert result.person_of.tolist() == [0, STRAY, 1, IGNORED]
    assert result.distances[0] == pytest.approx([0.05, 0.11])
    assert np.isnan(result.distances).tolist() == [[False, False], [False, True]]
    assert (result.joints, result.joints_found, result.strays) == (3, 2, 1)
    assert result.people_right.tolist() == [False, True]
    assert result.predictions_right.tolist() == [False, False, True, False]


def test_absent_joints_and_missed_people_are_not_found(mice):
    result = match_end_to_end(mice, predictions([(0, 0, [(10, 10), (90, 90)], [0.1, 1])]), 0.2)
    assert result.distances[0].tolist() == [np.inf, 0]
    assert result.distances[1, 0] == np.inf
    assert (result.joints_found, result.people_right.any()) == (1, False)


def test_the_estimator_is_given_no_boxes(tmp_path):
    for name in ("a.png", "b.png"):
        images.write_png(tmp_path / name, np.zeros((100, 300, 3), dtype=np.uint8))
    people = labelled_people(
        "mice", MOUSE, [ImageFile(f.name, tmp_path) for f in FILES], [0], [[(49.5, 49.5, 2)] * 2], [[0, 0, 100, 100]]
    )

    def middle(crops):
        heatmaps = np.zeros((len(crops), 2, 16, 16), np.float32)
        heatmaps[:, :, 7:9, 7:9] = 1
        return heatmaps

    def detector(frames):
        assert all(frame.detections is None for frame in frames)
        return [Detections.from_boxes([[0, 0, 100, 100]]) for _ in frames]

    network = Network("middle", middle, ModelConfig("t", MOUSE, (64, 64), 1.0))
    result = evaluate_end_to_end(PoseEstimator(network, detector), people)
    assert (result.images, result.joints_found, result.strays) == (2, 2, 1)
    assert result.to_json()["boxes"] == "end to end, found by function"
