"""A trained network in the form in which it predicts: the same function in fewer and faster operations.

Each step rewrites one kind of part; benchmarks/fusion.py measures each alone. A weight that is folded is the one that
was trained times a scale, which its module keeps as `weight_scale`: a file can then store what was trained.
"""

import copy
from collections.abc import Callable
from itertools import takewhile
from typing import cast

from torch import Tensor, nn

from hevitpose.export.fused_modules import Affine, ChannelMajorAttention, Upsampling
from hevitpose.models.hevitpose import CGSRAttention, Residual


def fuse(model: nn.Module) -> nn.Module:
    """A copy of the network, in evaluation mode, as it predicts. What no step knows stays as it is."""
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    for step in STEPS.values():
        step(fused)
    return fused


def split_transposed_convolutions(model: nn.Module) -> None:
    """Each transposed convolution of a sequence, with those after it that look at one place at a time, by phases."""
    for sequence in sequences(model):
        layers = list(sequence)
        for i in reversed(range(len(layers))):
            deconv = layers[i]
            if isinstance(deconv, nn.ConvTranspose2d) and doubles(deconv):
                tail = list(takewhile(pointwise, layers[i + 1 :]))
                del sequence[i + 1 : i + 1 + len(tail)], layers[i + 1 :]
                sequence[i] = Upsampling(deconv, tail)


def absorb_identities(model: nn.Module) -> None:
    """The input that is added to a depthwise convolution, as a tap of its kernel."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            match list(child.branch.children()) if isinstance(child, Residual) else []:
                case [nn.Conv2d() as conv, nn.BatchNorm2d() as norm] if conv.groups == conv.in_channels:
                    folded = fold(conv, norm)
                    folded.weight[:, :, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] += 1
                    del folded.weight_scale
                    setattr(parent, name, folded)


def make_attention_channel_major(model: nn.Module) -> None:
    """CGSR-MHA without transpositions."""
    for module in model.modules():
        if isinstance(module, Residual) and isinstance(module.branch, CGSRAttention):
            module.branch = ChannelMajorAttention(module.branch)


def fold_batch_norms(model: nn.Module) -> None:
    """Each convolution of a sequence with the batch norm after it; elsewhere a batch norm becomes scale and shift."""
    for sequence in sequences(model):
        for i in reversed(range(len(sequence) - 1)):
            conv, norm = sequence[i], sequence[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                del sequence[i + 1]
                sequence[i] = fold(conv, norm)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, Affine(*scale_and_shift(child)))


STEPS: dict[str, Callable[[nn.Module], None]] = {
    "transposed convolutions by phases": split_transposed_convolutions,
    "identities in centre taps": absorb_identities,
    "attention channel-major": make_attention_channel_major,
    "batch norms folded": fold_batch_norms,
}
"""In this order: each looks for what those after it change."""


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution that includes the batch norm after it."""
    folded = copy.deepcopy(conv)
    scale, shift = scale_and_shift(norm)
    folded.bias = nn.Parameter(shift if conv.bias is None else shift + conv.bias * scale, requires_grad=False)
    folded.weight_scale = nn.Buffer(scale.view(-1, 1, 1, 1))
    folded.weight *= folded.weight_scale
    return folded


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch norm does to each channel (C,) when it predicts."""
    scale = norm.weight / (cast("Tensor", norm.running_var) + norm.eps).sqrt()
    return scale, norm.bias - cast("Tensor", norm.running_mean) * scale


def sequences(model: nn.Module) -> list[nn.Sequential]:
    return [module for module in model.modules() if isinstance(module, nn.Sequential)]


def doubles(deconv: nn.ConvTranspose2d) -> bool:
    """Whether it is one that `Upsampling` can stand for."""
    shape = (deconv.kernel_size, deconv.stride, deconv.padding, deconv.output_padding, deconv.dilation, deconv.groups)
    return shape == ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1)


def pointwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.BatchNorm2d | nn.ReLU) or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))
