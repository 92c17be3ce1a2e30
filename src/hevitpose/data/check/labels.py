"""What joints and boxes tell about labels: where they lie, who is labelled twice, which pixel is counted as first."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.geometry import BOX_PADDING, Floats
from hevitpose.core.labels import Finding
from hevitpose.core.skeleton import Skeleton
from hevitpose.data.check.left_right import exchanged_sides, viewers_sides

OUTSIDE = 1.0
"""Pixels: joints at the edge of an image lie on either side of it."""
STRAYS = 0.05
"""A rule about a whole set may have this share of exceptions."""
SAME_PLACE = 0.02
"""Joints lie at the same place within this share of the box's longer side, and within two pixels."""
MANY_PEOPLE = 500
"""In one image; of more, only those with exactly the same joints are found."""
MOSTLY_OUTSIDE = 0.5


class Labelled(NamedTuple):
    """A person with a labelled joint: its name in sentences, image id, `joints` (K, 3) and `box` (4,)."""

    record: str
    image: str
    joints: Floats
    box: Floats


def label_faults(
    people: Sequence[Labelled], sizes: Mapping[str, tuple[float, float]], skeleton: Skeleton, sides: bool
) -> Iterator[Finding]:
    """All faults of this kind; `sizes` are width and height by image id. Only with `sides` are these compared."""
    joints = np.stack([person.joints for person in people])
    places: Floats = np.where(joints[..., 2:] > 0, joints[..., :2], np.nan)
    size_wh = np.array([sizes.get(person.image, (np.nan, np.nan)) for person in people])
    labelled = np.asarray(~np.isnan(places[..., 0]))
    somewhere = np.asarray((labelled & places.any(axis=2)).any(axis=0))
    for k in np.flatnonzero(~somewhere).tolist():
        record, times = f"keypoint {skeleton.keypoints[k]}", labelled[:, k].sum()
        if times:
            yield Finding("all-zero targets", record, f"all {times} of its labels are at (0, 0)")
        else:
            yield Finding("never labelled", record, "is not labelled in this set")
    places = np.where(somewhere[:, None], places, np.nan)
    yield from _place_faults(people, places, size_wh[:, None], skeleton)
    yield from _box_faults(people, places, size_wh)
    yield from _double_faults(people, places)
    yield from _shift_faults(people, places, size_wh[:, None])
    if sides:
        yield from _side_faults(people, places, joints, skeleton)


def _place_faults(people: Sequence[Labelled], places: Floats, size_wh: Floats, skeleton: Skeleton) -> Iterator[Finding]:
    """Joints outside images and boxes, and people without a joint in the image.

    `places` (N, K, 2) are NaN where not labelled, here and below; `size_wh` (N, 1, 2).
    """
    labelled = np.asarray(~np.isnan(places[..., 0]))
    boxes = geometry.crop_box(np.stack([person.box for person in people]), BOX_PADDING, 1.0)[:, None]
    out_of_image = _outside(places, np.full(2, -OUTSIDE), size_wh - 1 + OUTSIDE)
    at_zero, nowhere = (np.asarray(~(labelled & ~out).any(axis=1)) for out in (~places.any(axis=2), out_of_image))
    for n in np.flatnonzero(at_zero | nowhere).tolist():
        where = "are at (0, 0)" if at_zero[n] else "lie outside its image"
        yield Finding("all-zero targets", people[n].record, f"all its labelled joints {where}")
    somewhere = np.asarray(~(at_zero | nowhere))[:, None]
    out_of_box = _outside(geometry.corner_frame(places), boxes[..., :2], boxes[..., 2:]) & ~out_of_image
    for kind, outside in (("outside image", out_of_image), ("outside box", out_of_box)):
        where = "its image" if kind == "outside image" else f"its box, even when padded by {BOX_PADDING}"
        for n in np.flatnonzero((outside & somewhere).any(axis=1)).tolist():
            joints = [(skeleton.keypoints[k], *places[n, k].tolist()) for k in np.flatnonzero(outside[n]).tolist()]
            each = ", ".join(f"{name} ({x:.1f}, {y:.1f})" for name, x, y in joints)
            yield Finding(kind, people[n].record, f"joints outside {where}: {each}")


