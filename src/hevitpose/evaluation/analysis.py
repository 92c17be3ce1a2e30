"""Why an evaluation came out as it did: kinds of errors by keypoint, and what scores are worth."""

from typing import Any

import numpy as np

from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.results import Predictions
from hevitpose.evaluation.score import by_person, reference_lengths
from hevitpose.metrics.error_types import (
    KINDS,
    OKS_NEAR,
    OKS_RIGHT,
    UNLABELLED,
    calibration,
    calibration_error,
    count_kinds,
    error_kinds,
)
from hevitpose.metrics.names import Metric
from hevitpose.metrics.oks import areas_of, sigmas_of

RIGHT = {"pckh": 0.5, "pck": 0.2, "pck_box": 0.05}
"""The bound of the figure that is quoted, in units of its length; within twice of it an error is jitter."""


def analysis(people: LabelledPeople, found: Predictions, metric: Metric) -> dict[str, Any]:
    """Two parts of an evaluation's JSON: "errors", the joints of each keypoint by kind, and "calibration".

    For OKS a joint is right from a similarity of 0.85 on, jitter from 0.5 on, and whom a box of a detector is of is
    decided by the best OKS; people whom nobody found take no part. Raises InputError where the metric's lengths or
    sigmas are not known.
    """
    joints, scores = by_person(people, found)
    lengths, right, near = _bounds(people, metric)
    kinds = error_kinds(joints, people, lengths, right, near)
    present = (np.isfinite(joints).all(axis=2) & np.isfinite(lengths)).any(axis=1)
    kinds[~present] = UNLABELLED
    counts = count_kinds(kinds)
    judged = kinds != UNLABELLED
    bins = calibration(scores[judged], kinds[judged] == KINDS.index("right"))
    keypoints = people.skeleton.keypoints
    return {
        "errors": {
            "persons": int(present.sum()),
            "all": _shares(counts.sum(axis=0)),
            "per_keypoint": {name: _shares(row) for name, row in zip(keypoints, counts, strict=True)},
        },
        "calibration": {
            "error": round(calibration_error(bins), 4),
            "bins": [
                {"from": b.low, "to": b.high, "joints": b.count}
                | {"mean_score": round(b.mean_score, 4), "share_right": round(b.share, 4)}
                for b in bins
            ],
        },
    }


def _bounds(people: LabelledPeople, metric: Metric) -> tuple[Floats, float, float]:
    """Reference lengths (N, K) in pixels, and up to how many of them a joint is right, and near."""
    if metric == "oks":
        sigmas = sigmas_of(people.skeleton, people.name)
        return 2 * sigmas * np.sqrt(areas_of(people))[:, None], OKS_RIGHT, OKS_NEAR
    lengths = np.where((lengths := reference_lengths(people, metric)) > 0, lengths, np.nan)
    return np.broadcast_to(lengths[:, None], people.visibility.shape), RIGHT[metric], 2 * RIGHT[metric]


def _shares(counts: Any) -> dict[str, float | int]:
    """How many joints there are, and the percent of each kind."""
    total = int(counts.sum())
    return {"joints": total} | {
        name: round(100 * int(count) / total, 2) if total else 0.0 for name, count in zip(KINDS, counts, strict=True)
    }
