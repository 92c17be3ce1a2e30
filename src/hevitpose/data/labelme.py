"""LabelMe's labels: a JSON file beside each image, a point for each keypoint, a `group_id` for each person."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats, xyxy_from_xywh
from hevitpose.core.labels import Finding, ImageFile, LabelledPeople
from hevitpose.data.coco import people_from_points, read_numbers, some
from hevitpose.data.skeletons import SkeletonTable
from hevitpose.io.folders import files_below, find_file
from hevitpose.io.images import SUFFIXES
from hevitpose.io.json_files import first_character, read_json, text_or_nothing

Points = dict[str, Floats]
"""The places (2,) of a person's keypoints by name."""


def is_labelme(path: Path) -> bool:
    """Whether this is a JSON file of LabelMe, by its words: other tools' files are too large to be parsed for this."""
    text = text_or_nothing(path) if first_character(path) == "{" else ""
    return '"shapes"' in text and '"imagePath"' in text


def read_labelme(folder: Path, name: str, table: SkeletonTable | None = None) -> LabelledPeople:
    """The people of all of LabelMe's files in `folder`.

    Points of the same `group_id` are a person, those without one too. Boxes are the rectangles of the group, else those
    round the joints. Keypoints are named by the points, in the order of their first appearance. Raises InputError.
    """
    files: list[ImageFile] = []
    people: list[tuple[int, Points, Floats | None]] = []
    others: dict[str, int] = defaultdict(int)
    for file in filter(is_labelme, files_below(folder, {".json"})):
        content = read_json(file)
        if not isinstance(content.get("shapes"), list) or "imagePath" not in content:
            continue
        files.append(_image(content, file))
        people += [(len(files) - 1, *person) for person in _people(content["shapes"], file, others)]
    if not people:
        raise InputError(folder, f"no point in the {len(files)} files of LabelMe")
    left_out = some(f"{count} of {shape}" for shape, count in others.items())
    findings = [Finding("other shapes", "", f"shapes that are neither points nor boxes: {left_out}")] if others else []
    used = {file.folder / file.name for file in files}
    every = files_below(folder, SUFFIXES)
    if without := [image for image in every if image not in used]:
        problem = f"{len(without)} of {len(every)} images have no labels ({some(image.name for image in without)})"
        findings.append(Finding("unlabelled images", "", problem))
    return people_from_points(name, folder, files, people, table, findings)


def _image(content: Mapping[str, Any], file: Path) -> ImageFile:
    name = str(content["imagePath"])
    own = name.replace("\\", "/").rpartition("/")[2]
    found = find_file(file.parent, name) or find_file(file.parent, own)
    return ImageFile(found or own, file.parent)


def _people(shapes: list[Any], file: Path, others: dict[str, int]) -> list[tuple[Points, Floats | None]]:
    """The points of each person, and the box where there is one; `others` counts other shapes."""
    points: dict[Any, Points] = defaultdict(dict)
    boxes: dict[Any, Floats] = {}
    for position, shape in enumerate(shapes):
        try:
            kind, label, group = shape["shape_type"], str(shape["label"]), str(shape.get("group_id"))
            if kind == "point":
                if label in points[group]:
                    raise ValueError(f"a second {label!r} in the same group_id: give each person one of its own")
                points[group][label] = read_numbers(shape, "points", 2)
            elif kind == "rectangle":
                x1, y1, x2, y2 = read_numbers(shape, "points", 4)
                corner = (min(x1, x2), min(y1, y2))
                boxes[group] = xyxy_from_xywh([*corner, abs(x2 - x1), abs(y2 - y1)])
            else:
                others[str(kind)] += 1
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(file, f"shape {position}: needs shape_type, label and points") from error
        except ValueError as error:
            raise InputError(file, f"shape {position}: {error}") from error
    return [(of_group, boxes.get(group)) for group, of_group in points.items()]