def _outside(places: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """(N, K): which joints lie beyond these corners; those that are NaN do not."""
    return np.asarray(((places < low) | (places > high)).any(axis=-1))


def _box_faults(people: Sequence[Labelled], places: Floats, size_wh: Floats) -> Iterator[Finding]:
    """A set with x1, y1, x2, y2 in place of x, y, width, height; else boxes that lie mostly outside the image.

    The numbers (in YOLO centre, width and height) are taken for corners where they hold the joints and fit into the
    image, for all people but a few, and where a box of this width and height would reach beyond the image.
    """
    boxes = np.stack([person.box for person in people])
    image = np.concatenate([np.zeros_like(size_wh), size_wh], axis=1)
    sides = boxes[:, 2:] - boxes[:, :2]
    corners, yolos = (np.concatenate([at, sides], axis=1) for at in (boxes[:, :2], boxes[:, :2] + sides / 2))
    fits = max((_are_corners(each, image, places) for each in (corners, yolos)), key=np.mean)
    beyond = ((boxes[:, 2:] > image[:, 2:] + OUTSIDE) | (boxes[:, :2] < -OUTSIDE)).any(axis=1)
    if beyond.any() and fits.mean() >= 1 - STRAYS:
        example = people[int(beyond.argmax())].record
        problem = f"{beyond.sum()} of {len(people)} boxes reach beyond their image (for example in {example}), and the "
        yield Finding("corner boxes", "", problem + "numbers of nearly all fit as x1, y1, x2, y2")
        return
    shown = np.clip(np.minimum(boxes[:, 2:], image[:, 2:]) - np.maximum(boxes[:, :2], image[:, :2]), 0, None)
    with np.errstate(invalid="ignore"):
        share = 1 - shown.prod(axis=1) / sides.prod(axis=1)
    for n in np.flatnonzero(share > MOSTLY_OUTSIDE).tolist():
        yield Finding("box outside image", people[n].record, f"{share[n]:.0%} of its box lies outside its image")


def _are_corners(corners: Floats, image: Floats, places: Floats) -> NDArray[np.bool_]:
    """(N,): which of these x1, y1, x2, y2 (N, 4) lie in the image (N, 4) and hold the joints."""
    inside = (corners[:, :2] >= image[:, :2] - OUTSIDE) & (corners[:, 2:] <= image[:, 2:] + OUTSIDE)
    fits = ((corners[:, 2:] > corners[:, :2]) & inside).all(axis=1)
    low, high = corners[:, None, :2] - OUTSIDE, corners[:, None, 2:] + OUTSIDE
    return np.asarray(fits & ~_outside(geometry.corner_frame(places), low, high).any(axis=1))


def _double_faults(people: Sequence[Labelled], places: Floats) -> Iterator[Finding]:
    """People with the joints of another person of the same image, but for a pixel or two."""
    of_image: dict[str, list[int]] = defaultdict(list)
    for n, person in enumerate(people):
        of_image[person.image].append(n)
    boxes = np.stack([person.box for person in people])
    with np.errstate(invalid="ignore"):
        radius = np.maximum(2, SAME_PLACE * (boxes[:, 2:] - boxes[:, :2]).max(axis=1))
    for indices in filter(lambda indices: len(indices) > 1, of_image.values()):
        persons = np.array(indices)
        first = _first_alike(places[persons], np.nan_to_num(radius[persons], nan=2))
        for n in np.flatnonzero(first != np.arange(len(persons))).tolist():
            other = people[persons[first[n]]].record
            yield Finding("labelled twice", people[persons[n]].record, f"has the joints of {other}")


def _first_alike(places: Floats, radius: Floats) -> NDArray[np.int64]:
    """(P,): for each person (P, K, 2) of an image the first one with the same joints within `radius` (P,) pixels.

    At least half of the labelled joints of both must be labelled in both.
    """
    count = len(places)
    if count > MANY_PEOPLE:
        _, first, inverse = np.unique(places.reshape(count, -1), axis=0, return_index=True, return_inverse=True)
        return np.asarray(first[inverse.reshape(-1)])
    labelled = ~np.isnan(places[..., 0])
    both = labelled[:, None] & labelled[None]
    distances = np.where(both, np.linalg.norm(places[:, None] - places[None], axis=-1), 0)
    near = (distances <= np.minimum(radius[:, None], radius[None])[..., None]).all(axis=-1)
    shared, most = both.sum(axis=-1), np.maximum(labelled.sum(axis=1)[:, None], labelled.sum(axis=1)[None])
    return np.asarray((near & (2 * shared >= most) & (shared > 0) | np.eye(count, dtype=bool)).argmax(axis=1))


def _shift_faults(people: Sequence[Labelled], places: Floats, size_wh: Floats) -> Iterator[Finding]:
    """A whole set that counts pixels from 1, or from -1: some joint touches one edge of its image, none the other."""
    places = np.where(places.any(axis=2, keepdims=True), places, np.nan)  # (0, 0) is not a place
    before_first, first = (_at(places, np.full(2, edge)) for edge in (-1.0, 0.0))
    last, after_last = (_at(places, size_wh - edge) for edge in (1.0, 0.0))
    rules = (
        ("pixels from 1", "at the width or height of their image, hardly any at 0", after_last, before_first | first),
        ("pixels from -1", "at -1, hardly any in the last column or row", before_first, last | after_last),
    )
    for kind, where, beyond, opposite in rules:
        if opposite.sum() <= STRAYS * beyond.sum() and beyond.any():
            example = people[int(beyond.any(axis=1).argmax())].record
            yield Finding(kind, "", f"{beyond.sum()} joints lie {where} (for example in {example})")


def _at(places: Floats, edge: Floats) -> NDArray[np.bool_]:
    """(N, K): which joints lie within half a pixel of x or y of this `edge` (..., 2)."""
    return np.asarray((abs(places - edge) < 0.5).any(axis=-1))


def _side_faults(people: Sequence[Labelled], places: Floats, joints: Floats, skeleton: Skeleton) -> Iterator[Finding]:
    for n, left, share in exchanged_sides(places, skeleton):
        names = f"{skeleton.keypoints[left]} and {skeleton.keypoints[skeleton.mirror[left]]}"
        problem = f"{names} are the other way round than in {share:.0%} of the set"
        yield Finding("left/right swap", people[n].record, problem)
    wrong, faces = viewers_sides(joints, skeleton)
    if wrong:
        names = ", ".join(skeleton.keypoints[left] for left in wrong)
        problem = f"{names}: on the left of the image in most of the {faces} people who face the camera"
        yield Finding("viewer's sides", "", f"{problem}, where a person's own left is on the right")
