"""Faults of the images of labelled data: not there, not whole, not of the size that was labelled."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any, TypeGuard
from zipfile import BadZipFile, ZipFile

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.labels import ImageFile
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.data.check.labels import Finding
from hevitpose.data.coco import image_file, is_image, short
from hevitpose.io import images

Size = tuple[float, float]


def check_images(
    images: Iterable[Any], folder: Path, open_images: bool, name: str = "", on_progress: OnProgress = ignore_progress
) -> tuple[set[ImageFile], dict[str, Size], list[Finding]]:
    """The images, by image id their width and height (NaN where unknown), and their faults.

    Images lie in `folder`; only with `open_images` are they decoded, each whole.
    """
    findings: list[Finding] = []
    sizes: dict[str, Size] = {}
    there: list[tuple[str, str, ImageFile]] = []
    files = set()
    inside: dict[Path, set[str]] = {}
    for position, image in enumerate(images):
        if not is_image(image):
            findings.append(("image", f"image at position {position}", f"needs id and file_name: {short(image)}"))
            continue
        key, record = str(image["id"]), f"image {image['id']}"
        if key in sizes:
            findings.append(("duplicate image", record, f"its id is also that of another ({image['file_name']})"))
        if isinstance(image["id"], str):
            findings.append(("id as text", record, f"its id is the text {image['id']!r}"))
        sizes[key] = _size_of(image)
        file = image_file(image, folder)
        files.add(file)
        if _is_there(file, inside):
            there.append((key, record, file))
        else:
            findings.append(("missing image", record, f"there is no {file}"))
    if open_images:
        findings += _image_faults(there, sizes, name, on_progress)
    return files, sizes, findings


def is_above_0(value: Any) -> TypeGuard[float]:
    """Whether this is a finite number above 0, or the text of one."""
    try:
        return 0 < float(value) < np.inf
    except (TypeError, ValueError, OverflowError):
        return False


def _size_of(image: Mapping[str, Any]) -> Size:
    width, height = image.get("width"), image.get("height")
    return (float(width), float(height)) if is_above_0(width) and is_above_0(height) else (np.nan, np.nan)


def _is_there(file: ImageFile, inside: dict[Path, set[str]]) -> bool:
    """Whether there is such a file; `inside` remembers what is in archives."""
    if file.archive is None:
        return (file.folder / file.name).is_file()
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
                yield "unreadable image", record, str(look)
            else:
                fault = _size_fault(file, sizes[key], *look)
                if fault:
                    yield fault[0], record, fault[1]
                sizes[key] = look.upright
            on_progress(Progress(f"images of {name}", done, len(there)))


def _look(file: ImageFile) -> images.Look | InputError:
    try:
        return images.look(file)
    except InputError as error:
        return error


def _size_fault(file: ImageFile, said: Size, upright: Size, stored: Size, orientation: int) -> tuple[str, str] | None:
    """What is wrong with the size that the labels' file says, NaN where it says nothing."""
    unsaid = bool(np.isnan(said[0]))
    if not unsaid and said != upright:
        size = f"{upright[0]:g} x {upright[1]:g} upright, the file says {said[0]:g} x {said[1]:g}"
        before = said == stored
        kind = "turned image" if before else "image size"
        return kind, f"{file.name} is {size}{', before it is turned' if before else ''}"
    size_tells = not unsaid and upright != stored
    if orientation == 1 or size_tells:
        return None
    turned = f"{file.name} is turned or mirrored when it is shown (EXIF orientation {orientation})"
    return "EXIF orientation", f"{turned}, and no size tells whether its labels are, too"
