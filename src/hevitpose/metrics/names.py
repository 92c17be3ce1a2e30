"""The metrics that a data set can be measured by."""

from typing import Literal

from hevitpose.core.labels import LabelledPeople

Metric = Literal["pckh", "pck", "pck_box", "oks"]


def suitable_metric(people: LabelledPeople) -> Metric:
    """ "oks" where sigmas and areas are known, as in COCO's own sets, else "pck_box", which suits any keypoints."""
    return "oks" if people.skeleton.sigmas and (people.areas > 0).any() else "pck_box"
