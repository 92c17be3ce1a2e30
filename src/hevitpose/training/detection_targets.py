"""Which cells of a detector answer for which object, and the losses, on the device, for all objects of a batch at once.

As in TOOD (Feng et al., arXiv 2108.07755), the cells that already score and overlap best in the middle of an object
answer for it, and their scores learn the overlap. With one peak an object instead (TTFNet), the same training found
fewer of the large people.

Shapes: N images, M objects (padded), K classes, maps of h x w cells at stride 8, C = h w. Boxes are xyxy in pixels from
the corner of the input.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from hevitpose.models.detector import STRIDE, boxes_of_cells, pairwise_iou

MIDDLE = 0.7
"""The share of a box's sides round its centre in which cells may answer for it; a cell's width at least."""
CELLS = 10
"""Cells that answer for an object, at most."""
SCORE_POWER, IOU_POWER = 0.5, 6
"""How much a cell's score and overlap count when cells are chosen."""
QUIET_WEIGHT = 0.75
"""The weight of cells that answer for nothing, times their score squared (VarifocalNet, arXiv 2008.13367)."""
BOX_WEIGHT = 2.0


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of a batch: `boxes` (N, M, 4), `classes` (N, M) int64, `present` and `ignored` (N, M) bool.

    An ignored box is a region in which nothing is known; what is neither present nor ignored is padding.
    """

    boxes: Tensor
    classes: Tensor
    present: Tensor
    ignored: Tensor


@dataclass(frozen=True, eq=False)
class Targets:
    """`scores` (N, K, C): what cells shall score, 0 in most, for an object's best cell the best overlap of its cells.

    `known` (N, 1, C): 0 in ignored regions. `boxes` (N, 4, h, w): of the object for which a cell answers.
    """

    scores: Tensor
    known: Tensor
    boxes: Tensor


@torch.no_grad()
def make_targets(scores: Tensor, found: Tensor, objects: Objects) -> Targets:
    """The targets of a batch whose cells score `scores` (N, K, h, w) and give the boxes `found` (N, 4, h, w).

    >>> box, one = torch.tensor([[[0.0, 0.0, 48.0, 48.0]]]), torch.ones(1, 1, dtype=torch.bool)
    >>> found = box.view(1, 4, 1, 1).expand(1, 4, 6, 6) * 0.9
    >>> objects = Objects(box, torch.zeros(1, 1, dtype=torch.int64), one, ~one)
    >>> targets = make_targets(torch.eye(6).view(1, 1, 6, 6), found, objects)
    >>> targets.scores.view(6, 6)[2].mul(100).round().int().tolist()
    [0, 3, 81, 3, 3, 0]
    """
    height, width = scores.shape[2:]
    x, y = (torch.arange(length, device=found.device, dtype=torch.float32) for length in (width, height))
    cells = objects.boxes / STRIDE
    inside = _touched(_middles(cells), x + 0.5, y + 0.5, 0.0).flatten(2) & objects.present[..., None]  # N, M, C
    overlap = pairwise_iou(objects.boxes, found.flatten(2).mT)
    of_class = scores.flatten(2).gather(1, objects.classes[..., None].expand(-1, -1, height * width))
    fit = of_class.clamp(min=1e-3) ** SCORE_POWER * overlap.clamp(min=1e-2) ** IOU_POWER * inside
    best = fit.topk(min(CELLS, height * width), dim=2).indices
    chosen = torch.zeros_like(inside).scatter_(2, best, True) & inside
    # A cell that several objects chose answers for the one it overlaps most.
    owner = torch.where(chosen, overlap, -1.0).argmax(dim=1)  # N, C
    chosen &= torch.arange(chosen.shape[1], device=found.device)[:, None] == owner[:, None]
    fit, overlap = fit * chosen, overlap * chosen
    quality = overlap.amax(dim=2, keepdim=True).clamp(min=0.1) * fit / fit.amax(dim=2, keepdim=True).clamp(min=1e-20)
    by_class = [(quality * (objects.classes == k)[..., None]).amax(dim=1) for k in range(scores.shape[1])]
    wanted = torch.stack(by_class, dim=1)
    unknown = (_touched(cells, x, y, 1.0) & objects.ignored[..., None, None]).flatten(2).any(dim=1, keepdim=True)
    boxes = objects.boxes.gather(1, owner[..., None].expand(-1, -1, 4)).mT.reshape(found.shape)
    return Targets(wanted, (~unknown | chosen.any(dim=1, keepdim=True)).float(), boxes)


def _middles(cells: Tensor) -> Tensor:
    """The middle of each box (N, M, 4), in cells, of which no side is shorter than a cell."""
    centers, sides = (cells[..., :2] + cells[..., 2:]) / 2, cells[..., 2:] - cells[..., :2]
    half = (MIDDLE / 2 * sides).clamp(min=0.5)
    return torch.cat([centers - half, centers + half], dim=2)


def _touched(boxes: Tensor, x: Tensor, y: Tensor, length: float) -> Tensor:
    """(N, M, h, w): whether a square of this side at each x and y touches the boxes (N, M, 4)."""
    columns = (x + length >= boxes[..., 0:1]) & (x <= boxes[..., 2:3])
    rows = (y + length >= boxes[..., 1:2]) & (y <= boxes[..., 3:4])
    return rows[..., :, None] & columns[..., None, :]


def generalized_iou(a: Tensor, b: Tensor) -> Tensor:
    """GIoU (N, h, w), in [-1, 1], of boxes (N, 4, h, w) that lie at the same place of two tensors.

    >>> box = torch.tensor([0.0, 0.0, 2.0, 2.0]).view(1, 4, 1, 1)
    >>> generalized_iou(box, box + 2).item()
    -0.5
    """
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1).clamp(min=1e-6)
    area = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - shared
    return shared / area.clamp(min=1e-6) - (hull - area) / hull


def detection_loss(centers: Tensor, distances: Tensor, objects: Objects) -> Tensor:
    """The loss of what a `Detector` returns: varifocal loss of the scores, and 1 - GIoU of the boxes.

    Both are weighted by the targets' scores and divided by their sum.
    """
    found = boxes_of_cells(distances)
    targets = make_targets(centers.sigmoid(), found, objects)
    logits, wanted = centers.flatten(2), targets.scores
    focus = torch.where(wanted > 0, wanted, QUIET_WEIGHT * logits.detach().sigmoid().square())
    scores_cost = F.binary_cross_entropy_with_logits(logits, wanted, focus * targets.known, reduction="sum")
    boxes_cost = (1 - generalized_iou(found, targets.boxes)).flatten(1) * wanted.amax(dim=1)
    return (scores_cost + BOX_WEIGHT * boxes_cost.sum()) / wanted.sum().clamp(min=1)
