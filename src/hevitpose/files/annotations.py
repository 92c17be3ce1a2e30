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


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises InputError where it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})") from error
    except json.JSONDecodeError as error:
        raise InputError(path, f"not valid JSON ({error})") from error


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
        if not isinstance(image, Mapping) or "id" not in image or "file_name" not in image:
            raise InputError(path, f"image {image!r:.80} needs id and file_name")
        index_of[image["id"]] = len(files)
        files.append(PictureFile(str(image["file_name"]), folder, image.get("archive")))
    rows = []
    for annotation in content["annotations"]:
        try:
            row = _person(annotation, category["id"], skeleton.num_keypoints, index_of)
        except (KeyError, TypeError, ValueError) as error:
            what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(path, f"annotation {_id(annotation)}: {what}") from error
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
        np.array(ids),
        np.array(boxes),
        joints[..., :2],
        joints[..., 2].astype(np.int8),
        np.array(head_sizes),
        np.array(areas),
    )


def _id(annotation: Any) -> Any:
    return annotation.get("id") if isinstance(annotation, Mapping) else repr(annotation)[:80]


def _keypoint_category(categories: Sequence[Any], path: Path) -> Mapping[str, Any]:
    found = [c for c in categories if isinstance(c, Mapping) and c.get("keypoints") and "id" in c]
    if len(found) != 1:
        names = ", ".join(str(c.get("name")) for c in found) or "none"
        raise InputError(path, f"needs exactly one category with keypoint names; found {names}")
    return found[0]


def _person(
    annotation: Mapping[str, Any], category_id: Any, num_keypoints: int, index_of: Mapping[Any, int]
) -> tuple[int, int, Floats, Floats, float, float] | None:
    """Picture, id, box, joints (K, 3), head size and area; None for a crowd, another category or nothing labelled."""
    if annotation["category_id"] != category_id or annotation.get("iscrowd") or not annotation.get("keypoints"):
        return None
    joints = np.array(annotation["keypoints"], dtype=np.float64)
    if joints.size != 3 * num_keypoints:
        raise ValueError(f"{joints.size} keypoint values, {3 * num_keypoints} expected")
    joints = joints.reshape(num_keypoints, 3)
    if not np.isfinite(joints).all():
        raise ValueError("a keypoint is not a finite number")
    if not (joints[:, 2] > 0).any():
        return None
    if annotation["image_id"] not in index_of:
        raise ValueError(f"image_id {annotation['image_id']!r} is no image of this file")
    if "center" in annotation and "scale" in annotation:
        box = mpii_boxes(np.array([annotation["center"]], dtype=np.float64), np.array([float(annotation["scale"])]))[0]
    else:
        box = geometry.xyxy_from_xywh(annotation["bbox"])
    if box.shape != (4,) or not (box[2:] > box[:2]).all():
        raise ValueError(f"bbox {annotation.get('bbox')} has no area")
    size = annotation.get("head_size")
    if size is None and "head_box" in annotation:
        size = head_size(annotation["head_box"])
    return (
        index_of[annotation["image_id"]],
        int(annotation["id"]),
        box,
        joints,
        float(size) if size is not None else np.nan,
        float(annotation.get("area", np.nan)),
    )
