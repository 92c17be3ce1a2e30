"""The crops of a data set's people: every image read once, every person cut once."""

import hashlib
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
    """One crop of `size_hw` for each person's box, padded.

    In memory, or with `folder` in a file there that is mapped into memory: what it already holds is not cut again, also
    after a crash. The file is named after all that decides its content. Raises InputError where an image cannot be
    read or the folder cannot be written.
    """
    boxes = geometry.crop_box(people.boxes, padding, size_hw[1] / size_hw[0])
    matrices = geometry.crop_matrix(boxes, size_hw)
    shape = (len(people), *size_hw, 3)
    if folder is None:
        pixels, done = np.empty(shape, dtype=np.uint8), np.zeros(len(people.images), dtype=np.bool_)
    else:
        pixels, done = _mapped(folder, _content_hash(people, matrices), shape, len(people.images))
    order = np.argsort(people.image_index, kind="stable")
    starts = np.searchsorted(people.image_index[order], np.arange(len(people.images) + 1))

    def cut_image(index: int) -> int:
        of_this_image = order[starts[index] : starts[index + 1]]
        if len(of_this_image):
            image = images.read(people.images[index])
            for person in of_this_image:
                pixels[person] = images.cut(image, matrices[person], size_hw)
        return index

    missing = np.flatnonzero(~done).tolist()
    cut: list[int] = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for count, index in enumerate(pool.map(cut_image, missing), start=1):
            cut.append(index)
            if len(cut) == IMAGES_PER_FLUSH or count == len(missing):
                if isinstance(pixels, np.memmap):  # on the disk before it counts as done
                    pixels.flush()
                done[cut] = True
                cut.clear()
            on_progress(Progress(f"crops of {people.name}", len(done) - len(missing) + count, len(done)))
    return Crops(pixels, matrices)


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
