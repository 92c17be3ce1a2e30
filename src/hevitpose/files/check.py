"""Faults of labelled data, each with its repair: found in a second, before a training spends hours on them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeGuard
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.person import PictureFile
from hevitpose.core.skeleton import NOT_FLIPPED, Skeleton, mirror_of, side_of
from hevitpose.files import pictures
from hevitpose.files.annotations import (
    is_crowd,
    is_image,
    keypoint_category,
    numbers_at,
    picture_file,
    read_box,
    read_coco_json,
    read_joints,
    read_person,
    short,
)
from hevitpose.files.conversion import as_coco
from hevitpose.files.crops import BOX_PADDING
from hevitpose.files.datasets import Split
from hevitpose.files.sides import exchanged_sides

LOOSE_SIGMA = 0.15
"""COCO's loosest, that of the hips, is 0.107."""
HALF_SCORE = 2 * np.sqrt(2 * np.log(2))
"""At this many sigmas, in units of the root of the area, OKS is 0.5."""
OUTSIDE = 1.0
"""Pixels: joints at the edge of a picture lie on either side of it."""
Level = Literal["error", "warning"]
RULES: Mapping[str, tuple[Level, str]] = {
    "file": ("error", "correct it, or name another file"),
    "image": ("error", "give it an id, and the name of its picture as file_name"),
    "duplicate image": ("error", "number the images, and the image_id of their annotations, anew"),
    "id as text": ("warning", "write it as a whole number: other tools take 7 and '7' for two ids"),
    "missing picture": ("error", "put it there, correct its file_name, or name the folder of the pictures"),
    "unreadable picture": ("error", "save it again as JPEG or PNG"),
    "turned picture": ("error", "label it again as it is seen, or remove its EXIF orientation"),
    "picture size": ("error", "put back the picture that was labelled, or export labels for this one"),
    "annotation": ("error", "export it again, or remove it"),
    "duplicate annotation": ("error", "hevitpose data convert FILE --output NEW.json numbers all anew"),
    "image_id": ("error", "correct it, or add the image"),
    "category_id": ("warning", "it is left out: correct category_id, or add the category"),
    "keypoints": ("error", "write x, y and 0, 1 or 2 for each keypoint of the category"),
    "not a number": ("error", "write 0, 0, 0 for a joint that is not labelled"),
    "box": ("error", "give it a bbox (x, y, width, height), or set repair = true in a TOML file to box the joints"),
    "box of joints": ("warning", "one round its joints is taken: give it a bbox for a better one"),
    "area": ("warning", "write the person's area in pixels, or half of the box's: OKS is measured by it"),
    "nothing labelled": ("warning", "it is left out: label it, or remove it"),
    "outside picture": ("warning", "correct it, or set its visibility to 0"),
    "outside box": ("warning", "correct the joint, or draw the box round all of the person"),
    "counts from 1": ("warning", "subtract 1 from all x and y, unless the joints truly lie there"),
    "mirror partner": ("error", "correct flip_pairs, or write the pairs as mirror of [skeleton] in a TOML file"),
    "no mirror partner": (
        "warning",
        "write its pair as mirror of [skeleton] in a TOML file, if there is one",
    ),
    "no pairs, no flips": (
        "warning",
        "write the pairs as mirror of [skeleton] in a TOML file, or mirror = [] if no keypoint changes sides",
    ),
    "loose sigma": ("warning", "write a smaller one: COCO's are 0.025 (eyes) to 0.107 (hips)"),
    "sides": ("warning", "look at it (hevitpose data show), and exchange the two if they are wrong"),
    "in two sets": ("warning", "keep it in one of them: what was trained on measures nothing"),
}
"""How bad each kind of fault is, and its repair. Errors are what training would refuse or learn wrongly from."""


