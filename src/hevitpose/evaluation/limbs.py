"""The twelve joints that all usual sets of human keypoints have, by which their networks can be compared."""

from dataclasses import replace

import numpy as np

from hevitpose.core.keypoint_names import match_names
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.skeleton import Skeleton

LIMBS = tuple(
    f"{side} {part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
)


def limb_rows(skeleton: Skeleton) -> list[int] | None:
    """The indices of the limb joints in a skeleton, in its order; None where it lacks one.

    >>> from hevitpose import COCO17
    >>> limb_rows(COCO17)
    [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    """
    rows = [row for row in match_names(LIMBS, skeleton.keypoints) if row is not None]
    return sorted(rows) if len(rows) == len(LIMBS) else None


def with_keypoints(people: LabelledPeople, rows: list[int]) -> LabelledPeople:
    """The people with these of their keypoints only; those without any of them stay, and OKS does not count them."""
    skeleton, place = people.skeleton, {row: k for k, row in enumerate(rows)}
    chosen = replace(
        skeleton,
        keypoints=tuple(skeleton.keypoints[row] for row in rows),
        mirror=tuple(place.get(skeleton.mirror[row], k) for k, row in enumerate(rows)),
        limbs=tuple((place[a], place[b]) for a, b in skeleton.limbs if a in place and b in place),
        sigmas=skeleton.sigmas and tuple(np.array(skeleton.sigmas)[rows].tolist()),
    )
    return replace(people, skeleton=chosen, keypoints=people.keypoints[:, rows], visibility=people.visibility[:, rows])
