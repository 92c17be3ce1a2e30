"""Calibration of people's scores: the two numbers that make them probabilities."""

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.inference.model_folder import Calibration

MIN_CASES = 10
"""With fewer right or fewer wrong candidates the numbers would be those of chance."""
MIN_PRODUCT = 1e-4
STEPS = 100


def fit_calibration(scores: Floats, right: NDArray[np.bool_]) -> Calibration | None:
    """The calibration of candidates with these products of scores (N,), of which these are `right` (N,).

    A logistic regression on the logarithm of the score, with the targets of Platt (1999), which keep it finite where
    the two kinds do not overlap. None where one kind is rare, or where right ones do not score more.

    >>> scores = np.repeat([0.1, 0.2, 0.4], 20)
    >>> right = np.repeat([False, True, False, True, False, True], [19, 1, 10, 10, 1, 19])
    >>> fitted = fit_calibration(scores, right)
    >>> fitted(np.array([0.1, 0.2, 0.4])).round(1) if fitted else None
    array([0.1, 0.5, 0.9])
    """
    positives, negatives = int(right.sum()), int((~right).sum())
    if min(positives, negatives) < MIN_CASES:
        return None
    x = np.stack([np.log(np.maximum(scores, MIN_PRODUCT)), np.ones(len(scores))], axis=1)
    targets = np.where(right, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weights = np.zeros(2)
    for _ in range(STEPS):  # Newton's method; the ridge keeps a step from being endless
        probabilities = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        spread = probabilities * (1 - probabilities)
        hessian = (x * spread[:, None]).T @ x + 1e-3 * np.eye(2)
        weights = weights + np.linalg.solve(hessian, x.T @ (targets - probabilities))
    slope, offset = weights.tolist()
    return Calibration(slope, float(np.exp(-offset / slope))) if slope > 0 else None
