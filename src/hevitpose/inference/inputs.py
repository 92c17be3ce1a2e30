"""What goes into prediction: images of any kind as frames, and the files and folders that a command was given."""

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image as PILImage

from hevitpose.core.errors import InputError
from hevitpose.core.results import Detections
from hevitpose.data.detections import meets_image, number_of
from hevitpose.io import atomic, images, video
from hevitpose.io.folders import files_below
from hevitpose.io.images import HEIC, SUFFIXES, Image, reads_heic

if TYPE_CHECKING:
    import supervision

Source = str | PathLike[str] | bytes | PILImage.Image | Image
"""A path, the bytes of a file, a PIL image, or an array (H, W, 3) of uint8."""
Color = Literal["rgb", "bgr"]
LOGGER = logging.getLogger(__name__)
STDIN = Path("-")


@dataclass(frozen=True, eq=False)
class Frame:
    """An image on its way through prediction; it comes back with its poses.

    `image` (H, W, 3) RGB uint8; `source` names it; `index` counts from 0; `time_s` in videos; `detections` are the
    people where they are known already; `target` is the name of its results, without suffix.
    """

    image: Image
    source: str | None = None
    index: int = 0
    time_s: float | None = None
    detections: Detections | None = None
    target: str | None = None


def as_frame(source: Source, boxes: "ArrayLike | supervision.Detections | None" = None, color: Color = "rgb") -> Frame:
    """An image with the boxes of its people, where they are known, as a frame.

    Boxes without width or height, or outside of the image, are left out with a warning in the log. Raises InputError
    where the image cannot be read, ValueError where an array is no image or boxes are malformed, TypeError where the
    source is something else.
    """
    if color not in get_args(Color):
        raise InputError(f"`color={color}`", "must be rgb or bgr")
    image, name = _image_of(source, color), fspath(source) if isinstance(source, str | PathLike) else None
    if boxes is None:
        return Frame(image, name)
    detections = Detections.from_boxes(boxes)
    inside = meets_image(detections.boxes, image.shape[:2])
    if not inside.all():
        LOGGER.warning("%s: left out %d boxes outside of it", name or "image", (~inside).sum())
    return Frame(image, name, detections=detections.subset(inside))


def _image_of(source: Source, color: Color) -> Image:
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or not source.size:
            raise ValueError(f"an image is an array (H, W, 3) of uint8, got {source.dtype} {source.shape}")
        return source if color == "rgb" else source[..., ::-1]
    if isinstance(source, bytes | PILImage.Image):
        return images.decode(source)
    if not isinstance(source, str | PathLike):
        raise TypeError(f"an image is a path, bytes, a PIL image or an array, got {type(source).__name__}")
    if not fspath(source):
        raise InputError("image", "has an empty name")
    if "://" in str(source):
        raise InputError(source, "is an address: download it first")
    return images.read(source)


@dataclass(frozen=True, slots=True)
class ImageInput:
    """An image to read, and the name of its results below the output folder, without suffix.

    `in_folder`: a folder or a list named it, not the user; `index` counts from 0 over all inputs. The path `-` is
    standard input.
    """

    path: Path
    target: str
    in_folder: bool
    index: int = 0


