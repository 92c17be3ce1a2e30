"""How many of the people in the images are found, by their size, and how many are found where nobody is."""

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.results import Predictions
from hevitpose.metrics.detection import ImageBoxes, box_ap, matches_at

SIZES = (("small", 0.0, 32.0**2), ("medium", 32.0**2, 96.0**2), ("large", 96.0**2, np.inf))
"""COCO's, by the area of the box in pixels."""
MANY_KEYPOINTS = 8
Figures = dict[str, float | None]


def detection_figures(people: LabelledPeople, found: Predictions, min_score: float, complete: bool) -> Figures:
    """Figures of the boxes that are found, in percent but for the counts; None where there is nothing to measure.

    A person is found by a box of IoU .5 that scores at least `min_score`. Labelled people without keypoints are people,
    too; crowds count neither way. The box AP, over all scores, is there only for a `complete` set, which labels
    everybody.

    >>> detection_figures(people, found, 0.25, complete=False)["found"]  # doctest: +SKIP
    """
    boxes = labelled_boxes(people, found)
    matches = matches_at(boxes, min_score)
    areas = np.concatenate([np.prod(b.boxes[:, 2:] - b.boxes[:, :2], axis=1)[~b.ignored] for b in boxes])
    figures: Figures = {"people": len(matches.found), "found": percent(matches.found)}
    if people.skeleton.num_keypoints >= MANY_KEYPOINTS:
        counts = np.concatenate([keypoints_labelled(people, n) for n in range(len(people.images))])
        figures[f"found, {MANY_KEYPOINTS} keypoints or more"] = percent(matches.found[counts >= MANY_KEYPOINTS])
    figures |= {f"found, {name}": percent(matches.found[(areas >= a) & (areas < b)]) for name, a, b in SIZES}
    figures["strays an image"] = round(matches.strays / len(people.images), 3)
    if complete:
        ap = box_ap(boxes)
        figures |= {"box AP": 100 * ap.ap, "box AP50": 100 * ap.ap50}
    return figures


def labelled_boxes(people: LabelledPeople, found: Predictions) -> list[ImageBoxes]:
    """The boxes of each image: of its people, then of people without keypoints and of crowds, which are ignored."""
    images = []
    for number in range(len(people.images)):
        here, other = people.image_index == number, people.ignored.image_index == number
        crowds = np.concatenate([np.zeros(here.sum(), dtype=np.bool_), people.ignored.crowds[other]])
        boxes = np.concatenate([people.boxes[here], people.ignored.boxes[other]])
        of = found.image_index == number
        images.append(ImageBoxes(boxes, crowds, found.boxes[of], found.scores[of]))
    return images


def keypoints_labelled(people: LabelledPeople, number: int) -> NDArray[np.int64]:
    """How many keypoints each person of an image has, 0 for those who are ignored but no crowd."""
    here, other = people.image_index == number, people.ignored.image_index == number
    without = np.zeros((other & ~people.ignored.crowds).sum(), dtype=np.int64)
    return np.concatenate([people.labelled[here].sum(axis=1), without])


def percent(found: NDArray[np.bool_] | Floats) -> float | None:
    """The mean in percent; None of nothing."""
    return 100 * float(found.mean()) if len(found) else None
