"""Joints to heatmaps and back.

A heatmap is 1 at its joint and falls off as a Gaussian. What codes differ in is a field of `Codec` each: where crop and
heatmap coincide, whether the Gaussian stands on a whole cell, and how a place between cells is read off.
docs/coordinates.md measures them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hevitpose.core import geometry
from hevitpose.core.geometry import Alignment, Floats

Refinement = Literal["none", "quarter", "dark"]
BLUR_SIGMA = 2.0
BLUR_REACH = 5
"""DARK smooths the heatmap by a Gaussian of 11 cells before it takes derivatives, of this sigma (OpenCV's for 11)."""
_BLUR = np.exp(-((np.arange(15) - np.arange(5)[:, None] - BLUR_REACH) ** 2) / (2 * BLUR_SIGMA**2))
_BLUR *= abs(np.arange(15) - np.arange(5)[:, None] - BLUR_REACH) <= BLUR_REACH
"""Smooths 15 cells to the 5 in their middle."""


@dataclass(frozen=True)
class Codec:
    """How joints stand in heatmaps.

    `sigma` of the Gaussian in cells; `alignment` of crop and heatmap (see geometry.py); `rounded`: the Gaussian stands
    on the nearest cell; `refine`: a "quarter" of a cell towards the higher neighbour in x and in y, or the maximum of
    the parabola through the logarithm of the smoothed heatmap ("dark"); `flip_shift`: cells by which a flip test moves
    the mirrored heatmap, to make up for an alignment that mirroring does not keep.
    """

    sigma: float = 2.0
    alignment: Alignment = "edges"
    rounded: bool = False
    refine: Refinement = "quarter"
    flip_shift: int = 0

    def cells(self, joints: ArrayLike, crop_hw: tuple[int, int], heatmap_hw: tuple[int, int]) -> Floats:
        """Where the Gaussians of joints (..., 2) in crop pixels stand, in cells."""
        cells = geometry.cells_from_pixels(joints, crop_hw, heatmap_hw, self.alignment)
        return np.floor(cells + 0.5) if self.rounded else cells

    def encode(self, joints: ArrayLike, crop_hw: tuple[int, int], heatmap_hw: tuple[int, int]) -> NDArray[np.float32]:
        """Heatmaps (..., K, h, w) of joints (..., K, 2) in pixels of a crop of `crop_hw`."""
        x, y = np.moveaxis(self.cells(joints, crop_hw, heatmap_hw)[..., None], -2, 0)
        along_x = np.exp(-((np.arange(heatmap_hw[1]) - x) ** 2) / (2 * self.sigma**2))
        along_y = np.exp(-((np.arange(heatmap_hw[0]) - y) ** 2) / (2 * self.sigma**2))
        heatmaps: NDArray[np.float32] = (along_y[..., :, None] * along_x[..., None, :]).astype(np.float32)
        return heatmaps

    def decode(self, heatmaps: NDArray[np.floating], crop_hw: tuple[int, int]) -> tuple[Floats, Floats]:
        """Joints (..., K, 2) in pixels of a crop of `crop_hw`, and scores (..., K), from heatmaps (..., K, h, w).

        The score is the height of the peak, cut to [0, 1].

        >>> codec = Codec()
        >>> joints, scores = codec.decode(codec.encode([[22.7, 9.5]], (32, 32), (8, 8)), (32, 32))
        >>> joints
        array([[22.5,  9.5]])
        """
        cells, scores = decode_cells(heatmaps, self.refine)
        return geometry.pixels_from_cells(cells, crop_hw, heatmaps.shape[-2:], self.alignment), scores

    def flip_average(
        self, heatmaps: NDArray[np.floating], of_mirrored: NDArray[np.floating], partners: Sequence[int]
    ) -> NDArray[np.floating]:
        """The flip test: heatmaps (..., K, h, w) of a crop averaged with those of the mirrored crop."""
        back = mirror(of_mirrored, partners)
        if self.flip_shift:
            back = back.copy()
            back[..., self.flip_shift :] = back[..., : -self.flip_shift]
        average: NDArray[np.floating] = (heatmaps + back) / 2
        return average


EDGES = Codec()
MSRA = Codec(alignment="first pixels", rounded=True, flip_shift=1)
DARK = replace(MSRA, rounded=False, refine="dark")
UDP = Codec(alignment="pixel centers", refine="dark")
CODECS = {"edges": EDGES, "msra": MSRA, "dark": DARK, "udp": UDP}
"""Ours; SimpleBaseline's and HRNet's, which the paper uses; Zhang et al., CVPR 2020; Huang et al., CVPR 2020."""


def decode_cells(heatmaps: NDArray[np.floating], refine: Refinement = "quarter") -> tuple[Floats, Floats]:
    """Joints (..., K, 2) in cells and their scores (..., K) in [0, 1] from heatmaps (..., K, h, w)."""
    height, width = heatmaps.shape[-2:]
    flat = heatmaps.reshape(*heatmaps.shape[:-2], height * width)
    peak = flat.argmax(axis=-1)
    scores = np.take_along_axis(flat, peak[..., None], axis=-1)[..., 0]
    y, x = np.divmod(peak, width)
    points = np.stack([x, y], axis=-1).astype(np.float64)
    if refine == "quarter":
        points += _quarter(heatmaps, x, y)
    elif refine == "dark":
        points += _dark(heatmaps, x, y)
    return points, np.clip(scores, 0, 1).astype(np.float64)


def mirror(heatmaps: NDArray[np.floating], partners: Sequence[int]) -> NDArray[np.floating]:
    """Heatmaps (..., K, h, w) of the mirrored image as those of the image, and the other way round."""
    mirrored: NDArray[np.floating] = heatmaps[..., list(partners), :, ::-1]
    return mirrored


def _quarter(heatmaps: NDArray[np.floating], x: NDArray[np.intp], y: NDArray[np.intp]) -> Floats:
    """A quarter towards the higher neighbour; nothing at the border, which has one neighbour only."""
    around = _around(heatmaps, x, y, reach=1)
    slope = np.stack([around[..., 1, 2] - around[..., 1, 0], around[..., 2, 1] - around[..., 0, 1]], axis=-1)
    return 0.25 * np.sign(slope) * _inside(heatmaps, x, y, margin=1)


def _dark(heatmaps: NDArray[np.floating], x: NDArray[np.intp], y: NDArray[np.intp]) -> Floats:
    """Newton's step from the peak to the maximum of the smoothed map's logarithm (DARK, equations 4 to 9)."""
    smooth = _BLUR @ _around(heatmaps, x, y, BLUR_REACH + 2) @ _BLUR.T
    log = np.log(np.maximum(smooth, 1e-10))  # (..., 5, 5), the peak in the middle
    first = np.stack([log[..., 2, 3] - log[..., 2, 1], log[..., 3, 2] - log[..., 1, 2]], axis=-1) / 2
    xx = (log[..., 2, 4] - 2 * log[..., 2, 2] + log[..., 2, 0]) / 4
    yy = (log[..., 4, 2] - 2 * log[..., 2, 2] + log[..., 0, 2]) / 4
    xy = (log[..., 3, 3] - log[..., 1, 3] - log[..., 3, 1] + log[..., 1, 1]) / 4
    determinant = xx * yy - xy**2
    # Only a maximum is a step's aim, and further than a cell from the highest cell no maximum can be.
    usable = _inside(heatmaps, x, y, margin=2).all(axis=-1) & (determinant > 0) & (xx < 0)
    safe = np.where(usable, determinant, 1.0)
    step_x = (xy * first[..., 1] - yy * first[..., 0]) / safe
    step_y = (xy * first[..., 0] - xx * first[..., 1]) / safe
    return np.where(usable[..., None], np.clip(np.stack([step_x, step_y], axis=-1), -1, 1), 0.0)


def _around(heatmaps: NDArray[np.floating], x: NDArray[np.intp], y: NDArray[np.intp], reach: int) -> Floats:
    """The cells (..., 2 reach + 1, 2 reach + 1) around (x, y) of each heatmap; 0 outside."""
    height, width = heatmaps.shape[-2:]
    steps = np.arange(-reach, reach + 1)
    rows, columns = y[..., None, None] + steps[:, None], x[..., None, None] + steps
    outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
    at = rows.clip(0, height - 1) * width + columns.clip(0, width - 1)
    flat = heatmaps.reshape(*heatmaps.shape[:-2], height * width)
    cells = np.take_along_axis(flat, at.reshape(*x.shape, len(steps) ** 2), axis=-1).reshape(at.shape)
    return np.where(outside, 0.0, cells.astype(np.float64))


def _inside(heatmaps: NDArray[np.floating], x: NDArray[np.intp], y: NDArray[np.intp], margin: int) -> NDArray[np.bool_]:
    """(..., 2): whether x, and y, are at least `margin` cells from the border."""
    height, width = heatmaps.shape[-2:]
    return np.stack([(x >= margin) & (x < width - margin), (y >= margin) & (y < height - margin)], axis=-1)