class Inputs(Protocol):
    """Images to read, whose number is known; they may be listed again and again, but need not be in memory."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[ImageInput]: ...


@dataclass(frozen=True)
class ImageInputs:
    """The images, and how many in folders were left out: in HEIC, below the folder of the results, drawings of an
    earlier run elsewhere, and clips, which are predicted by name."""

    inputs: Inputs
    heic: int = 0
    results: int = 0
    drawings: int = 0
    clips: int = 0


def find_inputs(paths: Sequence[Path], output: Path | None = None) -> ImageInputs:
    """The images named, each once, and those in the folders named, but not those below `output`, an older result.

    The files are not opened. Raises InputError where a folder holds no image.
    """
    found: dict[Path, tuple[Path, Path, bool]] = {}
    heic = results = drawings = clips = 0
    for path in paths:
        if not path.is_dir():
            found.setdefault(_place(path), (path, Path("stdin" if path == STDIN else path.name), False))
            continue
        inside, older = _images_below(path, output)
        drawn = {p for p in inside if images.is_drawing(p)}
        inside = [p for p in inside if p not in drawn]
        readable = inside if reads_heic() else [p for p in inside if p.suffix.lower() not in HEIC]
        left_out, its_clips = len(inside) - len(readable), sum(1 for _ in files_below(path, video.SUFFIXES))
        if not readable:
            hint = f" but {left_out} in HEIC: convert them to JPEG" if left_out else ""
            hint = f" but {len(drawn)} drawings of an earlier run" if drawn and not hint else hint
            hint = f" but {its_clips} clips: name them" if its_clips and not hint else hint
            raise InputError(path, f"no image in this folder{hint}")
        heic, results, drawings = heic + left_out, results + older, drawings + len(drawn)
        clips += its_clips
        for p in readable:
            found.setdefault(_place(p), (p, p.relative_to(path), True))
    # photo.jpg gives photo.json, but beside a photo.png it gives photo.jpg.json.
    stems = Counter(str(name.with_suffix("")).lower() for _, name, _ in found.values())
    inputs = [
        ImageInput(
            path,
            name.as_posix() if stems[str(name.with_suffix("")).lower()] > 1 else name.with_suffix("").as_posix(),
            inside,
            index,
        )
        for index, (path, name, inside) in enumerate(found.values())
    ]
    return ImageInputs(inputs, heic, results, drawings, clips)


def _place(path: Path) -> Path:
    """Equal for equal files, but not for two links to one file: these have results of their own."""
    return path.parent.resolve() / path.name


def _images_below(folder: Path, output: Path | None) -> tuple[list[Path], int]:
    """The images, and how many more there are in `output`, where that lies below the folder."""
    every = files_below(folder, SUFFIXES | HEIC)
    if output is None or folder.resolve().is_relative_to(output.resolve()):
        return every, 0
    older = output.resolve()
    kept = [p for p in every if not p.parent.resolve().is_relative_to(older)]
    return kept, len(every) - len(kept)


def refuse_overwriting(paths: Sequence[Path], inputs: Inputs, folder: Path, draw: bool) -> None:
    """Raise InputError where results in `folder` would replace each other or an input, or lie among the images."""
    if not isinstance(inputs, list):  # a list of any length names its results in full, and is read one by one
        place = folder.resolve()
        if draw and (inside := next((each.path for each in inputs if each.path.resolve().is_relative_to(place)), None)):
            raise InputError(inside, "lies in the folder of the results: choose another `output`")
        return
    for target, number in Counter(each.target.lower() for each in inputs).items():
        if number > 1:
            raise InputError(
                target,
                "several images have this name, and so would their results: "
                "run once for each folder, each with its own `output`",
            )
    if not draw:
        return
    atomic.refuse_inputs([folder / f"{each.target}.png" for each in inputs], [each.path for each in inputs])
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


@dataclass
class Skipped:
    """What could not be predicted: inputs that cannot be read with the reason, and boxes outside of their image."""

    inputs: list[tuple[ImageInput, str]] = field(default_factory=list)
    boxes: list[tuple[ImageInput, int]] = field(default_factory=list)


def read_frames(
    inputs: Iterable[ImageInput], detections: Sequence[Detections | None] | None, strict_boxes: bool, skipped: Skipped
) -> Iterator[Frame]:
    """The inputs as frames, one after the other; what is left out is added to `skipped`.

    `detections` are the people of all inputs by index where they are known. Boxes that do not meet their image are left
    out, or with `strict_boxes` the whole input is.
    """
    for each in inputs:
        try:
            image = images.decode(sys.stdin.buffer.read(), "-") if each.path == STDIN else images.read(each.path)
            known = None if detections is None else detections[each.index]
            frame = Frame(image, str(each.path), each.index, None, known, each.target)
            yield _with_boxes_inside(frame, each, strict_boxes, skipped)
        except InputError as error:
            skipped.inputs.append((each, str(error)))


def _with_boxes_inside(frame: Frame, source: ImageInput, strict: bool, skipped: Skipped) -> Frame:
    if frame.detections is None:
        return frame
    height, width = frame.image.shape[:2]
    inside = meets_image(frame.detections.boxes, (height, width))
    if inside.all():
        return frame
    if strict:
        box = frame.detections.boxes[int(np.argmin(inside))]
        text = ",".join(f"{value:g}" for value in (*box[:2], *(box[2:] - box[:2])))
        raise InputError(source.path, f"`box={text}` lies outside of its {width} x {height} pixels")
    skipped.boxes.append((source, int((~inside).sum())))
    return replace(frame, detections=frame.detections.subset(inside))
