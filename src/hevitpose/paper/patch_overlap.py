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

    @property
    def overlap(self) -> int:
        """Pixels shared by two neighbouring windows, which the paper calls PEOW."""
        return self.kernel - self.stride

    def outputs(self, inputs: int) -> int:
        """Positions along one axis after the layer."""
        if self.transposed:
            return (inputs - 1) * self.stride - 2 * self.padding + self.kernel
        return (inputs + 2 * self.padding - self.kernel) // self.stride + 1

    def taps(self, inputs: int) -> Counts:
        """Whether each position after the layer reads each one before it, along one axis: (outputs, inputs), 0 or 1."""
        after, before = np.arange(self.outputs(inputs))[:, None], np.arange(inputs)
        few, many = (before, after) if self.transposed else (after, before)
        tap = many + self.padding - self.stride * few
        return ((tap >= 0) & (tap < self.kernel)).astype(np.int64)


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
    padding does not count. Rows and columns separate.

    >>> pixel_uses(parse_layers("conv(3,2)"), 4)[0].tolist()
    [1, 2, 1, 1]
    """
    paths = np.eye(side, dtype=np.int64)
    for layer in layers:
        paths = layer.taps(len(paths)) @ paths
    uses: Counts = paths.sum(axis=0)
    return uses[:, None] * uses
