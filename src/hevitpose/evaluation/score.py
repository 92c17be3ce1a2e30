"""Scores of predictions on labelled people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.results import Predictions
from hevitpose.evaluation.limbs import limb_rows, with_keypoints
from hevitpose.metrics.error_types import ErrorAnalysis
from hevitpose.metrics.names import Metric
from hevitpose.metrics.oks import (
    average_precision,
    best_matches,
    keypoint_similarities,
    load_evaluator,
    oks_nms,
    sigmas_of,
)
from hevitpose.metrics.pck import pck, pckh, torso_size

Nms = Literal["hard", "soft", "none"]
THRESHOLDS = {"pckh": ("PCKh", (0.5, 0.1, 0.11)), "pck": ("PCK", (0.2,)), "pck_box": ("PCKbox", (0.05, 0.1))}
"""Name and thresholds of each metric's scores; the first is its main score."""
HRNET_NOTE = "PCKh@0.11 is what HRNet's code prints as PCKh@0.1"
SIMILARITY = "OKS"
"""The score of single keypoints beside AP: their mean similarity over the people who were found."""

LIMB_SCORES = "limbs,"
"""What AP begins with where it is of the limb joints alone, which networks of other keypoints have too."""


@dataclass(frozen=True)
class Score:
    """A score in percent: the mean, and the value of each keypoint. None where there is nothing to measure."""

    mean: float | None
    per_keypoint: Mapping[str, float | None] | None = None


@dataclass(frozen=True)
class Difference:
    """How much higher the main score is than that of the predictions `baseline`, in points.

    95 % of the resamples lie between `low` and `high`; in `better` percent of them the score is higher.
    """

    baseline: str
    points: float
    low: float
    high: float
    better: float

    def __str__(self) -> str:
        interval = f"95 % interval {self.low:+.2f} to {self.high:+.2f}"
        return f"{self.points:+.2f} against {self.baseline} ({interval}; better in {self.better:.1f} % of resamples)"


@dataclass(frozen=True)
class Evaluation:
    """The scores of a network, or of a file of predictions, on a data set.

    `metric` names the main one of the `scores`, `boxes` where the people's boxes came from. `persons` were measured;
    `persons_left_out` lack a reference length. `labelled` counts the labelled joints of each keypoint that count.
    A network has `model` and `architecture`, a file of predictions has `predictions`. Where nobody's box was given,
    `found` has the figures of `evaluation.detection` and the main score in the boxes of the labels. `difference` is the
    one from a baseline's predictions.
    """

    data: str
    metric: str
    boxes: str
    persons: int
    persons_left_out: int
    labelled: Mapping[str, int]
    scores: Mapping[str, Score]
    notes: tuple[str, ...] = ()
    errors: ErrorAnalysis | None = None
    model: str | None = None
    architecture: str | None = None
    flip_test: bool | None = None
    flip_shift: int | None = None
    nms: Nms | None = None
    predictions: str | None = None
    found: Mapping[str, float | None] | None = None
    difference: Difference | None = None

    @property
    def main(self) -> float:
        """The main score in percent, 0 where there is nothing to measure."""
        return self.scores[self.metric].mean or 0.0

    @property
    def title(self) -> str:
        """What was measured, on one line."""
        flip = "" if self.flip_test is None else f", {'with' if self.flip_test else 'without'} flip test"
        who = self.model or self.predictions
        return f"{f'{who} on ' if who else ''}{self.data}: {self.persons} persons, boxes: {self.boxes}{flip}"


def score(people: LabelledPeople, found: Predictions, metric: Metric) -> Evaluation:
    """Scores of predictions against labels, without an error analysis.

    - "pckh": PCKh@0.5, @0.1 and @0.11, by head size.
    - "pck": PCK@0.2 of the torso; persons without a labelled torso are left out.
    - "pck_box": PCK@0.05 and @0.1 of the box's longer side, for any keypoints.
    - "oks": COCO's AP and AR; AP also of the limb joints alone, where people have more.

    Raises InputError if no person has what the metric needs, or if PCK cannot match predictions with labels.
    """
    return _score_by_oks(people, found) if metric == "oks" else _score_by_pck(people, found, metric)


def _score_by_oks(people: LabelledPeople, found: Predictions) -> Evaluation:
    sigmas, names = sigmas_of(people.skeleton, people.name), people.skeleton.keypoints
    oks = average_precision(people, found.image_index, found.joints, found.scores, sigmas)
    similar, mean = keypoint_similarities(people, by_person(people, found)[0], sigmas)
    scores = {name: Score(value) for name, value in oks.figures.items()}
    scores[SIMILARITY] = Score(_or_none(100 * mean), _by_name(names, 100 * similar))
    rows = limb_rows(people.skeleton)
    if rows and len(rows) < len(names):
        of_limbs, joints = with_keypoints(people, rows), found.joints[:, rows]
        limbs = average_precision(of_limbs, found.image_index, joints, found.scores, sigmas[rows])
        scores |= {f"{LIMB_SCORES} {name}": Score(limbs.figures[name]) for name in ("AP", "AP50")}
    labelled = dict(zip(names, people.labelled.sum(axis=0).tolist(), strict=True))
    return Evaluation(people.name, "AP", found.source, len(people), 0, labelled, scores, oks.notes)


