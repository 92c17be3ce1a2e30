"""Annotation files as `LabelledPeople`: COCO's format with any keypoints, and MPII's in three forms."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.person import LabelledPeople, PictureFile
from hevitpose.core.skeleton import skeleton_from_coco
from hevitpose.metrics.pck import head_size

MPII_PERSON_SIZE = 200
"""MPII's `scale` is a person's height in units of this many pixels."""
MPII_CENTER_SHIFT = 15
"""HRNet moves MPII's centre down by this times `scale`, so that the box holds the feet."""
FARTHEST_PIXEL = 1e6
"""No picture reaches here: a coordinate beyond is an error of the file."""


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises InputError where it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"not valid JSON ({error})") from error


def read_numbers(record: Mapping[str, Any], key: str, count: int) -> Floats:
    """The coordinates (count,) at `key`. Raises KeyError where there are none, ValueError where they are wrong."""
    value = record[key]
    try:
        numbers = np.array(value, dtype=np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        numbers = np.zeros(0)
    if len(numbers) != count or not (abs(numbers) < FARTHEST_PIXEL).all():
        raise ValueError(f"{key} must be {count} numbers below {FARTHEST_PIXEL:.0f}, found {short(value)}")
    return numbers


def read_bbox(record: Mapping[str, Any]) -> Floats:
    """COCO's `bbox` as box (4,) x1, y1, x2, y2. Raises KeyError or ValueError."""
    return with_area(geometry.xyxy_from_xywh(read_numbers(record, "bbox", 4)))


def with_area(box: Floats) -> Floats:
    """The box (4,) itself. Raises ValueError where it has no area."""
    if not (box[2:] > box[:2]).all():
        raise ValueError(f"its box has no area: {geometry.xywh_from_xyxy(box).tolist()} (x, y, width, height)")
    return box


def short(value: Any) -> str:
    """The value on one line, for an error."""
    return f"{value!r:.80}"


def mpii_boxes(centers: Floats, scales: Floats) -> Floats:
    """Square boxes (N, 4) of MPII's 0-based centres (N, 2) and scales (N,), as HRNet makes them, without padding."""
    shifted = centers + np.stack([np.zeros_like(scales), MPII_CENTER_SHIFT * scales], axis=-1)
    side = MPII_PERSON_SIZE * scales
    return geometry.box_from_center(shifted, np.stack([side, side], axis=-1))


def read_coco(path: Path, folder: Path, name: str) -> LabelledPeople:
    """People of a COCO keypoint file, whose pictures lie in `folder` (in its ZIP file where a picture has `archive`).

    Crowds and people without a labelled joint are left out. A box is MPII's where the annotation has `center` and
    `scale` (0-based), else `bbox`. `head_size` or `head_box` makes PCKh possible.
    Raises InputError where the file is not in this form, naming the annotation.
    """
    content = read_json(path)
    if not isinstance(content, Mapping) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    ):
        raise InputError(path, "not a COCO file: it needs the lists images, annotations and categories")
    category = _keypoint_category(content["categories"], path)
    skeleton = skeleton_from_coco(category, str(path))
    index_of: dict[Any, int] = {}
    files: list[PictureFile] = []
    for image in content["images"]:
        if not _is_image(image):
            raise InputError(path, f"image {short(image)} needs id and file_name (and archive may name a ZIP file)")
        if image["id"] in index_of:
            raise InputError(path, f"two images have the id {image['id']!r}")
        index_of[image["id"]] = len(files)
        files.append(PictureFile(image["file_name"], folder, image.get("archive")))
    rows = []
    for annotation in content["annotations"]:
        try:
            row = _person(annotation, category["id"], skeleton.num_keypoints, index_of)
        except KeyError as error:
            raise InputError(path, f"annotation {_id(annotation)}: {error} is missing") from error
        except ValueError as error:
            raise InputError(path, f"annotation {_id(annotation)}: {error}") from error
        if row:
            rows.append(row)
    if not rows:
        raise InputError(path, f"no person with a labelled keypoint of category {category.get('name')!r}")
    picture_of, ids, boxes, keypoints, head_sizes, areas = zip(*rows, strict=True)
    joints = np.array(keypoints)
    return LabelledPeople(
        name,
        skeleton,
        tuple(files),
        tuple(index_of),
        np.array(picture_of),
        np.array(ids, dtype=np.int64),
        np.array(boxes),
        joints[..., :2],
        joints[..., 2].astype(np.int8),
        np.array(head_sizes),
        np.array(areas),
    )


def _is_image(image: Any) -> bool:
    return (
        isinstance(image, Mapping)
        and isinstance(image.get("id"), int | str)
        and isinstance(image.get("file_name"), str)
        and isinstance(image.get("archive"), str | None)
    )


def _id(annotation: Any) -> str:
    return short(annotation.get("id") if isinstance(annotation, Mapping) else annotation)


def _keypoint_category(categories: Sequence[Any], path: Path) -> Mapping[str, Any]:
    found = [c for c in categories if isinstance(c, Mapping) and c.get("keypoints") and "id" in c]
    if len(found) != 1:
        names = ", ".join(short(c.get("name")) for c in found) or "none"
        raise InputError(path, f"needs exactly one category with keypoint names; found {names}")
    return found[0]


def _person(
    annotation: Any, category_id: Any, num_keypoints: int, index_of: Mapping[Any, int]
) -> tuple[int, int, Floats, Floats, float, float] | None:
    """Picture, id, box, joints (K, 3), head size and area; None for a crowd, another category or nothing labelled."""
    if not isinstance(annotation, Mapping):
        raise ValueError("an annotation is a table of names and values")
    if annotation["category_id"] != category_id or annotation.get("iscrowd") or not annotation.get("keypoints"):
        return None
    joints = read_numbers(annotation, "keypoints", 3 * num_keypoints).reshape(num_keypoints, 3)
    if not np.isin(joints[:, 2], (0, 1, 2)).all():
        raise ValueError("a visibility in keypoints is none of 0, 1 and 2")
    if not joints[:, 2].any():
        return None
    image_id, person_id = annotation["image_id"], annotation["id"]
    if not isinstance(image_id, int | str) or image_id not in index_of:
        raise ValueError(f"image_id {short(image_id)} is no image of this file")
    if not isinstance(person_id, int) or abs(person_id) > np.iinfo(np.int64).max:
        raise ValueError("its id is not a whole number of 64 bits")
    return (
        index_of[image_id],
        person_id,
        _box(annotation),
        joints,
        _head_size(annotation),
        _size(annotation, "area"),
    )


def _box(annotation: Mapping[str, Any]) -> Floats:
    if annotation.get("center") is None or annotation.get("scale") is None:
        return read_bbox(annotation)
    return with_area(mpii_boxes(read_numbers(annotation, "center", 2)[None], read_numbers(annotation, "scale", 1))[0])


def _head_size(annotation: Mapping[str, Any]) -> float:
    if annotation.get("head_size") is None and annotation.get("head_box") is not None:
        return float(head_size(read_numbers(annotation, "head_box", 4)))
    return _size(annotation, "head_size")


def _size(annotation: Mapping[str, Any], key: str) -> float:
    """The length or area at `key`, NaN where there is none."""
    value = annotation.get(key)
    if value is None:
        return np.nan
    try:
        size = float(value)
    except (TypeError, ValueError, OverflowError):
        size = np.nan
    if not 0 <= size < np.inf:
        raise ValueError(f"{key} must be a number that is not below 0, found {short(value)}")
    return size
