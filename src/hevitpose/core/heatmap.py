"""Joints to heatmaps and back.

A heatmap is 1 at its joint and falls off as a Gaussian of `sigma` cells. Decoding takes the highest cell and moves a
quarter of a cell towards the higher neighbour in x and in y, as Hourglass, SimpleBaseline and HRNet do (the paper too).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats


def encode(points_cells: Floats, size_hw: tuple[int, int], sigma: float) -> NDArray[np.float32]:
    """Heatmaps (..., K, h, w) of joints (..., K, 2) in cells; the peak lies at the joint, not at the nearest cell."""
    height, width = size_hw
    x, y = (np.asarray(points_cells)[..., axis, None] for axis in (0, 1))
    along_x = np.exp(-((np.arange(width) - x) ** 2) / (2 * sigma**2))
    along_y = np.exp(-((np.arange(height) - y) ** 2) / (2 * sigma**2))
    return (along_y[..., :, None] * along_x[..., None, :]).astype(np.float32)


def decode(heatmaps: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Joints (..., K, 2) in cells and their scores (..., K) in [0, 1] from heatmaps (..., K, h, w).

    The score is the height of the peak, cut to [0, 1].

    >>> points, scores = decode(encode(np.array([[5.3, 2.0]]), (8, 8), sigma=2.0))
    >>> points
    array([[5.25, 2.  ]])
    """
    height, width = heatmaps.shape[-2:]
    flat = heatmaps.reshape(*heatmaps.shape[:-2], height * width)
    peak = flat.argmax(axis=-1)
    scores = np.take_along_axis(flat, peak[..., None], axis=-1)[..., 0]
    y, x = np.divmod(peak, width)
    along_x = _slope(flat, peak, 1, inside=(x > 0) & (x < width - 1))
    along_y = _slope(flat, peak, width, inside=(y > 0) & (y < height - 1))
    points = np.stack([x, y], axis=-1) + 0.25 * np.stack([along_x, along_y], axis=-1)
    return points, np.clip(scores, 0, 1).astype(np.float64)


def _slope(flat: NDArray[np.floating], peak: NDArray[np.intp], step: int, inside: NDArray[np.bool_]) -> Floats:
    """-1, 0 or 1: on which side of the peak the map is higher; 0 at the border, which has one neighbour only."""
    last = flat.shape[-1] - 1
    after = np.take_along_axis(flat, np.minimum(peak + step, last)[..., None], axis=-1)[..., 0]
    before = np.take_along_axis(flat, np.maximum(peak - step, 0)[..., None], axis=-1)[..., 0]
    return np.where(inside, np.sign(after.astype(np.float64) - before), 0.0)


def mirror(heatmaps: NDArray[np.floating], partners: Sequence[int]) -> NDArray[np.floating]:
    """Heatmaps (..., K, h, w) of the mirrored picture as those of the picture, and the other way round."""
    mirrored: NDArray[np.floating] = heatmaps[..., list(partners), :, ::-1]
    return mirrored


def flip_average(
    heatmaps: NDArray[np.floating], of_mirrored: NDArray[np.floating], partners: Sequence[int]
) -> NDArray[np.floating]:
    """The flip test: heatmaps (..., K, h, w) of a crop averaged with those of the mirrored crop."""
    average: NDArray[np.floating] = (heatmaps + mirror(of_mirrored, partners)) / 2
    return average
