"""Layers of fused networks, each the same function as the layer that it is made from.

`forward` computes it in torch, `emit` writes its ONNX nodes.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hevitpose.export.emit import array, emit, repeat
from hevitpose.export.graph import Graph
from hevitpose.models.hevitpose import CGSRAttention, GroupAttention


class Affine(nn.Module):
    """Maps (N, C, H, W) times a scale (C,) plus a shift (C,)."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale, self.shift = nn.Buffer(scale.view(-1, 1, 1)), nn.Buffer(shift.view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift

    def emit(self, graph: Graph, x: str) -> str:
        return graph.op("Add", graph.op("Mul", x, array(graph, self.scale)), array(graph, self.shift))


class Upsampling(nn.Module):
    """A transposed convolution (kernel 4, stride 2, padding 1) and the pointwise `tail` of layers after it.

    Its outputs at even and odd rows and columns are four convolutions of 2 x 2 taps, interleaved after the tail:
    (N, C, H, W) to (N, C', 2H, 2W).
    """

    def __init__(self, deconv: nn.ConvTranspose2d, tail: list[nn.Module]) -> None:
        super().__init__()
        self.phases = nn.ModuleList(
            nn.Sequential(nn.ZeroPad2d((1 - right, right, 1 - low, low)), phase_of(deconv, low, right), *tail)
            for low in (0, 1)
            for right in (0, 1)
        )
        convolutions = (nn.Conv2d, nn.ConvTranspose2d)
        *_, self.channels = (layer.out_channels for layer in (deconv, *tail) if isinstance(layer, convolutions))

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(torch.stack([phase(x) for phase in self.phases], dim=2).flatten(1, 2), 2)

    def emit(self, graph: Graph, x: str) -> str:
        """Interleave columns, then whole rows, in half the time of ONNX Runtime's DepthToSpace."""
        phases = [emit(graph, phase, x) for phase in self.phases]
        size = graph.op("Shape", x)
        row_size = _scaled_and_shifted(graph, size, (0, 0, 2, 2, 3), (1, 0, 1, 0, 2), (0, self.channels, 0, 1, 0))
        rows = []
        for left, right in (phases[:2], phases[2:]):
            pair = graph.op("Reshape", graph.op("Concat", left, right, axis=1), graph.integers(0, 2, -1))
            rows.append(graph.op("Reshape", graph.op("Transpose", pair, perm=[0, 2, 1]), row_size))
        double_size = _scaled_and_shifted(graph, size, (0, 0, 2, 3), (1, 0, 2, 2), (0, self.channels, 0, 0))
        return graph.op("Reshape", graph.op("Concat", *rows, axis=3), double_size)


def _scaled_and_shifted(
    graph: Graph, sizes: str, chosen: Sequence[int], scale: Sequence[int], shift: Sequence[int]
) -> str:
    """Chosen sizes, each scaled and shifted."""
    picked = graph.op("Gather", sizes, graph.integers(*chosen))
    return graph.op("Add", graph.op("Mul", picked, graph.integers(*scale)), graph.integers(*shift))


def phase_of(deconv: nn.ConvTranspose2d, low: int, right: int) -> nn.Conv2d:
    """The convolution for the outputs at even (0) or odd (1) rows and columns."""
    conv = nn.Conv2d(deconv.in_channels, deconv.out_channels, 2, bias=deconv.bias is not None).requires_grad_(False)
    taps = deconv.weight[:, :, (2, 0) if low else (3, 1)][..., (2, 0) if right else (3, 1)]
    conv.weight.copy_(taps.transpose(0, 1))
    conv.bias = deconv.bias
    return conv


