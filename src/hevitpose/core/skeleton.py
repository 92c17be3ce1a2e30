"""Named keypoint sets: which joints there are, which are mirror partners, which are joined by a limb.

Left and right are the person's own, not the viewer's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from typing import Any, Literal

from hevitpose.core.errors import InputError

SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+")
"""left_knee, LKnee and kneeL are several words, leftear is one."""
NOT_FLIPPED = "no mirror pairs: pictures are not flipped"
LOWER_BODY = ("hip", "knee", "ankle", "foot", "toe", "heel", "pelvis")


@dataclass(frozen=True)
class Skeleton:
    """K named keypoints; `mirror[k]` is the keypoint that k becomes in a mirrored picture, itself in the middle.

    `limbs` are pairs of indices to draw, `sigmas` COCO's per-keypoint constants where they are known. Without any pair
    it is `symmetric` only where somebody said so: keypoints that nobody paired may well be each other's partners.

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
        """Whether a mirrored picture has labels: keypoints have partners, or are said to need none."""
        return self.symmetric or self.mirror != tuple(range(len(self.keypoints)))

    @property
    def upper_body(self) -> tuple[int, ...]:
        """Keypoints above the hips, for half-body augmentation."""
        words = [spelled_out(name).split() for name in self.keypoints]
        return tuple(k for k, of_name in enumerate(words) if not any(word.endswith(LOWER_BODY) for word in of_name))

    def side(self, keypoint: int) -> Literal["left", "right", "middle"]:
        """The person's side that this keypoint is on; where names do not tell, the first of a pair counts as left."""
        partner = self.mirror[keypoint]
        if partner == keypoint:
            return "middle"
        own, other = side_of(self.keypoints[keypoint]), side_of(self.keypoints[partner])
        is_left = own == "left" if own else other == "right" if other else keypoint < partner
        return "left" if is_left else "right"


def mirror_of(keypoints: Sequence[str]) -> tuple[int, ...]:
    """Mirror partners from names: left_knee and right_knee, LKnee and RKnee, leftear and rightear.

    A keypoint whose name has no side, or whose partner is absent, is its own.

    >>> mirror_of(["nose", "left_eye", "right_eye"])
    (0, 2, 1)
    """
    position = {name.lower(): k for k, name in enumerate(keypoints)}
    return tuple(position.get(_mirrored(name)[0], k) for k, name in enumerate(keypoints))


def side_of(name: str) -> Literal["left", "right"] | None:
    """The side that a keypoint's name says.

    >>> side_of("LKnee"), side_of("nose")
    ('left', None)
    """
    return _mirrored(name)[1]


@lru_cache(maxsize=1024)
def _mirrored(name: str) -> tuple[str, Literal["left", "right"] | None]:
    """The lower-case name with its side exchanged, and that side: a whole word, else either end of a word."""
    words = [word.lower() for word in _WORDS.findall(name)]
    for i, word in enumerate(words):
        if word in SIDES:
            words[i] = SIDES[word]
            return "".join(words), "left" if word in ("l", "left") else "right"
    for i, word in enumerate(words):
        for side in ("left", "right"):
            if word.startswith(side) or word.endswith(side):
                other = SIDES[side]
                words[i] = other + word[len(side) :] if word.startswith(side) else word[: -len(side)] + other
                return "".join(words), "left" if side == "left" else "right"
    return "".join(words), None


def spelled_out(name: str) -> str:
    """The name in lower-case words with its side first, the same for every way of writing it.

    >>> spelled_out("LKnee"), spelled_out("left_knee"), spelled_out("knee-l"), spelled_out("tail_2")
    ('left knee', 'left knee', 'left knee', 'tail 2')
    """
    words = " ".join(re.sub(r"[\W_]+", " ", word) for word in _WORDS.findall(name)).lower().split()
    side = side_of(name)
    if side is None:
        return " ".join(words)
    rest = [word if word not in SIDES else "" for word in words]
    joined = " ".join(word for word in rest if word)
    return f"{side} {joined.removeprefix(side).removesuffix(side).strip()}"


def places_by_name(names: Sequence[str], among: Sequence[str]) -> tuple[int | None, ...]:
    """The index among other keypoints of each of these, None where it is none of them, however they are spelled.

    >>> places_by_name(["LKnee", "nose"], ["l_hip", "l_knee"])
    (1, None)
    """
    index = {spelled_out(name): k for k, name in enumerate(among)} | {name: k for k, name in enumerate(among)}
    return tuple(index.get(name, index.get(spelled_out(name))) for name in names)


