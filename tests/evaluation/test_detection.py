import numpy as np
import pytest

from hevitpose.core.labels import Ignored, ImageFile, labelled_people
from hevitpose.core.results import Predictions
from hevitpose.core.skeleton import COCO17, MPII16
from hevitpose.evaluation.detection import detection_figures
from hevitpose.evaluation.limbs import limb_rows, with_keypoints


@pytest.fixture
def people():
    """A large person with all keypoints and a small one with two; one without keypoints and a crowd beside them."""
    joints = np.full((2, 17, 3), 50.0)
    joints[..., 2] = 2
    joints[1, 2:, 2] = 0
    boxes = [[0, 0, 200, 200], [300, 0, 330, 30]]
    others = np.array([[0.0, 300, 50, 350], [200, 300, 400, 400]])
    ignored = Ignored(np.array([0, 0]), others, np.array([2500.0, 1]), np.array([False, True]))
    images = [ImageFile("a.png", None), ImageFile("b.png", None)]
    return labelled_people("people", COCO17, images, [0, 0], joints, boxes, ignored=ignored)


def found(*boxes, scores):
    boxes, joints = np.array(boxes, dtype=float), np.zeros((len(boxes), 17, 2))
    return Predictions(np.zeros(len(boxes), int), boxes, joints, np.ones(joints.shape[:2]), np.array(scores), None, "x")


def test_people_are_found_by_size_and_strays_are_counted_without_those_in_crowds(people):
    boxes = ([0, 0, 200, 190], [0, 300, 50, 350], [250, 310, 300, 390], [400, 0, 450, 90], [300, 0, 330, 30])
    figures = detection_figures(people, found(*boxes, scores=[0.9, 0.8, 0.7, 0.6, 0.1]), 0.25, complete=True)
    assert figures["people"] == 3
    assert figures["found"] == pytest.approx(200 / 3)
    assert figures["found, 8 keypoints or more"] == 100
    assert [figures[f"found, {size}"] for size in ("small", "medium", "large")] == [0, 100, 100]
    assert figures["strays an image"] == 0.5
    assert 0 < figures["box AP"] <= figures["box AP50"] < 100
    assert "box AP" not in detection_figures(people, found(*boxes, scores=np.ones(5)), 0.25, complete=False)


def test_limb_joints_are_the_same_of_every_skeleton(people):
    names = [[skeleton.keypoints[row] for row in limb_rows(skeleton)] for skeleton in (COCO17, MPII16)]
    assert [len(each) for each in names] == [12, 12]
    limbs = with_keypoints(people, limb_rows(COCO17))
    assert limbs.skeleton.keypoints == COCO17.keypoints[5:]
    assert [limbs.skeleton.keypoints[k] for k in limbs.skeleton.mirror[:2]] == ["right_shoulder", "left_shoulder"]
    assert limbs.skeleton.sigmas == COCO17.sigmas[5:]
    assert limbs.labelled.sum(axis=1).tolist() == [12, 0]
