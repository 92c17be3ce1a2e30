"""EfficientViT-M4 (Liu et al., CVPR 2023) with the paper's patch embedding and head: tables 1, 4 and 6.

This is HEViTPose-B with EfficientViT's own attention in place of CGSR-MHA.
"""

from itertools import product
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hevitpose.core.architecture import PatchEmbedding
from hevitpose.models.hevitpose import (
    build_stages,
    check_sides,
    conv_bn,
    efficientvit_projection,
    heatmap_head,
    initialize,
    patch_embedding,
)

WINDOW = 7
KEY_WIDTH = 16
KERNELS = (7, 5, 3, 3)
"""Kernel of each head's depthwise convolution over its queries; one head for each."""


class Head(nn.Module):
    """One head of the cascade: its projections, and the convolution over its queries."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.widths = (KEY_WIDTH, KEY_WIDTH, width)
        self.query_key_value = conv_bn(width, sum(self.widths), 1)
        self.query_convolution = conv_bn(KEY_WIDTH, KEY_WIDTH, kernel, groups=KEY_WIDTH)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """(N, d, h, w) with (hw, hw) added to the scores: (N, d, h, w)."""
        query, key, value = self.query_key_value(x).split(self.widths, dim=1)
        query, key, value = (part.flatten(2).transpose(1, 2) for part in (self.query_convolution(query), key, value))
        weights = (KEY_WIDTH**-0.5 * query @ key.transpose(1, 2) + bias).softmax(dim=2)
        attended: Tensor = weights @ value
        return attended.transpose(1, 2).reshape(x.shape)


class CascadedGroupAttention(nn.Module):
    """EfficientViT's attention within windows of 7 x 7; each head adds the previous head's result to its channels."""

    offsets: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(channels // len(KERNELS), kernel) for kernel in KERNELS)
        self.biases = nn.Parameter(torch.zeros(len(KERNELS), WINDOW**2))
        self.projection = efficientvit_projection(channels)
        # A bias depends on the absolute row and column offsets between two positions.
        places = list(product(range(WINDOW), repeat=2))
        offsets = [[abs(y - v) * WINDOW + abs(x - u) for v, u in places] for y, x in places]
        self.register_buffer("offsets", torch.tensor(offsets), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        height, width = x.shape[2:]
        padded = F.pad(x, (0, -width % WINDOW, 0, -height % WINDOW))
        windows = padded.unfold(2, WINDOW, WINDOW).unfold(3, WINDOW, WINDOW)  # N, C, rows, columns, 7, 7
        batch, channels, rows, columns = windows.shape[:4]
        attended = self.within_windows(windows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))
        grid = attended.view(batch, rows, columns, channels, WINDOW, WINDOW).permute(0, 3, 1, 4, 2, 5)
        return grid.reshape(padded.shape)[:, :, :height, :width].contiguous()

    def within_windows(self, x: Tensor) -> Tensor:
        """(N, C, 7, 7) to (N, C, 7, 7)."""
        results: list[Tensor] = []
        for i, features in enumerate(x.chunk(len(self.heads), dim=1)):
            cascaded = features + results[-1] if results else features
            results.append(cast("Head", self.heads[i])(cascaded, self.biases[i][self.offsets]))
        y: Tensor = self.projection(torch.cat(results, dim=1))
        return y


class EfficientViTPose(nn.Module):
    """EfficientViT's blocks and downsampling between HEViTPose's patch embedding and head."""

    def __init__(
        self,
        num_keypoints: int,
        channels: tuple[int, ...] = (128, 256, 384),
        depths: tuple[int, ...] = (1, 2, 3),
        embedding: PatchEmbedding = "conv7",
    ) -> None:
        super().__init__()
        self.embedding = patch_embedding(embedding, channels[0])
        self.stages = build_stages(channels, depths, lambda stage: CascadedGroupAttention(channels[stage]))
        self.head = heatmap_head(channels[-1], num_keypoints)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised RGB (N, 3, H, W) to heatmaps (N, K, H/4, W/4)."""
        check_sides(images)
        x = self.embedding(images)
        for stage in self.stages:
            x = stage(x)
        heatmaps: Tensor = self.head(x)
        return heatmaps


def efficientvit_m4(num_keypoints: int = 16, embedding: PatchEmbedding = "conv3-conv3") -> EfficientViTPose:
    """EfficientViT-M4: 9.87M parameters, 5.91 GFLOPs at 256 x 256 (tables 1 and 6); the four rows of table 4."""
    return EfficientViTPose(num_keypoints, embedding=embedding)
