"""What the places of joints tell about labels: joints that lie nowhere, sets that count from another pixel, sides."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.geometry import BOX_PADDING, Floats
from hevitpose.core.skeleton import Skeleton
from hevitpose.data.check.left_right import exchanged_sides, viewers_sides

OUTSIDE = 1.0
"""Pixels: joints at the edge of an image lie on either side of it."""
STRAYS = 0.05
"""So many exceptions, as a share, do not unmake a rule about the edges of images."""

Finding = tuple[str, str, str]
"""A kind of fault, the record that it is about, and what is wrong."""


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
    size_wh = np.array([sizes.get(person.image, (np.nan, np.nan)) for person in people])[:, None]
    labelled = np.asarray(~np.isnan(places[..., 0]))
    somewhere = np.asarray((labelled & places.any(axis=2)).any(axis=0))
    for k in np.flatnonzero(~somewhere).tolist():
        record, times = f"keypoint {skeleton.keypoints[k]}", labelled[:, k].sum()
        if times:
            yield "all-zero targets", record, f"it is at (0, 0) wherever it is labelled, {times} times"
        else:
            yield "never labelled", record, "it is labelled in no person of the set"
    places = np.where(somewhere[:, None], places, np.nan)
    yield from _place_faults(people, places, size_wh, skeleton)
    yield from _shift_faults(people, places, size_wh)
    if sides:
        yield from _side_faults(people, places, joints, skeleton)


def _place_faults(people: Sequence[Labelled], places: Floats, size_wh: Floats, skeleton: Skeleton) -> Iterator[Finding]:
    """Joints outside images and boxes, and people of whom no joint lies in the image.

    `places` (N, K, 2) are NaN where not labelled, here and below.
    """
    labelled = np.asarray(~np.isnan(places[..., 0]))
    boxes = geometry.crop_box(np.stack([person.box for person in people]), BOX_PADDING, 1.0)[:, None]
    out_of_image = _outside(places, np.full(2, -OUTSIDE), size_wh - 1 + OUTSIDE)
    at_zero, nowhere = (np.asarray(~(labelled & ~out).any(axis=1)) for out in (~places.any(axis=2), out_of_image))
    for n in np.flatnonzero(at_zero | nowhere).tolist():
        where = "are at (0, 0)" if at_zero[n] else "lie outside its image"
        yield "all-zero targets", people[n].record, f"all its labelled joints {where}"
    somewhere = np.asarray(~(at_zero | nowhere))[:, None]
    out_of_box = _outside(geometry.corner_frame(places), boxes[..., :2], boxes[..., 2:]) & ~out_of_image
    for kind, outside in (("outside image", out_of_image), ("outside box", out_of_box)):
        where = "its image" if kind == "outside image" else f"its box, also when that is grown by {BOX_PADDING}"
        for n in np.flatnonzero((outside & somewhere).any(axis=1)).tolist():
            joints = [(skeleton.keypoints[k], *places[n, k].tolist()) for k in np.flatnonzero(outside[n]).tolist()]
            each = ", ".join(f"{name} ({x:.1f}, {y:.1f})" for name, x, y in joints)
            yield kind, people[n].record, f"outside {where}: {each}"


def _outside(places: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """(N, K): which joints lie beyond these corners; those that are NaN do not."""
    return np.asarray(((places < low) | (places > high)).any(axis=-1))


def _shift_faults(people: Sequence[Labelled], places: Floats, size_wh: Floats) -> Iterator[Finding]:
    """A whole set that counts pixels from 1, or from -1: some joint touches one edge of its image, none the other."""
    places = np.where(places.any(axis=2, keepdims=True), places, np.nan)  # (0, 0) is no place
    before_first, first = (_at(places, np.full(2, edge)) for edge in (-1.0, 0.0))
    last, after_last = (_at(places, size_wh - edge) for edge in (1.0, 0.0))
    for kind, sign, beyond, opposite in (
        (
            "counts from 1",
            "at the width or height of their image, and hardly any at 0",
            after_last,
            before_first | first,
        ),
        (
            "counts from -1",
            "at -1, and hardly any in the last column or row of their image",
            before_first,
            last | after_last,
        ),
    ):
        if opposite.sum() <= STRAYS * beyond.sum() and beyond.any():
            example = people[int(beyond.any(axis=1).argmax())].record
            yield kind, "", f"{beyond.sum()} joints lie {sign} (for example in {example})"


def _at(places: Floats, edge: Floats) -> NDArray[np.bool_]:
    """(N, K): which joints lie within half a pixel of x or y of this `edge` (..., 2)."""
    return np.asarray((abs(places - edge) < 0.5).any(axis=-1))


def _side_faults(people: Sequence[Labelled], places: Floats, joints: Floats, skeleton: Skeleton) -> Iterator[Finding]:
    for n, left, share in exchanged_sides(places, skeleton):
        names = f"{skeleton.keypoints[left]} and {skeleton.keypoints[skeleton.mirror[left]]}"
        yield "sides", people[n].record, f"{names} stand the other way round than in {share:.0%} of the set"
    wrong, faces = viewers_sides(joints, skeleton)
    if wrong:
        names = ", ".join(skeleton.keypoints[left] for left in wrong)
        where = f"left of the right one as the camera sees it in most of the {faces} people who face it"
        yield "viewer's sides", "", f"{names}: {where}; are sides the viewer's instead of the person's?"
