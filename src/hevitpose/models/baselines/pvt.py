"""PVT-S (Wang et al., "Pyramid Vision Transformer", ICCV 2021), as MMPose builds it: no class token, no last norm."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-6
TRAINED_SIDE = 224
"""Side of the image that position embeddings are stored for; they are resized to any other."""


class SpatialReductionAttention(nn.Module):
    """Attention of all tokens to the outputs of a strided convolution over r x r tokens."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        self.reduction = nn.Conv2d(width, width, reduction, reduction) if reduction > 1 else None
        self.norm = nn.LayerNorm(width, EPSILON) if reduction > 1 else None

    def forward(self, tokens: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """(N, HW, C) to (N, HW, C)."""
        reduced = tokens
        if self.reduction is not None and self.norm is not None:
            reduced = self.norm(self.reduction(as_map(tokens, size_hw)).flatten(2).transpose(1, 2))
        query = self.split_heads(self.query(tokens))
        key, value = (self.split_heads(half) for half in self.key_value(reduced).chunk(2, dim=2))
        attended = F.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return result

    def split_heads(self, tokens: Tensor) -> Tensor:
        """(N, T, C) to (N, h, T, C/h)."""
        batch, length, width = tokens.shape
        return tokens.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Two linear layers with GELU between them: (N, HW, C) to (N, HW, C)."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))


class Block(nn.Module):
    """Attention and feed-forward network, each residual after a layer norm: (N, HW, C) to (N, HW, C)."""

    def __init__(self, width: int, heads: int, reduction: int, ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPSILON)
        self.attention = SpatialReductionAttention(width, heads, reduction)
        self.norm2 = nn.LayerNorm(width, EPSILON)
        self.feed_forward = FeedForward(width, ratio)

    def forward(self, tokens: Tensor, size_hw: tuple[int, int]) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens), size_hw)
        result: Tensor = tokens + self.feed_forward(self.norm2(tokens))
        return result


class Stage(nn.Module):
    """Patch embedding, position embedding and blocks: (N, C, H, W) to (N, C', H/p, W/p)."""

    def __init__(self, inputs: int, width: int, patch: int, side: int, blocks: list[Block]) -> None:
        super().__init__()
        self.patches = nn.Conv2d(inputs, width, patch, patch)
        self.norm = nn.LayerNorm(width, EPSILON)
        self.positions = nn.Parameter(torch.zeros(1, width, side, side))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        size_hw = (x.shape[2], x.shape[3])
        positions = F.interpolate(self.positions, size_hw, mode="bilinear", align_corners=False)
        tokens = self.norm(x.flatten(2).transpose(1, 2)) + positions.flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = cast("Block", block)(tokens, size_hw)
        return as_map(tokens, size_hw)


class PVT(nn.Module):
    """(N, 3, H, W) to (N, 512, H/32, W/32)."""

    widths, depths, heads = (64, 128, 320, 512), (3, 4, 6, 3), (1, 2, 5, 8)
    reductions, ratios, patches = (8, 4, 2, 1), (8, 8, 4, 4), (4, 2, 2, 2)

    def __init__(self) -> None:
        super().__init__()
        stages, inputs, side = [], 3, TRAINED_SIDE
        for i, (width, depth, patch) in enumerate(zip(self.widths, self.depths, self.patches, strict=True)):
            side //= patch
            blocks = [Block(width, self.heads[i], self.reductions[i], self.ratios[i]) for _ in range(depth)]
            stages.append(Stage(inputs, width, patch, side, blocks))
            inputs = width
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, Stage):
                nn.init.trunc_normal_(module.positions, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.stages(images)
        return features


def as_map(tokens: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """(N, HW, C) to (N, C, H, W)."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *size_hw)
