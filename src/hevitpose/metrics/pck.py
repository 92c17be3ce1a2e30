"""PCK and PCKh: the share of joints found within a fraction of a reference length.

Equal to HRNet's `lib/dataset/mpii.py` (evaluate) on its ground truth; tests hold the known answers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hevitpose.core.geometry import Floats
from hevitpose.core.skeleton import Skeleton

HEAD_SIZE_OF_DIAGONAL = 0.6
"""MPII's normaliser is this share of the diagonal of the head box (`SC_BIAS` of its evaluation code)."""
MPII_LEFT_OUT = ("pelvis", "thorax")
"""Joints that MPII's evaluation leaves out of the mean."""


@dataclass(frozen=True, eq=False)
class PCK:
    """Shares of correct joints in percent, NaN where there was none to find: `per_keypoint` (K,), and of all joints."""

    per_keypoint: Floats
    mean: float


def pck(
    predicted: ArrayLike,
    truth: ArrayLike,
    labelled: ArrayLike,
    lengths: ArrayLike,
    threshold: float,
    left_out: ArrayLike | None = None,
) -> PCK:
    """PCK@threshold of joints (N, K, 2) against the truth (N, K, 2), each error divided by `lengths` (N,).

    Counts joints with `labelled` (N, K); a prediction of NaN is a miss. `left_out` (K,) marks keypoints that have
    their own row but do not enter the mean. Raises ValueError on a length that is not above zero.

    >>> pck([[[0, 0], [5, 0]]], [[[0, 1], [0, 0]]], [[True, True]], [4.0], 0.5).mean
    50.0
    """
    predicted, truth = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    labelled, lengths = np.asarray(labelled, dtype=bool), np.asarray(lengths, dtype=np.float64)
    if not (lengths > 0).all():
        raise ValueError(f"a reference length of PCK must be above 0, got {lengths.min() if lengths.size else None}")
    errors = np.linalg.norm(predicted - truth, axis=-1) / lengths[:, None]
    counts = labelled.sum(axis=0)
    found = ((errors <= threshold) & labelled).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_keypoint = 100.0 * found / counts
    counted = counts if left_out is None else counts * ~np.asarray(left_out, dtype=bool)
    mean = np.nansum(per_keypoint * counted) / counted.sum() if counted.any() else np.nan
    return PCK(per_keypoint, float(mean))


def pckh(
    predicted: ArrayLike,
    truth: ArrayLike,
    labelled: ArrayLike,
    head_sizes: ArrayLike,
    skeleton: Skeleton,
    threshold: float = 0.5,
) -> PCK:
    """PCKh: PCK by head size (N,), see `head_size`; pelvis and thorax stay out of the mean, as in MPII's evaluation."""
    left_out = [name in MPII_LEFT_OUT for name in skeleton.keypoints]
    return pck(predicted, truth, labelled, head_sizes, threshold, left_out)


def head_size(head_boxes: ArrayLike) -> Floats:
    """MPII's normaliser from head boxes (..., 4) x1, y1, x2, y2."""
    boxes = np.asarray(head_boxes, dtype=np.float64)
    sizes: Floats = HEAD_SIZE_OF_DIAGONAL * np.linalg.norm(boxes[..., 2:] - boxes[..., :2], axis=-1)
    return sizes


def torso_size(truth: ArrayLike, labelled: ArrayLike, skeleton: Skeleton) -> Floats:
    """LSP's normaliser (N,): the distance of left shoulder and right hip; the other diagonal where one is unlabelled.

    NaN where neither is labelled, or the skeleton has no such joints.
    """
    truth, labelled = np.asarray(truth, dtype=np.float64), np.asarray(labelled, dtype=bool)
    sizes = np.full(len(truth), np.nan)
    sides = [("l_shoulder", "r_hip"), ("r_shoulder", "l_hip")]
    if "left_shoulder" in skeleton.keypoints:
        sides = [("left_shoulder", "right_hip"), ("right_shoulder", "left_hip")]
    for shoulder, hip in sides:
        if not {shoulder, hip} <= set(skeleton.keypoints):
            continue
        a, b = skeleton.keypoints.index(shoulder), skeleton.keypoints.index(hip)
        usable = np.isnan(sizes) & labelled[:, a] & labelled[:, b]
        sizes[usable] = np.linalg.norm(truth[usable, a] - truth[usable, b], axis=-1)
    return sizes
