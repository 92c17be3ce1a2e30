"""Annotation files as `LabelledPeople`: COCO's format with any keypoints, and MPII's in three forms."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import NOTHING_IGNORED, Finding, Ignored, ImageFile, LabelledPeople, labelled_people
from hevitpose.core.skeleton import Skeleton
from hevitpose.data.rectangles import as_numbers, with_rectangles
from hevitpose.data.skeletons import SkeletonTable, skeleton_from_coco
from hevitpose.io.folders import find_file, is_file
from hevitpose.io.json_files import read_json
from hevitpose.metrics.pck import head_size

MPII_PERSON_SIZE = 200
"""MPII's `scale` is a person's height in units of this many pixels."""
MPII_CENTER_SHIFT = 15
"""HRNet moves MPII's centre down by this times `scale`, so that the box holds the feet."""
FARTHEST_PIXEL = 1e6
"""No image reaches here: a coordinate beyond is an error of the file."""
BOX_OF_JOINTS = 1.35
"""Where a tool gives no box it is the extent of the labelled joints grown by this."""
SMALLEST_BOX = 0.5
"""Its sides are at least this share of the set's median longer side: one joint alone has no extent."""
_UPLOAD_HASH = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


def read_numbers(record: Mapping[str, Any], key: str, count: int) -> Floats:
    """The coordinates (count,) at `key`. Raises KeyError where there are none, ValueError where they are wrong."""
    return _checked(as_numbers(record[key]), record, key, count)


def _checked(numbers: Floats, record: Mapping[str, Any], key: str, count: int) -> Floats:
    if len(numbers) != count or not (abs(numbers) < FARTHEST_PIXEL).all():
        raise ValueError(f"{key} must be {count} numbers below {FARTHEST_PIXEL:.0f}, found {short(record[key])}")
    return numbers


def read_keypoints(record: Mapping[str, Any], num_keypoints: int) -> Floats:
    """COCO's `keypoints` (K, 3): x, y, visibility 0, 1 or 2. Raises KeyError or ValueError.

    Where the visibility is 0, x and y are 0 whatever the file says. Pairs of x and y without visibility count as
    visible, (0, 0) as not labelled; they are refused where they could as well be fewer keypoints with visibility.
    """
    numbers = as_numbers(record["keypoints"])
    if len(numbers) == 2 * num_keypoints and not _could_be_triples(numbers):
        places = numbers.reshape(num_keypoints, 2)
        numbers = np.column_stack([places, 2 * places.any(axis=1)]).ravel()
    if len(numbers) == 3 * num_keypoints:
        joints = numbers.reshape(num_keypoints, 3)
        numbers = np.where(joints[:, 2:] == 0, 0.0, joints).ravel()
    joints = _checked(numbers, record, "keypoints", 3 * num_keypoints).reshape(num_keypoints, 3)
    wrong = joints[~np.isin(joints[:, 2], (0, 1, 2)), 2]
    if len(wrong):
        raise ValueError(f"a visibility in keypoints is {wrong[0]:g}, not 0, 1 or 2 (is it a score?)")
    return joints


def _could_be_triples(numbers: Floats) -> bool:
    return len(numbers) % 3 == 0 and bool(np.isin(numbers[2::3], (0, 1, 2)).all())


def boxes_around_joints(joints: Floats) -> Floats:
    """Boxes (N, 4) round the labelled joints of (N, K, 3), for tools that give none; NaN where nothing is labelled."""
    places = np.where(joints[..., 2:] > 0, joints[..., :2], np.nan)
    boxes = np.full((len(joints), 4), np.nan)
    some = (joints[..., 2] > 0).any(axis=1)
    low, high = np.nanmin(places[some], axis=1), np.nanmax(places[some], axis=1)
    sizes = BOX_OF_JOINTS * (high - low)
    longer = sizes.max(axis=1, initial=0)
    smallest = max(1.0, SMALLEST_BOX * float(np.median(longer[longer > 0]))) if (longer > 0).any() else 64.0
    boxes[some] = geometry.box_from_center(geometry.corner_frame((low + high) / 2), np.maximum(sizes, smallest))
    return boxes


