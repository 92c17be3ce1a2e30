"""From a data set's people to batches on the device: cut once, warped in every epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hevitpose.core import geometry
from hevitpose.core.geometry import STRIDE, Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress, ignore_progress
from hevitpose.data.crops import Crops, cut_people_at
from hevitpose.models.input import normalize
from hevitpose.training.augment import color_jitter, cutout, geometric_augmentation, photometric_augmentation, warp
from hevitpose.training.recipes import Recipe
from hevitpose.training.targets import heatmap_targets

CACHE_MARGIN = 1.5
"""Cached crops are larger than the padded box by this factor, at the input's resolution: room for augmentation."""
SHARE_OF_DEVICE = 0.6
"""Crops that would fill a larger share of the GPU's free memory stay on the host."""


@dataclass(frozen=True)
class Batch:
    """`inputs` (N, 3, H, W), `targets` (N, K, H/4, W/4) and `weights` (N, K) of the joints, on the device."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor

    def split(self, size: int) -> list["Batch"]:
        """Micro-batches of `size` persons."""
        tensors = (torch.split(tensor, size) for tensor in (self.inputs, self.targets, self.weights))
        return [Batch(*part) for part in zip(*tensors, strict=True)]


@dataclass(frozen=True)
class CachedCrops:
    """Every person's crop, for inputs of `size_hw`: `pixels` (N, h, w, 3), `matrices` (N, 2, 3) from image to crop."""

    pixels: Tensor
    matrices: Floats
    size_hw: tuple[int, int]
    device: torch.device

    @classmethod
    def of(cls, crops: Crops, size_hw: tuple[int, int], device: torch.device) -> "CachedCrops":
        """The crops of `cut_for_training` for one size, on the device if they fit."""
        pixels = torch.from_numpy(crops.pixels)
        if device.type == "cuda" and pixels.nbytes < SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
            pixels = pixels.to(device)
        return cls(pixels, crops.matrices, size_hw, device)


def cut_for_training(
    people: LabelledPeople,
    sizes_hw: Sequence[tuple[int, int]],
    padding: float,
    folder: Path | None = None,
    on_progress: OnProgress = ignore_progress,
) -> dict[tuple[int, int], Crops]:
    """Crops of all persons, with `CACHE_MARGIN`, for inputs of each size; with `folder`, mapped files there."""
    cached_hw = {(round(h * CACHE_MARGIN), round(w * CACHE_MARGIN)): (h, w) for h, w in sizes_hw}
    crops = cut_people_at(list(cached_hw), people, padding * CACHE_MARGIN, on_progress, folder)
    return {size_hw: crops[larger] for larger, size_hw in cached_hw.items()}


def make_batch(
    people: LabelledPeople, crops: CachedCrops, persons: NDArray[np.int64], recipe: Recipe, epoch: int
) -> Batch:
    """The batch of these persons (indices into `people`), augmented for this epoch."""
    device, size_hw, augmentation = crops.device, crops.size_hw, recipe.augmentation
    heatmap_hw = (size_hw[0] // STRIDE, size_hw[1] // STRIDE)
    views = geometric_augmentation(people, persons, size_hw, recipe.padding, augmentation, recipe.seed, epoch)
    to_crop = geometry.compose(crops.matrices[persons], geometry.inverse(views.matrices))
    pixels = crops.pixels[torch.from_numpy(persons).to(crops.pixels.device)].to(device)
    inputs = warp(pixels, torch.from_numpy(to_crop).float().to(device), size_hw)
    if augmentation.color_jitter or augmentation.cutout or augmentation.grey:
        color_factors, cutouts, cutout_colors = (
            torch.from_numpy(drawn).float().to(device)
            for drawn in photometric_augmentation(persons, augmentation, recipe.seed, epoch)
        )
        inputs = cutout(color_jitter(inputs, color_factors), cutouts, cutout_colors)
    cells = torch.from_numpy(recipe.codec.cells(views.joints, size_hw, heatmap_hw)).float().to(device)
    labelled = torch.from_numpy(views.labelled).to(device)
    return Batch(normalize(inputs), *heatmap_targets(cells, labelled, heatmap_hw, recipe.codec.sigma))
