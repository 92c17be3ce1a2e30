"""The score of a network on labelled people, in the boxes of their labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.person import LabelledPeople
from hevitpose.files.crops import Crops
from hevitpose.files.datasets import Metric
from hevitpose.inference.crops import find_joints
from hevitpose.inference.network import Network
from hevitpose.metrics.pck import PCK, pck, pckh, torso_size


@dataclass(frozen=True, eq=False)
class Scores:
    """`main` is the figure to quote, under the name `metric` (in percent); `persons` took part in it."""

    metric: str
    main: float
    persons: int
    by_threshold: dict[str, PCK]


def score(people: LabelledPeople, predicted: Floats, metric: Metric) -> Scores:
    """Predicted joints (N, K, 2) in picture pixels against the labels.

    "pckh": PCKh@0.5 and @0.1 by head size. "pck": PCK@0.2 of the torso, persons without a labelled torso left out.
    "pck_box": PCK@0.05 and @0.1 of the box's longer side, for any keypoints.
    Raises InputError where no person has what the metric needs.
    """
    labelled = people.labelled
    if metric == "pck_box":
        sides = (people.boxes[:, 2:] - people.boxes[:, :2]).max(axis=1)
        of_box = {f"PCKbox@{t}": pck(predicted, people.keypoints, labelled, sides, t) for t in (0.05, 0.1)}
        return Scores("PCKbox@0.05", of_box["PCKbox@0.05"].mean, len(people), of_box)
    torso = metric == "pck"
    lengths = torso_size(people.keypoints, labelled, people.skeleton) if torso else people.head_sizes
    usable = np.isfinite(lengths) & (lengths > 0)
    if not usable.any():
        needed = "labelled shoulders and hips" if torso else "a head_box or head_size"
        raise InputError(people.name, f"no person has {needed}, which {metric} needs")
    measured = (predicted[usable], people.keypoints[usable], labelled[usable], lengths[usable])
    if torso:
        by_threshold = {"PCK@0.2": pck(*measured, 0.2)}
    else:
        by_threshold = {f"PCKh@{t}": pckh(*measured, people.skeleton, t) for t in (0.5, 0.1)}
    name, main = next(iter(by_threshold.items()))
    return Scores(name, main.mean, int(usable.sum()), by_threshold)


def evaluate(
    network: Network, people: LabelledPeople, crops: Crops, metric: Metric, flip_test: bool, batch_size: int = 32
) -> Scores:
    """Predict every person of `crops` and score the joints."""
    mirror = people.skeleton.mirror if flip_test else None
    predicted, _ = find_joints(network.backend, crops, batch_size, mirror, network.facts.codec)
    return score(people, predicted, metric)


def evaluate_as_json(
    network: Network, people: LabelledPeople, crops: Crops, metric: Metric, flip_test: bool, batch_size: int
) -> dict[str, Any]:
    """The evaluation as results/*.json holds it: what was measured on what, in which boxes, and per keypoint."""
    result = evaluate(network, people, crops, metric, flip_test, batch_size)
    names = people.skeleton.keypoints
    first = result.by_threshold[result.metric]
    return {
        "model": network.name,
        "data": people.name,
        "boxes": "ground truth",
        "flip_test": flip_test,
        "persons": result.persons,
        "persons_left_out": len(people) - result.persons,
        "labelled": dict(zip(names, first.counts.tolist(), strict=True)),
        "scores": {
            name: {
                "mean": round(pck.mean, 3),
                "per_keypoint": {
                    keypoint: None if np.isnan(value) else round(value, 3)
                    for keypoint, value in zip(names, pck.per_keypoint.tolist(), strict=True)
                },
            }
            for name, pck in result.by_threshold.items()
        },
    }
