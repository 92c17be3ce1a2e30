"""Boxes, and the one affine between image, crop and heatmap.

The alignment rule of the whole library: (x, y) = (0, 0) is the centre of the top left pixel, so that an image W wide
reaches from x = -0.5 to W - 0.5, and so do a crop and a heatmap, each in units of its own pixels. Edges meet edges:

    image   | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |     x        = (x_cell + 0.5) * stride - 0.5
    heatmap   |       0       |       1       |     x_cell   = (x + 0.5) / stride - 0.5

Mirroring is then W - 1 - x at every resolution, and a flip test needs no shift. For weights that were trained otherwise
crop and heatmap can also meet at their first pixels (x_cell = x / stride: SimpleBaseline, HRNet) or at the centres of
the first and the last pixel (x_cell = x * (w - 1) / (W - 1): UDP).

Boxes are (x1, y1, x2, y2) measured from the corner of the image, as in COCO, torchvision and supervision: the box of a
whole image is (0, 0, W, H). So the centre of the top left pixel, the keypoint (0, 0), lies at (0.5, 0.5) of a box. This
half pixel is added and subtracted in this module only (`corner_frame`, `crop_matrix`).

Every function takes arrays with any leading axes and returns new ones.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
BOX_PADDING = 1.25
"""A person's box is grown by this before it is cropped, in training and in prediction (HRNet, MMPose)."""
STRIDE = 4
"""Input pixels per heatmap cell, for every network here."""
INPUT_MULTIPLE = 32
"""Both sides of an input are multiples of this: 16 for the stages, and whole windows of the spatial reductions."""
Alignment = Literal["edges", "first pixels", "pixel centers"]


def xyxy_from_xywh(boxes_xywh: ArrayLike) -> Floats:
    """COCO's boxes (..., 4) of corner, width and height as boxes of two corners.

    >>> xyxy_from_xywh([10, 20, 100, 50])
    array([ 10.,  20., 110.,  70.])
    """
    boxes = np.asarray(boxes_xywh, dtype=np.float64)
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def xywh_from_xyxy(boxes: ArrayLike) -> Floats:
    """The inverse of `xyxy_from_xywh`."""
    boxes = np.asarray(boxes, dtype=np.float64)
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def corner_frame(points: ArrayLike) -> Floats:
    """Keypoints (..., 2), which count from the centre of the first pixel, as boxes count: from its corner."""
    return np.asarray(points, dtype=np.float64) + 0.5


def image_box(size_hw: tuple[int, int]) -> Floats:
    """The box (4,) of the whole image."""
    height, width = size_hw
    return np.array([0.0, 0.0, width, height])


def keypoint_extent(points: ArrayLike) -> Floats:
    """The smallest box (4,) that holds the keypoints (K, 2)."""
    points = corner_frame(points)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def in_box(points: ArrayLike, boxes: ArrayLike) -> NDArray[np.bool_]:
    """Which keypoints (..., K, 2) lie in their box (..., 4), its edges included: (..., K)."""
    points, boxes = corner_frame(points), np.asarray(boxes, dtype=np.float64)[..., None, :]
    return np.asarray(((points >= boxes[..., :2]) & (points <= boxes[..., 2:])).all(axis=-1))


def box_from_center(centers: ArrayLike, sizes_wh: ArrayLike) -> Floats:
    """Boxes (..., 4) of the given centres (..., 2) and sizes (..., 2)."""
    half = np.asarray(sizes_wh, dtype=np.float64) / 2
    centers = np.asarray(centers, dtype=np.float64)
    return np.concatenate([centers - half, centers + half], axis=-1)


def crop_box(boxes: ArrayLike, padding: float, aspect: float) -> Floats:
    """Boxes (..., 4) grown to width / height = `aspect` and then by `padding` (1.25 in HRNet and MMPose)."""
    boxes = np.asarray(boxes, dtype=np.float64)
    size = boxes[..., 2:] - boxes[..., :2]
    width = np.maximum(size[..., 0], size[..., 1] * aspect)
    center = (boxes[..., :2] + boxes[..., 2:]) / 2
    return box_from_center(center, padding * np.stack([width, width / aspect], axis=-1))


