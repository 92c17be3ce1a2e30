"""Targets and losses of the detector."""

import pytest
import torch

from hevitpose.models.detector import STRIDE, boxes_of_cells
from hevitpose.training.detection_targets import CELLS, Objects, detection_loss, generalized_iou, make_targets


def objects(
    boxes: list[list[float]], ignored: tuple[bool, ...] | None = None, classes: list[int] | None = None
) -> Objects:
    count = len(boxes)
    flags = torch.tensor([ignored or [False] * count])
    kinds = torch.tensor([classes or [0] * count])
    return Objects(torch.tensor([boxes]).view(1, count, 4), kinds, ~flags, flags)


def answer(of: Objects, cells: int = 8, classes: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and distances of a detector which is right: the boxes round every cell, its score where it answers."""
    place = (torch.arange(cells) + 0.5) * STRIDE
    x, y = place.expand(cells, cells), place[:, None].expand(cells, cells)
    boxes = of.boxes[0, :, :, None, None]
    away = torch.stack([x - boxes[:, 0], y - boxes[:, 1], boxes[:, 2] - x, boxes[:, 3] - y], dim=1)  # M, 4, h, w
    nearest = (away[:, 0] - away[:, 2]).abs() + (away[:, 1] - away[:, 3]).abs()
    owner = nearest.argmin(dim=0)
    distances = away.gather(0, owner.expand(1, 4, cells, cells)).clamp(min=0) / STRIDE
    found = boxes_of_cells(distances)
    scores = make_targets(torch.full((1, classes, cells, cells), 0.5), found, of).scores
    return torch.logit(scores.view(1, classes, cells, cells), eps=1e-6), distances


def test_no_object_costs_only_what_scores() -> None:
    none = Objects(torch.zeros(1, 1, 4), torch.zeros(1, 1, dtype=torch.int64), *torch.zeros(2, 1, 1, dtype=torch.bool))
    loss = detection_loss(torch.full((1, 1, 8, 8), -9.0), torch.ones(1, 4, 8, 8), none)
    assert loss.item() == pytest.approx(0, abs=1e-4)
    assert detection_loss(torch.zeros(1, 1, 8, 8), torch.ones(1, 4, 8, 8), none) > 1


def test_a_right_answer_costs_next_to_nothing() -> None:
    two = objects([[0, 0, 30, 60], [30, 8, 64, 64]])
    assert detection_loss(*answer(two), two).item() == pytest.approx(0, abs=0.01)


def test_the_best_cells_in_the_middle_of_an_object_answer_for_it() -> None:
    one = objects([[0, 0, 64, 64]])
    _, distances = answer(one)
    scores = torch.full((1, 1, 8, 8), 0.1)
    scores[0, 0, 2, 3] = 0.9
    scores[0, 0, 0, 0] = 0.99  # at the edge: not asked
    wanted = make_targets(scores, boxes_of_cells(distances), one).scores.view(8, 8)
    assert wanted[2, 3] == 1
    assert wanted[0, 0] == 0
    assert 0 < wanted[wanted < 1].max() < 0.5
    assert (wanted > 0).sum() == CELLS


def test_a_shared_cell_answers_for_the_object_that_it_overlaps_most() -> None:
    two = objects([[0, 0, 64, 64], [24, 24, 40, 40]], classes=[0, 1])
    distances = torch.full((1, 4, 8, 8), 1.0)
    targets = make_targets(torch.full((1, 2, 8, 8), 0.5), boxes_of_cells(distances), two)
    assert targets.boxes[0, :, 4, 4].tolist() == [24, 24, 40, 40]
    assert targets.boxes[0, :, 2, 4].tolist() == [0, 0, 64, 64]
    answers = targets.scores.view(2, 8, 8) > 0
    assert not (answers[0] & answers[1]).any()
    assert answers[1].nonzero().tolist() == [[3, 3], [3, 4], [4, 3], [4, 4]]


def test_an_object_smaller_than_a_cell_has_a_cell() -> None:
    targets = make_targets(torch.full((1, 1, 8, 8), 0.5), torch.ones(1, 4, 8, 8), objects([[34, 34, 36, 37]]))
    assert (targets.scores.view(8, 8) > 0).nonzero().tolist() == [[4, 4]]


def test_ignored_regions_cost_nothing() -> None:
    none = Objects(torch.zeros(1, 1, 4), torch.zeros(1, 1, dtype=torch.int64), *torch.zeros(2, 1, 1, dtype=torch.bool))
    unknown = objects([[0, 0, 24, 24]], ignored=(True,))
    logits = torch.full((1, 1, 8, 8), -9.0)
    logits[0, 0, 1, 1] = 5.0
    distances = torch.ones(1, 4, 8, 8)
    assert detection_loss(logits, distances, unknown).item() == pytest.approx(0, abs=1e-3)
    assert detection_loss(logits, distances, none) > 1
    logits[0, 0, 5, 5] = 5.0  # outside of it
    assert detection_loss(logits, distances, unknown) > 1


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1),
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3),  # the hull is the union
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7 - 2 / 9),
        ([0, 0, 1, 1], [9, 0, 10, 1], -8 / 10),
        ([0, 0, 4, 4], [1, 1, 2, 2], 1 / 16),
    ],
)
def test_generalized_iou(a: list[int], b: list[int], expected: float) -> None:
    first, second = (torch.tensor(box, dtype=torch.float32).view(1, 4, 1, 1) for box in (a, b))
    assert generalized_iou(first, second).item() == pytest.approx(expected, abs=1e-6)
    assert generalized_iou(second, first).item() == pytest.approx(expected, abs=1e-6)


def test_the_loss_falls_as_boxes_come_near_and_reaches_every_distance() -> None:
    one, centers = objects([[8, 8, 56, 56]]), torch.zeros(1, 1, 8, 8)
    far, near = (detection_loss(centers, torch.full((1, 4, 8, 8), value), one) for value in (1.0, 2.8))
    assert near < far
    distances = torch.ones(1, 4, 8, 8, requires_grad=True)
    detection_loss(centers, distances, one).backward()
    assert (distances.grad[0, :, 4, 4].abs() > 0).all()
