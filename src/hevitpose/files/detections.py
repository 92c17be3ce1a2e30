"""Person boxes from a file in COCO's detection format."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import xyxy_from_xywh
from hevitpose.core.person import Detections
from hevitpose.files.annotations import read_json

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
    keys: list[Key] = ["/".join(posix.parts[i:]) for i in range(len(posix.parts))]
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
    boxes: dict[Key, list[tuple[np.ndarray, float]]] = defaultdict(list)
    for position, entry in enumerate(content):
        try:
            if entry.get("category_id", PERSON) != PERSON:
                continue
            key = entry.get("file_name", entry.get("image_id"))
            box, score = xyxy_from_xywh(entry["bbox"]), float(entry.get("score", 1.0))
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(path, f"entry {position}: {type(error).__name__} {error}") from error
        if not isinstance(key, str | int):
            raise InputError(path, f"entry {position} has neither file_name nor image_id")
        if box.shape != (4,) or not np.isfinite(box).all() or not (box[2:] > box[:2]).all():
            raise InputError(path, f"entry {position}: bbox {entry['bbox']} is not x, y, width, height with an area")
        if not 0 <= score <= 1:
            raise InputError(path, f"entry {position}: score {score} is not between 0 and 1")
        boxes[key].append((box, score))
    return DetectionFile(
        {
            key: Detections(np.array([b for b, _ in found]), np.array([s for _, s in found]))
            for key, found in boxes.items()
        }
    )
