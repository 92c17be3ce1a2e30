"""The crops of a data set's people; each image is decoded once."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import BOX_PADDING, Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.io import atomic, images

IMAGES_PER_FLUSH = 500


@dataclass(frozen=True, eq=False)
class Crops:
    """`pixels` (N, h, w, 3) uint8 RGB and the affine `matrices` (N, 2, 3) from image to crop pixels."""

    pixels: NDArray[np.uint8]
    matrices: Floats


def cut_people(
    people: LabelledPeople,
    size_hw: tuple[int, int],
    padding: float = BOX_PADDING,
    on_progress: OnProgress = ignore_progress,
    folder: Path | None = None,
) -> Crops:
    """One crop of `size_hw` for each person's padded box; otherwise as `cut_people_at`."""
    return cut_people_at([size_hw], people, padding, on_progress, folder)[size_hw]


def cut_people_at(
    sizes_hw: Sequence[tuple[int, int]],
    people: LabelledPeople,
    padding: float = BOX_PADDING,
    on_progress: OnProgress = ignore_progress,
    folder: Path | None = None,
) -> dict[tuple[int, int], Crops]:
    """Crops of each person's padded box at several sizes; each image is decoded once.

    With `folder`, pixels are in files there that are mapped into memory, each named after a hash of all that decides
    its content. Crops that it already holds are not cut again, also after a crash. Raises InputError if images cannot
    be read, once all others are cut, or if the folder cannot be written.
    """
    sizes = {size_hw: _Cutter.at(size_hw, people, padding, folder) for size_hw in sizes_hw}
    order = np.argsort(people.image_index, kind="stable")
    starts = np.searchsorted(people.image_index[order], np.arange(len(people.images) + 1))

    def cut_image(index: int) -> tuple[int, InputError | None]:
        persons = order[starts[index] : starts[index + 1]]
        if len(persons):
            try:
                image = images.read(people.images[index])
            except InputError as error:
                return index, error
            for cutter in sizes.values():
                if not cutter.done[index]:
                    cutter.cut(image, persons)
        return index, None

    pending = np.flatnonzero(np.any([~cutter.done for cutter in sizes.values()], axis=0)).tolist()
    cut: list[int] = []
    unreadable: list[InputError] = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for count, (index, error) in enumerate(pool.map(cut_image, pending), start=1):
            if error:
                unreadable.append(error)
            else:
                cut.append(index)
            if len(cut) == IMAGES_PER_FLUSH or count == len(pending):
                for cutter in sizes.values():
                    cutter.finish(cut)
                cut.clear()
            finished = len(people.images) - len(pending) + count
            on_progress(Progress(f"crops of {people.name}", finished, len(people.images)))
    if unreadable:
        first, more = unreadable[0], f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
        raise InputError(first.source, f"{first.reason}{more}")
    return {size_hw: Crops(cutter.pixels, cutter.matrices) for size_hw, cutter in sizes.items()}


@dataclass(frozen=True, eq=False)
class _Cutter:
    """The crops of one size: `done` says of each image whether its people are cut."""

    pixels: NDArray[np.uint8]
    matrices: Floats
    done: NDArray[np.bool_]

    @classmethod
    def at(cls, size_hw: tuple[int, int], people: LabelledPeople, padding: float, folder: Path | None) -> "_Cutter":
        boxes = geometry.crop_box(people.boxes, padding, size_hw[1] / size_hw[0])
        matrices = geometry.crop_matrix(boxes, size_hw)
        shape, images_in_all = (len(people), *size_hw, 3), len(people.images)
        if folder is None:
            return cls(np.empty(shape, dtype=np.uint8), matrices, np.zeros(images_in_all, dtype=np.bool_))
        pixels, done = _mapped(folder, _content_hash(people, matrices), shape, images_in_all)
        return cls(pixels, matrices, done)

    def cut(self, image: images.Image, persons: NDArray[np.int64]) -> None:
        size_hw = (self.pixels.shape[1], self.pixels.shape[2])
        for person in persons:
            self.pixels[person] = images.cut(image, self.matrices[person], size_hw)

    def finish(self, indices: list[int]) -> None:
        """Mark images as done, once their crops are on disk."""
        if isinstance(self.pixels, np.memmap):
            self.pixels.flush()
        self.done[indices] = True


def _mapped(folder: Path, name: str, shape: tuple[int, ...], count: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The arrays of crops and of images done, of this name in `folder`; made where they are not there yet."""
    arrays = []
    try:
        for path, array_shape, dtype in (
            (folder / f"{name}.npy", shape, np.uint8),
            (folder / f"{name}.done.npy", (count,), np.bool_),
        ):
            if not path.exists():
                atomic.write_with(path, partial(_empty_array, shape=array_shape, dtype=dtype))
            arrays.append(open_memmap(path, "r+"))
    except (InputError, OSError, ValueError) as error:
        raise InputError(folder, f"crops cannot be kept there ({error})") from error
    pixels, done = arrays
    return pixels, done


def _empty_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    open_memmap(path, "w+", np.dtype(dtype), shape).flush()


def _content_hash(people: LabelledPeople, matrices: Floats) -> str:
    """A name for crops: it changes with the images' names, sizes and times, and with how people are cut."""
    sha = hashlib.sha256()
    for file in people.images:
        path = file.folder / (file.archive or file.name)
        stat = path.stat() if path.exists() else None
        sha.update(f"{file}|{stat and (stat.st_size, stat.st_mtime_ns)}\n".encode())
    sha.update(people.image_index.astype("<i8").tobytes())
    sha.update(matrices.astype("<f8").tobytes())
    return f"{people.name}-{sha.hexdigest()[:16]}"
