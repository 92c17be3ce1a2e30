"""From a data set's people to batches on the device: cut once, warped anew in every epoch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress, ignore_progress
from hevitpose.data.crops import cut_people
from hevitpose.models.input import normalize
from hevitpose.training.augment import color_jitter, cutout, geometric_augmentation, photometric_augmentation, warp
from hevitpose.training.recipes import Recipe
from hevitpose.training.targets import heatmap_targets

STRIDE = 4
"""Input pixels a heatmap cell."""
CACHE_MARGIN = 1.5
"""Cached crops show this much more than the padded box, for augmentation to move in, at the input's resolution."""
SHARE_OF_DEVICE = 0.6
"""Crops that would fill more of an accelerator's free memory than this stay in the host's."""


@dataclass(frozen=True)
class Batch:
    """`inputs` (N, 3, H, W), `targets` (N, K, H/4, W/4) and the `weights` (N, K) of the joints, on the device."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor

    def parts(self, size: int) -> list["Batch"]:
        """The batch in parts of `size` persons, for accumulation."""
        tensors = (torch.split(tensor, size) for tensor in (self.inputs, self.targets, self.weights))
        return [Batch(*part) for part in zip(*tensors, strict=True)]


@dataclass(frozen=True)
class CachedCrops:
    """Every person's crop, for inputs of `size_hw`: `pixels` (N, h, w, 3), `matrices` (N, 2, 3) from the image."""

    pixels: Tensor
    matrices: Floats
    size_hw: tuple[int, int]
    device: torch.device

    @classmethod
    def of(
        cls,
        people: LabelledPeople,
        size_hw: tuple[int, int],
        padding: float,
        device: torch.device,
        folder: Path | None,
        on_progress: OnProgress = ignore_progress,
    ) -> "CachedCrops":
        """Cut all persons for inputs of `size_hw`; with `folder` into a file there that is mapped into memory."""
        cached_hw = (round(size_hw[0] * CACHE_MARGIN), round(size_hw[1] * CACHE_MARGIN))
        crops = cut_people(people, cached_hw, padding * CACHE_MARGIN, on_progress, folder)
        pixels = torch.from_numpy(crops.pixels)
        if device.type == "cuda" and pixels.nbytes < SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
            pixels = pixels.to(device)
        return cls(pixels, crops.matrices, size_hw, device)


def make_batch(
    people: LabelledPeople, crops: CachedCrops, chosen: NDArray[np.int64], recipe: Recipe, epoch: int
) -> Batch:
    """The persons `chosen`, as this epoch sees them."""
    device, size_hw = crops.device, crops.size_hw
    heatmap_hw = (size_hw[0] // STRIDE, size_hw[1] // STRIDE)
    views = geometric_augmentation(people, chosen, size_hw, recipe.padding, recipe.augmentation, recipe.seed, epoch)
    to_crop = geometry.compose(crops.matrices[chosen], geometry.inverse(views.matrices))
    pixels = crops.pixels[torch.from_numpy(chosen).to(crops.pixels.device)].to(device)
    shown = warp(pixels, torch.from_numpy(to_crop).float().to(device), size_hw)
    if recipe.augmentation.color_jitter or recipe.augmentation.cutout:
        looks = photometric_augmentation(chosen, recipe.augmentation, recipe.seed, epoch)
        color_factors, cutouts, cutout_colors = (
            torch.from_numpy(part).float().to(device)
            for part in (looks.color_factors, looks.cutouts, looks.cutout_colors)
        )
        shown = cutout(color_jitter(shown, color_factors), cutouts, cutout_colors)
    cells = torch.from_numpy(recipe.codec.cells(views.joints, size_hw, heatmap_hw)).float().to(device)
    labelled = torch.from_numpy(views.labelled).to(device)
    return Batch(normalize(shown), *heatmap_targets(cells, labelled, heatmap_hw, recipe.codec.sigma))


def permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of this epoch, whatever ran before it."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 1, epoch, 0])).permutation(count)
