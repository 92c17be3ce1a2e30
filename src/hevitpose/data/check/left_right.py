"""Left and right labelled the wrong way round: in some people, by comparison with the others, or in the whole set."""

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import normalize_name
from hevitpose.core.sampling import evenly_spaced
from hevitpose.core.skeleton import Skeleton

RULE_SHARE = 0.95
"""A rule holds for at least this share of the people, so that one exception takes twenty."""
CLEAR_COSINE = 0.5
CLEAR_LENGTH = 0.1
"""Directions count where they are clear, and no shorter than this share of the person's labelled extent."""
CLEAR_MAJORITY = 0.6
CLEAR_Z = 4.0
"""Two sets name sides differently if at least this share of each stands its way, at this many standard deviations."""
MIN_VOTES = 5
"""A smaller set says little."""
COMPARED_PEOPLE = 2000
"""Of each set, evenly spaced: enough for any share."""
VISIBLE = 2
MIN_FACES = 10
WRONG_SIDE_SHARE = 2 / 3
"""Sides are the viewer's if at least `MIN_FACES` people face the camera and more than this share has them so."""


def exchanged_sides(joints: Floats, skeleton: Skeleton) -> list[tuple[int, int, float]]:
    """Left and right that stand the other way round than in nearly all others: person, left keypoint, their share.

    `joints` (N, K, 2), NaN where not labelled. The direction from left to right of a pair is compared with that of
    every other pair, and with the lines from its middle to the other middles; where most of the rules that hold for
    the others are broken, the pair counts as exchanged. What varies (people seen from the front and from behind)
    makes no rule.
    """
    pairs = _pairs(skeleton)
    if not pairs or not len(joints):
        return []
    across, middles, shortest = _directions(joints, skeleton)
    found = []
    for p, (left_joint, _) in enumerate(pairs):
        others = np.concatenate([np.delete(across, p, axis=1), _beside(middles, p)], axis=1)
        signs = _signs(across[:, p], others, shortest)
        agreement, share = _agreement(signs)
        exchanged = (agreement < 0).sum(axis=1) > (agreement > 0).sum(axis=1)
        found += [(int(n), left_joint, float(share[agreement[n] < 0].max())) for n in np.flatnonzero(exchanged)]
    return sorted(found)


def turned_sides(first: Floats, second: Floats, skeleton: Skeleton) -> list[int]:
    """Left keypoints that stand the other way round in the second set (M, K, 2) than in the first (N, K, 2).

    The direction from left to right of a pair is compared with the lines from its middle to the other middles. It
    stands the other way round if, for most lines, clear majorities of the two sets disagree.
    """
    some = (joints[evenly_spaced(len(joints), COMPARED_PEOPLE)] for joints in (first, second))
    (left_1, all_1), (left_2, all_2) = (_votes(joints, skeleton) for joints in some)
    with np.errstate(invalid="ignore", divide="ignore"):
        share_1, share_2, pooled = left_1 / all_1, left_2 / all_2, (left_1 + left_2) / (all_1 + all_2)
        z = (share_1 - share_2) / np.sqrt(pooled * (1 - pooled) * (1 / all_1 + 1 / all_2))
        clear = np.minimum(np.maximum(share_1, 1 - share_1), np.maximum(share_2, 1 - share_2)) >= CLEAR_MAJORITY
        differs = clear & ((share_1 > 0.5) != (share_2 > 0.5)) & (abs(z) >= CLEAR_Z)
    known = (all_1 >= MIN_VOTES) & (all_2 >= MIN_VOTES)
    most = known.any(axis=1) & (2 * (differs & known).sum(axis=1) > known.sum(axis=1))
    return [left for (left, _), stands in zip(_pairs(skeleton), most, strict=True) if stands]


def _votes(joints: Floats, skeleton: Skeleton) -> tuple[Floats, Floats]:
    """(P, R): in how many people each pair points as each of its lines, and in how many that is clear."""
    pairs = _pairs(skeleton)
    across, middles, shortest = _directions(joints, skeleton)
    signs = [_signs(across[:, p], _beside(middles, p), shortest) for p in range(len(pairs))]
    shape = (len(pairs), skeleton.num_keypoints - len(pairs) - 1)
    forward, clear = [(sign > 0).sum(axis=0) for sign in signs], [(sign != 0).sum(axis=0) for sign in signs]
    return np.reshape(forward, shape).astype(np.float64), np.reshape(clear, shape).astype(np.float64)


