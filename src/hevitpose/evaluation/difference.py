"""Whether predictions are better than others on the same people, or only lucky: a paired bootstrap over the images."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.results import Predictions
from hevitpose.evaluation.score import THRESHOLDS, Difference, by_person, reference_lengths, refuse_unmatched
from hevitpose.metrics.detection import IOU_THRESHOLDS, interpolated_precision, match_overlaps
from hevitpose.metrics.names import Metric
from hevitpose.metrics.oks import areas_of, sigmas_of
from hevitpose.metrics.pck import MPII_LEFT_OUT

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)
MAX_PEOPLE = 20
"""COCO scores at most this many predicted people per image."""
WeightedScore = Callable[[Floats], float]
"""The main score in percent where each image counts as often as `weights` (I,) say; NaN where nothing is labelled."""


def bootstrap_difference(
    people: LabelledPeople, found: Predictions, baseline: Predictions, metric: Metric, name: str, seed: int = 0
) -> Difference | None:
    """The difference in the main score of `metric` between two sets of predictions, by `RESAMPLES` of the images.

    Images are drawn with their people, with replacement, the same ones for both (Efron and Tibshirani, "An Introduction
    to the Bootstrap", 1993). None where fewer than two images count. The raised errors are those of
    `evaluation.score.score`.

    >>> bootstrap_difference(people, found, found, "pck_box", "itself").points  # doctest: +SKIP
    0.0
    """
    ours, theirs = (weighted_score(people, each, metric) for each in (found, baseline))
    count, labelled = len(people.images), people.image_index[people.labelled.any(axis=1)]
    all_once = np.ones(count)
    points = ours(all_once) - theirs(all_once)
    if len(np.unique(labelled)) < 2 or not np.isfinite(points):
        return None
    random = np.random.default_rng(seed)
    draws = random.multinomial(count, all_once / count, size=RESAMPLES).astype(np.float64)
    differences = np.array([ours(weights) - theirs(weights) for weights in draws])
    differences = differences[np.isfinite(differences)]
    low, high = np.percentile(differences, INTERVAL).tolist()
    return Difference(name, points, low, high, 100 * float((differences > 0).mean()))


def weighted_score(people: LabelledPeople, found: Predictions, metric: Metric) -> WeightedScore:
    """The main score of predictions as a function of the images' weights."""
    return _weighted_ap(people, found) if metric == "oks" else _weighted_pck(people, found, metric)


def _weighted_pck(people: LabelledPeople, found: Predictions, metric: Metric) -> WeightedScore:
    refuse_unmatched(people, found, metric)
    joints, _ = by_person(people, found)
    lengths = reference_lengths(people, metric)
    lengths = np.where(lengths > 0, lengths, np.nan)[:, None]
    left_out = MPII_LEFT_OUT if metric == "pckh" else ()
    counts = people.labelled & np.array([name not in left_out for name in people.skeleton.keypoints])
    counts &= np.isfinite(lengths)
    near = np.linalg.norm(joints - people.keypoints, axis=2) / lengths <= THRESHOLDS[metric][1][0]

    def by_image(of: NDArray[np.bool_]) -> Floats:
        return np.bincount(people.image_index, of.sum(axis=1), len(people.images)).astype(np.float64)

    right, labelled = by_image(near & counts), by_image(counts)

    def score(weights: Floats) -> float:
        total = weights @ labelled
        return 100 * float(weights @ right / total) if total else np.nan

    return score


def _weighted_ap(people: LabelledPeople, found: Predictions) -> WeightedScore:
    sigmas = sigmas_of(people.skeleton, people.name)
    rows, hits, left_out = [], [], []
    for image in range(len(people.images)):
        theirs = np.flatnonzero(found.image_index == image)
        theirs = theirs[np.argsort(-found.scores[theirs], kind="stable")[:MAX_PEOPLE]]
        similar, ignored, crowds = _similarities(people, image, found.joints[theirs], sigmas)
        matched = [match_overlaps(similar, ignored, crowds, threshold) for threshold in IOU_THRESHOLDS]
        rows.append(theirs)
        hits.append(np.stack([labels >= 0 for labels, _ in matched]))
        left_out.append(np.stack([out for _, out in matched]))
    order = np.concatenate(rows)
    by_score = np.argsort(-found.scores[order], kind="stable")
    order = order[by_score]
    right, counted = np.concatenate(hits, axis=1)[:, by_score], ~np.concatenate(left_out, axis=1)[:, by_score]
    persons = np.bincount(people.image_index, people.labelled.any(axis=1), len(people.images))

    def score(weights: Floats) -> float:
        positives = float(weights @ persons)
        if not positives:
            return np.nan
        return 100 * float(interpolated_precision(right, counted * weights[found.image_index[order]], positives).mean())

    return score


def _similarities(
    people: LabelledPeople, image: int, joints: Floats, sigmas: Floats
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """OKS (N, M) of predicted joints (N, K, 2) with the labels of an image, and which of these are ignored and crowds.

    A label without keypoints is ignored. It is similar to what lies near its box, as in pycocotools.
    """
    here, other = people.image_index == image, people.ignored.image_index == image
    boxes = np.concatenate([people.boxes[here], people.ignored.boxes[other]])
    areas = np.concatenate([areas_of(people)[here], people.ignored.areas[other]])
    nowhere = np.zeros((int(other.sum()), people.skeleton.num_keypoints))
    labelled = np.concatenate([people.labelled[here], nowhere > 0])
    truth = np.concatenate([people.keypoints[here], np.stack([nowhere, nowhere], axis=2)])
    ignored: NDArray[np.bool_] = ~np.asarray(labelled.any(axis=1))
    xywh = geometry.xywh_from_xyxy(boxes)
    low, high = xywh[:, :2] - xywh[:, 2:], xywh[:, :2] + 2 * xywh[:, 2:]
    outside = np.maximum(0, low[:, None] - joints[:, None]) + np.maximum(0, joints[:, None] - high[:, None])
    away = np.where(ignored[:, None, None], outside, joints[:, None] - truth)
    errors = (away**2).sum(axis=3) / (2 * sigmas) ** 2 / (areas + np.spacing(1))[:, None] / 2
    counted = np.broadcast_to(labelled | ignored[:, None], errors.shape)
    crowds = np.concatenate([np.zeros(here.sum(), dtype=np.bool_), people.ignored.crowds[other]])
    return np.exp(-errors).mean(axis=2, where=counted), ignored, crowds
