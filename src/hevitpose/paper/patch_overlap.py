"""Which pixels a patch embedding looks at, and how often."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Convolution:
    """One layer, alike along both axes; `transposed` goes from few positions to many."""

    kernel: int
    stride: int
    padding: int
    transposed: bool = False

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.stride < 1 or self.padding < 0:
            raise ValueError(f"{self}: kernel and stride must be 1 or more, padding 0 or more")

    def __str__(self) -> str:
        return f"{'deconv' if self.transposed else 'conv'}({self.kernel},{self.stride})"

    @property
    def overlap(self) -> int:
        """Pixels that two neighbouring windows share: what the paper calls PEOW."""
        return self.kernel - self.stride

    def outputs(self, inputs: int) -> int:
        """Positions along one axis after the layer. Raises ValueError where the kernel does not fit."""
        if self.transposed:
            count = (inputs - 1) * self.stride - 2 * self.padding + self.kernel
        else:
            count = (inputs + 2 * self.padding - self.kernel) // self.stride + 1
        if count < 1:
            raise ValueError(f"{self} with padding {self.padding} does not fit into {inputs} positions")
        return count


def parse_layers(text: str) -> tuple[Convolution, ...]:
    """The layers of "conv(15,8), deconv(4,2)", kernel and stride, padded as the paper's counts ask for.

    A convolution is padded by half its kernel, a transposed one so that its output is `stride` times as large.
    """
    return tuple(
        Convolution(int(kernel), int(stride), (int(kernel) - int(stride) if de else int(kernel)) // 2, bool(de))
        for de, kernel, stride in re.findall(r"(de)?conv\((\d+),(\d+)\)", text)
    )


def pixel_uses(layers: Sequence[Convolution], side: int) -> Counts:
    """How often the layers, one after the other, read each pixel of a square image: (side, side).

    A pixel counts once for every path from it, through one tap of each layer, to a position of the last layer; zero
    padding counts for nothing. It is what the layers' transposes, with all weights 1, make of a map of ones, so that
    rows and columns separate. Raises ValueError where a kernel does not fit.
    """
    sizes = [side]
    for layer in layers:
        sizes.append(layer.outputs(sizes[-1]))
    uses = np.ones(sizes[-1], dtype=np.int64)
    for layer, inputs in reversed(list(zip(layers, sizes[:-1], strict=True))):
        uses = _before(layer, inputs, uses)
    return uses[:, None] * uses


def _before(layer: Convolution, inputs: int, uses: Counts) -> Counts:
    """Uses of the `inputs` positions before the layer, along one axis, from those of the positions after it."""
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