def _directions(joints: Floats, skeleton: Skeleton) -> tuple[Floats, Floats, Floats]:
    """From left to right of each pair (N, P, 2), middles of pairs and joints without a side (N, M, 2), and the shortest
    direction of each person (N,) that counts."""
    left, right = (joints[:, [pair[side] for pair in _pairs(skeleton)]] for side in (0, 1))
    alone = [k for k, p in enumerate(skeleton.mirror) if k == p]
    middles = np.concatenate([(left + right) / 2, joints[:, alone]], axis=1)
    extents = np.nanmax(joints, axis=1, initial=-np.inf) - np.nanmin(joints, axis=1, initial=np.inf)
    return right - left, middles, CLEAR_LENGTH * extents.max(axis=1)


def _beside(middles: Floats, pair: int) -> Floats:
    """The lines from the middle of a pair to the other middles (N, M - 1, 2), turned by a right angle."""
    away = np.delete(middles, pair, axis=1) - middles[:, pair, None]
    return np.asarray(away[..., ::-1] * (1, -1))


def viewers_sides(joints: Floats, skeleton: Skeleton) -> tuple[list[int], int]:
    """Left keypoints that lie left of the right ones in most people who face the camera, and how many people do.

    `joints` (N, K, 3) with COCO's visibility. Who shows nose and both eyes faces the camera, and the nose lies below
    the eyes, whatever these are called: the person's left is the right one then. Without these names, and for few
    people, nothing is said.
    """
    place = {normalize_name(name): k for k, name in enumerate(skeleton.keypoints)}
    if not {"nose", "left eye", "right eye"} <= set(place):
        return [], 0
    face = joints[:, [place["nose"], place["left eye"], place["right eye"]]]
    faces = joints[(face[..., 2] == VISIBLE).all(axis=1)]
    nose, eye, other_eye = face[(face[..., 2] == VISIBLE).all(axis=1), :, :2].swapaxes(0, 1)
    down = nose - (eye + other_eye) / 2
    towards_left = down[:, ::-1] * (1, -1)
    wrong = []
    for left, right in _pairs(skeleton):
        labelled = (faces[:, [left, right], 2] > 0).all(axis=1)
        across = faces[:, left, :2] - faces[:, right, :2]
        signs = _signs(across, towards_left[:, None], np.zeros(len(faces)))[labelled]
        if (signs < 0).sum() > WRONG_SIDE_SHARE * abs(signs).sum() and abs(signs).sum() >= MIN_FACES:
            wrong.append(left)
    return wrong, len(faces)


def _pairs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """The left and the right keypoint of each pair."""
    return [(k, p) if skeleton.side(k) == "left" else (p, k) for k, p in enumerate(skeleton.mirror) if k < p]


def _signs(across: Floats, others: Floats, shortest: Floats) -> NDArray[np.int8]:
    """(N, R): whether `across` (N, 2) points as each of `others` (N, R, 2) or against it; 0 where that is not clear."""
    own, their = np.linalg.norm(across, axis=-1), np.linalg.norm(others, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = (across[:, None] * others).sum(axis=-1) / (own[:, None] * their)
        clear = (abs(cosine) > CLEAR_COSINE) & (their > shortest[:, None]) & (own > shortest)[:, None]
    return np.where(clear, np.sign(cosine), 0).astype(np.int8)


def _agreement(signs: NDArray[np.int8]) -> tuple[NDArray[np.int8], Floats]:
    """(N, R): 1 where a person keeps a rule, -1 where it breaks it, 0 where there is none; (R,) who keep it."""
    votes = np.stack([(signs < 0).sum(axis=0), (signs > 0).sum(axis=0)])
    total = votes.sum(axis=0)
    share = votes.max(axis=0) / np.maximum(total, 1)
    usual = np.where(share >= RULE_SHARE, np.where(votes[1] > votes[0], 1, -1), 0)
    return (signs * usual).astype(np.int8), share
