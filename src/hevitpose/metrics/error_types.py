"""What is wrong with the joints that are not right, and whether scores say so.

The kinds are those of Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation" (ICCV
2017). Distances are in units of a reference length, so that they serve PCK, PCKh and OKS alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople

KINDS = ("right", "jitter", "inversion", "swap", "miss")
UNLABELLED = -1
OKS_RIGHT, OKS_NEAR = (sqrt(-2 * log(similarity)) for similarity in (0.85, 0.5))
"""Distances, in units of 2 sigma sqrt(area), of a keypoint similarity of 0.85 and 0.5: the paper's two bounds."""
BINS = 10


def error_kinds(
    predicted: Floats, people: LabelledPeople, lengths: Floats, right: float, near: float
) -> NDArray[np.int8]:
    """The place in `KINDS` (N, K) of each predicted joint (N, K, 2), `UNLABELLED` where there is no truth for it.

    In units of `lengths` (N, K), NaN where unknown: "right" is within `right` of the truth, "jitter" within `near`.
    Of the others "inversion" is within `near` of the mirror partner, "swap" of the joint or its partner of another
    person of the image, whichever is nearer in these units; all else, and what was not predicted, is a "miss".
    """
    partners = list(people.skeleton.mirror)
    own = _distances(predicted, people.keypoints, people.labelled, lengths)
    mirrored = people.keypoints[:, partners], people.labelled[:, partners], lengths[:, partners]
    inverted = _distances(predicted, *mirrored)
    inverted[:, [k for k, partner in enumerate(partners) if k == partner]] = np.inf
    swapped = np.full_like(own, np.inf)
    for one, other in _pairs(people.image_index):
        for order in (slice(None), partners):
            there = people.keypoints[other, order], people.labelled[other, order], lengths[other, order]
            swapped[one] = np.minimum(swapped[one], _distances(predicted[one], *there))
    kinds = np.select(
        [own <= right, own <= near, (inverted <= near) & (inverted <= swapped), swapped <= near], range(4), default=4
    )
    return np.where(people.labelled & np.isfinite(lengths), kinds, UNLABELLED).astype(np.int8)


def _distances(predicted: Floats, truth: Floats, labelled: NDArray[np.bool_], lengths: Floats) -> Floats:
    """Infinite where there is no prediction or no truth."""
    distances = np.linalg.norm(predicted - truth, axis=-1) / lengths
    return np.where(labelled & np.isfinite(distances), distances, np.inf)


def _pairs(image_index: NDArray[np.int64]) -> list[tuple[int, int]]:
    """All (one, other) of two persons of one image."""
    order = np.argsort(image_index, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(image_index[order])) + 1)
    return [pair for group in groups for pair in permutations(group.tolist(), 2)]


def count_kinds(kinds: NDArray[np.int8]) -> NDArray[np.int64]:
    """How many joints of each keypoint are of each kind: (K, 5) from kinds (N, K)."""
    counts: NDArray[np.int64] = (kinds[..., None] == np.arange(len(KINDS))).sum(axis=0)
    return counts


@dataclass(frozen=True)
class Bin:
    """Joints whose scores lie in one tenth of [0, 1]: their `mean_score`, and the `share` of them that is right."""

    low: float
    high: float
    count: int
    mean_score: float
    share: float


def calibration(scores: Floats, right: NDArray[np.bool_]) -> list[Bin]:
    """Of joints with `scores` (M,) and whether they are `right` (M,): the share of right ones by tenths of the score.

    Tenths without a joint are left out.

    >>> calibration(np.array([0.92, 0.98, 0.31]), np.array([True, False, False]))[-1]
    Bin(low=0.9, high=1.0, count=2, mean_score=0.95, share=0.5)
    """
    tenth = np.clip((scores * BINS).astype(np.int64), 0, BINS - 1)
    return [
        Bin(k / BINS, (k + 1) / BINS, int(inside.sum()), float(scores[inside].mean()), float(right[inside].mean()))
        for k in range(BINS)
        if (inside := tenth == k).any()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """By how much scores and shares of right joints differ, on average over all joints (expected calibration error)."""
    return sum(b.count * abs(b.mean_score - b.share) for b in bins) / max(1, sum(b.count for b in bins))
