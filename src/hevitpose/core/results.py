"""What detection and pose estimation give: boxes, people, predictions to be scored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.core.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Predictions:
    """M persons found in the images of `LabelledPeople`, to be scored.

    `image_index` (M,) indexes its images; `boxes` (M, 4) without padding; `joints` (M, K, 2) in image pixels and
    their `keypoint_scores` (M, K); `scores` (M,) rate the persons. `person_of` (M,) says in which labelled person's box
    each was looked for; None where that is not known. `source` says in words whose boxes these were.
    """

    image_index: NDArray[np.int64]
    boxes: Floats
    joints: Floats
    keypoint_scores: Floats
    scores: Floats
    person_of: NDArray[np.int64] | None
    source: str


@dataclass(frozen=True, eq=False)
class Detections:
    """The people in an image: boxes `xyxy` (N, 4) in its pixels, without padding, and the detector's `scores` (N,)."""

    xyxy: Floats
    scores: Floats


@dataclass(frozen=True, eq=False)
class Person:
    """One person found: `keypoints` (K, 2) in image pixels, `scores` (K,) in [0, 1], `box` (4,) x1, y1, x2, y2.

    A keypoint that scores below the estimator's `min_score` is absent: NaN. `all_keypoints` (K, 2) has these too, for
    evaluation, which wants a guess for every joint. `score` in [0, 1] rates the person.
    """

    keypoints: Floats
    scores: Floats
    box: Floats
    score: float
    all_keypoints: Floats


@dataclass(frozen=True, eq=False)
class ImagePoses:
    """What was found in one image of `size_wh` pixels; `file` is None for an array."""

    skeleton: Skeleton
    size_wh: tuple[int, int]
    people: Sequence[Person]
    file: str | None = None
