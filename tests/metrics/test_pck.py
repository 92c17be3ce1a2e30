import json
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.skeleton import MPII16, Skeleton
from hevitpose.metrics.pck import head_size, pck, pckh, torso_size

DATA = Path(__file__).parents[1] / "known_answers"
EXPECTED = json.loads((DATA / "mpii_hourglass.json").read_text())


@pytest.fixture(scope="module")
def hourglass():
    """Real predictions on the 2,958 validation persons of MPII, and the truth."""
    with np.load(DATA / "mpii_hourglass.npz") as file:
        labelled = np.unpackbits(file["labelled"], axis=1).astype(bool)
        return file["predicted"], file["truth"], labelled, head_size(file["head_boxes"])


@pytest.mark.parametrize("threshold", ["0.5", "0.1", "0.11"])
def test_pckh_of_the_hourglass_is_the_reference_implementations(hourglass, threshold):
    result = pckh(*hourglass, MPII16, float(threshold))
    assert round(result.mean, 3) == EXPECTED[f"PCKh@{threshold}"]
    if (rows := EXPECTED.get(f"PCKh@{threshold} per joint")) is not None:
        assert result.per_keypoint.round(3).tolist() == rows


@pytest.mark.parametrize(
    ("predicted", "labelled", "per_keypoint", "mean"),
    [
        ([], [], [np.nan, np.nan], np.nan),
        ([[[0, 0], [0, 0]]], [[1, 1]], [100, 100], 100),
        ([[[0, 2], [0, 0]]], [[1, 1]], [100, 100], 100),  # just on the threshold
        ([[[0, 2.01], [0, 0]]], [[1, 1]], [0, 100], 50),
        ([[[9, 9], [0, 0]]], [[0, 1]], [np.nan, 100], 100),
        ([[[np.nan, np.nan], [0, 0]]], [[1, 1]], [0, 100], 50),
        ([[[0, 0], [9, 9]], [[0, 0], [0, 0]]], [[1, 1], [1, 0]], [100, 0], 200 / 3),
    ],
)
def test_pck_counts_labelled_joints(predicted, labelled, per_keypoint, mean):
    predicted = np.array(predicted, dtype=float).reshape(-1, 2, 2)
    labelled = np.array(labelled, dtype=bool).reshape(-1, 2)
    result = pck(predicted, np.zeros_like(predicted), labelled, np.full(len(predicted), 4.0), 0.5)
    assert result.per_keypoint == pytest.approx(per_keypoint, nan_ok=True)
    assert result.mean == pytest.approx(mean, nan_ok=True)


@pytest.mark.parametrize("length", [0.0, -1.0, np.nan])
def test_a_reference_length_must_be_above_zero(length):
    with pytest.raises(ValueError, match="above 0"):
        pck(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.ones((1, 2)), [length], 0.5)


def test_the_torso_is_left_shoulder_to_right_hip_or_else_the_other_diagonal():
    truth, labelled = np.zeros((3, 16, 2)), np.ones((3, 16), dtype=bool)
    place = {name: k for k, name in enumerate(MPII16.keypoints)}
    truth[:, place["l_shoulder"]] = (30, 40)
    truth[:, place["r_shoulder"]] = (5, 12)
    labelled[1, place["r_hip"]] = False
    labelled[2, [place["r_hip"], place["l_hip"]]] = False
    assert torso_size(truth, labelled, MPII16) == pytest.approx([50, 13, np.nan], nan_ok=True)


@pytest.mark.parametrize("names", [("snout", "tail"), ("l_shoulder", "r_shoulder"), ("left_shoulder", "r_hip")])
def test_without_shoulder_and_hip_there_is_no_torso(names):
    assert np.isnan(torso_size(np.ones((3, 2, 2)), np.ones((3, 2)), Skeleton("x", names, (0, 1)))).all()
