"""Normalization of 8-bit pixels."""

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, for pixels in [0, 1]; all networks here take images normalized with them."""


def normalize(pixels: Tensor) -> Tensor:
    """RGB (N, 3, H, W) from 0 to 255, of any type, normalized to float32, channels last."""
    mean = torch.tensor(MEAN, device=pixels.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD, device=pixels.device).view(1, 3, 1, 1) * 255
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