@dataclass(frozen=True)
class Fault:
    """One fault: `record` is what it is about ("annotation 3"), empty for the whole file."""

    level: Level
    kind: str
    file: str
    record: str
    problem: str
    repair: str

    @property
    def reason(self) -> str:
        """All but the file, on one line."""
        return f"{self.record}: {self.problem}; {self.repair}" if self.record else f"{self.problem}; {self.repair}"


class _Labelled(NamedTuple):
    record: str
    image: str
    joints: Floats
    box: Floats


def check_sets(splits: Sequence[Split], open_pictures: bool = False) -> list[Fault]:
    """The faults of all sets, errors first. Only with `open_pictures` are pictures opened and sides compared."""
    faults: list[Fault] = []
    set_of: dict[PictureFile, str] = {}
    for split in splits:
        found, files = _check(split, open_pictures)
        faults += found
        for file in files:
            other = set_of.setdefault(file, split.name)
            if other != split.name:
                faults.append(_fault("in two sets", split, f"picture {file.name}", f"is also in {other}"))
    return sorted(faults, key=lambda fault: fault.level != "error")


def _fault(kind: str, split: Split, record: str, problem: str) -> Fault:
    return Fault(RULES[kind][0], kind, str(split.annotations), record, problem, RULES[kind][1])


def _check(split: Split, open_pictures: bool) -> tuple[list[Fault], set[PictureFile]]:
    """The faults of one set, and its pictures."""
    try:
        if split.format == "coco":
            content = read_coco_json(split.annotations)
        else:
            content = as_coco(split.read(), split.annotations.parent)
            split = replace(split, pictures=split.annotations.parent)
        skeleton, categories = keypoint_category(content, split.annotations, split.skeleton)
    except InputError as error:
        reason = error.reason if error.source == str(split.annotations) else str(error)
        return [_fault("file", split, "", reason)], set()
    faults = list(_skeleton_faults(skeleton, split))
    files, sizes = _check_images(content["images"], split, open_pictures, faults)
    ids = dict.fromkeys(sizes, 0)
    people = list(_check_annotations(content["annotations"], categories, skeleton, ids, split, faults))
    if people:
        faults += _place_faults(people, sizes, skeleton, split)
        faults += _side_faults(people, skeleton, split) if open_pictures else ()
    elif all(fault.level == "warning" for fault in faults):
        faults.append(_fault("file", split, "", f"no person with a labelled keypoint of {skeleton.name!r}"))
    return faults, files


def _skeleton_faults(skeleton: Skeleton, split: Split) -> Iterator[Fault]:
    names = skeleton.keypoints
    by_name = mirror_of(names)
    for k, (partner, expected) in enumerate(zip(skeleton.mirror, by_name, strict=True)):
        if expected > k and partner != expected:
            own = "itself" if partner == k else names[partner]
            yield _fault(
                "mirror partner", split, f"keypoint {names[k]}", f"its mirror partner is {own}, not {names[expected]}"
            )
        elif side_of(names[k]) and partner == expected == k:
            yield _fault("no mirror partner", split, f"keypoint {names[k]}", "it has a side, but no mirror partner")
    if not skeleton.flips:
        yield _fault("no pairs, no flips", split, f"category {skeleton.name}", NOT_FLIPPED)
    for name, sigma in zip(names, skeleton.sigmas or (), strict=skeleton.sigmas is not None):
        if sigma > LOOSE_SIGMA:
            problem = f"its sigma {sigma:g} gives half the score at {sigma * HALF_SCORE:.0%} of the root of the area"
            yield _fault("loose sigma", split, f"keypoint {name}", problem)


