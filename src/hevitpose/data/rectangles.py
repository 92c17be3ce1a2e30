"""Rectangles that are annotations of their own, as in Label Studio's COCO export, as boxes of the keypoints inside."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats

DEFAULT_CATEGORY = "default"
"""What Label Studio's COCO export calls the category of keypoints."""
EDGE = 1.0
"""Pixels by which a keypoint may lie outside of its rectangle, or a box differ from the extent of its keypoints."""


def with_rectangles(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """A COCO file in which the rectangles of Label Studio are the boxes of the keypoints inside them.

    They are annotations of their own, in a category without keypoints: of the same name as the one with keypoints, or
    any where that has the name "default". The boxes of the keypoints are their extents, so that nothing is lost. Each
    rectangle serves one annotation, the smallest around it; what is left over stays as it is.
    """
    categories = [c for c in content["categories"] if isinstance(c, Mapping) and "id" in c]
    named = {str(c.get("name")) for c in categories if c.get("keypoints")}
    plain = [c for c in categories if not c.get("keypoints") and ({str(c.get("name")), DEFAULT_CATEGORY} & named)]
    ids = {str(c["id"]) for c in plain}
    rectangles: dict[str, list[tuple[int, Floats]]] = defaultdict(list)
    for position, one in enumerate(content["annotations"] if ids else ()):
        if isinstance(one, Mapping) and str(one.get("category_id")) in ids and not one.get("keypoints"):
            box = as_numbers(one.get("bbox"))
            if len(box) == 4 and np.isfinite(box).all() and (box[2:] > 0).all():
                rectangles[str(one.get("image_id"))].append((position, geometry.xyxy_from_xywh(box)))
    if not rectangles:
        return content
    annotations, used = list(content["annotations"]), set[int]()
    for n, one in enumerate(annotations):
        places = _tight_places(one)
        if places is None:
            continue
        free = [(p, box) for p, box in rectangles[str(one.get("image_id"))] if p not in used]
        around = [(p, box) for p, box in free if holds(box, places)]
        if around:
            position, _ = min(around, key=lambda each: area_of(each[1]))
            used.add(position)
            rectangle = content["annotations"][position]
            annotations[n] = {"area": rectangle.get("area"), **one, "bbox": rectangle["bbox"]}
    return {**content, "annotations": [one for n, one in enumerate(annotations) if n not in used]}


def _tight_places(annotation: Any) -> Floats | None:
    """The labelled places (M, 2) of an annotation whose box is missing or their extent; else None."""
    if not isinstance(annotation, Mapping) or not annotation.get("keypoints"):
        return None
    numbers = as_numbers(annotation["keypoints"])
    if len(numbers) % 3:
        return None
    joints = numbers.reshape(-1, 3)
    places = joints[joints[:, 2] > 0, :2]
    if not len(places) or not np.isfinite(places).all():
        return None
    box = as_numbers(annotation["bbox"]) if annotation.get("bbox") is not None else None
    extent = np.concatenate([places.min(axis=0), np.ptp(places, axis=0)])
    return places if box is None or (len(box) == 4 and (abs(box - extent) <= EDGE).all()) else None


def as_numbers(value: Any) -> Floats:
    """The numbers (n,) in a value, however nested, null as NaN; none where it is something else."""
    try:
        return np.array(value, dtype=np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)


def holds(box: Floats, places: Floats) -> bool:
    """Whether the box (4,) holds all places (M, 2), but for `EDGE`."""
    return bool(((places >= box[:2] - EDGE) & (places <= box[2:] + EDGE)).all())


def area_of(box: Floats | None) -> float:
    """The area of a box (4,); infinite where there is none."""
    return float("inf") if box is None else float((box[2:] - box[:2]).prod())
