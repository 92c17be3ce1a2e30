"""HEViTPose, whole, to be read beside the paper.

Wu, Tan and Li, "HEViTPose: High-Efficiency Vision Transformer for Human ImagePoses Estimation", arXiv 2311.13615.
The paper leaves parts of the network open; what is built here gives every parameter and GFLOP figure that it prints
(docs/deviations.md says which parts follow from those figures and which are a choice).

Shapes: N images, C channels, H x W positions; d = C / G channels in each of G groups; h heads; r spatial reduction.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hevitpose.core.architecture import PatchEmbedding
from hevitpose.core.geometry import INPUT_MULTIPLE

HEAD_WIDTHS = (192, 96)


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution that keeps H x W (divided by the stride), without bias, and batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def deconv_bn(inputs: int, outputs: int) -> nn.Sequential:
    """Transposed convolution that doubles H x W, without bias, and batch norm."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs))


def patch_embedding(kind: PatchEmbedding, channels: int) -> nn.Sequential:
    """The overlapping patch embedding: (N, 3, H, W) to (N, C, H/4, W/4); the four rows of table 4."""
    match kind:
        case "conv7":
            return conv_bn(3, channels, 7, stride=4)
        case "conv3-conv3" | "conv7-conv7":
            kernel = 3 if kind == "conv3-conv3" else 7
            first = conv_bn(3, channels // 2, kernel, stride=2)
            return nn.Sequential(*first, nn.ReLU(), *conv_bn(channels // 2, channels, kernel, stride=2))
        case "conv15-deconv4":
            return nn.Sequential(*conv_bn(3, 2 * channels, 15, stride=8), *deconv_bn(2 * channels, channels))
        case _:
            raise ValueError(f"patch embedding {kind!r} is none of conv3-conv3, conv7, conv15-deconv4, conv7-conv7")


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.branch(x)
        return y


def sandwich_half(channels: int) -> nn.Sequential:
    """Depthwise convolution, then feed-forward network, each residual: what stands on either side of the attention."""
    feed_forward = nn.Sequential(*conv_bn(channels, 2 * channels, 1), nn.ReLU(), *conv_bn(2 * channels, channels, 1))
    return nn.Sequential(Residual(conv_bn(channels, channels, 3, groups=channels)), Residual(feed_forward))


class GroupAttention(nn.Module):
    """Attention of one group's queries over its spatially reduced keys and values, without the norms around it.

    Its weights serve all groups of a block: the published counts fall with 1 / G^2, not 1 / G.
    """

    def __init__(self, width: int, reduction: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        # Windows of 2r - 1 at a stride of r: neighbours overlap by r - 1.
        self.spatial_reduction = (
            nn.Conv2d(width, width, 2 * reduction - 1, reduction, reduction - 1) if reduction > 1 else None
        )
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, query_tokens: Tensor, key_value_tokens: Tensor) -> Tensor:
        """(N, Q, d) queries over (N, M, d) keys and values: (N, Q, d). Scale 1 / sqrt(d / h)."""
        query = self.split_heads(self.query(query_tokens))
        key, value = (self.split_heads(half) for half in self.key_value(key_value_tokens).chunk(2, dim=2))
        attended = F.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return result

    def split_heads(self, tokens: Tensor) -> Tensor:
        """(N, T, d) to (N, h, T, d/h)."""
        batch, length, width = tokens.shape
        return tokens.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


class CGSRAttention(nn.Module):
    """Cascaded-group spatial-reduction multi-head attention, CGSR-MHA (equations 6 to 8, figure 3c).

    The layer norms are each group's own. Three switches depart from the paper: `shared_weights=False` gives every
    group its attention weights, `relu_projection=True` ends in ReLU, convolution and batch norm as EfficientViT does
    (and leaves out the norm of the queries, so that the published counts still hold), `query_reduction=True` reduces
    the queries as well and repeats the result over each window.
    """

    def __init__(
        self,
        channels: int,
        groups: int,
        reduction: int,
        heads: int,
        shared_weights: bool = True,
        relu_projection: bool = False,
        query_reduction: bool = False,
    ) -> None:
        super().__init__()
        if channels % groups or (channels // groups) % heads:
            raise ValueError(f"{channels} channels do not divide into {groups} groups of {heads} heads")
        width = channels // groups
        self.groups, self.reduction, self.query_reduction = groups, reduction, query_reduction
        self.attention = nn.ModuleList(
            GroupAttention(width, reduction, heads) for _ in range(1 if shared_weights else groups)
        )

        def norms(present: bool) -> nn.ModuleList:
            return nn.ModuleList(nn.LayerNorm(width) if present else nn.Identity() for _ in range(groups))

        self.query_norms = norms(not relu_projection)
        self.key_value_norms = norms(reduction > 1)
        self.output_norms = norms(True)
        self.projection = (
            nn.Sequential(nn.ReLU(), *conv_bn(channels, channels, 1))
            if relu_projection
            else nn.Sequential(nn.Conv2d(channels, channels, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        results: list[Tensor] = []
        for group, features in enumerate(x.chunk(self.groups, dim=1)):
            cascaded = features + results[-1] if results else features
            results.append(self.attend(group, cascaded))
        y: Tensor = self.projection(torch.cat(results, dim=1))
        return y

    def attend(self, group: int, x: Tensor) -> Tensor:
        """One group's (N, d, H, W) to (N, d, H, W)."""
        attention = cast("GroupAttention", self.attention[group % len(self.attention)])
        if attention.spatial_reduction is None:
            queries = keys_values = self.query_norms[group](as_tokens(x))
        else:
            reduced = attention.spatial_reduction(x)  # N, d, H/r, W/r
            keys_values = self.key_value_norms[group](as_tokens(reduced))
            queries = self.query_norms[group](as_tokens(reduced if self.query_reduction else x))
        tokens = self.output_norms[group](attention(queries, keys_values))
        step = self.reduction if self.query_reduction else 1
        y: Tensor = tokens.transpose(1, 2).reshape(*x.shape[:2], x.shape[2] // step, x.shape[3] // step)
        return F.interpolate(y, scale_factor=step, mode="nearest") if step > 1 else y


def as_tokens(x: Tensor) -> Tensor:
    """(N, d, H, W) to (N, HW, d)."""
    return x.flatten(2).transpose(1, 2)


class SqueezeExcite(nn.Module):
    """Channels weighed by what the whole map holds; the inner width is a quarter."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.activation = nn.ReLU()
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean((2, 3), keepdim=True)
        weights: Tensor = self.excite(self.activation(self.squeeze(pooled))).sigmoid()
        return x * weights


def downsampling(inputs: int, outputs: int) -> nn.Sequential:
    """EfficientViT's unit between two stages: (N, C, H, W) to (N, C', H/2, W/2)."""
    hidden = 4 * inputs
    inverted_bottleneck = nn.Sequential(
        *conv_bn(inputs, hidden, 1),
        nn.ReLU(),
        *conv_bn(hidden, hidden, 3, stride=2, groups=hidden),
        nn.ReLU(),
        SqueezeExcite(hidden),
        *conv_bn(hidden, outputs, 1),
    )
    return nn.Sequential(sandwich_half(inputs), inverted_bottleneck, sandwich_half(outputs))


def heatmap_head(channels: int, num_keypoints: int) -> nn.Sequential:
    """(N, C, H, W) to heatmaps (N, K, 4H, 4W)."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((channels, *HEAD_WIDTHS)):
        layers += [*deconv_bn(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(HEAD_WIDTHS[-1], num_keypoints, 1))


class HEViTPose(nn.Module):
    """The network of figure 2: patch embedding, three stages at H/4, H/8 and H/16, two transposed convolutions.

    `channels`, `depths` (blocks), `groups`, `reductions` and `heads` (of one group) are those of the three stages:
    C, L, G, R and h of tables 2 and 5. Table 2 prints the labels of G and L the wrong way round.
    """

    def __init__(
        self,
        num_keypoints: int,
        channels: Sequence[int],
        depths: Sequence[int] = (1, 2, 3),
        groups: Sequence[int] = (4, 4, 4),
        reductions: Sequence[int] = (8, 4, 2),
        heads: Sequence[int] = (2, 4, 8),
        embedding: PatchEmbedding = "conv7",
        shared_weights: bool = True,
        relu_projection: bool = False,
        query_reduction: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = patch_embedding(embedding, channels[0])
        self.stages = nn.ModuleList()
        for stage, (width, depth) in enumerate(zip(channels, depths, strict=True)):
            side = INPUT_MULTIPLE // (4 << stage)
            if query_reduction and side % reductions[stage]:
                raise ValueError(
                    f"stage {stage + 1}: queries reduced by {reductions[stage]} need maps of whole windows, and theirs "
                    f"are multiples of {side}"
                )
            layers = [downsampling(channels[stage - 1], width)] if stage else []
            for _ in range(depth):
                attention = CGSRAttention(
                    width,
                    groups[stage],
                    reductions[stage],
                    heads[stage],
                    shared_weights,
                    relu_projection,
                    query_reduction,
                )
                layers.append(nn.Sequential(sandwich_half(width), Residual(attention), sandwich_half(width)))
            self.stages.append(nn.Sequential(*layers))
        self.head = heatmap_head(channels[-1], num_keypoints)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised RGB (N, 3, H, W) to heatmaps (N, K, H/4, W/4), about 1 at a joint and 0 elsewhere."""
        check_sides(images)
        x = self.embedding(images)
        for stage in self.stages:
            x = stage(x)
        heatmaps: Tensor = self.head(x)
        return heatmaps


def check_sides(images: Tensor) -> None:
    """Raise ValueError where a side of (N, C, H, W) is no multiple of INPUT_MULTIPLE."""
    height, width = images.shape[2:]
    if height % INPUT_MULTIPLE or width % INPUT_MULTIPLE:
        raise ValueError(f"input of {height} x {width}: both sides must be multiples of {INPUT_MULTIPLE}")


def initialize(model: nn.Module) -> None:
    """Start as EfficientViT (every residual branch near zero) with SimpleBaseline's head."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, Residual):
            *_, last = getattr(module.branch, "projection", module.branch).children()
            nn.init.zeros_(last.get_parameter("weight"))
    for module in model.get_submodule("head").modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.001)


def hevitpose_t(num_keypoints: int = 16, **options: Any) -> HEViTPose:
    """HEViTPose-T: 3.21M parameters, 1.75 GFLOPs at 256 x 256 (tables 1 and 2); `options` are HEViTPose's."""
    return HEViTPose(num_keypoints, channels=(64, 128, 192), **options)


def hevitpose_s(num_keypoints: int = 16, **options: Any) -> HEViTPose:
    """HEViTPose-S: 5.88M parameters, 3.64 GFLOPs at 256 x 256 (tables 1 and 2); `options` are HEViTPose's."""
    return HEViTPose(num_keypoints, channels=(128, 192, 224), **({"groups": (4, 3, 2)} | options))


def hevitpose_b(num_keypoints: int = 16, **options: Any) -> HEViTPose:
    """HEViTPose-B: 10.63M parameters, 5.58 GFLOPs at 256 x 256 (tables 1 and 2); `options` are HEViTPose's."""
    return HEViTPose(num_keypoints, channels=(128, 256, 384), **options)