def _check_images(
    images: Iterable[Any], split: Split, open_pictures: bool, faults: list[Fault]
) -> tuple[set[PictureFile], dict[str, tuple[float, float]]]:
    """The pictures, and by image id their width and height, NaN where unknown."""
    sizes: dict[str, tuple[float, float]] = {}
    files = set()
    inside: dict[Path, set[str]] = {}
    for position, image in enumerate(images):
        if not is_image(image):
            faults.append(
                _fault("image", split, f"image at position {position}", f"needs id and file_name: {short(image)}")
            )
            continue
        key, record = str(image["id"]), f"image {image['id']}"
        if key in sizes:
            faults.append(
                _fault("duplicate image", split, record, f"its id is also that of another ({image['file_name']})")
            )
        if isinstance(image["id"], str):
            faults.append(_fault("id as text", split, record, f"its id is the text {image['id']!r}"))
        sizes[key] = _size_of(image)
        file = picture_file(image, split.pictures)
        files.add(file)
        if not _is_there(file, inside):
            faults.append(_fault("missing picture", split, record, f"there is no {file}"))
        elif open_pictures:
            sizes[key] = _check_picture(file, sizes[key], split, record, faults)
    return files, sizes


def _size_of(image: Mapping[str, Any]) -> tuple[float, float]:
    width, height = image.get("width"), image.get("height")
    return (float(width), float(height)) if _is_above_0(width) and _is_above_0(height) else (np.nan, np.nan)


def _is_there(file: PictureFile, inside: dict[Path, set[str]]) -> bool:
    """Whether there is such a file; `inside` remembers what is in archives."""
    if file.archive is None:
        return (file.folder / file.name).is_file()
    path = file.folder / file.archive
    if path not in inside:
        try:
            with ZipFile(path) as archive:
                inside[path] = set(archive.namelist())
        except (OSError, BadZipFile):
            inside[path] = set()
    return file.name in inside[path]


def _check_picture(
    file: PictureFile, said: tuple[float, float], split: Split, record: str, faults: list[Fault]
) -> tuple[float, float]:
    """The picture's true width and height; what the file says where it cannot be read."""
    try:
        upright, stored = pictures.read_size(file)
    except InputError as error:
        faults.append(_fault("unreadable picture", split, record, str(error)))
        return said
    if said != upright and not np.isnan(said[0]):
        width, height = said
        problem = f"{file.name} is {upright[0]} x {upright[1]} upright, the file says {width:g} x {height:g}"
        kind = "turned picture" if said == stored else "picture size"
        faults.append(_fault(kind, split, record, problem + (", before it is turned" if said == stored else "")))
    return upright


def _check_annotations(
    annotations: Iterable[Any],
    categories: set[str],
    skeleton: Skeleton,
    images: Mapping[str, int],
    split: Split,
    faults: list[Fault],
) -> Iterator[_Labelled]:
    """The people with a labelled joint that can be read."""
    seen: set[str] = set()

    def add(kind: str, problem: str) -> None:
        faults.append(_fault(kind, split, record, problem))

    for position, annotation in enumerate(annotations):
        record = f"annotation at position {position}"
        if not isinstance(annotation, Mapping) or not {"id", "category_id"} <= set(annotation):
            add("annotation", f"needs id and category_id: {short(annotation)}")
            continue
        own_id, image_id = annotation["id"], annotation.get("image_id")
        record = f"annotation {short(own_id)}"
        known = len(faults)
        if str(own_id) in seen:
            add("duplicate annotation", "its id is also that of another")
        seen.add(str(own_id))
        if str(annotation.get("category_id")) not in categories:
            add("category_id", f"category {short(annotation.get('category_id'))} is none with keypoints")
            continue
        if is_crowd(annotation):
            continue
        texts = [key for key in ("id", "image_id", "category_id") if isinstance(annotation.get(key), str)]
        if texts:
            add("id as text", f"{' and '.join(texts)} {'is' if len(texts) == 1 else 'are'} text")
        joints = _read_joints(annotation, skeleton.num_keypoints, add)
        if joints is None:
            continue
        if str(image_id) not in images:
            add("image_id", f"image_id {short(image_id)} is no image of this file")
        try:
            box = read_box(annotation)
        except (KeyError, ValueError) as error:
            add(
                "box of joints" if split.repair else "box",
                str(error) if isinstance(error, ValueError) else "has no bbox",
            )
            box = np.full(4, np.nan)
        if not _is_above_0(annotation.get("area")):
            add("area", "area is missing" if annotation.get("area") is None else f"area is {short(annotation['area'])}")
        if all(fault.level == "warning" for fault in faults[known:]):
            try:
                read_person(annotation, categories, skeleton.num_keypoints, images, split.repair)
            except (KeyError, ValueError) as error:
                add("annotation", f"{error} is missing" if isinstance(error, KeyError) else str(error))
        yield _Labelled(record, str(image_id), joints, box)


