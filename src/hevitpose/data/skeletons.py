"""Keypoint sets from COCO categories and from the [skeleton] table of a TOML file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hevitpose.core.errors import InputError
from hevitpose.core.keypoint_names import mirror_from_names
from hevitpose.core.skeleton import COCO17, Skeleton


def skeleton_from_coco(category: Mapping[str, Any], source: str, table: "SkeletonTable | None" = None) -> Skeleton:
    """The keypoint set that a COCO category names, as `table` changes it.

    Mirror partners come from its `flip_pairs` (0-based), else from the names.
    An empty list of pairs says that no keypoint changes sides. Its limbs (`skeleton`) count from 1, as in COCO; from 0
    where one of them is 0, as some tools write them. `sigmas` may stand in it too. Raises InputError where the category
    has no keypoints or the rest does not fit them.
    """
    category = category_with(category, table) if table else category
    names = category.get("keypoints")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(source, f"category {category.get('name', category.get('id'))!r} has no list of keypoint names")
    mirror = list(mirror_from_names(names))
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


def category_of(skeleton: Skeleton) -> dict[str, object]:
    """The COCO category, of id 1, that `skeleton_from_coco` reads back."""
    category: dict[str, object] = {
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


def category_with(category: Mapping[str, Any], table: SkeletonTable) -> Mapping[str, Any]:
    """The COCO category as the table changes it. Raises InputError where the two name other keypoints."""
    named = category.get("keypoints") or table.keypoints or ()
    if not isinstance(named, list | tuple):
        raise InputError(table.source, f"keypoints of the annotation file are not a list of names, but {named!r:.80}")
    names = list(named)
    if table.keypoints and names != list(table.keypoints):
        of_file, of_table = ", ".join(map(str, names)), ", ".join(table.keypoints)
        raise InputError(table.source, f"keypoints of skeleton are {of_table}; those of the annotation file {of_file}")

    def index(name: str) -> int:
        if name not in names:
            raise InputError(table.source, f"skeleton names {name!r}, not one of {', '.join(map(str, names))}")
        return names.index(name)

    changes: dict[str, object] = {"keypoints": names}
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
