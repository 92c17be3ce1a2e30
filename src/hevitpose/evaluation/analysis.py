"""Error analysis of an evaluation: kinds of errors by keypoint, and the calibration of scores."""

import numpy as np

from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.results import Predictions
from hevitpose.evaluation.score import THRESHOLDS, by_person, reference_lengths
from hevitpose.metrics.error_types import (
    KINDS,
    OKS_NEAR,
    OKS_RIGHT,
    UNLABELLED,
    ErrorAnalysis,
    calibration,
    error_kinds,
    error_shares,
)
from hevitpose.metrics.names import Metric
from hevitpose.metrics.oks import areas_of, sigmas_of


def analyze_errors(people: LabelledPeople, found: Predictions, metric: Metric) -> ErrorAnalysis:
    """Kinds of errors and calibration of the people who were found.

    For OKS a joint is right above a similarity of 0.85, and jitter above 0.5. Detections are matched with labels by
    their best OKS. Raises InputError if the metric's lengths or sigmas are unknown.
    """
    joints, scores = by_person(people, found)
    lengths, right, near = _bounds(people, metric)
    kinds = error_kinds(joints, people, lengths, right, near)
    present = (np.isfinite(joints).all(axis=2) & np.isfinite(lengths)).any(axis=1)
    kinds[~present] = UNLABELLED
    judged = kinds != UNLABELLED
    by_name = zip(people.skeleton.keypoints, kinds.T, strict=True)
    return ErrorAnalysis(
        persons=int(present.sum()),
        all_keypoints=error_shares(kinds),
        per_keypoint={name: error_shares(column) for name, column in by_name},
        calibration=calibration(scores[judged], kinds[judged] == KINDS.index("right")),
    )


def _bounds(people: LabelledPeople, metric: Metric) -> tuple[Floats, float, float]:
    """Reference lengths (N, K) in pixels, and the largest distances of right and near joints in these lengths."""
    if metric == "oks":
        sigmas = sigmas_of(people.skeleton, people.name)
        return 2 * sigmas * np.sqrt(areas_of(people))[:, None], OKS_RIGHT, OKS_NEAR
    lengths = np.where((lengths := reference_lengths(people, metric)) > 0, lengths, np.nan)
    right = THRESHOLDS[metric][1][0]  # that of the main score; jitter reaches to twice of it
    return np.broadcast_to(lengths[:, None], people.visibility.shape), right, 2 * right
