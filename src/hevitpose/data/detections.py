"""Person boxes from a file of COCO results or COCO labels."""

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
from hevitpose.data.coco import errors_about, is_crowd, read_numbers, short, some, whole, with_area
from hevitpose.io.folders import normalize_path
from hevitpose.io.json_files import read_json

PERSON = 1
"""COCO's category of people."""
Key = str | int
NO_PEOPLE = Detections.empty()


@dataclass(frozen=True)
class DetectionFile:
    """The detections of many images, by `file_name` or by `image_id`.

    `image_ids` are those of entries with a `file_name`; left out were `empty` boxes, without width or height, entries
    of an `other` category, and `crowds`.
    """

    of: Mapping[Key, Detections]
    image_ids: Mapping[Key, int] = field(default_factory=dict)
    empty: int = 0
    other: int = 0
    crowds: int = 0

    def notes(self, source: str | Path) -> list[str]:
        """What was left out of the file `source`."""
        counts = {
            "boxes without width or height": self.empty,
            "entries of other categories": self.other,
            "regions with a crowd": self.crowds,
        }
        return [f"{count} {what} in {source} were left out" for what, count in counts.items() if count]

    def find(self, path: Path, image_id: Key | None = None) -> Detections:
        """Those of one image: by its name or the end of its path, else by its `image_id`.

        That is the number that its name ends with, unless given. No detection where the file has none for it.
        """
        key = self.key_of(path, image_id)
        return NO_PEOPLE if key is None else self.of[key]

    def key_of(self, path: Path, image_id: Key | None = None) -> Key | None:
        """What the file calls this image; None where it does not mention it."""
        number = number_of(path) if image_id is None else image_id
        return next((key for key in (*names_of(path), number) if key in self.of), None)

    def match(self, paths: Sequence[Path]) -> list[Key | None]:
        """`key_of` each image; a name in another folder is taken too, where no other image or entry has it."""
        keys = [self.key_of(path) for path in paths]
        named: dict[str, list[str]] = defaultdict(list)
        for key in self.of:
            if isinstance(key, str):
                named[PurePosixPath(key).name].append(key)
        names = [normalize_path(path.name) for path in paths]
        images = Counter(names)
        return [
            named[name][0] if key is None and images[name] == len(named[name]) == 1 else key
            for name, key in zip(names, keys, strict=True)
        ]

    def image_id(self, key: Key | None) -> int | None:
        """The number by which the file calls the image of this key."""
        return key if isinstance(key, int) else self.image_ids.get(key) if key else None


def names_of(path: Path) -> list[Key]:
    """The ends of this path, then the same without suffix, as `normalize_path` spells them.

    >>> names_of(Path("C:\\\\pics\\\\a.jpg"))
    ['C:/pics/a.jpg', 'pics/a.jpg', 'a.jpg', 'C:/pics/a', 'pics/a', 'a']
    """
    parts = PurePosixPath(normalize_path(path.as_posix())).parts
    ends = [PurePosixPath(*parts[i:]) for i in range(len(parts))]
    return [*map(str, ends), *(str(end.with_suffix("")) for end in ends if end.name)]


def number_of(path: Path) -> int | None:
    """The number that an image's name ends with."""
    number = re.search(r"(\d+)$", path.stem)
    return int(number[1]) if number else None


def meets_image(boxes: Floats, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,): which of the boxes (N, 4) share some of the image's area."""
    image = image_box(size_hw)
    return np.asarray(((boxes[:, :2] < image[2:]) & (boxes[:, 2:] > image[:2])).all(axis=1))