def people_from_points(
    name: str,
    source: Path,
    files: Sequence[ImageFile],
    people: Sequence[tuple[int, Mapping[str, Floats | Sequence[float]], Floats | None]],
    table: SkeletonTable | None,
    findings: Sequence[Finding],
    keypoints: Sequence[str] = (),
    limbs: Sequence[Sequence[int]] = (),
) -> LabelledPeople:
    """People with the image, the places (2,) of named keypoints and, where there is one, the box of each.

    Keypoints are in the order of their first appearance unless they are named. Missing boxes are those round the
    joints. Raises InputError about `source`.
    """
    names = list(keypoints) or list(dict.fromkeys(keypoint for _, points, _ in people for keypoint in points))
    joints = np.zeros((len(people), len(names), 3))
    for n, (_, points, _) in enumerate(people):
        for keypoint, place in points.items():
            joints[n, names.index(keypoint)] = (*place, 2)
    boxes = boxes_around_joints(joints)
    for n, (_, _, box) in enumerate(people):
        boxes[n] = boxes[n] if box is None else box
    category = {"name": "animal", "keypoints": names, "skeleton": limbs}
    skeleton = skeleton_from_coco(category, str(source), table)
    return labelled_people(name, skeleton, files, [k for k, _, _ in people], joints, boxes, findings=findings)


@contextmanager
def errors_about(source: Path, record: str) -> Iterator[None]:
    """A KeyError or ValueError about a record of a file, as InputError that names both."""
    try:
        yield
    except KeyError as error:
        raise InputError(source, f"{record}: {error} is missing") from error
    except ValueError as error:
        raise InputError(source, f"{record}: {error}") from error


def with_area(box: Floats) -> Floats:
    """The box (4,) itself. Raises ValueError where it has no area."""
    if not (box[2:] > box[:2]).all():
        raise ValueError(f"its box has no area: {geometry.xywh_from_xyxy(box).tolist()} (x, y, width, height)")
    return box


def short(value: Any) -> str:
    """The value on one line, for an error."""
    return f"{value!r:.80}"


def whole(number: Any) -> Any:
    """The integer that a float stands for, as tables write ids; anything else as it is.

    >>> whole(7.0), whole("7"), whole(7.5)
    (7, '7', 7.5)
    """
    return int(number) if isinstance(number, float) and number.is_integer() else number


def some(names: Iterable[str], most: int = 3) -> str:
    """The first few of these, for a sentence.

    >>> some(["a", "b", "c", "d"])
    'a, b, c ...'
    """
    every = list(names)
    return ", ".join(every[:most]) + (" ..." if len(every) > most else "")


def mpii_boxes(centers: Floats, scales: Floats) -> Floats:
    """Square boxes (N, 4) of MPII's 0-based centres (N, 2) and scales (N,), as HRNet makes them, without padding."""
    shifted = centers + np.stack([np.zeros_like(scales), MPII_CENTER_SHIFT * scales], axis=-1)
    side = MPII_PERSON_SIZE * scales
    return geometry.box_from_center(geometry.corner_frame(shifted), np.stack([side, side], axis=-1))


