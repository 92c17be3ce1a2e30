"""Fusion of a trained network for inference: the same function in fewer and faster operations.

Each step rewrites one kind of layer; benchmarks/fusion.py measures each alone. A folded weight is the trained one times
a scale, which its module keeps as `weight_scale`, so that a file can store the trained one.
"""

import copy
from collections.abc import Callable
from itertools import takewhile
from typing import cast

from torch import Tensor, nn

from hevitpose.export.fused_modules import Affine, ChannelMajorAttention, Upsampling
from hevitpose.models.hevitpose import CGSRAttention, Residual


def fuse(model: nn.Module) -> nn.Module:
    """A fused copy of the network, in evaluation mode. Layers that no step recognizes stay unchanged."""
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    for step in STEPS.values():
        step(fused)
    return fused


def split_transposed_convolutions(model: nn.Module) -> None:
    """Split each transposed convolution, with the pointwise layers after it, into phases (`Upsampling`)."""
    for sequence in sequences(model):
        layers = list(sequence)
        for i in reversed(range(len(layers))):
            deconv = layers[i]
            if isinstance(deconv, nn.ConvTranspose2d) and doubles(deconv):
                tail = list(takewhile(pointwise, layers[i + 1 :]))
                del sequence[i + 1 : i + 1 + len(tail)], layers[i + 1 :]
                sequence[i] = Upsampling(deconv, tail)


def absorb_identities(model: nn.Module) -> None:
    """Make the residual input of a depthwise convolution a tap of its kernel."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            match list(child.branch.children()) if isinstance(child, Residual) else []:
                case [nn.Conv2d() as conv, nn.BatchNorm2d() as norm] if conv.groups == conv.in_channels:
                    folded = fold(conv, norm)
                    folded.weight[:, :, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] += 1
                    del folded.weight_scale
                    setattr(parent, name, folded)


def make_attention_channel_major(model: nn.Module) -> None:
    """Replace CGSR-MHA by its form without transpositions (`ChannelMajorAttention`)."""
    for module in model.modules():
        if isinstance(module, Residual) and isinstance(module.branch, CGSRAttention):
            module.branch = ChannelMajorAttention(module.branch)


def fold_batch_norms(model: nn.Module) -> None:
    """Fold batch norms into the convolutions before them; other batch norms become a scale and shift."""
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
"""In the order in which they are applied: each looks for layers that later ones change."""


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution with the batch norm after it folded in."""
    folded = copy.deepcopy(conv)
    scale, shift = scale_and_shift(norm)
    folded.bias = nn.Parameter(shift if conv.bias is None else shift + conv.bias * scale, requires_grad=False)
    folded.weight_scale = nn.Buffer(scale.view(-1, 1, 1, 1))
    folded.weight *= folded.weight_scale
    return folded


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale (C,) and shift (C,) of a batch norm in evaluation mode."""
    scale = norm.weight / (cast("Tensor", norm.running_var) + norm.eps).sqrt()
    return scale, norm.bias - cast("Tensor", norm.running_mean) * scale


def sequences(model: nn.Module) -> list[nn.Sequential]:
    return [module for module in model.modules() if isinstance(module, nn.Sequential)]


def doubles(deconv: nn.ConvTranspose2d) -> bool:
    """Whether `Upsampling` can replace it."""
    shape = (deconv.kernel_size, deconv.stride, deconv.padding, deconv.output_padding, deconv.dilation, deconv.groups)
    return shape == ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1)


def pointwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.BatchNorm2d | nn.ReLU) or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))
