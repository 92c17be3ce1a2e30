"""Augmentation, decided by (seed, epoch, person): one matrix moves both the image and the joints."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople

HALF_BODY_PADDING = 1.5
"""A half-body box is the extent of its joints grown by this around their mean (HRNet, MMPose)."""
UPPER_BODY = 0.691
"""The share of half bodies that are upper ones: HRNet and MMPose ask whether a standard normal number is below 0.5."""
COVERED = (0.1, 0.4)
"""Smallest and largest side of a cutout, as a share of the input's."""
LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in grey (ITU-R BT.601)."""


@dataclass(frozen=True)
class Augmentation:
    """The paper's augmentation (MMPose 0.29): probabilities in [0, 1], `rotation` in degrees, `shift` in box sizes.

    The box grows by clip(N * scale + 1, 1 - scale, 1 + scale); it turns by clip(N * rotation, -2 rotation, 2 rotation).
    Half-body needs more than `half_body_joints` labelled joints. COCO's recipe sets half_body=0.3, shift=0.16,
    shift_probability=0.3.

    Color jitter multiplies brightness and saturation by 1 - `color_jitter` to 1 + `color_jitter` and draws gamma from
    2^-`color_jitter` to 2^`color_jitter`. With probability `cutout` a rectangle of one color hides part of the input;
    the joints under it keep their targets. With probability `grey` the input is black and white.
    """

    flip: float = 0.5
    scale: float = 0.5
    rotation: float = 40.0
    rotation_probability: float = 0.6
    half_body: float = 0.0
    half_body_joints: int = 8
    shift: float = 0.0
    shift_probability: float = 0.0
    color_jitter: float = 0.0
    cutout: float = 0.0
    grey: float = 0.0


@dataclass(frozen=True, eq=False)
class GeometricSample:
    """`matrices` (N, 2, 3) from image to input pixels, `joints` (N, K, 2) in input pixels, `labelled` (N, K)."""

    matrices: Floats
    joints: Floats
    labelled: NDArray[np.bool_]


class PhotometricSample(NamedTuple):
    """Changes of the pixels of N crops.

    `color_factors` (N, 3) are brightness, saturation and gamma, 1 for no change. `cutouts` (N, 4) are rectangles
    x0, y0, x1, y1 as shares of the input, empty where there is none; `cutout_colors` (N, 3) are RGB, 0 to 255.
    """

    color_factors: Floats
    cutouts: Floats
    cutout_colors: Floats


def geometric_augmentation(
    people: LabelledPeople,
    indices: NDArray[np.int64],
    size_hw: tuple[int, int],
    padding: float,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
) -> GeometricSample:
    """A random crop of each of the persons `indices` (N,), the same for the same seed, epoch and person.

    Skeletons without mirror partners are not mirrored (`Skeleton.flips`).

    Args:
        people: the data set.
        indices: persons (N,).
        size_hw: of the network's input.
        padding: of a person's box.
        augmentation: what is drawn.
        seed: of the run.
        epoch: counted from 0.
    """
    uniform, normal = _draws(indices, seed, epoch)
    aspect = size_hw[1] / size_hw[0]
    boxes = geometry.crop_box(people.boxes[indices], padding, aspect)
    shift = augmentation.shift * (2 * uniform[:, 2:4] - 1) * (uniform[:, 4:5] < augmentation.shift_probability)
    boxes = boxes + np.tile(shift * (boxes[:, 2:] - boxes[:, :2]), 2)
    half = _half_body_boxes(people, indices, augmentation, uniform[:, 0], uniform[:, 1])
    boxes = np.where(np.isnan(half), boxes, geometry.crop_box(half, 1, aspect))
    grow = np.clip(normal[:, 0] * augmentation.scale + 1, 1 - augmentation.scale, 1 + augmentation.scale)
    centers, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    boxes = geometry.box_from_center(centers, sizes * grow[:, None])
    limit = 2 * augmentation.rotation
    rotation = np.clip(normal[:, 1] * augmentation.rotation, -limit, limit)
    rotation *= uniform[:, 5] < augmentation.rotation_probability
    mirrored = uniform[:, 6] < augmentation.flip * people.skeleton.flips
    matrices = geometry.crop_matrix(boxes, size_hw, rotation, mirrored)

    joints = geometry.transform(matrices, people.keypoints[indices])
    labelled = people.labelled[indices]
    partners = list(people.skeleton.mirror)
    joints = np.where(mirrored[:, None, None], joints[:, partners], joints)
    labelled = np.where(mirrored[:, None], labelled[:, partners], labelled)
    return GeometricSample(matrices, joints, labelled)


def photometric_augmentation(
    indices: NDArray[np.int64], augmentation: Augmentation, seed: int, epoch: int
) -> PhotometricSample:
    """Random color factors and cutouts for the persons `indices` (N,), decided by seed, epoch and person."""
    uniform = np.array([generator(seed, 2, epoch, index).random(12) for index in indices])
    change = augmentation.color_jitter * (2 * uniform[:, :3] - 1)
    color_factors = np.column_stack([1 + change[:, :2], 2 ** change[:, 2]])
    color_factors[uniform[:, 11] < augmentation.grey, 1] = 0
    least, most = COVERED
    sides = (least + (most - least) * uniform[:, 3:5]) * (uniform[:, 5:6] < augmentation.cutout)
    corners = uniform[:, 6:8] * (1 - sides)
    return PhotometricSample(color_factors, np.hstack([corners, corners + sides]), 255 * uniform[:, 8:11])


def _draws(indices: NDArray[np.int64], seed: int, epoch: int) -> tuple[Floats, Floats]:
    """Uniform (N, 7) and standard normal (N, 2) numbers."""
    uniform, normal = np.empty((len(indices), 7)), np.empty((len(indices), 2))
    for row, index in enumerate(indices):
        random = generator(seed, 0, epoch, index)
        uniform[row], normal[row] = random.random(7), random.standard_normal(2)
    return uniform, normal


def generator(seed: int, use: int, epoch: int, index: int = 0) -> np.random.Generator:
    """A generator for this seed, epoch and person or image.

    Uses 0 and 2 are in this file, 1 and 4 the order of an epoch of people and of images, 3 the examples of a detector.
    """
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, use, epoch, int(index)]))


def _half_body_boxes(
    people: LabelledPeople, indices: NDArray[np.int64], augmentation: Augmentation, chance: Floats, which: Floats
) -> Floats:
    """Boxes (N, 4) around the upper or lower body, if `chance` says so; NaN for the other persons."""
    boxes = np.full((len(indices), 4), np.nan)
    labelled = people.labelled[indices]
    wanted = (chance < augmentation.half_body) & (labelled.sum(axis=1) > augmentation.half_body_joints)
    upper = np.zeros(people.skeleton.num_keypoints, dtype=bool)
    upper[list(people.skeleton.upper_body)] = True
    for row in np.flatnonzero(wanted):
        first, second = (upper, ~upper) if which[row] < UPPER_BODY else (~upper, upper)
        joints = labelled[row] & first
        if joints.sum() < 3:
            joints = labelled[row] & second
        points = people.keypoints[indices[row], joints]
        low, high = points.min(axis=0), points.max(axis=0)
        if len(points) >= 3 and (high > low).all():
            boxes[row] = geometry.box_from_center(
                geometry.corner_frame(points.mean(axis=0)), HALF_BODY_PADDING * (high - low)
            )
    return boxes


def warp(pixels: Tensor, to_pixels: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """RGB of 0 to 255 (N, 3, H, W) float32 from cached crops (N, h, w, 3) uint8, on their device.

    `to_pixels` (N, 2, 3) float32: affine from input pixels to crop pixels. Bilinear, black outside the crop.
    """
    height, width = size_hw
    crop_size = pixels.new_tensor([pixels.shape[2], pixels.shape[1]], dtype=torch.float32)
    x, y = (torch.arange(side, device=pixels.device, dtype=torch.float32) for side in (width, height))
    grid = torch.cartesian_prod(y, x).flip(1)[None]  # 1, HW, 2
    grid = grid @ to_pixels[:, :, :2].mT + to_pixels[:, None, :, 2]
    # grid_sample counts from -1 to 1 between the outer edges of the crop (align_corners=False).
    grid = ((2 * grid + 1) / crop_size - 1).view(-1, height, width, 2)
    return F.grid_sample(
        pixels.permute(0, 3, 1, 2).float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def color_jitter(pixels: Tensor, color_factors: Tensor) -> Tensor:
    """RGB of 0 to 255 (N, 3, H, W) with changed brightness, saturation and gamma (N, 3); black stays black."""
    brightness, saturation, gamma = color_factors[:, :, None, None, None].unbind(1)
    grey = (pixels * pixels.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    pixels = brightness * (grey + saturation * (pixels - grey))
    return 255 * (pixels / 255).clamp(0, 1) ** gamma


def cutout(pixels: Tensor, cutouts: Tensor, cutout_colors: Tensor) -> Tensor:
    """Images (N, 3, H, W) with rectangles painted over; see `PhotometricSample`."""
    height, width = pixels.shape[2:]
    x, y = ((torch.arange(side, device=pixels.device) + 0.5) / side for side in (width, height))
    left, top, right, bottom = cutouts[:, :, None].unbind(1)
    columns, rows = (left <= x) & (x < right), (top <= y) & (y < bottom)
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], cutout_colors[:, :, None, None], pixels)