def read_detections(path: Path, subject: str = "person") -> DetectionFile:
    """Boxes of people from COCO's results or from a COCO file of labels.

    Results are a list of entries with `file_name` or `image_id`, `bbox` (x, y, width, height) and `score`, 1 where it
    is missing. Boxes belong if their category is the only one, or else the one called as the `subject` (the category
    of the keypoints) or "person", or failing that the only one with keypoints (1 in results); the others are counted
    in `other`, boxes without width or height in `empty`, and regions with more than a person in `crowds`. Raises
    InputError, naming the entry, where a box cannot be one, or where no box is left.
    """
    content = read_json(path)
    entries, wanted = _entries(content, path, subject)
    boxes: dict[Key, list[tuple[Floats, float]]] = defaultdict(list)
    image_ids: dict[Key, int] = {}
    empty = other = crowds = 0
    for position, entry in enumerate(entries):
        with errors_about(path, f"entry {position}"):
            found = _detection(entry, wanted)
        if found is None:
            other += 1
            continue
        if is_crowd(entry):
            crowds += 1
            continue
        key, box, score = found
        if isinstance(image_id := whole(entry.get("image_id")), int):
            image_ids.setdefault(key, image_id)
        its = boxes[key]  # Mentioned, even where no box is left.
        if box is None:
            empty += 1
        else:
            its.append((box, score))
    if other and not boxes:
        categories = some(sorted({str(entry.get("category_id")) for entry in entries}))
        raise InputError(path, f"has no box of category {wanted}, only of {categories}")
    if empty and not any(boxes.values()):
        raise InputError(path, "has no box with width and height")
    of = {
        key: Detections(np.array([b for b, _ in found]).reshape(-1, 4), np.array([s for _, s in found]))
        for key, found in boxes.items()
    }
    return DetectionFile(of, image_ids, empty, other, crowds)


def _entries(content: Any, path: Path, subject: str) -> tuple[list[Any], str]:
    """The entries of a file, each with the name of its image where that is known, and the category of people."""
    if isinstance(content, Mapping) and isinstance(content.get("annotations"), list):
        names = {
            str(whole(image["id"])): image["file_name"]
            for image in _listed(content, "images")
            if isinstance(image, Mapping) and "id" in image and "file_name" in image
        }
        entries = [
            {"file_name": names.get(str(whole(entry.get("image_id")))), **entry}
            if isinstance(entry, Mapping)
            else entry
            for entry in content["annotations"]
        ]
        known = [one for one in _listed(content, "categories") if isinstance(one, Mapping) and "id" in one]
        named = [one for name in (subject, "person") for one in known if str(one.get("name")).lower() == name.lower()]
        with_keypoints = [one for one in known if one.get("keypoints")]
        called = [str(whole(one["id"])) for one in named or (with_keypoints if len(with_keypoints) == 1 else [])]
    elif isinstance(content, list):
        entries, called = content, []
    else:
        raise InputError(path, "not COCO detections: it needs a list of entries with bbox and file_name or image_id")
    categories = {str(whole(e.get("category_id", PERSON))) for e in entries if isinstance(e, Mapping)}
    if len(categories) > 1 and isinstance(content, Mapping) and known and not called:
        there = some((short(one.get("name")) for one in known), 10)
        raise InputError(path, f"has boxes of several categories ({there}), and none is called {subject}")
    return entries, categories.pop() if len(categories) == 1 else next(iter(called), str(PERSON))


def _listed(content: Mapping[str, Any], name: str) -> list[Any]:
    """The list of this name, empty where there is none."""
    return value if isinstance(value := content.get(name), list) else []


def _detection(entry: Any, wanted: str) -> tuple[Key, Floats | None, float] | None:
    """Image, box (None where it is empty) and score of an entry; None where it is of another category."""
    if not isinstance(entry, Mapping):
        raise ValueError("an entry must be a table of names and values")
    category, score = whole(entry.get("category_id", PERSON)), entry.get("score", 1.0)
    if not isinstance(category, int | str):
        raise ValueError(f"category_id {short(category)} is not a whole number")
    if str(category) != wanted:
        return None
    key = whole(entry.get("image_id")) if entry.get("file_name") is None else entry["file_name"]
    if not isinstance(key, str | int):
        raise ValueError("it needs file_name (a text) or image_id (a whole number or a text)")
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError(f"score must be a number between 0 and 1, found {short(score)}")
    if isinstance(key, str):
        key = str(PurePosixPath(normalize_path(key)))
    bbox = read_numbers(entry, "bbox", 4)
    empty = bool((bbox[2:] >= 0).all()) and not bbox[2:].all()
    return key, None if empty else with_area(xyxy_from_xywh(bbox)), float(score)
