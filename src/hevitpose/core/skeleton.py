"""Named keypoint sets: which joints there are, which are mirror partners, which are joined by a limb.

Left and right are the person's own, not the viewer's.
"""

from dataclasses import dataclass, field
from math import inf
from typing import Literal

from hevitpose.core.errors import InputError
from hevitpose.core.keypoint_names import mirror_from_names, normalize_name, side_of

NOT_FLIPPED = "no mirror pairs: images are not flipped"
LOWER_BODY = ("hip", "knee", "ankle", "foot", "toe", "heel", "pelvis")


@dataclass(frozen=True)
class Skeleton:
    """K named keypoints; `mirror[k]` is the keypoint that k becomes in a mirrored image, itself in the middle.

    `limbs` are pairs of indices to draw, `sigmas` COCO's per-keypoint constants where they are known. Without any pair
    it is `symmetric` only if the data say so: unpaired keypoints may well be partners of each other.

    >>> skeleton = Skeleton("mouse", ("snout", "leftear", "rightear"), (0, 2, 1))
    >>> skeleton.num_keypoints
    3
    """

    name: str
    keypoints: tuple[str, ...]
    mirror: tuple[int, ...]
    limbs: tuple[tuple[int, int], ...] = ()
    sigmas: tuple[float, ...] | None = field(default=None, compare=False)
    symmetric: bool = False

    def __post_init__(self) -> None:
        indices = range(len(self.keypoints))
        if len(set(self.keypoints)) != len(self.keypoints):
            raise InputError(self.name, "keypoint names must differ from each other")
        if len(self.mirror) != len(indices) or any(k not in indices for k in self.mirror):
            raise InputError(self.name, f"mirror partners {self.mirror} are not {len(indices)} keypoints")
        for k in indices:
            if self.mirror[self.mirror[k]] != k:
                a, b, c = (self.keypoints[i] for i in (k, self.mirror[k], self.mirror[self.mirror[k]]))
                raise InputError(self.name, f"mirror partner of {a} is {b}, but that of {b} is {c}: they must be pairs")
        if any(k not in indices for limb in self.limbs for k in limb):
            raise InputError(self.name, f"a limb names a keypoint outside 0 to {len(self.keypoints) - 1}")
        if self.sigmas is not None and len(self.sigmas) != len(self.keypoints):
            raise InputError(self.name, f"{len(self.sigmas)} sigmas for {len(self.keypoints)} keypoints")
        if self.sigmas is not None and not all(0 < sigma < inf for sigma in self.sigmas):
            raise InputError(self.name, f"a sigma must be above 0, found {min(self.sigmas)}")

    @property
    def num_keypoints(self) -> int:
        return len(self.keypoints)

    @property
    def flips(self) -> bool:
        """Whether a mirrored image has labels: keypoints have partners, or explicitly need none."""
        return self.symmetric or self.mirror != tuple(range(len(self.keypoints)))

    @property
    def mirror_note(self) -> str | None:
        """What a mirrored image exchanges and what it does not; None where all keypoints or none have partners.

        >>> Skeleton("mouse", ("snout", "leftear", "rightear"), (0, 2, 1)).mirror_note
        'mirrored images exchange leftear and rightear, but not snout'
        """
        alone = [name for k, name in enumerate(self.keypoints) if self.mirror[k] == k]
        pairs = [f"{self.keypoints[a]} and {self.keypoints[b]}" for a, b in enumerate(self.mirror) if a < b]
        if not (alone and pairs):
            return None
        return f"mirrored images exchange {', '.join(pairs)}, but not {', '.join(alone)}"

    @property
    def upper_body(self) -> tuple[int, ...]:
        """Keypoints above the hips, for half-body augmentation."""
        words = [normalize_name(name).split() for name in self.keypoints]
        return tuple(k for k, of_name in enumerate(words) if not any(word.endswith(LOWER_BODY) for word in of_name))

    def side(self, keypoint: int) -> Literal["left", "right", "middle"]:
        """The person's side that this keypoint is on; if names do not say, the first of a pair is left."""
        partner = self.mirror[keypoint]
        if partner == keypoint:
            return "middle"
        names = self.keypoints[keypoint], self.keypoints[partner]
        own, other = side_of(*names) or side_of(names[0]), side_of(*names[::-1]) or side_of(names[1])
        is_left = own == "left" if own else other == "right" if other else keypoint < partner
        return "left" if is_left else "right"


_MPII16 = (
    *("r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "thorax", "upper_neck", "head_top"),
    *("r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist"),
)
_MPII16_LIMBS = (
    *((0, 1), (1, 2), (2, 6), (3, 6), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9)),
    *((10, 11), (11, 12), (12, 7), (13, 7), (13, 14), (14, 15)),
)
MPII16 = Skeleton("mpii16", _MPII16, mirror_from_names(_MPII16), _MPII16_LIMBS)
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
COCO17 = Skeleton(
    "coco17", _COCO17, mirror_from_names(_COCO17), _COCO17_LIMBS, tuple(sigma / 1000 for sigma in _COCO17_SIGMAS)
)
"""The 17 keypoints of COCO with the sigmas of its evaluation (pycocotools, Params.setKpParams)."""

_FACE = ("nose", "l_eye", "r_eye", "l_ear", "r_ear")
_PEOPLE21 = (*_MPII16, *_FACE)
_PEOPLE21_LIMBS = (*_MPII16_LIMBS, (16, 17), (16, 18), (17, 19), (18, 20))
_PEOPLE21_SIGMAS = (
    *(0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.107, 0.079, 0.079, 0.079),
    *(0.062, 0.072, 0.079, 0.079, 0.072, 0.062, 0.026, 0.025, 0.025, 0.035, 0.035),
)
PEOPLE21 = Skeleton("person", _PEOPLE21, mirror_from_names(_PEOPLE21), _PEOPLE21_LIMBS, _PEOPLE21_SIGMAS)
"""MPII's 16 joints and the five of COCO's face. COCO has no sigma for four of them: the pelvis has that of the hips,
thorax, neck and head top that of the shoulders, as CrowdPose has it for heads and necks."""
