"""A person detector of the paper's parts: one map at stride 8, centres on it, and distances to the sides of boxes.

HEViTPose's stages stand at strides 8, 16 and 32 behind an overlapping patch embedding of 15 x 15 pixels (table 4 of the
paper has it at stride 8 as well), so that a whole image costs less than a crop does. The heads are those of TTFNet (Liu
et al., arXiv 1909.00700), in the tradition of CenterNet (Zhou et al., arXiv 1904.07850): every cell scores how well it
answers for an object and says how far the four sides are; maxima of 3 x 3 cells are the candidates.

Shapes: N images, S x S pixels (a multiple of 64), s = S / 8 cells a side, K classes, T boxes of an image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hevitpose.models.hevitpose import CGSRAttention, build_stages, conv_bn, depthwise, feed_forward, initialize, named

STRIDE = 8
"""Pixels in a cell."""
SIDE_DIVISOR = 64
"""The side of the input is a multiple of this: the reductions of all three stages need whole windows."""
TOP_K = 100
NMS_IOU = 0.6
"""Candidates that overlap a better one by more are duplicates; crowds need a high value, clean images a low one."""
PRIOR = 0.01
"""The score of every cell before training: without it the focal loss begins with millions of confident errors."""
EMBEDDING_KERNEL = 15
MAX_LOG_DISTANCE = 5.0
"""Distances are at most exp(5) = 148 cells: larger than any input, small enough for a bad step to recover from."""


@dataclass(frozen=True)
class DetectorConfig:
    """Sizes of the network.

    `channels`, `depths`, `groups`, `reductions` and `heads` are those of the three stages, as in `HEViTPose`; `width`
    is that of the fused map, `detail` that of the convolutions which see single pixels.
    """

    num_classes: int = 1
    channels: tuple[int, int, int] = (64, 128, 192)
    depths: tuple[int, int, int] = (1, 2, 2)
    groups: tuple[int, int, int] = (4, 4, 4)
    reductions: tuple[int, int, int] = (8, 4, 2)
    heads: tuple[int, int, int] = (2, 4, 8)
    width: int = 64
    detail: int = 16


def detection_head(channels: int, outputs: int) -> nn.Sequential:
    """(N, C, s, s) to (N, outputs, s, s): depthwise 5 x 5 and pointwise convolution, then the outputs."""
    return named(
        depthwise=conv_bn(channels, channels, 5, groups=channels),
        pointwise=conv_bn(channels, channels, 1),
        act=nn.ReLU(),
        outputs=nn.Conv2d(channels, outputs, 1),
    )


def fusion(channels: int) -> nn.Sequential:
    """What a map goes through after one from below was added: (N, C, h, w) to (N, C, h, w)."""
    return named(dw=depthwise(channels), ffn=feed_forward(channels))


class Detector(nn.Module):
    """Patch embedding, three stages, a top-down path to stride 8, and two heads."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        channels, width, detail = config.channels, config.width, config.detail
        self.embedding = conv_bn(3, channels[0], EMBEDDING_KERNEL, stride=STRIDE)
        self.detail = named(
            first=conv_bn(3, detail, 3, stride=2),
            act0=nn.ReLU(),
            second=conv_bn(detail, 2 * detail, 3, stride=2),
            act1=nn.ReLU(),
            third=conv_bn(2 * detail, channels[0], 3, stride=2),
        )

        def attention(stage: int) -> CGSRAttention:
            sizes = channels[stage], config.groups[stage], config.reductions[stage], config.heads[stage]
            return CGSRAttention(*sizes, query_reduction=True)

        self.stages = build_stages(channels, config.depths, attention)
        self.laterals = nn.ModuleList(conv_bn(channel, width, 1) for channel in channels)
        self.fusions = nn.ModuleList(fusion(width) for _ in channels[1:])
        self.head = nn.ModuleDict(
            {"centers": detection_head(width, config.num_classes), "distances": detection_head(width, 4)}
        )
        initialize(self)
        # What the embedding of a trained network gives is kept at first.
        nn.init.zeros_(self.detail.get_submodule("third.norm").get_parameter("weight"))
        centers, distances = (self.head.get_parameter(f"{name}.outputs.bias") for name in ("centers", "distances"))
        nn.init.constant_(centers, -torch.logit(torch.tensor(1 - PRIOR)).item())
        nn.init.constant_(distances, 1.0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised RGB (N, 3, S, S) to logits of centres (N, K, s, s) and distances in cells (N, 4, s, s).

        Distances are those from the cell's centre to the left, upper, right and lower side of its box. Raises
        ValueError where a side of the images is not a multiple of 64.
        """
        height, width = images.shape[2:]
        if height % SIDE_DIVISOR or width % SIDE_DIVISOR:
            raise ValueError(f"input of {height} x {width}: both sides must be multiples of {SIDE_DIVISOR}")
        x = self.embedding(images) + self.detail(images)
        maps = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            maps.append(lateral(x))
        fused = maps.pop()
        for fuse in self.fusions:
            fused = fuse(maps.pop() + F.interpolate(fused, scale_factor=2, mode="nearest"))
        centers: Tensor = self.head["centers"](fused)
        return centers, self.head["distances"](fused).clamp(max=MAX_LOG_DISTANCE).exp()


def boxes_of_cells(distances: Tensor) -> Tensor:
    """Boxes (N, 4, h, w), xyxy in pixels from the image's corner, of distances in cells (N, 4, h, w)."""
    height, width = distances.shape[2:]
    x = torch.arange(width, device=distances.device, dtype=distances.dtype) + 0.5
    y = torch.arange(height, device=distances.device, dtype=distances.dtype)[:, None] + 0.5
    left, top, right, bottom = distances.unbind(1)
    return STRIDE * torch.stack([x - left, y - top, x + right, y + bottom], dim=1)


def decode(centers: Tensor, distances: Tensor, top_k: int = TOP_K) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (N, T, 4), scores (N, T) in [0, 1] and classes (N, T) of what `Detector` returns, best first.

    Candidates are the cells that score no less than the eight around them. One that overlaps a better candidate of its
    class by more than NMS_IOU scores 0 (the parallel suppression of YOLACT, Bolya et al., arXiv 1904.02689). Boxes are
    xyxy in pixels from the corner of the input, cut at its borders. T is at most the number of cells.

    >>> centers, distances = torch.full((1, 1, 8, 8), -9.0), torch.ones(1, 4, 8, 8)
    >>> centers[0, 0, 2, 3] = 9.0
    >>> boxes, scores, classes = decode(centers, distances, top_k=1)
    >>> boxes.tolist(), scores.round(decimals=2).tolist(), classes.tolist()
    ([[[20.0, 12.0, 36.0, 28.0]]], [[1.0]], [[0]])
    """
    batch, _, height, width = centers.shape
    scores = centers.sigmoid()
    scores = scores * (F.max_pool2d(scores, 3, 1, 1) == scores)
    scores, order = scores.flatten(1).topk(min(top_k, scores[0].numel()))
    classes, cells = order // (height * width), order % (height * width)
    boxes = boxes_of_cells(distances).flatten(2).mT  # N, cells, 4
    boxes = boxes.gather(1, cells[..., None].expand(batch, -1, 4))
    limit = boxes.new_tensor([width, height, width, height]) * STRIDE
    boxes = boxes.clamp(min=0).minimum(limit)
    # Columns are the candidates; above the diagonal stand the better ones.
    better = (pairwise_iou(boxes, boxes) > NMS_IOU) & (classes[:, :, None] == classes[:, None, :])
    return boxes, scores * ~better.triu(1).any(dim=1), classes


def pairwise_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union (N, T, U) of each box (N, T, 4) of an image with each of the others (N, U, 4)."""
    low = torch.maximum(boxes[:, :, None, :2], others[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], others[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=3)
    area, their_area = ((each[..., 2:] - each[..., :2]).prod(dim=-1) for each in (boxes, others))
    return shared / (area[:, :, None] + their_area[:, None] - shared).clamp(min=1e-6)
