"""The crops of a data set's people: every picture read once, every person cut once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.person import LabelledPeople
from hevitpose.files import pictures

BOX_PADDING = 1.25
"""A person's box is grown by this before it is cut, in training and in prediction (HRNet, MMPose)."""


@dataclass(frozen=True, eq=False)
class Crops:
    """`pixels` (N, h, w, 3) uint8 RGB and the affine `matrices` (N, 2, 3) from picture to crop pixels."""

    pixels: NDArray[np.uint8]
    matrices: Floats


def cut_people(
    people: LabelledPeople,
    size_hw: tuple[int, int],
    padding: float = BOX_PADDING,
    progress: Callable[[int, int], None] | None = None,
) -> Crops:
    """One crop of `size_hw` for each person's box, padded. `progress` is told pictures done and in all."""
    boxes = geometry.crop_box(people.boxes, padding, size_hw[1] / size_hw[0])
    matrices = geometry.crop_matrix(boxes, size_hw)
    pixels = np.empty((len(people), *size_hw, 3), dtype=np.uint8)
    order = np.argsort(people.picture_of, kind="stable")
    starts = np.searchsorted(people.picture_of[order], np.arange(len(people.pictures) + 1))

    def cut_picture(index: int) -> None:
        of_this_picture = order[starts[index] : starts[index + 1]]
        if len(of_this_picture):
            picture = pictures.read(people.pictures[index])
            for person in of_this_picture:
                pixels[person] = pictures.cut(picture, matrices[person], size_hw)

    with ThreadPoolExecutor(cpu_count()) as pool:
        for done, _ in enumerate(pool.map(cut_picture, range(len(people.pictures))), start=1):
            if progress:
                progress(done, len(people.pictures))
    return Crops(pixels, matrices)