def _read_joints(annotation: Mapping[str, Any], count: int, add: Callable[[str, str], None]) -> Floats | None:
    try:
        joints = read_joints(annotation, count) if annotation.get("keypoints") else np.zeros((count, 3))
    except ValueError as error:
        is_nan = np.isnan(numbers_at(annotation, "keypoints")).any()
        add("not a number" if is_nan else "keypoints", "keypoints hold NaN or null" if is_nan else str(error))
        return None
    if not joints[:, 2].any():
        add("nothing labelled", "has no labelled joint")
        return None
    return joints


def _is_above_0(value: Any) -> TypeGuard[float]:
    try:
        return 0 < float(value) < np.inf
    except (TypeError, ValueError, OverflowError):
        return False


def _place_faults(
    people: Sequence[_Labelled], sizes: Mapping[str, tuple[float, float]], skeleton: Skeleton, split: Split
) -> Iterator[Fault]:
    """Joints outside pictures and boxes, and a whole set that counts pixels from 1."""
    places = _labelled_places(people)
    size_wh = np.array([sizes.get(person.image, (np.nan, np.nan)) for person in people])[:, None]
    boxes = geometry.crop_box(np.stack([person.box for person in people]), BOX_PADDING, 1.0)[:, None]
    out_of_picture = _outside(places, np.full(2, -OUTSIDE), size_wh - 1 + OUTSIDE)
    out_of_box = _outside(places, boxes[..., :2], boxes[..., 2:]) & ~out_of_picture
    for kind, outside in (("outside picture", out_of_picture), ("outside box", out_of_box)):
        where = "its picture" if kind == "outside picture" else f"its box, also when that is grown by {BOX_PADDING}"
        for n in np.flatnonzero(outside.any(axis=1)).tolist():
            joints = [(skeleton.keypoints[k], *places[n, k].tolist()) for k in np.flatnonzero(outside[n]).tolist()]
            each = ", ".join(f"{name} ({x:.1f}, {y:.1f})" for name, x, y in joints)
            yield _fault(kind, split, people[n].record, f"outside {where}: {each}")
    beyond = _outside(places, np.full(2, -np.inf), size_wh - 0.5)
    if beyond.any() and not out_of_picture.any() and np.nanmin(places) >= 1:
        first = people[int(beyond.any(axis=1).argmax())].record
        problem = f"no joint is below 1, and {beyond.sum()} lie at the width or height of their picture ({first})"
        yield _fault("counts from 1", split, "", problem)


def _labelled_places(people: Sequence[_Labelled]) -> Floats:
    """(N, K, 2), NaN where not labelled."""
    joints = np.stack([person.joints for person in people])
    places: Floats = np.where(joints[..., 2:] > 0, joints[..., :2], np.nan)
    return places


def _outside(places: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """(N, K): which joints lie beyond these corners; those that are NaN do not."""
    return np.asarray(((places < low) | (places > high)).any(axis=-1))


def _side_faults(people: Sequence[_Labelled], skeleton: Skeleton, split: Split) -> Iterator[Fault]:
    for n, left, share in exchanged_sides(_labelled_places(people), skeleton):
        names = f"{skeleton.keypoints[left]} and {skeleton.keypoints[skeleton.mirror[left]]}"
        yield _fault(
            "sides", split, people[n].record, f"{names} stand the other way round than in {share:.0%} of the set"
        )
