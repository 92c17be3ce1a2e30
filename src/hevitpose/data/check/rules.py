"""Faults of labelled data, each with its repair: found in a second, before training spends hours on them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import mirror_from_names, side_of
from hevitpose.core.labels import Finding, ImageFile, LabelledPeople
from hevitpose.core.progress import OnProgress, ignore_progress
from hevitpose.core.skeleton import NOT_FLIPPED, Skeleton
from hevitpose.data.check.images import check_files, check_images, is_above_0, unnamed_images
from hevitpose.data.check.labels import Labelled, label_faults
from hevitpose.data.check.left_right import turned_sides
from hevitpose.data.coco import (
    is_crowd,
    keypoint_category,
    read_box,
    read_coco_json,
    read_keypoints,
    read_person,
    short,
    some,
    whole,
)
from hevitpose.data.datasets import Split
from hevitpose.data.rectangles import as_numbers

LARGE_SIGMA = 0.15
"""COCO's largest, that of the hips, is 0.107."""
HALF_SCORE = 2 * np.sqrt(2 * np.log(2))
"""At this many sigmas, in units of the root of the area, OKS is 0.5."""
Level = Literal["error", "warning"]
Add = Callable[[str, str], None]
"""Takes a kind of fault and the problem, of the record that is being looked at."""
RULES: Mapping[str, tuple[Level, str]] = {
    "file": ("error", "correct it, or name another file"),
    "image": ("error", "give it an id and a file_name"),
    "duplicate image": ("error", "renumber the images and the image_id of their annotations"),
    "image twice": ("warning", "keep one entry, with the people of both"),
    "two names of an image": ("error", "keep one of the two, or name their folders"),
    "id as text": ("warning", "write it as a whole number: other tools take 7 and '7' for two ids"),
    "missing image": ("error", "add it, correct its file_name, or name the folder of the images"),
    "unreadable image": ("error", "save it again as JPEG or PNG"),
    "several images": ("warning", "save the frames that are labelled as images of their own"),
    "unapplied EXIF": ("error", "label the upright image, or remove the EXIF orientation"),
    "image size": ("error", "restore the image that was labelled, or export labels for this one"),
    "EXIF orientation": (
        "warning",
        "look at it (hevitpose data show): if joints lie wrong, label the upright image or remove the EXIF orientation",
    ),
    "unlabelled images": ("warning", "they are left out: label them, or write empty labels if nobody is in them"),
    "images without people": ("warning", "training passes over them: nothing to do if nobody is in them"),
    "labels without image": ("warning", "they are left out: add the images, or correct the names"),
    "shared labels": ("warning", "give the images different names"),
    "other scorer": ("warning", "set scorer in config.yaml to choose another one"),
    "labels in HDF5": ("warning", "it is left out: labels are read from the CSV file that DeepLabCut writes beside it"),
    "unique body parts": ("warning", "they are not an animal: label them in a data set of their own if you need them"),
    "other shapes": ("warning", "they are left out: keypoints are points, boxes rectangles of the same group_id"),
    "other category": ("warning", "they are not used: a person's bbox belongs into the annotation with its keypoints"),
    "no limbs": ("warning", "training does not need them"),
    "annotation": ("error", "export it again, or remove it"),
    "duplicate annotation": ("error", "hevitpose data convert FILE --output NEW.json renumbers all"),
    "image_id": ("error", "correct it, or add the image"),
    "category_id": ("warning", "it is left out: correct category_id, or add the category"),
    "keypoints": ("error", "write x, y and 0, 1 or 2 for each keypoint of the category"),
    "not a number": ("error", "write 0, 0, 0 for a joint that is not labelled"),
    "box": ("error", "add a bbox (x, y, width, height), or set repair = true in a TOML file to box the joints"),
    "box from joints": ("warning", "its joints are boxed instead: add a bbox for a better one"),
    "corner boxes": ("error", "write boxes as x, y, width, height (YOLO: of the centre)"),
    "box outside image": ("warning", "correct the box"),
    "wrong area": ("error", "write the person's area in pixels, or half of the box's: OKS depends on it"),
    "area": ("warning", "write the person's area in pixels, or half of the box's: OKS depends on it"),
    "nothing labelled": ("warning", "it is left out: label it, or remove it"),
    "labelled twice": ("warning", "remove one of the two: only one can be matched in evaluation"),
    "outside image": ("warning", "correct it, or set its visibility to 0"),
    "outside box": ("warning", "correct the joint, or draw the box around the whole person"),
    "never labelled": ("warning", "label it, or remove it from the category's keypoints"),
    "all-zero targets": ("error", "correct the joints, or write 0, 0, 0 for those that are not labelled"),
    "pixels from 1": ("warning", "subtract 1 from all x and y, unless the joints truly lie there"),
    "pixels from -1": ("warning", "add 1 to all x and y, unless the joints truly lie there"),
    "mirror partner": ("error", "correct flip_pairs, or write the pairs as mirror of [skeleton] in a TOML file"),
    "no mirror partner": ("warning", "it keeps its name in flipped images: write its pair as mirror of [skeleton]"),
    "no flip pairs": (
        "warning",
        "write the pairs as mirror of [skeleton] in a TOML file, or mirror = [] if no keypoint changes sides",
    ),
    "large sigma": ("warning", "write a smaller one: COCO's are 0.025 (eyes) to 0.107 (hips)"),
    "viewer's sides": ("warning", "look at it (hevitpose data show), and exchange left and right if they are"),
    "left/right swap": ("warning", "look at it (hevitpose data show), and exchange the two if they are wrong"),
    "sides of two sets": ("warning", "look at both (hevitpose data show), and exchange left and right in one of them"),
    "other keypoints": ("warning", "sets are compared by the names of their keypoints: give them the same"),
    "in two sets": ("warning", "keep it in one of them: a score on training images says nothing"),
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


def check_sets(
    splits: Sequence[Split], open_images: bool = False, on_progress: OnProgress = ignore_progress
) -> list[Fault]:
    """The faults of all sets, errors first. Only with `open_images` are images decoded and sides compared."""
    faults: list[Fault] = []
    set_of: dict[ImageFile, str] = {}
    first: _Checked | None = None
    for split in splits:
        checked = _check(split, open_images, on_progress)
        found = checked.findings
        for file in checked.files:
            other = set_of.setdefault(file, split.name)
            if other != split.name:
                found.append(Finding("in two sets", f"image {file.name}", f"is also in {other}"))
        first = first or checked
        if checked is not first:
            found += _differences(first, checked, splits[0].name)
        name = str(split.annotations)
        # Other formats count the images without labels themselves; MPII's folder holds those of its test set.
        if split is splits[-1] and split.format in ("coco", "label_studio") and (others := unnamed_images(set_of)):
            problem = f"{len(others)} images beside those of the labels are in no set ({some(p.name for p in others)})"
            found.append(Finding("unlabelled images", "", problem))
        faults += [
            Fault(RULES[kind][0], kind, name, record, problem, RULES[kind][1]) for kind, record, problem in found
        ]
    return sorted(faults, key=lambda fault: fault.level != "error")


class _Checked(NamedTuple):
    """What was found in a set, its images, and the people that could be read."""

    findings: list[Finding]
    files: set[ImageFile]
    people: Sequence[Labelled] = ()
    skeleton: Skeleton | None = None


def _differences(first: _Checked, other: _Checked, name: str) -> Iterator[Finding]:
    """What does not fit the first set, called `name`: keypoints, and what is left and right."""
    one, two = first.skeleton, other.skeleton
    if one is None or two is None:
        return
    if missing := set(one.keypoints) ^ set(two.keypoints):
        yield Finding("other keypoints", "", f"{some(sorted(missing))} are in only one of this set and {name}")
    if one.keypoints != two.keypoints or not (first.people and other.people):
        return
    joints = [np.stack([person.joints for person in each.people]) for each in (first, other)]
    ours, theirs = (np.where(each[..., 2:] > 0, each[..., :2], np.nan) for each in joints)
    if turned := turned_sides(ours, theirs, one):
        pairs = some(f"{one.keypoints[k]} and {one.keypoints[one.mirror[k]]}" for k in turned)
        yield Finding("sides of two sets", "", f"{pairs} stand the other way round than in {name}")


def _check(split: Split, open_images: bool, on_progress: OnProgress) -> _Checked:
    try:
        if split.format == "coco":
            return _check_coco(split, open_images, on_progress)
        return _check_people(split.people, open_images, on_progress)
    except InputError as error:
        reason = error.reason if error.source == str(split.annotations) else str(error)
        return _Checked([Finding("file", "", reason)], set())


def _check_coco(split: Split, open_images: bool, on_progress: OnProgress) -> _Checked:
    """Every record of a COCO file, also those that cannot be read."""
    content = read_coco_json(split.annotations)
    skeleton, categories = keypoint_category(content, split.annotations, split.skeleton, split.category)
    findings = list(_skeleton_faults(skeleton))
    files, sizes, found = check_images(content["images"], split.images, open_images, split.name, on_progress)
    findings += found
    ids = dict.fromkeys(sizes, 0)
    others_named = {
        str(whole(one["id"])): str(one.get("name"))
        for one in content["categories"]
        if isinstance(one, Mapping) and "id" in one and str(whole(one["id"])) not in categories
    }
    people = list(_check_annotations(content["annotations"], categories, others_named, skeleton, ids, split, findings))
    readable = all(RULES[finding.kind][0] == "warning" for finding in findings)
    if people:
        findings += label_faults(people, sizes, skeleton, sides=open_images)
        findings += _without_people(sizes, people) if readable else ()
    elif readable:
        findings.append(Finding("file", "", f"no person with a labelled keypoint of {skeleton.name!r}"))
    return _Checked(findings, files, people, skeleton)


def _check_people(people: LabelledPeople, open_images: bool, on_progress: OnProgress) -> _Checked:
    """People who were read already, from any format."""
    keys = [str(image_id) for image_id in people.image_ids]
    sizes = dict.fromkeys(keys, (np.nan, np.nan))
    named = [(key, f"image {file.name}", file) for key, file in zip(keys, people.images, strict=True)]
    findings = [*people.findings, *_skeleton_faults(people.skeleton)]
    findings += check_files(named, sizes, open_images, people.name, on_progress)
    joints = np.concatenate([people.keypoints, people.visibility[..., None]], axis=-1)
    records = [
        Labelled(f"person {number} of {people.images[image].name}", keys[image], joints[n], people.boxes[n])
        for n, (image, number) in enumerate(zip(people.image_index.tolist(), _numbers(people), strict=True))
    ]
    if records:
        findings += label_faults(records, sizes, people.skeleton, sides=open_images)
        findings += _without_people(sizes, records)
    return _Checked(findings, set(people.images), records, people.skeleton)


def _without_people(images: Collection[str], people: Sequence[Labelled]) -> Iterator[Finding]:
    if without := len(set(images) - {person.image for person in people}):
        yield Finding("images without people", "", f"{without} of {len(images)} images have no labelled person")


def _numbers(people: LabelledPeople) -> Iterator[int]:
    """Which person of its image each is, from 1."""
    seen: Counter[int] = Counter()
    for image in people.image_index.tolist():
        seen[image] += 1
        yield seen[image]


def _skeleton_faults(skeleton: Skeleton) -> Iterator[Finding]:
    names = skeleton.keypoints
    by_name = mirror_from_names(names)
    for k, (partner, expected) in enumerate(zip(skeleton.mirror, by_name, strict=True)):
        if expected > k and partner != expected:
            own = "itself" if partner == k else names[partner]
            yield Finding("mirror partner", f"keypoint {names[k]}", f"its partner is {own}, not {names[expected]}")
        elif side_of(names[k]) and partner == expected == k:
            yield Finding("no mirror partner", f"keypoint {names[k]}", "its name has a side, but no other is its pair")
    if not skeleton.flips:
        yield Finding("no flip pairs", f"category {skeleton.name}", NOT_FLIPPED)
    for name, sigma in zip(names, skeleton.sigmas or (), strict=skeleton.sigmas is not None):
        if sigma > LARGE_SIGMA:
            problem = f"its sigma {sigma:g} gives half the score at {sigma * HALF_SCORE:.0%} of the root of the area"
            yield Finding("large sigma", f"keypoint {name}", problem)


def _check_annotations(
    annotations: Iterable[Any],
    categories: set[str],
    others_named: Mapping[str, str],
    skeleton: Skeleton,
    images: Mapping[str, int],
    split: Split,
    findings: list[Finding],
) -> Iterator[Labelled]:
    """The people with a labelled joint that can be read."""
    chosen = split.category is not None
    seen: set[str] = set()
    others: Counter[str] = Counter()

    def add(kind: str, problem: str) -> None:
        findings.append(Finding(kind, record, problem))

    for position, annotation in enumerate(annotations):
        record = f"annotation at position {position}"
        if not isinstance(annotation, Mapping) or not {"id", "category_id"} <= set(annotation):
            add("annotation", f"needs id and category_id: {short(annotation)}")
            continue
        own_id, image_id = whole(annotation["id"]), whole(annotation.get("image_id"))
        record = f"annotation {short(own_id)}"
        known = len(findings)
        if str(own_id) in seen:
            add("duplicate annotation", "its id is also that of another")
        seen.add(str(own_id))
        if str(whole(annotation.get("category_id"))) not in categories:
            category = str(whole(annotation.get("category_id")))
            if category not in others_named or (annotation.get("keypoints") and not chosen):
                add("category_id", f"category {short(annotation.get('category_id'))} has no keypoints")
            else:
                others[others_named[category]] += 1
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
            add("image_id", f"image_id {short(image_id)} is not an image of this file")
        box = _read_box(annotation, "box from joints" if split.repair else "box", add)
        _check_area(annotation.get("area"), add)
        if all(RULES[kind][0] == "warning" for kind, _, _ in findings[known:]):
            try:
                read_person(annotation, categories, skeleton.num_keypoints, images, split.repair)
            except (KeyError, ValueError) as error:
                add("annotation", f"{error} is missing" if isinstance(error, KeyError) else str(error))
        yield Labelled(record, str(image_id), joints, box)
    for name, count in others.items():
        problem = f"{count} annotations{'' if chosen else ' without keypoints'}"
        findings.append(Finding("other category", f"category {name}", problem))


def _read_joints(annotation: Mapping[str, Any], count: int, add: Add) -> Floats | None:
    try:
        joints = read_keypoints(annotation, count) if annotation.get("keypoints") else np.zeros((count, 3))
    except ValueError as error:
        is_nan = np.isnan(as_numbers(annotation["keypoints"])).any()
        add("not a number" if is_nan else "keypoints", "keypoints hold NaN or null" if is_nan else str(error))
        return None
    if not joints[:, 2].any():
        add("nothing labelled", "has no labelled joint")
        return None
    return joints


def _read_box(annotation: Mapping[str, Any], kind: str, add: Add) -> Floats:
    try:
        return read_box(annotation)
    except (KeyError, ValueError) as error:
        add(kind, str(error) if isinstance(error, ValueError) else "has no bbox")
        return np.full(4, np.nan)


def _check_area(area: Any, add: Add) -> None:
    """What training refuses is an error; what OKS can do without, at a price, is not."""
    if area is None or area in (0, "0"):
        add("area", "area is missing" if area is None else "area is 0")
    elif not is_above_0(area):
        add("wrong area", f"area is {short(area)}")
