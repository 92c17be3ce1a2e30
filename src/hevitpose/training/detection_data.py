"""Images and boxes for a detector, drawn as random examples from (seed, epoch, index)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hevitpose.core.geometry import Floats
from hevitpose.training.augment import generator
from hevitpose.training.detection_targets import Objects

Pixels = NDArray[np.uint8]
MAX_SIDE = 448
"""Longest side of an image in memory; an example shows it about as large."""
MIN_SIDE = 3.0
"""Objects with a shorter side (pixels of the input) are ignored: they are below what a cell can tell."""
MIN_VISIBLE = 0.3
"""An object of which less is left in an example is ignored."""
STRETCHED_ASPECT = 4 / 3
"""The shape at which images of unknown shape are validated."""


class Boxes(NamedTuple):
    """Boxes (M, 4) xyxy from the image's corner in its pixels, classes (M,), and whether each is ignored (M,)."""

    xyxy: Floats
    classes: NDArray[np.int64]
    ignored: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class DetectionSet:
    """`images` (H, W, 3) with their `boxes`; `stretched` (N,): the image was made a square and its shape is unknown."""

    images: list[Pixels]
    boxes: list[Boxes]
    stretched: NDArray[np.bool_]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class DetectionAugmentation:
    """Probabilities in [0, 1], and ranges.

    `scale`: the image's longest side as a share of the final input's, drawn evenly in its logarithm; `tile_scale` is
    that of the four images of a mosaic. A smaller input shows a part, not smaller objects. `width`: widths are
    multiplied by 1 - width to 1 + width, those of stretched images first by 1 to `stretched_width`. `color`: brightness
    and saturation are multiplied by 1 - color to 1 + color, gamma is 2^-color to 2^color.
    """

    mosaic: float = 0.3
    flip: float = 0.5
    quarter_turns: float = 0.05
    scale: tuple[float, float] = (0.6, 1.6)
    tile_scale: tuple[float, float] = (0.4, 1.0)
    width: float = 0.12
    stretched_width: float = 1.5
    color: float = 0.35
    grey: float = 0.1
    low_resolution: float = 0.15