class ChannelMajorAttention(nn.Module):
    """CGSR-MHA on (N, d, tokens) throughout: no map is transposed, and norms sum rows instead of short columns.

    Affines of norms are folded into the projections after them, the centring of the last norm into W_o. With
    `query_reduction`, everything happens at the resolution of the tokens: the spatial reduction is linear, so that of
    all X_g is one convolution, and that of a map of repeated tokens is one of 2 x 2 taps on the tokens.
    """

    def __init__(self, block: CGSRAttention) -> None:
        super().__init__()
        self.repeats = block.reduction if block.query_reduction else 1
        attentions = [cast("GroupAttention", block.attention[g % len(block.attention)]) for g in range(block.groups)]
        key_value_norms = block.key_value_norms if block.reduction > 1 else block.query_norms
        output_norms = [cast("nn.LayerNorm", norm) for norm in block.output_norms]
        self.groups = nn.ModuleList(
            ChannelMajorGroup(attention, query_norm, key_value_norm, output_norm, reduced=self.repeats > 1)
            for attention, query_norm, key_value_norm, output_norm in zip(
                attentions, block.query_norms, key_value_norms, output_norms, strict=True
            )
        )
        self.affines = nn.ModuleList(Affine(norm.weight, norm.bias) for norm in output_norms)
        self.projection = projection_of_normed(block.projection, output_norms)
        reductions = [cast("nn.Conv2d", attention.spatial_reduction) for attention in attentions]
        self.reduce = reductions_in_one(reductions) if self.repeats > 1 else nn.Identity()
        self.carry = nn.ModuleList(reduction_of_repeated(r) if self.repeats > 1 else nn.Identity() for r in reductions)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        results: list[Tensor] = []
        for group, features in enumerate(self.reduce(x).chunk(len(self.groups), dim=1)):
            cascaded = features
            if results:
                cascaded = features + self.carry[group](self.affines[group - 1](results[-1]))
            results.append(self.groups[group](cascaded))
        y: Tensor = self.projection(torch.cat(results, dim=1))
        return F.interpolate(y, scale_factor=self.repeats, mode="nearest") if self.repeats > 1 else y

    def emit(self, graph: Graph, x: str) -> str:
        count = len(self.groups)
        maps = graph.ops("Split", emit(graph, self.reduce, x), outputs=count, axis=1, num_outputs=count)
        results: list[str] = []
        for group, features in enumerate(maps):
            cascaded = features
            if results:
                carried = emit(graph, self.carry[group], emit(graph, self.affines[group - 1], results[-1]))
                cascaded = graph.op("Add", features, carried)
            results.append(emit(graph, self.groups[group], cascaded))
        y = emit(graph, self.projection, graph.op("Concat", *results, axis=1))
        return repeat(graph, y, self.repeats) if self.repeats > 1 else y


