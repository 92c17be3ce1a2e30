"""Targets and losses of the detector."""

import pytest
import torch

from hevitpose.models.detector import STRIDE
from hevitpose.training.detection_targets import (
    Objects,
    box_loss,
    center_loss,
    detection_loss,
    generalized_iou,
    make_targets,
)


def objects(
    boxes: list[list[float]], ignored: tuple[bool, ...] | None = None, classes: list[int] | None = None
) -> Objects:
    count = len(boxes)
    flags = torch.tensor([ignored or [False] * count])
    kinds = torch.tensor([classes or [0] * count])
    return Objects(torch.tensor([boxes]).view(1, count, 4), kinds, ~flags, flags)


def perfect(targets_of: Objects, cells: int = 8, classes: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and distances that match the targets."""
    targets = make_targets(targets_of, (cells, cells), classes)
    centers = torch.where(targets.centers == 1, 9.0, -9.0)
    at = (torch.arange(cells) + 0.5) * STRIDE
    x, y = at.expand(cells, cells), at[:, None].expand(cells, cells)
    place = torch.stack([x, y, x, y])
    sign = torch.tensor([1, 1, -1, -1]).view(4, 1, 1)
    return centers, (place - targets.boxes) * sign / STRIDE


def test_no_object_costs_only_what_scores() -> None:
    none = Objects(torch.zeros(1, 1, 4), torch.zeros(1, 1, dtype=torch.int64), *torch.zeros(2, 1, 1, dtype=torch.bool))
    loss = detection_loss(torch.full((1, 1, 8, 8), -9.0), torch.ones(1, 4, 8, 8), none)
    assert loss.item() == pytest.approx(0, abs=1e-4)
    assert detection_loss(torch.zeros(1, 1, 8, 8), torch.ones(1, 4, 8, 8), none) > 1


def test_a_perfect_answer_costs_next_to_nothing() -> None:
    two = objects([[0, 0, 30, 60], [30, 8, 64, 64]])
    assert detection_loss(*perfect(two), two).item() == pytest.approx(0, abs=0.01)


def test_each_object_has_one_peak_of_its_class_and_the_smaller_one_owns_shared_cells() -> None:
    targets = make_targets(objects([[0, 0, 64, 64], [28, 28, 44, 44]], classes=[0, 1]), (8, 8), 2)
    assert (targets.centers[0, 0] == 1).nonzero().tolist() == [[4, 4]]
    assert (targets.centers[0, 1] == 1).nonzero().tolist() == [[4, 4]]
    assert targets.boxes[0, :, 4, 4].tolist() == [28, 28, 44, 44]
    assert targets.boxes[0, :, 4, 6].tolist() == [0, 0, 64, 64]


def test_ignored_regions_cost_nothing() -> None:
    logits = torch.full((1, 1, 8, 8), -9.0)
    logits[0, 0, 1, 1] = 5.0
    known, unknown = (objects([[0, 0, 24, 24]], ignored=(flag,)) for flag in (False, True))
    assert center_loss(logits, make_targets(unknown, (8, 8), 1)).item() == pytest.approx(0, abs=1e-3)
    assert center_loss(logits, make_targets(known, (8, 8), 1)).item() == pytest.approx(0, abs=1e-2)
    logits[0, 0, 5, 5] = 5.0  # outside of it
    assert center_loss(logits, make_targets(unknown, (8, 8), 1)) > 1


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


def test_box_loss_falls_as_boxes_come_near_and_reaches_every_distance() -> None:
    one = objects([[8, 8, 56, 56]])
    targets = make_targets(one, (8, 8), 1)
    far, near = (box_loss(torch.full((1, 4, 8, 8), value), targets) for value in (1.0, 2.8))
    assert near < far
    distances = torch.ones(1, 4, 8, 8, requires_grad=True)
    box_loss(distances, targets).backward()
    assert (distances.grad[0, :, 4, 4].abs() > 0).all()
