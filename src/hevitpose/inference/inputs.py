"""Which images a command was given, and what their results are called."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from hevitpose.core.errors import InputError
from hevitpose.data.detections import number_of
from hevitpose.io.images import SUFFIXES

HEIC = frozenset({".heic", ".heif"})
"""Images that Pillow cannot read."""


@dataclass(frozen=True)
class ImageInput:
    """An image to read, and the name of its results below the output folder, without suffix."""

    path: Path
    target: str
    in_folder: bool


class ImageList(NamedTuple):
    """The images, and how many in folders were left out: in HEIC, and below the folder of the results."""

    jobs: list[ImageInput]
    heic: int = 0
    results: int = 0


def find_inputs(paths: Sequence[Path], output: Path | None = None) -> ImageList:
    """The images named, each once, and those below the folders named, but not those below `output`, an older result.

    Whether they can be read, or are there at all, is not looked at. Raises InputError where a folder holds no image.
    """
    found: dict[Path, tuple[Path, Path, bool]] = {}
    heic = results = 0
    for path in paths:
        if not path.is_dir():
            found.setdefault(_place(path), (path, Path(path.name), False))
            continue
        inside, older = _images_below(path, output)
        readable = [p for p in inside if p.suffix.lower() not in HEIC]
        left_out = len(inside) - len(readable)
        if not readable:
            hint = f" but {left_out} in HEIC: convert them to JPEG" if left_out else ""
            raise InputError(path, f"no image in this folder{hint}")
        heic, results = heic + left_out, results + older
        for p in readable:
            found.setdefault(_place(p), (p, p.relative_to(path), True))
    # photo.jpg gives photo.json, but beside a photo.png it gives photo.jpg.json.
    stems = Counter(str(name.with_suffix("")).lower() for _, name, _ in found.values())
    jobs = [
        ImageInput(
            path,
            name.as_posix() if stems[str(name.with_suffix("")).lower()] > 1 else name.with_suffix("").as_posix(),
            inside,
        )
        for path, name, inside in found.values()
    ]
    return ImageList(jobs, heic, results)


def _place(path: Path) -> Path:
    """Equal for equal files, but not for two links to one file: these have results of their own."""
    return path.parent.resolve() / path.name


def _images_below(folder: Path, output: Path | None) -> tuple[list[Path], int]:
    """The images, and how many more there are in `output`, where that lies below the folder."""
    every = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES | HEIC and not p.is_dir())
    if output is None or folder.resolve().is_relative_to(output.resolve()):
        return every, 0
    older = output.resolve()
    kept = [p for p in every if not p.parent.resolve().is_relative_to(older)]
    return kept, len(every) - len(kept)


def refuse_overwriting(paths: Sequence[Path], jobs: Sequence[ImageInput], folder: Path, draw: bool) -> None:
    """Raise InputError where results in `folder` would replace each other, or lie among the images as drawings do."""
    for target, number in Counter(job.target.lower() for job in jobs).items():
        if number > 1:
            raise InputError(
                target,
                "several images have this name, and so would their results: "
                "run once for each folder, each with its own `output`",
            )
    if not draw:
        return
    sources = {_place(job.path) for job in jobs} | {job.path.resolve() for job in jobs if job.path.exists()}
    for job in jobs:
        drawing = folder / f"{job.target}.png"
        if _place(drawing) in sources:
            raise InputError(drawing, "is one of the images: choose another `output`")
    for path in paths:
        if path.is_dir() and path.resolve() == folder.resolve():
            raise InputError(path, "drawings would lie among the images: choose another `output`")


def image_ids(paths: Sequence[Path], known: Sequence[int | None]) -> list[int]:
    """COCO's image id of each image, no two the same.

    The one that is `known`, else the number that its name ends with, else its place among the images, from 1. Where
    an earlier image has that, the next of these; where all are taken, a number above all others.
    """
    ids: dict[int, int] = {}
    taken: set[int] = set()
    for wishes in (known, [number_of(path) for path in paths], range(1, len(paths) + 1)):
        for image, wish in enumerate(wishes):
            if image not in ids and wish is not None and wish not in taken:
                ids[image] = wish
                taken.add(wish)
    free = count(max(taken, default=0) + 1)
    return [ids[image] if image in ids else next(free) for image in range(len(paths))]