def read_coco(
    path: Path,
    folder: Path,
    name: str,
    table: SkeletonTable | None = None,
    repair: bool = False,
    category: str | None = None,
) -> LabelledPeople:
    """People of a COCO keypoint file with images in `folder` (in its ZIP file where an image has `archive`).

    Crowds and people without a labelled joint become `ignored`. A box is MPII's where the annotation has `center` and
    `scale` (0-based), else `bbox`. `head_size` or `head_box` makes PCKh possible. `table` wins over the file's
    category. With `repair` a missing or empty box becomes one round the joints. Only people of the `category` of this
    name are read, where it is given.
    Raises InputError where the file is not in this form, naming the annotation.
    """
    content = read_coco_json(path)
    skeleton, category_ids = keypoint_category(content, path, table, category)
    index_of: dict[str, int] = {}
    ids: list[Any] = []
    files: list[ImageFile] = []
    for image in content["images"]:
        if not is_image(image):
            raise InputError(path, f"image {short(image)} needs id and file_name (and archive may name a ZIP file)")
        own_id = whole(image["id"])
        if str(own_id) in index_of:
            raise InputError(path, f"two images have the id {own_id!r}")
        index_of[str(own_id)] = len(files)
        ids.append(own_id)
        files.append(image_file(image, folder))
    _refuse_one_for_two(content["images"], files, path)
    rows, regions = [], []
    for annotation in content["annotations"]:
        own_id = annotation.get("id") if isinstance(annotation, Mapping) else annotation
        with errors_about(path, f"annotation {short(own_id)}"):
            row = read_person(annotation, category_ids, skeleton.num_keypoints, index_of, repair)
        if row:
            rows.append(row)
        elif region := _region(annotation, category_ids, index_of):
            regions.append(region)
    if not rows:
        raise InputError(path, f"no person with a labelled keypoint of category {skeleton.name!r}")
    image_index, person_ids, boxes, keypoints, head_sizes, areas = zip(*rows, strict=True)
    joints, boxes_array = np.array(keypoints), np.array(boxes)
    if repair:
        boxes_array = np.where(np.isnan(boxes_array), boxes_around_joints(joints), boxes_array)
    categories = (c for c in content["categories"] if isinstance(c, Mapping))
    return labelled_people(
        name,
        skeleton,
        files,
        image_index,
        joints,
        boxes_array,
        image_ids=ids,
        ids=person_ids,
        head_sizes=head_sizes,
        areas=areas,
        ignored=_ignored(regions),
        category_ids=[whole(c["id"]) for c in categories if str(whole(c.get("id"))) in category_ids],
    )


def read_coco_json(path: Path) -> Mapping[str, Any]:
    """The content of a COCO file, with its three lists, `with_rectangles` as boxes. Raises InputError."""
    content = read_json(path)
    if not isinstance(content, Mapping) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    ):
        raise InputError(path, "not a COCO file: it needs the lists images, annotations and categories")
    return with_rectangles(content)


def image_file(image: Mapping[str, Any], folder: Path) -> ImageFile:
    """Where the image of an entry that `is_image` lies: under its name in `folder` or in its `images`, or failing
    that under what is left of the name without folders, address and the hash of a Label Studio upload.

    It is the name itself in `folder` where there is nothing under any of these.
    """
    name, archive = image["file_name"], image.get("archive")
    if archive is None and not is_file(folder / name):
        last = PurePosixPath(unquote(name.rpartition("?d=")[2].partition("?")[0]).replace("\\", "/")).name
        for candidate in dict.fromkeys((name, last, _UPLOAD_HASH.sub("", last))):
            for place in (f"images/{candidate}", candidate):
                if found := find_file(folder, place):
                    return ImageFile(found, folder)
    return ImageFile(name, folder, archive)


def _refuse_one_for_two(images: Sequence[Mapping[str, Any]], files: Sequence[ImageFile], path: Path) -> None:
    """Raise InputError where two names were shortened to the same file."""
    name_of: dict[ImageFile, str] = {}
    for image, file in zip(images, files, strict=True):
        other = name_of.setdefault(file, image["file_name"])
        if other != image["file_name"]:
            raise InputError(path, f"{other} and {image['file_name']} would both be {file}: name their folder")


def is_image(image: Any) -> bool:
    """Whether this entry of `images` names an image and an id that annotations can refer to."""
    return (
        isinstance(image, Mapping)
        and isinstance(whole(image.get("id")), int | str)
        and isinstance(image.get("file_name"), str)
        and isinstance(image.get("archive"), str | None)
    )


