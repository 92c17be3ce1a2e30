"""What detection and pose estimation give: boxes, the people of an image, predictions to be scored."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hevitpose.core import geometry
from hevitpose.core.errors import MissingExtraError
from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import require_names
from hevitpose.core.skeleton import Skeleton

if TYPE_CHECKING:
    import supervision

LOGGER = logging.getLogger(__name__)
SCHEMA = "hevitpose.pose/1"
"""The form of `ImagePoses.to_json`. The number changes when a reader of the old form could misread the new one."""


@dataclass(frozen=True, eq=False)
class Detections:
    """The people that a detector found in one image.

    `boxes` (N, 4) x1, y1, x2, y2 from the corner of the image, without padding; `scores` (N,) in [0, 1]. A detector may
    bring `keypoints` (N, K, 2) and `keypoint_scores` (N, K) of its own. Raises ValueError where shapes do not fit or a
    box has no area.
    """

    boxes: Floats
    scores: Floats
    keypoints: Floats | None = None
    keypoint_scores: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        _check_shape("boxes", self.boxes, (count, 4))
        _check_shape("scores", self.scores, (count,))
        if not np.isfinite(self.boxes).all() or not (self.boxes[:, 2:] > self.boxes[:, :2]).all():
            raise ValueError(f"boxes are x1, y1, x2, y2 with x2 > x1 and y2 > y1, got {self.boxes.tolist()!r:.200}")
        if self.keypoints is not None:
            _check_shape("keypoint_scores", self.keypoint_scores, self.keypoints.shape[:2])
            _check_shape("keypoints", self.keypoints, (count, self.keypoints.shape[1], 2))

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def empty(cls) -> "Detections":
        """No people."""
        return cls(np.zeros((0, 4)), np.zeros(0))

    @classmethod
    def from_boxes(cls, boxes: "ArrayLike | supervision.Detections") -> "Detections":
        """Boxes (N, 4) or (4,) of score 1, or a `supervision.Detections` with its confidences.

        Boxes without width or height are left out, with a warning in the log.

        >>> len(Detections.from_boxes([10, 20, 110, 220]))
        1
        """
        try:
            xyxy = np.asarray(getattr(boxes, "xyxy", boxes), dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"boxes are numbers, x1, y1, x2, y2 of each, got {boxes!r:.200}") from None
        xyxy = xyxy.reshape(-1, 4) if xyxy.size in (0, 4) else xyxy
        if xyxy.ndim != 2:
            raise ValueError(f"boxes must have the shape (N, 4), got {xyxy.shape}")
        confidence = getattr(boxes, "confidence", None)
        scores = np.ones(len(xyxy)) if confidence is None else np.asarray(confidence, dtype=np.float64)
        _check_shape("boxes", xyxy, (len(xyxy), 4))
        _check_shape("scores", scores, (len(xyxy),))
        sides = xyxy[:, 2:] - xyxy[:, :2]
        flat = (sides >= 0).all(axis=1) & (sides == 0).any(axis=1)
        if flat.any():
            LOGGER.warning("left out %d of %d boxes, which have no width or height", flat.sum(), len(flat))
        return cls(xyxy[~flat], scores[~flat])

    def subset(self, chosen: NDArray[Any]) -> "Detections":
        """The detections of these indices, or where this mask is true."""
        keypoints = None if self.keypoints is None else self.keypoints[chosen]
        keypoint_scores = None if self.keypoint_scores is None else self.keypoint_scores[chosen]
        return Detections(self.boxes[chosen], self.scores[chosen], keypoints, keypoint_scores)


@dataclass(frozen=True, eq=False)
class Person:
    """One person: `keypoints` (K, 2) in image pixels, `keypoint_scores` (K,) and `score` in [0, 1], `box` (4,) xyxy.

    An absent keypoint is NaN in `keypoints`; `all_keypoints` (K, 2) also holds the guesses of low scores.
    """

    keypoints: Floats
    keypoint_scores: Floats
    box: Floats
    score: float
    all_keypoints: Floats
    track_id: int | None = None

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which keypoints (K,) are present."""
        return np.isfinite(self.keypoints[:, 0])


