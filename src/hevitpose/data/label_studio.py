"""Label Studio's labels in its JSON export."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import Finding, ImageFile, LabelledPeople
from hevitpose.data.coco import image_file, people_from_points, read_numbers, short, some
from hevitpose.data.rectangles import area_of, holds
from hevitpose.data.skeletons import SkeletonTable
from hevitpose.io.json_files import first_character, read_json, text_or_nothing


@dataclass
class _Group:
    """An animal: the places of its keypoints by name, and its rectangle where there is one."""

    box: Floats | None = None
    places: dict[str, tuple[float, float]] = field(default_factory=dict)


def is_label_studio(path: Path) -> bool:
    """Whether this is a JSON export of Label Studio, by its words: other lists are too large to be parsed for this.

    "JSON-MIN" is one, too, which is refused when it is read.
    """
    text = text_or_nothing(path) if first_character(path) == "[" else ""
    return '"annotation_id"' in text or ('"annotations"' in text and '"data"' in text)


def read_label_studio(path: Path, folder: Path, name: str, table: SkeletonTable | None = None) -> LabelledPeople:
    """The animals of a JSON export, with images in `folder` or in its `images`.

    Keypoints belong to the rectangle that they were drawn under, else to the smallest one around them; without
    rectangles, those of an image are one animal. Of several annotations of an image the first counts. Raises
    InputError.
    """
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(t, Mapping) and "annotations" in t for t in content):
        raise InputError(path, 'not a JSON export of Label Studio with all tasks: choose "JSON", not "JSON-MIN"')
    files, groups, findings = list[ImageFile](), list[tuple[int, _Group]](), list[Finding]()
    others: dict[str, int] = defaultdict(int)
    for task in content:
        try:
            done = [a for a in task["annotations"] if not a.get("was_cancelled")]
            image = {"file_name": _image_name(task["data"])}
            results = done[0]["result"] if done else []
            found = _groups(results, others)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(path, f"task {short(task.get('id'))}: {missing}") from error
        files.append(image_file(image, folder))
        groups += [(len(files) - 1, group) for group in found]
        if len(done) > 1:
            findings.append(Finding("other scorer", files[-1].name, f"{len(done) - 1} more annotations are left out"))
    if not groups:
        raise InputError(path, f"no keypoint in {len(files)} tasks")
    if others:
        left_out = some(f"{count} of {kind}" for kind, count in others.items())
        findings.append(Finding("other shapes", "", f"regions that are neither keypoints nor rectangles: {left_out}"))
    people = [(image, group.places, group.box) for image, group in groups]
    return people_from_points(name, path, files, people, table, findings)


def _image_name(data: Mapping[str, Any]) -> str:
    """The task's image: the value of `image` or `img`, else of the only text."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    named = texts.get("image") or texts.get("img") or (next(iter(texts.values())) if len(texts) == 1 else None)
    if named is None:
        raise ValueError(f"its data name no image: {short(dict(data))}")
    return named


def _groups(results: Sequence[Mapping[str, Any]], others: dict[str, int]) -> list[_Group]:
    """The animals of an annotation. Raises KeyError or ValueError."""
    rectangles: dict[str, _Group] = {}
    points: list[tuple[Any, str, tuple[float, float]]] = []
    for result in results:
        kind, value = str(result["type"]), result["value"]
        if kind not in ("rectanglelabels", "rectangle", "keypointlabels"):
            others[kind] += "x" in value or "points" in value
            continue
        size = np.array([*read_numbers(result, "original_width", 1), *read_numbers(result, "original_height", 1)])
        if result.get("image_rotation"):
            raise ValueError("its image was rotated in Label Studio: save the image rotated instead")
        place = np.array([*read_numbers(value, "x", 1), *read_numbers(value, "y", 1)]) * size / 100
        if kind == "keypointlabels":
            x, y = place.tolist()
            points.append((result.get("parentID"), str(value["keypointlabels"][0]), (x, y)))
        else:
            sides = np.array([*read_numbers(value, "width", 1), *read_numbers(value, "height", 1)]) * size / 100
            if value.get("rotation"):
                raise ValueError("a rectangle is rotated: boxes are upright")
            if (sides > 0).all():
                rectangles[str(result["id"])] = _Group(np.concatenate([place, place + sides]))
    alone = _Group()
    for parent, label, (x, y) in points:
        around = [g for g in rectangles.values() if g.box is not None and holds(g.box, np.array([[x, y]]))]
        group = rectangles.get(str(parent)) or min(around, key=lambda g: area_of(g.box), default=alone)
        if label in group.places:
            raise ValueError(f"a second {label!r} of the same animal: draw a rectangle around each animal")
        group.places[label] = (x, y)
    return [group for group in (*rectangles.values(), alone) if group.places]
