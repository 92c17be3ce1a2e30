"""Person boxes from a file in COCO's detection format."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats, image_box, xyxy_from_xywh
from hevitpose.core.results import Detections
from hevitpose.data.coco import read_numbers, short, with_area
from hevitpose.io.json_files import read_json

PERSON = 1
"""COCO's category of people; entries of another one are left out."""
Key = str | int


NOBODY = Detections(np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True)
class DetectionFile:
    """The detections of many images, by `file_name` or by `image_id`.

    `image_ids` are those of entries with a `file_name`; `empty` boxes had no width or no height and were left out.
    """

    of: Mapping[Key, Detections]
    image_ids: Mapping[Key, int] = field(default_factory=dict)
    empty: int = 0

    def find(self, path: Path, image_id: Key | None = None) -> Detections:
        """Those of one image: by its name or the end of its path, else by its `image_id`.

        That is the number that its name ends with, unless given. No detection where the file has none for it.
        """
        key = self.key_of(path, image_id)
        return NOBODY if key is None else self.of[key]

    def key_of(self, path: Path, image_id: Key | None = None) -> Key | None:
        """What the file calls this image; None where it does not mention it."""
        return next((key for key in keys_of(path, image_id) if key in self.of), None)

    def match(self, paths: Sequence[Path]) -> list[Key | None]:
        """`key_of` each image; a name in another folder is taken too, where no other image or entry has it."""
        keys = [self.key_of(path) for path in paths]
        named: dict[str, list[str]] = defaultdict(list)
        for key in self.of:
            if isinstance(key, str):
                named[PurePosixPath(key).name].append(key)
        images = Counter(path.name for path in paths)
        return [
            named[path.name][0] if key is None and images[path.name] == len(named[path.name]) == 1 else key
            for path, key in zip(paths, keys, strict=True)
        ]

    def image_id(self, key: Key | None) -> int | None:
        """The number by which the file calls the image of this key."""
        return key if isinstance(key, int) else self.image_ids.get(key) if key else None


def keys_of(path: Path, image_id: Key | None = None) -> list[Key]:
    """What a detection file may call this image, the most exact first."""
    posix = PurePosixPath(path.as_posix())
    keys: list[Key] = [str(PurePosixPath(*posix.parts[i:])) for i in range(len(posix.parts))]
    keys.append(path.stem)
    number = number_of(path) if image_id is None else image_id
    return keys if number is None else [*keys, number]


def number_of(path: Path) -> int | None:
    """The number that an image's name ends with."""
    number = re.search(r"(\d+)$", path.stem)
    return int(number[1]) if number else None


def meets_image(boxes: Floats, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,): which of the boxes (N, 4) share some of the image's area."""
    image = image_box(size_hw)
    return np.asarray(((boxes[:, :2] < image[2:]) & (boxes[:, 2:] > image[:2])).all(axis=1))


def read_detections(path: Path) -> DetectionFile:
    """A list of entries with `file_name` or `image_id`, `bbox` (x, y, width, height of the person) and `score`.

    `score` is 1 where it is missing; a box without width or height is left out, as detectors write such. Raises
    InputError, naming the entry, where a box is no box.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(
            path, "not a COCO detection file: it needs a list of entries with bbox and file_name or image_id"
        )
    boxes: dict[Key, list[tuple[Floats, float]]] = defaultdict(list)
    image_ids: dict[Key, int] = {}
    empty = 0
    for position, entry in enumerate(content):
        try:
            found = _detection(entry)
        except KeyError as error:
            raise InputError(path, f"entry {position}: {error} is missing") from error
        except ValueError as error:
            raise InputError(path, f"entry {position}: {error}") from error
        if found is None:
            continue
        key, box, score = found
        if isinstance(entry.get("image_id"), int):
            image_ids.setdefault(key, entry["image_id"])
        its = boxes[key]  # Mentioned, even where no box is left.
        if box is None:
            empty += 1
        else:
            its.append((box, score))
    of = {
        key: Detections(np.array([b for b, _ in found]).reshape(-1, 4), np.array([s for _, s in found]))
        for key, found in boxes.items()
    }
    return DetectionFile(of, image_ids, empty)


def _detection(entry: Any) -> tuple[Key, Floats | None, float] | None:
    """Image, box (None where it is empty) and score of an entry; None where it is of another category."""
    if not isinstance(entry, Mapping):
        raise ValueError("an entry is a table of names and values")
    category, score = entry.get("category_id", PERSON), entry.get("score", 1.0)
    if not isinstance(category, int):
        raise ValueError(f"category_id {short(category)} is no whole number")
    if category != PERSON:
        return None
    key = entry.get("image_id") if entry.get("file_name") is None else entry["file_name"]
    if not isinstance(key, str | int):
        raise ValueError("it needs file_name (a text) or image_id (a whole number or a text)")
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError(f"score {short(score)} is no number between 0 and 1")
    if isinstance(key, str):
        key = str(PurePosixPath(key))  # ./a.jpg is a.jpg
    bbox = read_numbers(entry, "bbox", 4)
    empty = bool((bbox[2:] >= 0).all()) and not bbox[2:].all()
    return key, None if empty else with_area(xyxy_from_xywh(bbox)), float(score)
