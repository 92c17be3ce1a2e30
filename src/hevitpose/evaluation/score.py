"""The score of a network on labelled people: in the boxes of their labels, or of a detector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.results import Predictions
from hevitpose.evaluation.predict import predictions_in_labels
from hevitpose.inference.network import Network
from hevitpose.metrics.names import Metric
from hevitpose.metrics.oks import (
    OKS,
    average_precision,
    best_matches,
    keypoint_similarities,
    oks_nms,
    sigmas_of,
)
from hevitpose.metrics.pck import PCK, pck, pckh, torso_size

Nms = Literal["hard", "soft", "none"]
PCKH = (0.5, 0.1, 0.11)
HRNETS = "PCKh@0.11 is what HRNet's code prints as PCKh@0.1"
SIMILARITY = "OKS"
"""The figure of the keypoints beside AP, which has none: their mean similarity over the people who were found."""


@dataclass(frozen=True, eq=False)
class Scores:
    """`main` is the figure to quote, under the name `metric` (in percent); `persons` took part in it."""

    metric: str
    main: float
    persons: int
    by_threshold: dict[str, PCK]
    oks: OKS | None = None

    def as_json(self, keypoints: Sequence[str]) -> dict[str, Any]:
        """Every figure's mean, and its value for each of the `keypoints` where it has one."""
        if self.oks is not None:
            return {name: {"mean": None if v is None else round(v, 3)} for name, v in self.oks.figures.items()}
        return {
            name: {
                "mean": round(result.mean, 3),
                "per_keypoint": {
                    keypoint: None if np.isnan(value) else round(value, 3)
                    for keypoint, value in zip(keypoints, result.per_keypoint.tolist(), strict=True)
                },
            }
            for name, result in self.by_threshold.items()
        }


def score(people: LabelledPeople, found: Predictions, metric: Metric) -> Scores:
    """People found against their labels.

    "pckh": PCKh@0.5, @0.1 and @0.11 by head size. "pck": PCK@0.2 of the torso, persons without a labelled torso left
    out. "pck_box": PCK@0.05 and @0.1 of the box's longer side, for any keypoints. "oks": COCO's AP and AR.
    Raises InputError where no person has what the metric needs, or where PCK does not know who is whom.
    """
    if metric == "oks":
        sigmas = sigmas_of(people.skeleton, people.name)
        oks = average_precision(people, found.image_index, found.joints, found.scores, sigmas)
        return Scores("AP", oks.figures["AP"] or 0.0, len(people), {}, oks)
    if found.person_of is None:
        whose = f"which labelled person each prediction is of (boxes: {found.source})"
        raise InputError(people.name, f"{metric} needs to know {whose}")
    predicted = np.full_like(people.keypoints, np.nan)
    predicted[found.person_of] = found.joints
    lengths = reference_lengths(people, metric)
    usable = np.isfinite(lengths) & (lengths > 0)
    measured = (predicted[usable], people.keypoints[usable], people.labelled[usable], lengths[usable])
    if metric == "pckh":
        by_threshold = {f"PCKh@{t}": pckh(*measured, people.skeleton, t) for t in PCKH}
    elif metric == "pck":
        by_threshold = {"PCK@0.2": pck(*measured, 0.2)}
    else:
        by_threshold = {f"PCKbox@{t}": pck(*measured, t) for t in (0.05, 0.1)}
    name, main = next(iter(by_threshold.items()))
    return Scores(name, main.mean, int(usable.sum()), by_threshold)


def refuse_unmeasurable(people: LabelledPeople, metric: Metric) -> None:
    """Raise InputError where these labels lack what the metric needs: before anything is predicted."""
    score(people, predictions_in_labels(people, people.keypoints, np.ones(people.visibility.shape)), metric)


def reference_lengths(people: LabelledPeople, metric: Metric) -> Floats:
    """What errors are divided by (N,), NaN where a person has none."""
    if metric == "pck_box":
        longer: Floats = (people.boxes[:, 2:] - people.boxes[:, :2]).max(axis=1)
        return longer
    lengths = torso_size(people.keypoints, people.labelled, people.skeleton) if metric == "pck" else people.head_sizes
    if not (lengths > 0).any():
        needed = "labelled shoulders and hips" if metric == "pck" else "a head_box or head_size"
        raise InputError(people.name, f"no person has {needed}, which {metric} needs; pck_box needs boxes only")
    return lengths


def apply_oks_nms(people: LabelledPeople, found: Predictions, network: Network, soft: bool) -> Predictions:
    """Each person of an image once, by OKS. Raises InputError where the keypoints have no sigmas."""
    sigmas = sigmas_of(people.skeleton, people.name)
    height, width = network.config.input_size
    crops = geometry.crop_box(found.boxes, network.config.padding, width / height)
    areas = np.prod(crops[:, 2:] - crops[:, :2], axis=1)  # of the padded boxes, as in HRNet and MMPose 0.29
    kept, scores = [], []
    for image in np.unique(found.image_index):
        here = np.flatnonzero(found.image_index == image)
        order, of_order = oks_nms(found.joints[here], found.scores[here], areas[here], sigmas, soft)
        kept.append(here[order])
        scores.append(of_order)
    chosen = np.concatenate(kept)
    return Predictions(
        found.image_index[chosen],
        found.boxes[chosen],
        found.joints[chosen],
        found.keypoint_scores[chosen],
        np.concatenate(scores),
        None if found.person_of is None else found.person_of[chosen],
        found.source,
    )


def as_json(people: LabelledPeople, found: Predictions, metric: Metric, notes: Sequence[str] = ()) -> dict[str, Any]:
    """An evaluation as results/*.json holds it: on what, in which boxes, every figure, and what is odd."""
    result = score(people, found, metric)
    names = people.skeleton.keypoints
    counts = next(iter(result.by_threshold.values())).counts if result.by_threshold else people.labelled.sum(axis=0)
    figures = result.as_json(names)
    if metric == "oks":
        similar = keypoint_similarities(people, by_person(people, found)[0], sigmas_of(people.skeleton, people.name))
        figures[SIMILARITY] = _as_percent(names, *similar)
    own = [*(result.oks.notes if result.oks else ()), *([HRNETS] if metric == "pckh" else [])]
    return {
        "data": people.name,
        "metric": result.metric,
        "boxes": found.source,
        "persons": result.persons,
        "persons_left_out": len(people) - result.persons,
        "labelled": dict(zip(names, counts.tolist(), strict=True)),
        "scores": figures,
        "notes": [*notes, *own],
    }


def by_person(people: LabelledPeople, found: Predictions) -> tuple[Floats, Floats]:
    """Joints (N, K, 2) and scores (N, K) of the labelled people, NaN for those whom nobody found.

    In boxes of which that is not known, the best OKS decides whom they are of.
    """
    person_of = found.person_of
    if person_of is None:
        person_of = best_matches(people, found, sigmas_of(people.skeleton, people.name))
    known = np.flatnonzero(person_of >= 0)
    joints, scores = np.full_like(people.keypoints, np.nan), np.full(people.visibility.shape, np.nan)
    joints[person_of[known]], scores[person_of[known]] = found.joints[known], found.keypoint_scores[known]
    return joints, scores


def _as_percent(keypoints: Sequence[str], shares: Floats, mean: float) -> dict[str, Any]:
    """A figure with its value for each keypoint, None where there is none."""
    percent = [None if np.isnan(share) else round(100 * share, 3) for share in (*shares.tolist(), mean)]
    return {"mean": percent[-1], "per_keypoint": dict(zip(keypoints, percent[:-1], strict=True))}
