"""HEViTPose in one file, in the order of the paper.

Wu, Tan and Li, "HEViTPose: High-Efficiency Vision Transformer for Human Pose Estimation", arXiv 2311.13615.
The paper leaves parts of the network open. This reading reproduces every parameter and GFLOP figure that it prints;
docs/deviations.md lists which parts follow from those figures and which are a choice.

Shapes: N images, C channels, H x W positions; d = C / G channels in each of G groups; h heads; r spatial reduction.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hevitpose.core.architecture import NetworkName, PatchEmbedding
from hevitpose.core.geometry import INPUT_MULTIPLE

HEAD_WIDTHS = (192, 96)
"""Channels of the head's transposed convolutions."""


def named(**layers: nn.Module) -> nn.Sequential:
    """Layers in sequence, under these names in the state dict."""
    return nn.Sequential(OrderedDict(layers))


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias and batch norm: (N, C, H, W) to (N, C', H / stride, W / stride)."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return named(conv=conv, norm=nn.BatchNorm2d(outputs))


def deconv(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Transposed convolution without bias: (N, C, H, W) to (N, C', 2H, 2W)."""
    return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)


def patch_embedding(kind: PatchEmbedding, channels: int) -> nn.Sequential:
    """The overlapping patch embedding: (N, 3, H, W) to (N, C, H/4, W/4); the four rows of table 4."""
    match kind:
        case "conv7":
            return conv_bn(3, channels, 7, stride=4)
        case "conv3-conv3" | "conv7-conv7":
            kernel, half = int(kind[-1]), channels // 2
            return named(
                first=conv_bn(3, half, kernel, stride=2),
                act=nn.ReLU(),
                second=conv_bn(half, channels, kernel, stride=2),
            )
        case "conv15-deconv4":
            return named(
                first=conv_bn(3, 2 * channels, 15, stride=8),
                deconv=deconv(2 * channels, channels),
                norm=nn.BatchNorm2d(channels),
            )
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


def depthwise(channels: int) -> Residual:
    """Residual 3 x 3 depthwise convolution. Its zero padding is the only source of positions."""
    return Residual(conv_bn(channels, channels, 3, groups=channels))


def feed_forward(channels: int) -> Residual:
    """Residual feed-forward network of two 1 x 1 convolutions."""
    return Residual(
        named(expand=conv_bn(channels, 2 * channels, 1), act=nn.ReLU(), project=conv_bn(2 * channels, channels, 1))
    )


class Block(nn.Module):
    """A token mixer between two sandwich halves, each a depthwise convolution and a feed-forward network (figure 3b).

    (N, C, H, W) to (N, C, H, W).
    """

    def __init__(self, channels: int, mixer: nn.Module) -> None:
        super().__init__()
        self.dw0, self.ffn0 = depthwise(channels), feed_forward(channels)
        self.mixer = Residual(mixer)
        self.dw1, self.ffn1 = depthwise(channels), feed_forward(channels)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.ffn1(self.dw1(self.mixer(self.ffn0(self.dw0(x))))))


class GroupAttention(nn.Module):
    """Attention of one group's queries over its spatially reduced keys and values, without the norms around it.

    All groups of a block share it: the published counts fall with 1 / G^2, not 1 / G.
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

    Each group has its own layer norms. The last three arguments depart from the paper.

    Args:
        channels: C.
        groups: G; must divide the channels.
        reduction: r, the stride of the spatial reduction.
        heads: h of each group; must divide C / G.
        shared_weights: False gives each group its own attention weights.
        relu_projection: Ends in ReLU, convolution and batch norm, as EfficientViT does, and leaves out the norm of the
            queries, so that the published counts still hold.
        query_reduction: Reduces the queries as well and repeats the result over each window.
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
        self.projection = efficientvit_projection(channels) if relu_projection else nn.Conv2d(channels, channels, 1)

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
    """Channels weighted by their means over the map; the inner width is C / 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.activation = nn.ReLU()
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        pooled = x.mean((2, 3), keepdim=True)
        weights: Tensor = self.excite(self.activation(self.squeeze(pooled))).sigmoid()
        return x * weights


def efficientvit_projection(channels: int) -> nn.Sequential:
    """ReLU, 1 x 1 convolution and batch norm: (N, C, H, W) to (N, C, H, W)."""
    return named(act=nn.ReLU(), **dict(conv_bn(channels, channels, 1).named_children()))


class Downsampling(nn.Module):
    """EfficientViT's unit between two stages, without a residual connection: (N, C, H, W) to (N, C', H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        hidden = 4 * inputs
        self.dw0, self.ffn0 = depthwise(inputs), feed_forward(inputs)
        self.bottleneck = named(
            expand=conv_bn(inputs, hidden, 1),
            act0=nn.ReLU(),
            depthwise=conv_bn(hidden, hidden, 3, stride=2, groups=hidden),
            act1=nn.ReLU(),
            squeeze_excite=SqueezeExcite(hidden),
            project=conv_bn(hidden, outputs, 1),
        )
        self.dw1, self.ffn1 = depthwise(outputs), feed_forward(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.ffn1(self.dw1(self.bottleneck(self.ffn0(self.dw0(x))))))


def build_stages(
    channels: Sequence[int], depths: Sequence[int], build_mixer: Callable[[int], nn.Module]
) -> nn.ModuleList:
    """The stages at H/4, H/8 and H/16; `build_mixer(i)` gives the token mixer of each block of stage i."""
    stages = nn.ModuleList()
    for i, (width, depth) in enumerate(zip(channels, depths, strict=True)):
        downsampling = {"downsampling": Downsampling(channels[i - 1], width)} if i else {}
        blocks = nn.Sequential(*(Block(width, build_mixer(i)) for _ in range(depth)))
        stages.append(named(**downsampling, blocks=blocks))
    return stages


def heatmap_head(channels: int, num_keypoints: int, widths: Sequence[int] = HEAD_WIDTHS) -> nn.Sequential:
    """SimpleBaseline's head: a transposed convolution for each width, then 1 x 1 to the keypoints.

    (N, C, H, W) to heatmaps (N, K, 2^n H, 2^n W), where n is the number of widths.
    """
    layers: dict[str, nn.Module] = {}
    for i, width in enumerate(widths):
        layers |= {f"deconv{i}": deconv(channels, width), f"norm{i}": nn.BatchNorm2d(width), f"act{i}": nn.ReLU()}
        channels = width
    return named(**layers, heatmaps=nn.Conv2d(channels, num_keypoints, 1))


class HEViTPose(nn.Module):
    """Patch embedding, three stages at H/4, H/8 and H/16, and a head of two transposed convolutions (figure 3a).

    Args:
        num_keypoints: K, the number of heatmaps.
        channels: C of each of the three stages.
        depths: Number of blocks of each stage: L of table 2, which prints the labels of G and L the wrong way round.
        groups: G of each stage.
        reductions: Spatial reduction R of the keys and values of each stage.
        heads: h, the heads of each group.
        embedding: Patch embedding, one of the rows of table 4.
        shared_weights: See `CGSRAttention`, also for the two that follow.
        relu_projection: EfficientViT's projection behind the attention.
        query_reduction: Reduce the queries, too.

    Raises ValueError where groups and heads do not divide the channels.
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
        for i, reduction in enumerate(reductions):
            multiple = INPUT_MULTIPLE // (4 << i)
            if query_reduction and multiple % reduction:
                raise ValueError(
                    f"stage {i + 1}: queries reduced by {reduction} need maps of whole windows, but their sides are "
                    f"multiples of {multiple}"
                )

        def attention(stage: int) -> CGSRAttention:
            sizes = channels[stage], groups[stage], reductions[stage], heads[stage]
            return CGSRAttention(*sizes, shared_weights, relu_projection, query_reduction)

        self.embedding = patch_embedding(embedding, channels[0])
        self.stages = build_stages(channels, depths, attention)
        self.head = heatmap_head(channels[-1], num_keypoints)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised RGB (N, 3, H, W) to heatmaps (N, K, H/4, W/4), about 1 at a joint and 0 elsewhere.

        Raises ValueError where a side is not a multiple of 32.
        """
        check_sides(images)
        x = self.embedding(images)
        for stage in self.stages:
            x = stage(x)
        heatmaps: Tensor = self.head(x)
        return heatmaps


def check_sides(images: Tensor) -> None:
    """Raise ValueError where a side of (N, C, H, W) is not a multiple of INPUT_MULTIPLE."""
    height, width = images.shape[2:]
    if height % INPUT_MULTIPLE or width % INPUT_MULTIPLE:
        raise ValueError(f"input of {height} x {width}: both sides must be multiples of {INPUT_MULTIPLE}")


def initialize(model: nn.Module) -> None:
    """Initialize as EfficientViT (every residual branch near zero) with SimpleBaseline's head."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, Residual):
            *_, last = module.branch.modules()  # a batch norm, or the projection of the attention
            nn.init.zeros_(last.get_parameter("weight"))
    for module in model.get_submodule("head").modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.001)


