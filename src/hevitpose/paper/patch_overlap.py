"""How often a patch embedding reads each pixel."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Convolution:
    """A layer that is the same along both axes; `transposed` increases the number of positions."""

    kernel: int
    stride: int
    padding: int
    transposed: bool = False

    def __str__(self) -> str:
        return f"{'deconv' if self.transposed else 'conv'}({self.kernel},{self.stride})"

    @property
    def overlap(self) -> int:
        """Pixels shared by two neighbouring windows, which the paper calls PEOW."""
        return self.kernel - self.stride

    def outputs(self, inputs: int) -> int:
        """Positions along one axis after the layer."""
        if self.transposed:
            return (inputs - 1) * self.stride - 2 * self.padding + self.kernel
        return (inputs + 2 * self.padding - self.kernel) // self.stride + 1


def parse_layers(text: str) -> tuple[Convolution, ...]:
    """The layers of a text that gives kernel and stride; the padding is the one that the paper's counts imply.

    A convolution is padded by half its kernel, a transposed one so that its output is `stride` times as large.

    >>> parse_layers("conv(15,8), deconv(4,2)")[1]
    Convolution(kernel=4, stride=2, padding=1, transposed=True)
    """
    return tuple(
        Convolution(int(kernel), int(stride), (int(kernel) - int(stride) if de else int(kernel)) // 2, bool(de))
        for de, kernel, stride in re.findall(r"(de)?conv\((\d+),(\d+)\)", text)
    )


def pixel_uses(layers: Sequence[Convolution], side: int) -> Counts:
    """How often a stack of layers reads each pixel of a square image: (side, side).

    A pixel counts once for every path from it, through one tap of each layer, to a position of the last layer; zero
    padding does not count. This is what the layers' transposes, with all weights 1, make of a map of ones, so rows and
    columns separate.

    >>> pixel_uses(parse_layers("conv(3,2)"), 4)[0].tolist()
    [1, 2, 1, 1]
    """
    sizes = [side]
    for layer in layers:
        sizes.append(layer.outputs(sizes[-1]))
    uses = np.ones(sizes[-1], dtype=np.int64)
    for layer, inputs in reversed(list(zip(layers, sizes[:-1], strict=True))):
        uses = _before(layer, inputs, uses)
    return uses[:, None] * uses


def _before(layer: Convolution, inputs: int, uses: Counts) -> Counts:
    """Uses of the `inputs` positions before a layer, along one axis, from those of the positions after it."""
    many = len(uses) if layer.transposed else inputs
    few = inputs if layer.transposed else len(uses)
    touched = layer.stride * np.arange(few)[:, None] - layer.padding + np.arange(layer.kernel)  # few, kernel
    inside = (touched >= 0) & (touched < many)
    if layer.transposed:
        made: Counts = np.where(inside, uses[touched.clip(0, many - 1)], 0).sum(axis=1)
        return made
    before = np.zeros(inputs, dtype=np.int64)
    np.add.at(before, touched[inside], np.broadcast_to(uses[:, None], touched.shape)[inside])
    return before