@dataclass(frozen=True, eq=False)
class ImagePoses:
    """The people of one image of `size_wh` pixels: the best score first, or in the order of the boxes that were given.

    `boxes` (N, 4) x1, y1, x2, y2 from the corner of the image; `keypoints` (N, K, 2) in pixels, the origin at the
    centre of the top left pixel, NaN where absent; `keypoint_scores` (N, K) and `person_scores` (N,) in [0, 1];
    `all_keypoints` (N, K, 2), without NaN; `track_ids` (N,) in videos, 0 while a track is not confirmed. `file` names
    the image where it has a name, and `model` the weights. In smoothed clips (`with_keypoints`), `raw_keypoints`
    (N, K, 2) are those before, and `filled` (N, K) marks keypoints that were absent and taken from the frames around.
    Raises ValueError where shapes do not fit.
    """

    skeleton: Skeleton
    size_wh: tuple[int, int]
    boxes: Floats
    keypoints: Floats
    keypoint_scores: Floats
    person_scores: Floats
    all_keypoints: Floats
    file: str | None = None
    model: str | None = None
    track_ids: NDArray[np.int64] | None = None
    raw_keypoints: Floats | None = None
    filled: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        count, keypoints = len(self.boxes), self.skeleton.num_keypoints
        _check_shape("boxes", self.boxes, (count, 4))
        _check_shape("keypoints", self.keypoints, (count, keypoints, 2))
        _check_shape("keypoint_scores", self.keypoint_scores, (count, keypoints))
        _check_shape("person_scores", self.person_scores, (count,))
        _check_shape("all_keypoints", self.all_keypoints, (count, keypoints, 2))
        if self.track_ids is not None:
            _check_shape("track_ids", self.track_ids, (count,))
        if self.raw_keypoints is not None:
            _check_shape("raw_keypoints", self.raw_keypoints, (count, keypoints, 2))
        if self.filled is not None:
            _check_shape("filled", self.filled, (count, keypoints))

    @classmethod
    def empty(cls, skeleton: Skeleton, size_wh: tuple[int, int], file: str | None = None) -> "ImagePoses":
        """An image without people.

        >>> from hevitpose import COCO17
        >>> ImagePoses.empty(COCO17, (640, 480))
        ImagePoses(no people, 640 x 480)
        """
        k = skeleton.num_keypoints
        no_points = np.zeros((0, k, 2))
        return cls(skeleton, size_wh, np.zeros((0, 4)), no_points, np.zeros((0, k)), np.zeros(0), no_points, file)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: int) -> Person:
        return Person(
            self.keypoints[index],
            self.keypoint_scores[index],
            self.boxes[index],
            float(self.person_scores[index]),
            self.all_keypoints[index],
            None if self.track_ids is None else int(self.track_ids[index]),
        )

    def __iter__(self) -> Iterator[Person]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        people = "1 person" if len(self) == 1 else f"{len(self) or 'no'} people"
        scores = f", scores {' '.join(f'{score:.2f}' for score in self.person_scores[:5])}" if len(self) else ""
        name = f"{self.file}: " if self.file else ""
        return f"ImagePoses({name}{people}{scores}, {self.size_wh[0]} x {self.size_wh[1]})"

    @property
    def people(self) -> list[Person]:
        """The people one by one."""
        return list(self)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which keypoints (N, K) are present."""
        return np.isfinite(self.keypoints[..., 0])

    @property
    def ids(self) -> NDArray[np.int64]:
        """The `track_ids` (N,), 0 where there are none."""
        return np.zeros(len(self), dtype=np.int64) if self.track_ids is None else self.track_ids

    def subset(self, chosen: NDArray[Any] | slice) -> "ImagePoses":
        """The people of these indices in this order, or where this mask is true."""
        return replace(self, **{name: array[chosen] for name, array in self._arrays().items()})

    def _arrays(self) -> dict[str, Any]:
        """What has a row per person, by name."""
        arrays = ("boxes", "keypoints", "keypoint_scores", "person_scores", "all_keypoints")
        in_clips = ("track_ids", "raw_keypoints", "filled")
        return {name: array for name in (*arrays, *in_clips) if (array := getattr(self, name)) is not None}

    def with_people(self, others: Sequence["ImagePoses"]) -> "ImagePoses":
        """These people, then those of other poses of the same image, which have the same arrays."""
        joined: dict[str, Any] = {
            name: np.concatenate([array, *(getattr(poses, name) for poses in others)])
            for name, array in self._arrays().items()
        }
        return replace(self, **joined)

    def with_keypoints(self, keypoints: Floats, filled: NDArray[np.bool_] | None = None) -> "ImagePoses":
        """The same people with smoothed `keypoints`; those before become `raw_keypoints`."""
        everywhere = np.where(np.isfinite(keypoints), keypoints, self.all_keypoints)
        return replace(self, keypoints=keypoints, all_keypoints=everywhere, raw_keypoints=self.keypoints, filled=filled)

    def select_keypoints(self, skeleton: Skeleton) -> "ImagePoses":
        """The same people with the keypoints of another skeleton, in its order and under its names.

        Names match in any spelling. Raises InputError where one is missing.

        >>> from hevitpose import COCO17, MPII16
        >>> ImagePoses.empty(COCO17, (640, 480)).select_keypoints(MPII16)
        Traceback (most recent call last):
        hevitpose.core.errors.InputError: coco17: lacks pelvis, thorax, upper_neck, head_top, keypoints of mpii16
        """
        columns = require_names(skeleton.keypoints, self.skeleton.keypoints, skeleton.name, self.skeleton.name)
        arrays = ("keypoints", "keypoint_scores", "all_keypoints", "raw_keypoints", "filled")
        present = [name for name in arrays if getattr(self, name) is not None]
        return replace(self, skeleton=skeleton, **{name: getattr(self, name)[:, columns] for name in present})

    def to_json(self) -> dict[str, Any]:
        """The people as JSON (docs/results.md): boxes are x, y, width, height; an absent keypoint has x and y null."""
        names = self.skeleton.keypoints
        return {
            "schema": SCHEMA,
            "model": self.model,
            "file": self.file,
            "width": self.size_wh[0],
            "height": self.size_wh[1],
            "people": [
                {
                    "score": rounded(person.score, 4),
                    "box": [rounded(v, 2) for v in geometry.xywh_from_xyxy(person.box)],
                    "keypoints": {
                        name: {"x": rounded(x, 2), "y": rounded(y, 2), "score": rounded(score, 4)}
                        for name, (x, y), score in zip(names, person.keypoints, person.keypoint_scores, strict=True)
                    },
                }
                for person in self
            ],
        }

    def to_supervision(self) -> "supervision.KeyPoints":
        """The people as `supervision.KeyPoints`, absent keypoints at (0, 0) and not `visible`; ids in `data`."""
        try:
            import supervision
        except ImportError as error:
            raise MissingExtraError("supervision") from error
        return supervision.KeyPoints(
            xy=np.nan_to_num(self.keypoints).astype(np.float32),
            class_id=np.zeros(len(self), dtype=int),
            keypoint_confidence=self.keypoint_scores.astype(np.float32),
            detection_confidence=self.person_scores.astype(np.float32),
            visible=self.present,
            data={} if self.track_ids is None else {"tracker_id": self.track_ids},
        )


@dataclass(frozen=True, eq=False)
class Predictions:
    """M people predicted in the images of `LabelledPeople`, to be scored.

    `image_index` (M,) indexes its images; `boxes` (M, 4) without padding; `joints` (M, K, 2) in image pixels and their
    `keypoint_scores` (M, K); `scores` (M,) rate the people. `person_of` (M,) is the index of the labelled person in
    whose box each was predicted; None where that is unknown. `source` says in words which boxes were used.
    """

    image_index: NDArray[np.int64]
    boxes: Floats
    joints: Floats
    keypoint_scores: Floats
    scores: Floats
    person_of: NDArray[np.int64] | None
    source: str

    def select(self, chosen: NDArray[np.int64]) -> "Predictions":
        """The people of these indices."""
        arrays = ("image_index", "boxes", "joints", "keypoint_scores", "scores")
        person_of = None if self.person_of is None else self.person_of[chosen]
        return replace(self, person_of=person_of, **{name: getattr(self, name)[chosen] for name in arrays})


def person_scores(keypoint_scores: Floats, counted: NDArray[np.bool_], box_scores: ArrayLike = 1.0) -> Floats:
    """Scores (N,) of people: the mean score of the `counted` (N, K) keypoints times the box's, as in COCO's protocol.

    >>> person_scores(np.array([[0.8, 0.4, 0.1]]), np.array([[True, True, False]])).round(2)
    array([0.6])
    """
    means = (keypoint_scores * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return np.asarray(means * np.asarray(box_scores), dtype=np.float64)


def rounded(value: float, digits: int) -> float | None:
    """The number for a file, None where it is not finite."""
    return round(float(value), digits) if np.isfinite(value) else None


def _check_shape(name: str, array: NDArray[Any] | None, shape: tuple[int, ...]) -> None:
    found = None if array is None else array.shape
    if found != shape:
        raise ValueError(f"{name} must have the shape {shape}, got {found}")
