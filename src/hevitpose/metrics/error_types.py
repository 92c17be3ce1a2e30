"""Kinds of keypoint errors, and the calibration of scores.

The kinds are those of Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation" (ICCV
2017). Distances are in units of a reference length, so they serve PCK, PCKh and OKS alike.
"""

from collections.abc import Mapping, Sequence
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
    """The index in `KINDS` (N, K) of each predicted joint, or `UNLABELLED` if it has no truth or no length.

    - "right": within `right` of the truth.
    - "jitter": within `near` of the truth.
    - "inversion": within `near` of the mirror partner.
    - "swap": within `near` of the same joint, or its partner, of another person of the image, and nearer to it than
      to the own partner.
    - "miss": everything else, and joints that were not predicted.

    Args:
        predicted: joints (N, K, 2) in image pixels, NaN if not predicted.
        people: the labels of the same N persons.
        lengths: reference lengths (N, K) in pixels, NaN where unknown.
        right: largest distance of a right joint, in reference lengths.
        near: largest distance of the other kinds, in reference lengths.
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
    """Distances in reference lengths, infinite without a prediction or a truth."""
    distances = np.linalg.norm(predicted - truth, axis=-1) / lengths
    return np.where(labelled & np.isfinite(distances), distances, np.inf)


def _pairs(image_index: NDArray[np.int64]) -> list[tuple[int, int]]:
    """All ordered pairs of two persons in the same image."""
    order = np.argsort(image_index, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(image_index[order])) + 1)
    return [pair for group in groups for pair in permutations(group.tolist(), 2)]


@dataclass(frozen=True)
class ErrorShares:
    """The number of `joints`, and the percentage of them that is of each kind."""

    joints: int
    right: float
    jitter: float
    inversion: float
    swap: float
    miss: float


def error_shares(kinds: NDArray[np.int8]) -> ErrorShares:
    """Shares of the kinds (of any shape) that `error_kinds` gives; all 0 if no joint has a truth.

    >>> error_shares(np.array([0, 0, 0, 4, UNLABELLED], dtype=np.int8))
    ErrorShares(joints=4, right=75.0, jitter=0.0, inversion=0.0, swap=0.0, miss=25.0)
    """
    counts = [int((kinds == kind).sum()) for kind in range(len(KINDS))]
    return ErrorShares(sum(counts), *(100 * count / max(1, sum(counts)) for count in counts))


@dataclass(frozen=True)
class CalibrationBin:
    """Joints with scores from `low` to `high`: their mean score, and the share of them (0 to 1) that is right."""

    low: float
    high: float
    joints: int
    mean_score: float
    share_right: float


def calibration(scores: Floats, right: NDArray[np.bool_]) -> tuple[CalibrationBin, ...]:
    """One bin for each tenth of [0, 1] that holds a score (M,); `right` (M,) says which joints are right.

    >>> calibration(np.array([0.92, 0.98, 0.31]), np.array([True, False, False]))[-1]
    CalibrationBin(low=0.9, high=1.0, joints=2, mean_score=0.95, share_right=0.5)
    """
    tenth = np.clip((scores * BINS).astype(np.int64), 0, BINS - 1)
    bins = []
    for k in range(BINS):
        if (inside := tenth == k).any():
            values = float(scores[inside].mean()), float(right[inside].mean())
            bins.append(CalibrationBin(k / BINS, (k + 1) / BINS, int(inside.sum()), *values))
    return tuple(bins)


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The expected calibration error: the difference of score and share of right joints, averaged over joints."""
    return sum(b.joints * abs(b.mean_score - b.share_right) for b in bins) / max(1, sum(b.joints for b in bins))


@dataclass(frozen=True)
class ErrorAnalysis:
    """Error shares of all keypoints and of each, over the `persons` who were found; calibration of the scores."""

    persons: int
    all_keypoints: ErrorShares
    per_keypoint: Mapping[str, ErrorShares]
    calibration: Sequence[CalibrationBin]
