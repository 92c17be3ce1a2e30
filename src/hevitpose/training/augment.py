"""Random views of a person: one matrix moves the picture and the joints, drawn from (seed, epoch, person)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.person import LabelledPeople
from hevitpose.models.input import normalize

HALF_BODY_PADDING = 1.5
"""A half-body box is the extent of its joints grown by this (HRNet, MMPose)."""


@dataclass(frozen=True)
class Augmentation:
    """The paper's augmentation (MMPose 0.29): probabilities in [0, 1], `rotation` in degrees, `shift` in box sizes.

    The box grows by clip(N * scale + 1, 1 - scale, 1 + scale); it turns by clip(N * rotation, -2 rotation, 2 rotation).
    Half-body needs more than `half_body_joints` labelled joints. COCO's recipe sets half_body=0.3, shift=0.16,
    shift_probability=0.3.
    """

    flip: float = 0.5
    scale: float = 0.5
    rotation: float = 40.0
    rotation_probability: float = 0.6
    half_body: float = 0.0
    half_body_joints: int = 8
    shift: float = 0.0
    shift_probability: float = 0.0


@dataclass(frozen=True, eq=False)
class Views:
    """`matrices` (N, 2, 3) from picture to input pixels, `joints` (N, K, 2) in input pixels, `labelled` (N, K)."""

    matrices: Floats
    joints: Floats
    labelled: NDArray[np.bool_]


def draw_views(
    people: LabelledPeople,
    indices: NDArray[np.int64],
    size_hw: tuple[int, int],
    padding: float,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
) -> Views:
    """One random view of each of the persons `indices` (N,); the same for the same seed, epoch and person.

    Nobody is mirrored whose skeleton does not say what becomes of its keypoints (`Skeleton.flips`).
    """
    uniform, normal = _draws(indices, seed, epoch)
    boxes = people.boxes[indices]
    half = _half_body_boxes(people, indices, augmentation, uniform[:, 0], uniform[:, 1])
    boxes = np.where(np.isnan(half), boxes, half)
    shift = augmentation.shift * (2 * uniform[:, 2:4] - 1) * (uniform[:, 4:5] < augmentation.shift_probability)
    boxes = boxes + np.tile(shift * (boxes[:, 2:] - boxes[:, :2]), 2)
    boxes = geometry.crop_box(boxes, padding, size_hw[1] / size_hw[0])
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
    return Views(matrices, joints, labelled)


def _draws(indices: NDArray[np.int64], seed: int, epoch: int) -> tuple[Floats, Floats]:
    """Uniform (N, 7) and standard normal (N, 2) numbers: Philox counts from the seed, the epoch and the person."""
    uniform, normal = np.empty((len(indices), 7)), np.empty((len(indices), 2))
    for row, index in enumerate(indices):
        generator = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, epoch, int(index)]))
        uniform[row], normal[row] = generator.random(7), generator.standard_normal(2)
    return uniform, normal


def _half_body_boxes(
    people: LabelledPeople, indices: NDArray[np.int64], augmentation: Augmentation, chance: Floats, which: Floats
) -> Floats:
    """Boxes (N, 4) round the upper or the lower body of the persons whose `chance` says so, NaN for the others."""
    boxes = np.full((len(indices), 4), np.nan)
    labelled = people.labelled[indices]
    wanted = (chance < augmentation.half_body) & (labelled.sum(axis=1) > augmentation.half_body_joints)
    upper = np.zeros(people.skeleton.num_keypoints, dtype=bool)
    upper[list(people.skeleton.upper_body)] = True
    for row in np.flatnonzero(wanted):
        first, second = (upper, ~upper) if which[row] < 0.5 else (~upper, upper)
        joints = labelled[row] & first
        if joints.sum() < 3:
            joints = labelled[row] & second
        points = people.keypoints[indices[row], joints]
        low, high = points.min(axis=0), points.max(axis=0)
        if len(points) >= 3 and (high > low).all():
            boxes[row] = geometry.box_from_center((low + high) / 2, HALF_BODY_PADDING * (high - low))
    return boxes


def warp(pixels: Tensor, to_pixels: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Normalised network input (N, 3, H, W), channels last, from cached crops (N, h, w, 3) uint8, on their device.

    `to_pixels` (N, 2, 3) float32: affine from input pixels to crop pixels. Bilinear, black outside the crop.
    """
    height, width = size_hw
    crop_size = pixels.new_tensor([pixels.shape[2], pixels.shape[1]], dtype=torch.float32)
    x, y = (torch.arange(side, device=pixels.device, dtype=torch.float32) for side in (width, height))
    grid = torch.cartesian_prod(y, x).flip(1)[None]  # 1, HW, 2
    grid = grid @ to_pixels[:, :, :2].mT + to_pixels[:, None, :, 2]
    # grid_sample counts from -1 to 1 between the outer edges of the crop (align_corners=False).
    grid = ((2 * grid + 1) / crop_size - 1).view(-1, height, width, 2)
    sampled = F.grid_sample(
        pixels.permute(0, 3, 1, 2).float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return normalize(sampled)
