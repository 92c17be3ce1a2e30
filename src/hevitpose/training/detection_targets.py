"""TTFNet's targets of a detector and its losses, on the device, for all objects of a batch at once.

Shapes: N images, M objects (padded), K classes, maps of h x w cells at stride 8. Boxes are xyxy in pixels from the
corner of the input.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hevitpose.models.detector import STRIDE, boxes_of_cells

CENTRAL = 0.54
"""The share of a box's sides round its centre in which cells answer for it (alpha in TTFNet)."""
MIN_SIGMA = 0.35
"""Cells: of an object no larger than a cell the neighbours count 0.02, so that it is still one peak."""
BOX_WEIGHT = 5.0


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
    """`centers` (N, K, h, w): 1 at the cell of an object's centre, falling as a Gaussian of the box's size.

    `known` (N, 1, h, w): 0 in ignored regions. `boxes` (N, 4, h, w) in pixels, `weights` (N, h, w): how much a cell
    answers for its box, 0 in most; an object's weights sum to the logarithm of its area in cells.
    """

    centers: Tensor
    known: Tensor
    boxes: Tensor
    weights: Tensor


def make_targets(objects: Objects, map_hw: tuple[int, int], num_classes: int) -> Targets:
    """The targets of a batch. Cells that two objects claim belong to the smaller one.

    >>> box, one = torch.tensor([[[0.0, 0.0, 48.0, 48.0]]]), torch.ones(1, 1, dtype=torch.bool)
    >>> targets = make_targets(Objects(box, torch.zeros(1, 1, dtype=torch.int64), one, ~one), (8, 8), 1)
    >>> targets.centers[0, 0, 3].mul(100).round().int().tolist()
    [0, 0, 18, 100, 18, 0, 0, 0]
    """
    height, width = map_hw
    device = objects.boxes.device
    x = torch.arange(width, device=device, dtype=torch.float32)
    y = torch.arange(height, device=device, dtype=torch.float32)
    cells = objects.boxes / STRIDE
    sizes = (cells[..., 2:] - cells[..., :2]).clamp(min=1e-3)  # N, M, 2
    limit = cells.new_tensor([width - 1, height - 1])
    centers = ((cells[..., :2] + cells[..., 2:]) / 2).floor().clamp(min=0).minimum(limit)
    sigma = (CENTRAL / 6 * sizes).clamp(min=MIN_SIGMA)
    along = []
    for axis, at in enumerate((x, y)):
        away = (at - centers[..., axis, None]) / sigma[..., axis, None]  # N, M, w or h
        along.append(torch.exp(-away.square() / 2) * (away.abs() <= 3))
    bells = along[1][..., :, None] * along[0][..., None, :]  # N, M, h, w
    bells = bells * objects.present[..., None, None]

    classes = torch.arange(num_classes, device=device)
    of_class = torch.stack([(bells * (objects.classes == k)[..., None, None]).amax(dim=1) for k in classes], dim=1)
    areas = sizes.prod(dim=2)
    smallest = torch.where(bells > 0, areas[..., None, None], torch.inf)
    claimed, owner = smallest.min(dim=1)  # N, h, w
    weights = bells * areas.add(torch.e).log()[..., None, None]
    weights = weights / bells.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)
    owned = weights.gather(1, owner[:, None])[:, 0] * claimed.isfinite()
    flat = owner.flatten(1)[..., None].expand(-1, -1, 4)
    boxes = objects.boxes.gather(1, flat).mT.reshape(len(flat), 4, height, width)
    return Targets(of_class, 1 - _inside(cells, objects.ignored, x, y), boxes, owned)


def _inside(cells: Tensor, chosen: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(N, 1, h, w): 1 at cells that the chosen boxes touch."""
    columns = (x + 1 > cells[..., 0:1]) & (x < cells[..., 2:3])
    rows = (y + 1 > cells[..., 1:2]) & (y < cells[..., 3:4])
    touched = rows[..., :, None] & columns[..., None, :] & chosen[..., None, None]
    return touched.any(dim=1, keepdim=True).float()


def center_loss(logits: Tensor, targets: Targets) -> Tensor:
    """CenterNet's focal loss of logits (N, K, h, w), by the number of objects; ignored cells cost nothing."""
    scores = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    peaks = (targets.centers == 1).float()
    hit = peaks * (1 - scores).square() * scores.log()
    quiet = (1 - peaks) * targets.known * (1 - targets.centers) ** 4 * scores.square() * (1 - scores).log()
    loss: Tensor = -(hit + quiet).sum() / peaks.sum().clamp(min=1)
    return loss


def box_loss(distances: Tensor, targets: Targets) -> Tensor:
    """The weighted mean of 1 - GIoU (Rezatofighi et al., CVPR 2019) of distances (N, 4, h, w) in cells."""
    found = boxes_of_cells(distances)
    cost = (1 - generalized_iou(found, targets.boxes)) * targets.weights
    return cost.sum() / targets.weights.sum().clamp(min=1)


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
    """The loss of what a `Detector` returns."""
    targets = make_targets(objects, (centers.shape[2], centers.shape[3]), centers.shape[1])
    return center_loss(centers, targets) + BOX_WEIGHT * box_loss(distances, targets)
