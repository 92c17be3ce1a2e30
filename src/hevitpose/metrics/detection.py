"""Box AP as COCO counts it, and what a user notices: objects found and stray boxes at one score.

Boxes are (N, 4), xyxy from the image's corner. Crowd regions are neither to be found nor strays: a detection whose own
area lies in one by the threshold's share is left out of the count.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_LEVELS = np.linspace(0, 1, 101)
MAX_DETECTIONS = 100


@dataclass(frozen=True, eq=False)
class ImageBoxes:
    """One image: labelled `boxes` (M, 4), which are crowds (`ignored`), `detected` (N, 4) and their `scores`."""

    boxes: Floats
    ignored: NDArray[np.bool_]
    detected: Floats
    scores: Floats


@dataclass(frozen=True)
class DetectionScores:
    """`ap` is the mean over IoU .50 to .95, `ap50` that at .50; both in [0, 1], NaN where nothing is labelled."""

    ap: float
    ap50: float


@dataclass(frozen=True, eq=False)
class Matches:
    """At one score and IoU .5: `found` (L,) of the labelled boxes of all images that are not ignored, and `strays`."""

    found: NDArray[np.bool_]
    strays: int


def iou(detected: Floats, boxes: Floats, crowd: NDArray[np.bool_] | bool = False) -> Floats:
    """Intersection over union (N, M); over the detection's own area where the label is a crowd (M,), or all are.

    >>> iou(np.array([[0, 0, 2, 2.0]]), np.array([[0, 0, 2, 4.0], [0, 0, 2, 4.0]]), np.array([False, True]))
    array([[0.5, 1. ]])
    """
    low = np.maximum(detected[:, None, :2], boxes[None, :, :2])
    high = np.minimum(detected[:, None, 2:], boxes[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    area, their_area = ((each[:, 2:] - each[:, :2]).prod(axis=1) for each in (detected, boxes))
    whole = np.where(crowd, area[:, None], area[:, None] + their_area - shared)
    overlap: Floats = shared / np.maximum(whole, 1e-12)
    return overlap


def nms(boxes: Floats, scores: Floats, threshold: float) -> NDArray[np.int64]:
    """Indices of the boxes (N, 4) that are kept, best first: each that overlaps no better one by more than `threshold`.

    >>> nms(np.array([[0, 0, 2, 2.0], [0, 0, 2, 2.2], [5, 5, 6, 6.0]]), np.array([0.5, 0.9, 0.1]), 0.5)
    array([1, 2])
    """
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[iou(boxes[order], boxes[best : best + 1])[:, 0] <= threshold]
    return np.array(kept, dtype=np.int64)


def match(image: ImageBoxes, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which label each detection has (N,), best score first, -1 for none; and whether it does not count (N,).

    `image.scores` must fall.
    """
    overlap = iou(image.detected, image.boxes, image.ignored)
    return match_overlaps(overlap, image.ignored, image.ignored, threshold)


def match_overlaps(
    overlap: Floats, ignored: NDArray[np.bool_], crowds: NDArray[np.bool_], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What `match` returns, of the overlaps (N, M) of detections with labels that are `ignored` or `crowds` (M,).

    As pycocotools does: a detection takes the free label it overlaps most, of those that count before an ignored one.
    A crowd may be taken more than once.
    """
    labels, free = np.full(len(overlap), -1), np.ones(len(ignored), dtype=bool)
    for row in range(len(labels)):
        usable = (overlap[row] >= min(threshold, 1 - 1e-10)) & (free | crowds)
        if (usable & ~ignored).any():
            usable &= ~ignored
        if usable.any():
            values = np.where(usable, overlap[row], -1)
            labels[row] = len(values) - 1 - values[::-1].argmax()  # of equals the last one, as pycocotools does
            free[labels[row]] = False
    return labels, (labels >= 0) & np.append(ignored, False)[labels]


def interpolated_precision(right: NDArray[np.bool_], weights: Floats, positives: float) -> Floats:
    """Average precisions (...) over 101 recall levels, of which detections are `right` (..., N), best score first.

    `weights` (..., N) say how often each detection counts, 0 for those that do not; there are `positives` labels.

    >>> interpolated_precision(np.array([[True, False], [False, True]]), np.ones(2), positives=2).round(3).tolist()
    [0.505, 0.252]
    """
    found, counted = np.cumsum(right * weights, axis=-1), np.cumsum(weights, axis=-1)
    precision = found / np.maximum(counted, 1e-12)
    precision = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    precision = np.append(precision, np.zeros((*precision.shape[:-1], 1)), axis=-1)
    recall = found.reshape(math.prod(found.shape[:-1]), found.shape[-1]) / positives
    places = np.stack([np.searchsorted(row, RECALL_LEVELS, side="left") for row in recall])
    places = places.reshape(*found.shape[:-1], len(RECALL_LEVELS))
    return np.asarray(np.take_along_axis(precision, places, axis=-1).mean(axis=-1))


def _by_score(image: ImageBoxes, least: float = -np.inf) -> ImageBoxes:
    order = np.argsort(-image.scores, kind="stable")[:MAX_DETECTIONS]
    order = order[image.scores[order] >= least]
    return ImageBoxes(image.boxes, image.ignored, image.detected[order], image.scores[order])


def box_ap(images: Sequence[ImageBoxes]) -> DetectionScores:
    """COCO's average precision of boxes, all sizes, 100 detections an image.

    >>> box = np.array([[0, 0, 10, 10.0]])
    >>> box_ap([ImageBoxes(box, np.array([False]), box, np.array([0.9]))])
    DetectionScores(ap=1.0, ap50=1.0)
    """
    ordered = [_by_score(image) for image in images]
    count = sum(int((~image.ignored).sum()) for image in ordered)
    if not count:
        return DetectionScores(float("nan"), float("nan"))
    order = np.argsort(-np.concatenate([image.scores for image in ordered]), kind="stable")
    precisions = []
    for threshold in IOU_THRESHOLDS:
        matches = [match(image, threshold) for image in ordered]
        hit, left_out = (np.concatenate(parts)[order] for parts in zip(*matches, strict=True))
        precisions.append(interpolated_precision(hit >= 0, (~left_out).astype(np.float64), count))
    return DetectionScores(float(np.mean(precisions)), float(precisions[0]))


def matches_at(images: Sequence[ImageBoxes], least_score: float) -> Matches:
    """Which labelled objects are found by boxes that score at least so much, and how many boxes are strays.

    >>> box = np.array([[0, 0, 10, 10.0]])
    >>> matches_at([ImageBoxes(box, np.array([False]), box + 50, np.array([0.9]))], 0.5)
    Matches(found=array([False]), strays=1)
    """
    found, strays = [np.zeros(0, dtype=bool)], 0
    for image in images:
        labels, _ = match(_by_score(image, least_score), IOU_THRESHOLDS[0])
        strays += int((labels < 0).sum())
        found.append(np.isin(np.arange(len(image.boxes)), labels)[~image.ignored])
    return Matches(np.concatenate(found), strays)
