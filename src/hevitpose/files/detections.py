"""Person boxes from a file in COCO's detection format."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.person import Detections
from hevitpose.files.annotations import read_bbox, read_json, short

PERSON = 1
"""COCO's category of people; entries of another one are left out."""
Key = str | int


@dataclass(frozen=True)
class DetectionFile:
    """The detections of many pictures, by `file_name` or by `image_id`."""

    of: Mapping[Key, Detections]

    def find(self, path: Path) -> Detections:
        """Those of one picture: by its name or the end of its path, else by the number that its name ends with.

        No detection where the file has none for it.
        """
        for key in keys_of(path):
            if key in self.of:
                return self.of[key]
        return Detections(np.zeros((0, 4)), np.zeros(0))


def keys_of(path: Path) -> list[Key]:
    """What a detection file may call this picture, the most exact first."""
    posix = PurePosixPath(path.as_posix())
    keys: list[Key] = [str(PurePosixPath(*posix.parts[i:])) for i in range(len(posix.parts))]
    keys.append(path.stem)
    number = re.search(r"(\d+)$", path.stem)
    return [*keys, int(number[1])] if number else keys


def read_detections(path: Path) -> DetectionFile:
    """A list of entries with `file_name` or `image_id`, `bbox` (x, y, width, height of the person) and `score`.

    `score` is 1 where it is missing. Raises InputError, naming the entry, where a box is no box.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(
            path, "not a COCO detection file: it needs a list of entries with bbox and file_name or image_id"
        )
    boxes: dict[Key, list[tuple[Floats, float]]] = defaultdict(list)
    for position, entry in enumerate(content):
        try:
            found = _detection(entry)
        except KeyError as error:
            raise InputError(path, f"entry {position}: {error} is missing") from error
        except ValueError as error:
            raise InputError(path, f"entry {position}: {error}") from error
        if found:
            key, box, score = found
            boxes[key].append((box, score))
    return DetectionFile(
        {
            key: Detections(np.array([b for b, _ in found]), np.array([s for _, s in found]))
            for key, found in boxes.items()
        }
    )


def _detection(entry: Any) -> tuple[Key, Floats, float] | None:
    """Picture, box and score of an entry; None where it is of another category."""
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
    return key, read_bbox(entry), float(score)