def shrink(image: Pixels, side: int) -> Pixels:
    """The image, its longer side made `side` where it is longer."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = tuple(max(1, round(scale * length)) for length in image.shape[1::-1])
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def draw_example(
    data: DetectionSet,
    index: int,
    side: int,
    augmentation: DetectionAugmentation,
    seed: int,
    epoch: int,
    final_side: int | None = None,
) -> tuple[Pixels, Boxes, Floats]:
    """A random example of image `index`: pixels (side, side, 3), boxes, and (3,) brightness, saturation and gamma.

    It is the same for the same arguments. Three of a mosaic's four images are others of the set. Images are scaled for
    an input of `final_side` (default: `side`).
    """
    random = generator(seed, 3, epoch, index)
    canvas = np.zeros((side, side, 3), dtype=np.uint8)
    if random.random() < augmentation.mosaic:
        x, y = (int(at) for at in side * random.uniform(0.3, 0.7, 2))
        regions = [(0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side)]
        indices = [index, *random.integers(len(data), size=3)]
        shares = augmentation.tile_scale
    else:
        regions, indices, shares = [(0, 0, side, side)], [index], augmentation.scale
    lengths = (shares[0] * (final_side or side), shares[1] * (final_side or side))
    placed = [
        _place(canvas, region, data, int(one), lengths, augmentation, random)
        for region, one in zip(regions, indices, strict=True)
    ]
    change = augmentation.color * random.uniform(-1, 1, 3)
    colors = np.array([1 + change[0], 1 + change[1], 2 ** change[2]])
    if random.random() < augmentation.grey:
        colors[1] = 0
    return canvas, Boxes(*(np.concatenate(parts) for parts in zip(*placed, strict=True))), colors


def _place(
    canvas: Pixels,
    region: tuple[int, int, int, int],
    data: DetectionSet,
    index: int,
    lengths: tuple[float, float],
    augmentation: DetectionAugmentation,
    random: np.random.Generator,
) -> Boxes:
    """Paint an image into a region of the canvas at a random size and place; its boxes there."""
    image, boxes = data.images[index], data.boxes[index]
    turned, xyxy = _turned(image, boxes.xyxy, random, augmentation)
    height, width = turned.shape[:2]
    longest = np.exp(random.uniform(*np.log(lengths)))
    factor = 1 + augmentation.width * random.uniform(-1, 1)
    stretch = random.uniform(1, augmentation.stretched_width)  # drawn in any case: the later draws stay the same
    factor *= stretch if data.stretched[index] else 1
    scale = longest / max(width * factor, height)
    size = scale * np.array([width * factor, height])
    low, high = np.array(region[:2], dtype=np.float64), np.array(region[2:], dtype=np.float64)
    room = high - low - size
    corner = low + room * random.random(2)  # inside the region where there is room, else covering it
    first = np.maximum(np.round(corner), low).astype(int)
    last = np.minimum(np.round(corner + size), high).astype(int)
    ignored = boxes.ignored
    if (last <= first).any():
        return Boxes(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, bool))
    scale_xy = size / (width, height)
    source = np.concatenate([(first - corner), (last - corner)]) / np.tile(scale_xy, 2)
    source = source.clip(0, np.tile([width, height], 2))
    shown = (int(last[0] - first[0]), int(last[1] - first[1]))
    part = Image.fromarray(turned)
    if random.random() < augmentation.low_resolution:
        share = random.uniform(0.3, 0.8)
        small = (max(2, round(share * shown[0])), max(2, round(share * shown[1])))
        part = part.resize(small, Image.Resampling.BILINEAR, box=tuple(source)).resize(shown, Image.Resampling.BILINEAR)
    else:
        part = part.resize(shown, Image.Resampling.BILINEAR, box=tuple(source))
    canvas[first[1] : last[1], first[0] : last[0]] = np.asarray(part)
    moved = xyxy * np.tile(scale_xy, 2) + np.tile(corner, 2)
    cut = np.concatenate([np.maximum(moved[:, :2], first), np.minimum(moved[:, 2:], last)], axis=1)
    sides = (cut[:, 2:] - cut[:, :2]).clip(0)
    visible = sides.prod(axis=1) / (moved[:, 2:] - moved[:, :2]).prod(axis=1).clip(1e-6)
    ignored = ignored | (visible < MIN_VISIBLE) | (sides.min(axis=1) < MIN_SIDE)
    kept = sides.min(axis=1) > 0
    return Boxes(cut[kept], boxes.classes[kept], ignored[kept])


def _turned(
    image: Pixels, xyxy: Floats, random: np.random.Generator, augmentation: DetectionAugmentation
) -> tuple[Pixels, Floats]:
    """The image and its boxes, at random mirrored and turned by 90, 180 or 270 degrees."""
    if random.random() < augmentation.flip:
        image = image[:, ::-1]
        xyxy = np.stack([image.shape[1] - xyxy[:, 2], xyxy[:, 1], image.shape[1] - xyxy[:, 0], xyxy[:, 3]], axis=1)
    if random.random() < augmentation.quarter_turns:
        for _ in range(int(random.integers(1, 4))):
            width = image.shape[1]
            image = np.rot90(image)  # counter-clockwise: (x, y) comes to (y, W - x)
            xyxy = np.stack([xyxy[:, 1], width - xyxy[:, 2], xyxy[:, 3], width - xyxy[:, 0]], axis=1)
    return np.ascontiguousarray(image), xyxy


def as_objects(boxes: list[Boxes]) -> Objects:
    """The boxes of a batch, padded to as many as the image with the most has, one at least."""
    most = max(1, *(len(one.classes) for one in boxes))
    padded = torch.zeros(len(boxes), most, 4)
    classes = torch.zeros(len(boxes), most, dtype=torch.int64)
    present, ignored = torch.zeros(2, len(boxes), most, dtype=torch.bool)
    for row, one in enumerate(boxes):
        count = len(one.classes)
        padded[row, :count] = torch.from_numpy(one.xyxy).float()
        classes[row, :count] = torch.from_numpy(one.classes)
        ignored[row, :count] = torch.from_numpy(one.ignored)
        present[row, :count] = ~ignored[row, :count]
    return Objects(padded, classes, present, ignored)


def stack(images: list[Pixels]) -> Tensor:
    """(N, 3, S, S) uint8."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