def skeleton_from_coco(category: Mapping[str, Any], source: str) -> Skeleton:
    """The keypoint set that a COCO category names; partners from its `flip_pairs` (0-based), else from the names.

    An empty list of pairs says that no keypoint changes sides. Its limbs (`skeleton`) count from 1, as in COCO; from 0
    where one of them is 0, as some tools write them. `sigmas` may stand in it too. Raises InputError where the category
    has no keypoints or the rest does not fit them.
    """
    names = category.get("keypoints")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(source, f"category {category.get('name', category.get('id'))!r} has no list of keypoint names")
    mirror = list(mirror_of(names))
    pairs, sigmas = category.get("flip_pairs"), category.get("sigmas")
    try:
        if pairs is not None:
            mirror = list(range(len(names)))
            for a, b in pairs:
                mirror[a], mirror[b] = b, a
        limbs = [(int(a), int(b)) for a, b in category.get("skeleton") or ()]
        first = 0 if any(0 in limb for limb in limbs) else 1
        numbers = None if sigmas is None else tuple(float(sigma) for sigma in sigmas)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise InputError(source, f"flip_pairs, skeleton or sigmas of its category: {error}") from error
    if numbers is None and tuple(names) == COCO17.keypoints:
        numbers = COCO17.sigmas
    try:
        return Skeleton(
            str(category.get("name", "keypoints")),
            tuple(names),
            tuple(mirror),
            tuple((a - first, b - first) for a, b in limbs),
            numbers,
            symmetric=pairs is not None and not pairs,
        )
    except InputError as error:
        raise InputError(source, error.reason) from error


def category_of(skeleton: Skeleton) -> dict[str, Any]:
    """The COCO category, of id 1, that `skeleton_from_coco` reads back."""
    category: dict[str, Any] = {
        "id": 1,
        "name": skeleton.name,
        "keypoints": list(skeleton.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs],
    }
    if skeleton.flips:
        category["flip_pairs"] = [[a, b] for a, b in enumerate(skeleton.mirror) if a < b]
    return category if skeleton.sigmas is None else category | {"sigmas": list(skeleton.sigmas)}


@dataclass(frozen=True)
class SkeletonTable:
    """What a TOML file says of the keypoints, by their names; None where it says nothing.

    `sigmas` is one number for all keypoints, or pairs of name and number.
    """

    source: str
    keypoints: tuple[str, ...] | None = None
    mirror: tuple[tuple[str, str], ...] | None = None
    limbs: tuple[tuple[str, str], ...] | None = None
    sigmas: float | tuple[tuple[str, float], ...] | None = None


def skeleton_table(table: Mapping[str, Any], source: str) -> SkeletonTable:
    """A [skeleton] table of TOML. Raises InputError on an unknown key or a value of another form."""
    unknown = sorted(set(table) - {"keypoints", "mirror", "limbs", "sigmas"})
    if unknown:
        raise InputError(source, f"unknown key {unknown[0]!r} of skeleton (known: keypoints, limbs, mirror, sigmas)")
    names, sigmas = table.get("keypoints"), table.get("sigmas")
    if names is not None and not _is_names(names):
        raise InputError(source, f"keypoints of skeleton must be a list of names, found {names!r:.80}")
    links = {}
    for key in ("mirror", "limbs"):
        value = table.get(key)
        if value is not None and not (isinstance(value, list) and all(_is_names(v) and len(v) == 2 for v in value)):
            raise InputError(source, f'{key} of skeleton must be pairs of names, [["a", "b"]], found {value!r:.80}')
        links[key] = None if value is None else tuple((a, b) for a, b in value)
    numbers = list(sigmas.values()) if isinstance(sigmas, dict) else [] if sigmas is None else [sigmas]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise InputError(
            source, f"sigmas of skeleton must be a number, or a number for each name, found {sigmas!r:.80}"
        )
    return SkeletonTable(
        source,
        None if names is None else tuple(names),
        links["mirror"],
        links["limbs"],
        tuple((name, float(n)) for name, n in sigmas.items()) if isinstance(sigmas, dict) else sigmas,
    )


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def category_with(category: Mapping[str, Any], table: SkeletonTable) -> dict[str, Any]:
    """The COCO category as the table changes it. Raises InputError where the two name other keypoints."""
    named = category.get("keypoints") or table.keypoints or ()
    if not isinstance(named, list | tuple):
        raise InputError(table.source, f"keypoints of the annotation file are no list of names, but {named!r:.80}")
    names = list(named)
    if table.keypoints and names != list(table.keypoints):
        of_file, of_table = ", ".join(map(str, names)), ", ".join(table.keypoints)
        raise InputError(table.source, f"keypoints of skeleton are {of_table}; those of the annotation file {of_file}")

    def index(name: str) -> int:
        if name not in names:
            raise InputError(table.source, f"skeleton names {name!r}, which is none of {', '.join(map(str, names))}")
        return names.index(name)

    changes: dict[str, Any] = {"keypoints": names}
    if table.mirror is not None:
        changes["flip_pairs"] = [[index(a), index(b)] for a, b in table.mirror]
    if table.limbs is not None:
        changes["skeleton"] = [[index(a) + 1, index(b) + 1] for a, b in table.limbs]
    if isinstance(table.sigmas, tuple):
        of = {index(name): sigma for name, sigma in table.sigmas}
        missing = [name for k, name in enumerate(names) if k not in of]
        if missing:
            raise InputError(table.source, f"sigmas of skeleton lack {missing[0]!r}")
        changes["sigmas"] = [of[k] for k in range(len(names))]
    elif table.sigmas is not None:
        changes["sigmas"] = [table.sigmas] * len(names)
    return dict(category) | changes


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
