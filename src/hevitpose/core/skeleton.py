"""Named keypoint sets: which joints there are, which are mirror partners, which are joined by a limb.

Left and right are the person's own, not the viewer's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hevitpose.core.errors import InputError

SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
LOWER_BODY = ("hip", "knee", "ankle", "foot", "toe", "heel", "pelvis")


@dataclass(frozen=True)
class Skeleton:
    """K named keypoints; `mirror[k]` is the keypoint that k becomes in a mirrored picture, itself in the middle.

    `limbs` are pairs of indices to draw, `sigmas` COCO's per-keypoint constants where they are known.

    >>> skeleton = Skeleton("mouse", ("snout", "leftear", "rightear"), (0, 2, 1))
    >>> skeleton.num_keypoints
    3
    """

    name: str
    keypoints: tuple[str, ...]
    mirror: tuple[int, ...]
    limbs: tuple[tuple[int, int], ...] = ()
    sigmas: tuple[float, ...] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        indices = range(len(self.keypoints))
        if len(set(self.keypoints)) != len(self.keypoints):
            raise InputError(self.name, "keypoint names must differ from each other")
        if sorted(self.mirror) != list(indices) or any(self.mirror[self.mirror[k]] != k for k in indices):
            raise InputError(
                self.name, f"mirror partners {self.mirror} are not pairs of {len(self.keypoints)} keypoints"
            )
        if any(k not in indices for limb in self.limbs for k in limb):
            raise InputError(self.name, f"a limb names a keypoint outside 0 to {len(self.keypoints) - 1}")
        if self.sigmas is not None and len(self.sigmas) != len(self.keypoints):
            raise InputError(self.name, f"{len(self.sigmas)} sigmas for {len(self.keypoints)} keypoints")

    @property
    def num_keypoints(self) -> int:
        return len(self.keypoints)

    @property
    def upper_body(self) -> tuple[int, ...]:
        """Keypoints above the hips, for half-body augmentation."""
        return tuple(k for k, name in enumerate(self.keypoints) if not name.endswith(LOWER_BODY))

    def side(self, keypoint: int) -> Literal["left", "right", "middle"]:
        """The person's side that this keypoint is on."""
        if self.mirror[keypoint] == keypoint:
            return "middle"
        is_left = re.search(r"left|(?<![a-z])l(?![a-z])", self.keypoints[keypoint].lower())
        return "left" if is_left else "right"


def mirror_of(keypoints: Sequence[str]) -> tuple[int, ...]:
    """Mirror partners from names: left_knee and right_knee, l_knee and r_knee, leftear and rightear.

    A keypoint whose name has no side, or whose partner is absent, is its own.

    >>> mirror_of(["nose", "left_eye", "right_eye"])
    (0, 2, 1)
    """
    position = {name.lower(): k for k, name in enumerate(keypoints)}
    return tuple(position.get(_partner_name(name.lower()), k) for k, name in enumerate(keypoints))


def _partner_name(name: str) -> str:
    """The name with its side exchanged: whole words anywhere, or left/right at either end of a word."""
    words = re.split(r"([^a-z]+)", name)
    for i, word in enumerate(words):
        if word in SIDES:
            words[i] = SIDES[word]
            return "".join(words)
        for side in ("left", "right"):
            if word.startswith(side):
                words[i] = SIDES[side] + word.removeprefix(side)
                return "".join(words)
            if word.endswith(side):
                words[i] = word.removesuffix(side) + SIDES[side]
                return "".join(words)
    return name


def skeleton_from_coco(category: Mapping[str, Any], source: str) -> Skeleton:
    """The keypoint set that a COCO category names; partners from its `flip_pairs` (0-based), else from the names.

    Raises InputError where the category has no keypoints or its pairs or limbs do not fit them.
    """
    names = category.get("keypoints")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(source, f"category {category.get('name', category.get('id'))!r} has no list of keypoint names")
    mirror = list(mirror_of(names))
    pairs = category.get("flip_pairs")
    try:
        if pairs is not None:
            mirror = list(range(len(names)))
            for a, b in pairs:
                mirror[a], mirror[b] = b, a
        limbs = tuple((int(a) - 1, int(b) - 1) for a, b in category.get("skeleton") or ())
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise InputError(source, f"flip_pairs or skeleton of its category: {error}") from error
    sigmas = COCO17.sigmas if tuple(names) == COCO17.keypoints else None
    try:
        return Skeleton(str(category.get("name", "keypoints")), tuple(names), tuple(mirror), limbs, sigmas)
    except InputError as error:
        raise InputError(source, error.reason) from error


_MPII16 = (
    *("r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "thorax", "upper_neck", "head_top"),
    *("r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist"),
)
_MPII16_LIMBS = (
    *((0, 1), (1, 2), (2, 6), (3, 6), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9)),
    *((10, 11), (11, 12), (12, 7), (13, 7), (13, 14), (14, 15)),
)
MPII16 = Skeleton("mpii16", _MPII16, mirror_of(_MPII16), _MPII16_LIMBS)
"""The 16 joints of MPII Human Pose, in its order."""

_COCO17 = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
_COCO17_LIMBS = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8)),
    *((7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)
_COCO17_SIGMAS = (26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89)
COCO17 = Skeleton("coco17", _COCO17, mirror_of(_COCO17), _COCO17_LIMBS, tuple(sigma / 1000 for sigma in _COCO17_SIGMAS))
"""The 17 keypoints of COCO with the sigmas of its evaluation (pycocotools, Params.setKpParams)."""