Pretrained = bool | str | PathLike[str]
"""Random weights (False), the bundled ones (True), or those of a .safetensors file."""


def hevitpose_t(num_keypoints: int = 16, pretrained: Pretrained = False, **options: Any) -> HEViTPose:
    """HEViTPose-T: 3.21M parameters, 1.75 GFLOPs at 256 x 256 (tables 1 and 2).

    `pretrained=True` loads the bundled weights for 16 keypoints, a path those of a .safetensors file; `options` are
    HEViTPose's. Raises InputError where the weights are of another network or number of keypoints.

    >>> hevitpose_t(pretrained=True).eval()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 16, 16, 16])
    """
    return _build("t", (64, 128, 192), num_keypoints, pretrained, options)


def hevitpose_s(num_keypoints: int = 16, pretrained: Pretrained = False, **options: Any) -> HEViTPose:
    """HEViTPose-S: 5.88M parameters, 3.64 GFLOPs at 256 x 256 (tables 1 and 2); arguments as `hevitpose_t`."""
    return _build("s", (128, 192, 224), num_keypoints, pretrained, options, groups=(4, 3, 2))


def hevitpose_b(num_keypoints: int = 16, pretrained: Pretrained = False, **options: Any) -> HEViTPose:
    """HEViTPose-B: 10.63M parameters, 5.58 GFLOPs at 256 x 256 (tables 1 and 2); arguments as `hevitpose_t`."""
    return _build("b", (128, 256, 384), num_keypoints, pretrained, options)


def _build(
    name: NetworkName,
    channels: Sequence[int],
    num_keypoints: int,
    pretrained: Pretrained,
    options: dict[str, object],
    **defaults: Any,
) -> HEViTPose:
    model = HEViTPose(num_keypoints, channels, **(defaults | options))
    if pretrained:
        from hevitpose.models.weights import load_pretrained

        load_pretrained(model, name, num_keypoints, options, pretrained)
    return model
