"""Everybody in the images, found without given boxes, beside the labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.core.results import Predictions
from hevitpose.inference.detectors import PersonDetector, TiledDetector, WindowSearch
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.foreign_detectors import ForeignDetector
from hevitpose.inference.inputs import Frame
from hevitpose.inference.network import keypoints_of
from hevitpose.io import images
from hevitpose.metrics.detection import iou

TOLERANCE = 0.1
"""A joint is found if it lies this near, in longer sides of the labelled box."""
RIGHT_SHARE = 0.75
"""A person is right if at least this share of the labelled joints is found."""
SAME_PERSON = 0.5
"""A prediction may be of a labelled person if their boxes overlap by this (IoU), or if it finds a joint."""
STRAY, IGNORED = -1, -2


@dataclass(frozen=True, eq=False)
class EndToEnd:
    """The M predictions and the N labelled people with K joints, of all images of a set.

    `distances` (N, K): of the joints, in longer sides of the labelled box; infinite where nobody was found or the joint
    is absent, NaN where it is not labelled. `scores` (M,) of the predictions; `person_of` (M,) the labelled person that
    each is of, STRAY, or IGNORED where it lies in an ignored region. `source` says what found the people.
    """

    data: str
    images: int
    distances: Floats
    scores: Floats
    person_of: NDArray[np.int64]
    source: str

    @property
    def joints(self) -> int:
        """Labelled joints."""
        return int((~np.isnan(self.distances)).sum())

    @property
    def joints_found(self) -> int:
        """Of these, how many lie within TOLERANCE."""
        return int((self.distances <= TOLERANCE).sum())

    @property
    def strays(self) -> int:
        """Predictions of nobody."""
        return int((self.person_of == STRAY).sum())

    @property
    def people_right(self) -> NDArray[np.bool_]:
        """(N,): whose joints are found; False where none is labelled."""
        labelled = (~np.isnan(self.distances)).sum(axis=1)
        found = (self.distances <= TOLERANCE).sum(axis=1)
        return np.asarray((labelled > 0) & (found >= RIGHT_SHARE * labelled))

    @property
    def predictions_right(self) -> NDArray[np.bool_]:
        """(M,): which predictions are of a person who is right."""
        right = np.zeros(len(self.person_of), dtype=np.bool_)
        of_person = self.person_of >= 0
        right[of_person] = self.people_right[self.person_of[of_person]]
        return right

    @property
    def summary(self) -> str:
        """The counts in words."""
        people, right = len(self.distances), int(self.people_right.sum())
        return (
            f"{self.joints_found} of {self.joints} joints within {TOLERANCE} of the box, {right} of {people} people "
            f"right, {self.strays} strays in {self.images} images (boxes: {self.source})"
        )

    def to_json(self) -> dict[str, object]:
        """The counts."""
        return {
            "data": self.data,
            "boxes": self.source,
            "images": self.images,
            "people": len(self.distances),
            "people_right": int(self.people_right.sum()),
            "joints": self.joints,
            "joints_found": self.joints_found,
            "strays": self.strays,
            "tolerance": TOLERANCE,
        }


def evaluate_end_to_end(
    estimator: PoseEstimator, people: LabelledPeople, on_progress: OnProgress = ignore_progress
) -> EndToEnd:
    """What the estimator finds in the images of `people` when it is given no boxes, beside the labels.

    Raises InputError if an image cannot be read, or if the network lacks one of the people's keypoints.
    """
    found = predict_end_to_end(estimator, people, on_progress)
    return match_end_to_end(people, found, estimator.min_score)


def predict_end_to_end(
    estimator: PoseEstimator, people: LabelledPeople, on_progress: OnProgress = ignore_progress
) -> Predictions:
    """Everybody that the estimator finds in the images of `people`, of which the labels are not used.

    Absent joints are there with their low scores. Raises InputError.
    """
    rows = keypoints_of(estimator.network, people)

    def frames() -> Iterator[Frame]:
        for index, file in enumerate(people.images):
            yield Frame(images.read(file), file.name, index)
            on_progress(Progress(f"images of {people.name}", index + 1, len(people.images)))

    poses = [each for _, each in estimator.stream(frames())]
    counts = [len(each) for each in poses]
    return Predictions(
        np.repeat(np.arange(len(poses)), counts),
        np.concatenate([each.boxes for each in poses]),
        np.concatenate([each.all_keypoints[:, rows] for each in poses]),
        np.concatenate([each.keypoint_scores[:, rows] for each in poses]),
        np.concatenate([each.person_scores for each in poses]),
        None,
        f"end to end, found by {detector_name(estimator)}",
    )


def detector_name(estimator: PoseEstimator) -> str:
    """What finds the people, in words."""
    detector, folder = estimator.detector, estimator.network.folder
    if isinstance(detector, TiledDetector):
        detector = detector.detector
    if isinstance(detector, WindowSearch):
        return "search in windows"
    if isinstance(detector, ForeignDetector):
        return detector.graph.path.name
    if not isinstance(detector, PersonDetector):
        return type(detector).__name__
    return "the model's own detector" if folder and folder.detector == detector.path else detector.path.stem


def match_end_to_end(people: LabelledPeople, found: Predictions, min_score: float) -> EndToEnd:
    """Give each prediction to at most one labelled person of its image, the best pairs first.

    The best pair shares most joints and then overlaps most. Joints that score less than `min_score` are absent.
    """
    sides = (people.boxes[:, 2:] - people.boxes[:, :2]).max(axis=1)
    distances = np.where(people.labelled, np.inf, np.nan)
    person_of = np.full(len(found.scores), STRAY, dtype=np.int64)
    for image in range(len(people.images)):
        ours, theirs = np.flatnonzero(people.image_index == image), np.flatnonzero(found.image_index == image)
        if not len(theirs):
            continue
        boxes = found.boxes[theirs]
        away = np.linalg.norm(found.joints[theirs][:, None] - people.keypoints[ours][None], axis=-1)
        away = away / sides[ours][None, :, None]
        away[np.broadcast_to((found.keypoint_scores[theirs] < min_score)[:, None], away.shape)] = np.inf
        near = ((away <= TOLERANCE) & people.labelled[ours]).sum(axis=2)
        overlap = iou(boxes, people.boxes[ours])
        value = np.where((near > 0) | (overlap >= SAME_PERSON), near + overlap, 0.0)
        while value.any():
            row, column = np.unravel_index(value.argmax(), value.shape)
            person_of[theirs[row]] = ours[column]
            labelled = people.labelled[ours[column]]
            distances[ours[column], labelled] = away[row, column, labelled]
            value[row], value[:, column] = 0, 0
        regions = people.ignored.boxes[people.ignored.image_index == image]
        covered = iou(boxes, regions, crowd=True).max(axis=1, initial=0.0) >= SAME_PERSON
        person_of[theirs[(person_of[theirs] == STRAY) & covered]] = IGNORED
    return EndToEnd(people.name, len(people.images), distances, found.scores, person_of, found.source)
