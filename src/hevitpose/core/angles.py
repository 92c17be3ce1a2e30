"""Joint angles and limb lengths of poses, in the plane of the image."""

from collections.abc import Mapping, Sequence

import numpy as np

from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import index_of_names
from hevitpose.core.skeleton import Skeleton

SIDES = ("left", "right")
ANGLES: Mapping[str, tuple[Sequence[str], str, Sequence[str]]] = {
    "knee": (("hip",), "knee", ("ankle",)),
    "hip": (("shoulder",), "hip", ("knee",)),
    "elbow": (("shoulder",), "elbow", ("wrist",)),
    "shoulder": (("hip",), "shoulder", ("elbow",)),
    "ankle": (("knee",), "ankle", ("big toe", "toe", "foot")),
}
"""The keypoint at the joint, and those at the ends of its limbs, any of several names."""
LENGTHS: Mapping[str, tuple[str, str]] = {
    "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "trunk": ("shoulder", "hip"),
}


def joint_angles(keypoints: Floats, skeleton: Skeleton) -> dict[str, Floats]:
    """Angles (...,) in degrees between the limbs at each joint of keypoints (..., K, 2), 180 where a limb is straight.

    Names are left_knee and so on; joints whose keypoints the skeleton does not have are left out. NaN where a keypoint
    is absent. A limb that points towards the camera looks bent otherwise than it is.

    >>> from hevitpose import COCO17
    >>> keypoints = np.full((17, 2), np.nan)
    >>> keypoints[[11, 13, 15]] = [[0, 0], [0, 50], [50, 50]]
    >>> joint_angles(keypoints, COCO17)["left_knee"]
    array(90.)
    """
    index, angles = index_of_names(skeleton.keypoints), {}
    for joint, (starts, middle, ends) in ANGLES.items():
        for side in SIDES:
            places = [_first(index, side, names) for names in (starts, (middle,), ends)]
            if None not in places:
                a, b, c = (keypoints[..., place, :] for place in places)
                angles[f"{side}_{joint}"] = _angle(a - b, c - b)
    return angles


def limb_lengths(keypoints: Floats, skeleton: Skeleton) -> dict[str, Floats]:
    """Lengths (...,) in pixels of the limbs of keypoints (..., K, 2), by names such as left_thigh; NaN where absent.

    >>> from hevitpose import COCO17
    >>> float(limb_lengths(np.arange(34.0).reshape(17, 2) * 3, COCO17)["right_shank"].round(2))
    16.97
    """
    index, lengths = index_of_names(skeleton.keypoints), {}
    for limb, names in LENGTHS.items():
        for side in SIDES:
            places = [_first(index, side, (name,)) for name in names]
            if None not in places:
                a, b = (keypoints[..., place, :] for place in places)
                lengths[f"{side}_{limb}"] = np.asarray(np.linalg.norm(a - b, axis=-1))
    return lengths


def _first(index: Mapping[str, int], side: str, names: Sequence[str]) -> int | None:
    return next((index[f"{side} {name}"] for name in names if f"{side} {name}" in index), None)


def _angle(one: Floats, other: Floats) -> Floats:
    """Between vectors (..., 2), in degrees; NaN where one has no length."""
    cross = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
    dot = (one * other).sum(axis=-1)
    angle = np.degrees(np.arctan2(np.abs(cross), dot))
    return np.asarray(np.where((cross == 0) & (dot == 0), np.nan, angle))
