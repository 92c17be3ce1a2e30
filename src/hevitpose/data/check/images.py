"""Faults of the images of labelled data: missing, damaged, or not of the size that was labelled."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from os import cpu_count
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.labels import Finding, ImageFile
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.data.coco import image_file, is_image, short, whole
from hevitpose.io import images
from hevitpose.io.folders import is_clutter, is_file

Size = tuple[float, float]


def check_images(
    images: Iterable[Any], folder: Path, open_images: bool, name: str = "", on_progress: OnProgress = ignore_progress
) -> tuple[set[ImageFile], dict[str, Size], list[Finding]]:
    """The images, by image id their width and height (NaN where unknown), and their faults.

    Images lie in `folder`; only with `open_images` are they decoded, each whole.
    """
    findings: list[Finding] = []
    sizes: dict[str, Size] = {}
    named: list[tuple[str, str, ImageFile]] = []
    entry_of: dict[ImageFile, Mapping[str, Any]] = {}
    for position, image in enumerate(images):
        if not is_image(image):
            problem = f"needs id and file_name: {short(image)}"
            findings.append(Finding("image", f"image at position {position}", problem))
            continue
        own_id = whole(image["id"])
        key, record = str(own_id), f"image {own_id}"
        file = image_file(image, folder)
        other = entry_of.setdefault(file, image)
        if key in sizes:
            problem = f"has the same id as another image ({image['file_name']})"
            findings.append(Finding("duplicate image", record, problem))
        elif other is not image:
            kind = "image twice" if image["file_name"] == other["file_name"] else "two names of an image"
            problem = f"{image['file_name']} is also image {other['id']} ({other['file_name']})"
            findings.append(Finding(kind, record, problem))
        if isinstance(own_id, str):
            findings.append(Finding("id as text", record, f"its id is the text {own_id!r}"))
        width, height = image.get("width"), image.get("height")
        known = is_above_0(width) and is_above_0(height)
        sizes[key] = (float(width), float(height)) if known else (np.nan, np.nan)
        named.append((key, record, file))
    findings += check_files(named, sizes, open_images, name, on_progress)
    return {file for _, _, file in named}, sizes, findings


def check_files(
    named: Sequence[tuple[str, str, ImageFile]],
    sizes: dict[str, Size],
    open_images: bool,
    name: str,
    on_progress: OnProgress,
) -> list[Finding]:
    """Which of the images (image id, record, file) are missing, and with `open_images` the faults of the others.

    `sizes` are width and height by image id; with `open_images` they become the true ones.
    """
    inside: dict[Path, set[str]] = {}
    there = [_is_there(file, inside) for _, _, file in named]
    findings = [
        Finding("missing image", record, f"there is no {file}")
        for (_, record, file), is_there in zip(named, there, strict=True)
        if not is_there
    ]
    if open_images:
        findings += _image_faults(list(compress(named, there)), sizes, name, on_progress)
    return findings


def unnamed_images(files: Iterable[ImageFile]) -> list[Path]:
    """The images that lie in the folders of these, but are none of them; archives are not searched."""
    named: dict[Path, set[str]] = {}
    for path in filter(is_file, (file.folder / file.name for file in files if file.archive is None)):
        named.setdefault(path.parent.resolve(), set()).add(path.name)
    every = (path for folder, names in named.items() for path in folder.iterdir() if path.name not in names)
    return sorted(path for path in every if path.suffix.lower() in images.SUFFIXES and not is_clutter(path.name))


def is_above_0(value: Any) -> bool:
    """Whether this is a finite number above 0, or the text of one."""
    try:
        return 0 < float(value) < np.inf
    except (TypeError, ValueError, OverflowError):
        return False


def _is_there(file: ImageFile, inside: dict[Path, set[str]]) -> bool:
    """Whether there is such a file; `inside` remembers what is in archives."""
    if file.archive is None:
        return is_file(file.folder / file.name)
    path = file.folder / file.archive
    if path not in inside:
        try:
            with ZipFile(path) as archive:
                inside[path] = set(archive.namelist())
        except (OSError, BadZipFile):
            inside[path] = set()
    return file.name in inside[path]


def _image_faults(
    there: list[tuple[str, str, ImageFile]], sizes: dict[str, Size], name: str, on_progress: OnProgress
) -> Iterator[Finding]:
    """The faults of these images (image id, record, file); `sizes` become the true ones."""
    with ThreadPoolExecutor(cpu_count()) as pool:
        looks = pool.map(_look, (file for _, _, file in there))
        for done, ((key, record, file), look) in enumerate(zip(there, looks, strict=True), start=1):
            if isinstance(look, InputError):
                yield Finding("unreadable image", record, str(look))
            else:
                if look.frames > 1:
                    problem = f"{file.name} holds {look.frames} images; only the first is used"
                    yield Finding("several images", record, problem)
                yield from _size_faults(file, record, sizes[key], look)
                sizes[key] = look.upright
            on_progress(Progress(f"images of {name}", done, len(there)))


def _look(file: ImageFile) -> images.Look | InputError:
    try:
        return images.look(file)
    except InputError as error:
        return error


def _size_faults(file: ImageFile, record: str, said: Size, look: images.Look) -> Iterator[Finding]:
    """What is wrong with the size that the labels' file says, NaN where it says nothing."""
    unsaid, (width, height) = bool(np.isnan(said[0])), look.upright
    is_other = not unsaid and said != look.upright
    if is_other:
        size = f"{width:g} x {height:g} upright, the file says {said[0]:g} x {said[1]:g}"
        before = said == look.stored
        kind = "unapplied EXIF" if before else "image size"
        yield Finding(kind, record, f"{file.name} is {size}{', as without its EXIF orientation' if before else ''}")
    elif look.orientation != 1 and (unsaid or look.upright == look.stored):
        turned = f"{file.name} has EXIF orientation {look.orientation}"
        problem = f"{turned}, and no size tells whether its labels are of the upright image"
        yield Finding("EXIF orientation", record, problem)
