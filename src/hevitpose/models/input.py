"""From 8-bit pixels to what a network takes."""

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, of pixels in [0, 1]; every network here is fed so."""


def normalize(pixels: Tensor) -> Tensor:
    """RGB (N, 3, H, W) of 0 to 255, any type, as float32 of ImageNet's mean 0 and deviation 1, channels last."""
    mean = torch.tensor(MEAN, device=pixels.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD, device=pixels.device).view(1, 3, 1, 1) * 255
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