class ChannelMajorGroup(nn.Module):
    """Attention of one group with its norms, except the affine of the last; `reduced`: its input is reduced already."""

    def __init__(
        self,
        attention: GroupAttention,
        query_norm: nn.Module,
        key_value_norm: nn.Module,
        output_norm: nn.LayerNorm,
        reduced: bool,
    ) -> None:
        super().__init__()
        self.heads = attention.heads
        self.reduce = None if reduced else attention.spatial_reduction
        self.width = width = attention.output.out_features
        self.query = projection_behind(query_norm, attention.query, (width // self.heads) ** -0.5)
        self.key_value = projection_behind(key_value_norm, attention.key_value)
        centred = attention.output.weight - attention.output.weight.mean(dim=0)
        self.output = nn.Sequential(pointwise_conv(centred), DeviationNorm(width, output_norm.eps))

    def forward(self, x: Tensor) -> Tensor:
        """(N, d, H, W) to (N, d, H, W)."""
        tokens = x.flatten(2)
        reduced = tokens if self.reduce is None else self.reduce(x).flatten(2)
        key, value = self.key_value(reduced).chunk(2, dim=1)
        query, key, value = (part.unflatten(1, (self.heads, -1)) for part in (self.query(tokens), key, value))
        weights = (query.mT @ key).softmax(dim=3)  # N, h, HW, M
        attended = (weights @ value.mT).mT.flatten(1, 2)
        y: Tensor = self.output(attended)
        return y.view_as(x)

    def emit(self, graph: Graph, x: str) -> str:
        tokens = graph.op("Reshape", x, graph.integers(0, 0, -1))
        reduced = tokens
        if self.reduce is not None:
            reduced = graph.op("Reshape", emit(graph, self.reduce, x), graph.integers(0, 0, -1))
        key, value = graph.ops("Split", emit(graph, self.key_value, reduced), outputs=2, axis=1, num_outputs=2)
        per_head = graph.integers(0, self.heads, self.width // self.heads, -1)
        query, key, value = (graph.op("Reshape", x, per_head) for x in (emit(graph, self.query, tokens), key, value))
        turned = {"perm": [0, 1, 3, 2]}
        weights = graph.op("MatMul", graph.op("Transpose", query, **turned), key)
        weights = graph.op("Softmax", weights, axis=3)
        attended = graph.op("MatMul", weights, graph.op("Transpose", value, **turned))
        attended = graph.op("Reshape", graph.op("Transpose", attended, **turned), graph.integers(0, self.width, -1))
        return graph.op("Reshape", emit(graph, self.output, attended), graph.op("Shape", x))


class DeviationNorm(nn.Module):
    """A layer norm without affine of centred tokens (N, d, T) over their channels.

    The mean over channels is a matrix product, since runtimes are slow at reductions over any axis but the last.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.mean = nn.Buffer(torch.full((1, width), 1 / width))

    def forward(self, centred: Tensor) -> Tensor:
        return centred / (self.mean @ (centred * centred) + self.eps).sqrt()

    def emit(self, graph: Graph, x: str) -> str:
        variance = graph.op("MatMul", array(graph, self.mean), graph.op("Mul", x, x))
        return graph.op("Div", x, graph.op("Sqrt", graph.op("Add", variance, graph.constant(self.eps))))


class ChannelNorm(DeviationNorm):
    """A layer norm without affine of tokens (N, d, T) over their channels."""

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens - self.mean @ tokens)

    def emit(self, graph: Graph, x: str) -> str:
        return super().emit(graph, graph.op("Sub", x, graph.op("MatMul", array(graph, self.mean), x)))


def projection_behind(norm: nn.Module, linear: nn.Linear, scale: float = 1.0) -> nn.Sequential:
    """Norm, if there is one, and scaled projection of tokens (N, d, T)."""
    if not isinstance(norm, nn.LayerNorm):
        return nn.Sequential(pointwise_conv(linear.weight, torch.full((linear.in_features,), scale)))
    conv = pointwise_conv(linear.weight, norm.weight * scale, linear.weight @ norm.bias * scale)
    return nn.Sequential(ChannelNorm(linear.in_features, norm.eps), conv)


def pointwise_conv(weight: Tensor, scale: Tensor | None = None, bias: Tensor | None = None) -> nn.Conv1d:
    """The projection of tokens (N, i, T) by a weight (o, i), its inputs scaled by (i,)."""
    conv = nn.Conv1d(weight.shape[1], weight.shape[0], 1, bias=bias is not None).requires_grad_(False)
    conv.weight_scale = nn.Buffer((torch.ones(weight.shape[1]) if scale is None else scale).view(1, -1, 1))
    conv.weight.copy_(weight.unsqueeze(2) * conv.weight_scale)
    if bias is not None:
        conv.bias = nn.Parameter(bias, requires_grad=False)
    return conv


def projection_of_normed(projection: nn.Module, norms: list[nn.LayerNorm]) -> nn.Module:
    """The projection of all groups' results, after the affines of their norms."""
    scale, shift = torch.cat([norm.weight for norm in norms]), torch.cat([norm.bias for norm in norms])
    if not isinstance(projection, nn.Conv2d):
        return nn.Sequential(Affine(scale, shift), *projection.children())
    folded = nn.Conv2d(projection.in_channels, projection.out_channels, 1).requires_grad_(False)
    folded.weight_scale = nn.Buffer(scale.view(1, -1, 1, 1))
    folded.weight.copy_(projection.weight * folded.weight_scale)
    bias = cast("Tensor", projection.bias) + projection.weight.flatten(1) @ shift
    folded.bias = nn.Parameter(bias, requires_grad=False)
    return folded


def reductions_in_one(reductions: list[nn.Conv2d]) -> nn.Conv2d:
    """The spatial reductions of all groups as one convolution of (N, C, H, W)."""
    first, groups = reductions[0], len(reductions)
    channels = groups * first.in_channels
    conv = nn.Conv2d(channels, channels, first.kernel_size[0], first.stride[0], first.padding[0], groups=groups)
    conv.requires_grad_(False).weight.copy_(torch.cat([reduction.weight for reduction in reductions]))
    cast("Tensor", conv.bias).copy_(torch.cat([cast("Tensor", reduction.bias) for reduction in reductions]))
    return conv


def reduction_of_repeated(reduction: nn.Conv2d) -> nn.Sequential:
    """The spatial reduction, without its bias, of tokens (N, d, h, w) that are each repeated over r x r positions."""
    before = reduction.stride[0] - 1  # taps of the 2r - 1 in a row that fall on the previous token
    rows = torch.stack([part.sum(dim=2) for part in reduction.weight.tensor_split((before,), dim=2)], dim=2)
    taps = torch.stack([part.sum(dim=3) for part in rows.tensor_split((before,), dim=3)], dim=3)
    conv = nn.Conv2d(reduction.in_channels, reduction.out_channels, 2, bias=False).requires_grad_(False)
    conv.weight.copy_(taps)
    return nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), conv)