def crop_matrix(
    boxes: ArrayLike, size_hw: tuple[int, int], rotation_deg: ArrayLike = 0.0, mirrored: ArrayLike = False
) -> Floats:
    """Affine matrices (..., 2, 3) from image pixels to the pixels of a crop of `size_hw`.

    The box (..., 4), of the crop's aspect, fills the crop. `rotation_deg` turns the image's content clockwise about
    the box's centre; `mirrored` exchanges left and right after that.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    height, width = size_hw
    scale = width / (boxes[..., 2] - boxes[..., 0])
    angle = np.deg2rad(np.asarray(rotation_deg, dtype=np.float64))
    sign = np.where(mirrored, -1.0, 1.0)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([sign * cos, -sign * sin], -1), np.stack([sin, cos], -1)], axis=-2)
    center = (boxes[..., :2] + boxes[..., 2:]) / 2 - 0.5  # as pixels count
    crop_center = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = crop_center - (linear @ center[..., None])[..., 0]
    return np.concatenate([linear, offset[..., None]], axis=-1)


def compose(outer: ArrayLike, inner: ArrayLike) -> Floats:
    """The affine matrices (..., 2, 3) that apply `inner` first."""
    outer, inner = np.asarray(outer, dtype=np.float64), np.asarray(inner, dtype=np.float64)
    product = outer[..., :2] @ inner
    return np.concatenate([product[..., :2], product[..., 2:] + outer[..., 2:]], axis=-1)


def inverse(matrices: ArrayLike) -> Floats:
    """The inverse affine matrices (..., 2, 3)."""
    matrices = np.asarray(matrices, dtype=np.float64)
    linear = np.linalg.inv(matrices[..., :2])
    return np.concatenate([linear, -linear @ matrices[..., 2:]], axis=-1)


def transform(matrices: ArrayLike, points: ArrayLike) -> Floats:
    """Points (..., K, 2) moved by affine matrices (..., 2, 3)."""
    matrices = np.asarray(matrices, dtype=np.float64)
    linear, offset = np.swapaxes(matrices[..., :2], -1, -2), matrices[..., None, :, 2]
    moved: Floats = np.asarray(points, dtype=np.float64) @ linear + offset
    return moved


def cells_from_pixels(
    points: ArrayLike, crop_hw: tuple[int, int], heatmap_hw: tuple[int, int], alignment: Alignment = "edges"
) -> Floats:
    """Pixels (..., 2) of a crop to cells of its heatmap."""
    scale, offset = _cell_of_pixel(crop_hw, heatmap_hw, alignment)
    return np.asarray(points, dtype=np.float64) * scale + offset


def pixels_from_cells(
    points: ArrayLike, crop_hw: tuple[int, int], heatmap_hw: tuple[int, int], alignment: Alignment = "edges"
) -> Floats:
    """Cells (..., 2) of a heatmap to pixels of its crop."""
    scale, offset = _cell_of_pixel(crop_hw, heatmap_hw, alignment)
    return (np.asarray(points, dtype=np.float64) - offset) / scale


def _cell_of_pixel(
    crop_hw: tuple[int, int], heatmap_hw: tuple[int, int], alignment: Alignment
) -> tuple[Floats, Floats]:
    """Scale (2,) and offset (2,) in x and y: cell = scale * pixel + offset."""
    pixels, cells = (np.array(size_hw[::-1], dtype=np.float64) for size_hw in (crop_hw, heatmap_hw))
    if alignment == "pixel centers":
        return (cells - 1) / (pixels - 1), np.zeros(2)
    scale = cells / pixels
    return scale, (scale - 1) / 2 if alignment == "edges" else np.zeros(2)