def keypoint_category(
    content: Mapping[str, Any], path: Path, table: SkeletonTable | None = None, wanted: str | None = None
) -> tuple[Skeleton, set[str]]:
    """The keypoints of a COCO file, and the ids (as text) of the categories that have them.

    Categories without keypoints are left out, and of several those that no annotation with keypoints has, or all but
    the `wanted` one; what remains must have the same keypoints. Raises InputError.
    """
    named = bool(table and table.keypoints)
    found = [c for c in content["categories"] if isinstance(c, Mapping) and "id" in c and (named or c.get("keypoints"))]
    if wanted is not None:
        known = some((str(c.get("name")) for c in found), 20) or "none"
        found = [c for c in found if c.get("name") == wanted]
        if not found:
            raise InputError(path, f"has no category {wanted!r} with keypoints (there are: {known})")
    if len(found) > 1:
        with_joints = [a for a in content["annotations"] if isinstance(a, Mapping) and a.get("keypoints")]
        used = {str(whole(annotation.get("category_id"))) for annotation in with_joints}
        found = [c for c in found if str(whole(c["id"])) in used] or found
    names = ", ".join(short(c.get("name")) for c in found) or "none"
    if any(c.get("keypoints") != found[0].get("keypoints") for c in found[1:]):
        raise InputError(
            path,
            f"needs categories with the same keypoint names; found different ones in {names}: "
            "choose one with category = NAME in a TOML file",
        )
    if not found:
        help_ = "keypoints = [...] of [skeleton] in a TOML file can name them"
        raise InputError(path, f"needs a category with keypoint names; found {names} ({help_})")
    return skeleton_from_coco(found[0], str(path), table), {str(whole(c["id"])) for c in found}


def read_person(
    annotation: Any, category_ids: set[str], num_keypoints: int, index_of: Mapping[str, int], repair: bool
) -> tuple[int, int, Floats, Floats, float, float] | None:
    """Image, id, box, joints (K, 3), head size and area; None for a crowd, another category or nothing labelled.

    `index_of` has the images by image id. Raises KeyError or ValueError.
    """
    if not isinstance(annotation, Mapping):
        raise ValueError("an annotation is a table of names and values")
    category_id = str(whole(annotation["category_id"]))
    if category_id not in category_ids or is_crowd(annotation) or not annotation.get("keypoints"):
        return None
    joints = read_keypoints(annotation, num_keypoints)
    if not joints[:, 2].any():
        return None
    image_id, person_id = whole(annotation["image_id"]), whole(annotation["id"])
    if not isinstance(image_id, int | str) or str(image_id) not in index_of:
        raise ValueError(f"image_id {short(image_id)} is not an image of this file")
    if isinstance(person_id, str) and re.fullmatch(r"\d{1,18}", person_id, re.ASCII):
        person_id = int(person_id)
    if not isinstance(person_id, int) or abs(person_id) > np.iinfo(np.int64).max:
        raise ValueError("its id is not a whole number of 64 bits")
    return (
        index_of[str(image_id)],
        person_id,
        _box(annotation, repair),
        joints,
        _head_size(annotation),
        _size(annotation, "area"),
    )


def _region(
    annotation: Mapping[str, Any], category_ids: set[str], index_of: Mapping[str, int]
) -> tuple[int, Floats, float, bool] | None:
    """Image, box, area and crowd of an annotation without labelled joints; None where it cannot be placed."""
    image = index_of.get(str(whole(annotation.get("image_id"))))
    if str(whole(annotation.get("category_id"))) not in category_ids or image is None:
        return None
    try:
        return image, read_box(annotation), _size(annotation, "area"), is_crowd(annotation)
    except (KeyError, ValueError):
        return None


def _ignored(regions: Sequence[tuple[int, Floats, float, bool]]) -> Ignored:
    if not regions:
        return NOTHING_IGNORED
    image_index, boxes, areas, crowds = zip(*regions, strict=True)
    return Ignored(np.array(image_index), np.array(boxes), np.nan_to_num(areas), np.array(crowds))


def is_crowd(annotation: Mapping[str, Any]) -> bool:
    """Whether `iscrowd` is set."""
    return annotation.get("iscrowd") not in (None, 0, "0")


def _box(annotation: Mapping[str, Any], repair: bool) -> Floats:
    try:
        return read_box(annotation)
    except (KeyError, ValueError):
        if repair:
            return np.full(4, np.nan)
        raise


def read_box(annotation: Mapping[str, Any]) -> Floats:
    """An annotation's box (4,) x1, y1, x2, y2: MPII's where there are `center` and `scale`, else `bbox`.

    Raises KeyError or ValueError.
    """
    if annotation.get("center") is None or annotation.get("scale") is None:
        return with_area(geometry.xyxy_from_xywh(read_numbers(annotation, "bbox", 4)))
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
