"""The score of a network on labelled people, with their own boxes."""

from dataclasses import dataclass

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.person import LabelledPeople
from hevitpose.files.crops import Crops
from hevitpose.files.datasets import Metric
from hevitpose.inference.backends import Backend
from hevitpose.inference.crops import find_joints
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
    Raises InputError where no person has what the metric needs.
    """
    labelled = people.labelled
    if metric == "pckh":
        lengths = people.head_sizes
    else:
        lengths = torso_size(people.keypoints, labelled, people.skeleton)
    usable = np.isfinite(lengths) & (lengths > 0)
    if not usable.any():
        needed = "a head_box or head_size" if metric == "pckh" else "labelled shoulders and hips"
        raise InputError(people.name, f"no person has {needed}, which {metric} needs")
    measured = (predicted[usable], people.keypoints[usable], labelled[usable], lengths[usable])
    if metric == "pckh":
        by_threshold = {f"PCKh@{t}": pckh(*measured, people.skeleton, t) for t in (0.5, 0.1)}
    else:
        by_threshold = {"PCK@0.2": pck(*measured, 0.2)}
    name, main = next(iter(by_threshold.items()))
    return Scores(name, main.mean, int(usable.sum()), by_threshold)


def evaluate(
    backend: Backend, people: LabelledPeople, crops: Crops, metric: Metric, flip_test: bool, batch_size: int = 32
) -> Scores:
    """Predict every person of `crops` and score the joints."""
    predicted, _ = find_joints(backend, crops, batch_size, people.skeleton.mirror if flip_test else None)
    return score(people, predicted, metric)
