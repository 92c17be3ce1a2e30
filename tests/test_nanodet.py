"""benchmarks/nanodet.py: from the network's outputs to boxes."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")


@pytest.fixture
def nanodet(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import nanodet

    yield nanodet
    sys.modules.pop("nanodet")


def test_boxes_lie_at_their_distances_from_the_cells_centre(nanodet):
    cells = [(nanodet.SIDE // stride) ** 2 for stride in nanodet.STRIDES]
    scores = [np.zeros((count, 80)) for count in cells]
    logits = [np.zeros((count, 4 * nanodet.BINS)) for count in cells]
    scores[1][3 * 26 + 5, 0], scores[1][40, 1], scores[2][0, 0] = 0.8, 0.9, 0.29
    of_person = logits[1][3 * 26 + 5].reshape(4, nanodet.BINS)
    for side, distance in enumerate((1, 2, 3, 4)):
        of_person[side, distance] = 50
    of_person[0, 2] = 50  # between one and two strides to the left
    boxes, found = nanodet.decode(scores, logits, 0.3)
    assert boxes == pytest.approx(np.array([[88 - 24, 56 - 32, 88 + 48, 56 + 64]]))
    assert found == pytest.approx([0.8])


@pytest.mark.parametrize(
    ("boxes", "scores", "kept"),
    [
        ([], [], []),
        ([[0, 0, 10, 10]], [0.5], [0]),
        ([[0, 0, 10, 10], [0, 0, 10, 12], [0, 0, 10, 20]], [0.5, 0.6, 0.4], [1, 2]),
        ([[0, 0, 10, 10], [20, 0, 30, 10]], [0.5, 0.6], [1, 0]),
    ],
)
def test_of_boxes_that_overlap_the_best_stays(nanodet, boxes, scores, kept):
    assert nanodet.suppress(np.array(boxes, dtype=float).reshape(-1, 4), np.array(scores)) == kept