def _score_by_pck(people: LabelledPeople, found: Predictions, metric: Metric) -> Evaluation:
    refuse_unmatched(people, found, metric)
    predicted, _ = by_person(people, found)
    lengths = reference_lengths(people, metric)
    usable = np.isfinite(lengths) & (lengths > 0)
    measured = (predicted[usable], people.keypoints[usable], people.labelled[usable], lengths[usable])
    prefix, thresholds = THRESHOLDS[metric]
    names, skeleton = people.skeleton.keypoints, people.skeleton
    scores: dict[str, Score] = {}
    for threshold in thresholds:
        result = pckh(*measured, skeleton, threshold) if metric == "pckh" else pck(*measured, threshold)
        scores[f"{prefix}@{threshold}"] = Score(_or_none(result.mean), _by_name(names, result.per_keypoint))
    labelled = dict(zip(names, people.labelled[usable].sum(axis=0).tolist(), strict=True))
    persons, notes = int(usable.sum()), (HRNET_NOTE,) if metric == "pckh" else ()
    main = next(iter(scores))
    return Evaluation(people.name, main, found.source, persons, len(people) - persons, labelled, scores, notes)


def refuse_unmeasurable(people: LabelledPeople, metric: Metric) -> None:
    """Raise InputError if the labels lack what the metric needs, before anything is predicted.

    Raises MissingExtraError where the evaluator of OKS is not installed.
    """
    if metric == "oks":
        sigmas_of(people.skeleton, people.name)
        load_evaluator()
    else:
        reference_lengths(people, metric)


def refuse_unmatched(people: LabelledPeople, found: Predictions, metric: Metric) -> None:
    """Raise InputError if the metric needs to know whose each prediction is, and that is unknown."""
    if metric != "oks" and found.person_of is None:
        unknown = f"which labelled person each prediction belongs to (boxes: {found.source})"
        raise InputError(people.name, f"{metric} needs to know {unknown}")


def reference_lengths(people: LabelledPeople, metric: Metric) -> Floats:
    """The lengths (N,) in pixels that errors are divided by, NaN where a person has none."""
    if metric == "pck_box":
        longer: Floats = (people.boxes[:, 2:] - people.boxes[:, :2]).max(axis=1)
        return longer
    lengths = torso_size(people.keypoints, people.labelled, people.skeleton) if metric == "pck" else people.head_sizes
    if not (lengths > 0).any():
        needed = "labelled shoulders and hips" if metric == "pck" else "a head_box or head_size"
        raise InputError(people.name, f"no person has {needed}, which {metric} needs; pck_box needs boxes only")
    return lengths


def apply_oks_nms(people: LabelledPeople, found: Predictions, config: ModelConfig, soft: bool) -> Predictions:
    """Predictions without duplicates of a person in the same image. Raises InputError for keypoints without sigmas."""
    sigmas = sigmas_of(people.skeleton, people.name)
    height, width = config.input_size
    crops = geometry.crop_box(found.boxes, config.padding, width / height)
    areas = np.prod(crops[:, 2:] - crops[:, :2], axis=1)  # of the padded boxes, as in HRNet and MMPose 0.29
    kept, scores = [], []
    for image in np.unique(found.image_index):
        here = np.flatnonzero(found.image_index == image)
        order, of_order = oks_nms(found.joints[here], found.scores[here], areas[here], sigmas, soft=soft)
        kept.append(here[order])
        scores.append(of_order)
    return replace(found.select(np.concatenate(kept)), scores=np.concatenate(scores))


def by_person(people: LabelledPeople, found: Predictions) -> tuple[Floats, Floats]:
    """Joints (N, K, 2) and scores (N, K) of the labelled people, NaN for those who were not found."""
    person_of = match_with_labels(people, found)
    known = np.flatnonzero(person_of >= 0)
    joints, scores = np.full_like(people.keypoints, np.nan), np.full(people.visibility.shape, np.nan)
    joints[person_of[known]], scores[person_of[known]] = found.joints[known], found.keypoint_scores[known]
    return joints, scores


def match_with_labels(people: LabelledPeople, found: Predictions) -> NDArray[np.int64]:
    """The labelled person (M,) that each prediction is of: where that is unknown by their best OKS, -1 for none."""
    if found.person_of is not None:
        return found.person_of
    return best_matches(people, found, sigmas_of(people.skeleton, people.name))


def _by_name(keypoints: Sequence[str], values: Floats) -> dict[str, float | None]:
    return {name: _or_none(value) for name, value in zip(keypoints, values.tolist(), strict=True)}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
