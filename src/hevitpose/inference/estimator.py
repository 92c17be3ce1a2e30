"""Images in, poses out."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hevitpose.core import geometry
from hevitpose.core.choices import PersonChoice
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import index_of_names
from hevitpose.core.results import Detections, ImagePoses, person_scores
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.backends import DEFAULT_OPTIONS, Runtime, RuntimeOptions
from hevitpose.inference.detectors import (
    Detector,
    PersonDetector,
    TiledDetector,
    WholeImage,
    WindowSearch,
    bundled_detector,
    head_keypoints,
    is_human,
    is_person,
    load_detector,
    shows_only_head,
    sigmas_or_default,
)
from hevitpose.inference.inputs import Color, Frame, Source, as_frame
from hevitpose.inference.keypoints import KeypointPredictor
from hevitpose.inference.model_folder import Calibration
from hevitpose.inference.network import DEFAULT, Network, Precision, in_precision, load_network
from hevitpose.metrics.oks import oks_nms

FRAMES_AT_A_TIME = 8
"""Frames in memory; the crops of their people share the batches."""
DETECTORS = ("auto", "person", "whole", "search")
MIN_SCORE = 0.2
"""Keypoints that score less are absent: of those on lsp_val, fewer than half are right."""
MIN_MEAN_SCORE = 0.3
"""A candidate is rejected if its confident keypoints average less, as those found in images without people do; in
proportion for a lower `min_score`."""
MIN_PERSON_SCORE = 0.25
"""People that score less are left out: of those, fewer than one in four are right."""
LONE_PERSON_SCORE = 0.45
"""Where the detector finds nobody, the image is taken to show one person if its keypoints average this: of 150 squares
without people none do (benchmarks/without_boxes.py)."""
PERSON_CALIBRATION = Calibration(2.97, 0.195)
"""Of the bundled detector: fitted on 8,651 candidates in 300 images unseen in training, 7 % of them
people (benchmarks/calibration.py)."""
SAME_POSE = 0.7
"""OKS from which two poses are of the same person: crops of two boxes of a person differ a little."""
BOX_MARGINS = (0.14, 0.03, 0.14, 0.09)
"""What a person's box has beyond the keypoints on the left, above, on the right and below, in its sides, as measured on
the 300 images of the calibration; above where the top of the head is a keypoint."""
MARGIN_ABOVE_FACE = 0.1
MIN_BODY_KEYPOINTS = 4
"""With fewer keypoints below the head, a box stays the detector's."""
AT_EDGE = 0.02
"""Of the image's sides: where a box ends so near to the edge, the person may be cut and the keypoints end earlier."""
SECOND_PASS_TOLERANCE = 0.1
"""A second pass, in the box, sees the person larger; it counts unless its mean score falls by more than this."""


class PoseEstimator:
    """Finds people and their keypoints in images.

    >>> estimator = PoseEstimator.from_pretrained()
    >>> estimator(np.zeros((200, 100, 3), dtype=np.uint8))
    ImagePoses(no people, 100 x 200)

    Args:
        network: Predicts the keypoints (`load_network`).
        detector: Finds the people in images that come without boxes: "person", the bundled detector; "search", which
            predicts keypoints in overlapping windows; "whole", which takes an image to show one person; a detector's
            file; any `Detector`. "auto" is the model's own detector where it has one; else, for keypoints of people,
            "person", and "whole" where that finds nobody; else "search".
        min_score: Keypoints that score less are absent.
        min_person_score: People that score less are left out, unless their boxes were given.
        max_people: Keep no more than these, the best, of an image.
        person: Keep one person of an image: the "largest", or that nearest to the "center".
        tiles: Detect in a grid of so many by so many overlapping tiles of each image, too, for small people.
        box_sizes: Of the windows of "search" (`WindowSearch`), instead of those that the network was trained with.
        padding: Factor by which boxes grow; by default as in training.
        flip_test: Average with the mirrored crop, at twice the time.
        batch_size: Crops per call of the network, whatever images they come from.
    """

    def __init__(
        self,
        network: Network,
        detector: str | PathLike[str] | Detector = "auto",
        min_score: float = MIN_SCORE,
        min_person_score: float = MIN_PERSON_SCORE,
        max_people: int | None = None,
        person: PersonChoice | None = None,
        tiles: int = 1,
        box_sizes: Sequence[float] | None = None,
        padding: float | None = None,
        flip_test: bool = False,
        batch_size: int = 16,
        runtime_options: RuntimeOptions = DEFAULT_OPTIONS,
    ) -> None:
        for name, count in (("max_people", max_people), ("tiles", tiles)):
            if count is not None and not (hasattr(count, "__index__") and count >= 1):
                raise InputError(f"`{name}={count}`", "must be a whole number from 1 on")
        if person not in (None, *get_args(PersonChoice)):
            raise InputError(f"`person={person}`", f"must be {' or '.join(get_args(PersonChoice))}")
        if not (isinstance(detector, str | PathLike) or callable(detector)):
            raise InputError(f"`detector={detector}`", "must be a name, a file or a Detector")
        if tiles > 1 and not isinstance(detector, str | PathLike):
            raise InputError(
                f"`tiles={tiles}`", "is for detectors by name or file: pass TiledDetector(detector, tiles)"
            )
        for name, value in (("min_score", min_score), ("min_person_score", min_person_score)):
            if not 0 <= value <= 1:
                raise InputError(f"`{name}={value}`", "must lie between 0 and 1")
        self.network, self.min_score, self.head = network, min_score, head_keypoints(network.config.skeleton)
        self.min_person_score, self.max_people, self.person = min_person_score, max_people, person
        self.tiles, self.box_sizes = tiles, box_sizes
        self.keypoints = KeypointPredictor(network, flip_test, batch_size, padding)
        self.choice, self._detector = detector, None if isinstance(detector, str | PathLike) else detector
        self.runtime_options = runtime_options
        if box_sizes is not None and (self._detector or self._detector_name() != "search"):
            raise InputError("`box_sizes`", "is for the windows of `detector=search`")
        if isinstance(detector, str) and detector not in DETECTORS and not detector.endswith((".onnx", ".safetensors")):
            raise InputError(f"`detector={detector}`", f"must be {', '.join(DETECTORS)} or an ONNX file")

    @classmethod
    def from_pretrained(
        cls,
        name: str | PathLike[str] = DEFAULT,
        *,
        runtime: Runtime | None = None,
        threads: int | None = None,
        device: str = "cpu",
        optimize_graph: bool = True,
        precision: Precision = "float32",
        **options: Any,
    ) -> "PoseEstimator":
        """The estimator of bundled weights, of a file (.onnx, .safetensors) or of a model's folder (`load_network`).

        `options` are those of the class.

        `runtime`, `threads`, `device` and `optimize_graph` are those of `RuntimeOptions`; `precision="int8"` takes the
        bundled network's form that computes in 8 bits. Raises InputError, DeviceError or MissingExtraError.
        """
        runtime_options = RuntimeOptions(runtime, threads, device, optimize_graph)
        network = load_network(in_precision(name, precision), runtime_options)
        return cls(network, runtime_options=runtime_options, **options)

    def with_limits(self, min_person_score: float | None = None, max_people: int | None = None) -> "PoseEstimator":
        """The same estimator, with the same networks in memory, that leaves out other people; None keeps a limit."""
        _ = self.detector  # loaded once for both
        other = copy(self)
        other.min_person_score = self.min_person_score if min_person_score is None else min_person_score
        other.max_people = self.max_people if max_people is None else max_people
        return other

    @property
    def detector(self) -> Detector:
        """What finds the people; loaded when it is needed first."""
        if self._detector is None:
            self._detector = self._load_detector()
        return self._detector

    def _detector_name(self) -> str:
        """The choice, "auto" resolved: one of `DETECTORS` or a file."""
        if self.choice != "auto":
            return str(self.choice)
        folder = self.network.folder
        own = str(folder.detector) if folder and folder.detector else None
        return own or ("person" if is_human(self.network.config.skeleton) else "search")

    def _load_detector(self) -> Detector:
        choice = self._detector_name()
        if choice in ("whole", "search") and self.tiles > 1:
            raise InputError(f"`tiles={self.tiles}`", f"needs a detector, and `detector={choice}` uses none")
        known = self.network.config.box_sizes
        if choice == "whole":
            return WholeImage(self.keypoints, self.min_score, *((known.median,) if known else ()))
        if choice == "search":
            sizes = (known.low, known.high) if known and self.box_sizes is None else self.box_sizes
            return WindowSearch(self.keypoints, self.min_score, sizes)
        detector = load_detector(None if choice == "person" else Path(choice), self.runtime_options)
        return TiledDetector(detector, self.tiles) if self.tiles > 1 else detector

    @property
    def calibration(self) -> Calibration | None:
        """What makes scores of people probabilities; None for detectors that are not of hevitpose.

        For a model's own detector that could not be calibrated, the bundled one's stands in.
        """
        detector, folder = self._hevitpose_detector, self.network.folder
        if detector is None:
            return None
        own = folder.person_score if folder and folder.detector == detector.path else None
        return own or PERSON_CALIBRATION

    @property
    def _hevitpose_detector(self) -> PersonDetector | None:
        """The detector, without its tiles; None where it is not of hevitpose."""
        detector = self.detector.detector if isinstance(self.detector, TiledDetector) else self.detector
        return detector if isinstance(detector, PersonDetector) else None

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a path is a sequence of texts, too
        self, source: Source, boxes: ArrayLike | None = None, *, color: Color = "rgb"
    ) -> ImagePoses: ...
    @overload
    def __call__(
        self, source: Sequence[Source], boxes: Sequence[ArrayLike | None] | None = None, *, color: Color = "rgb"
    ) -> list[ImagePoses]: ...
    @overload
    def __call__(
        self, source: Iterator[Source], boxes: Iterable[ArrayLike | None] | None = None, *, color: Color = "rgb"
    ) -> Iterator[ImagePoses]: ...

    def __call__(self, source: Any, boxes: Any = None, *, color: Color = "rgb") -> Any:
        """The people of an image, of a sequence of images (a list of poses) or of a generator (an iterator).

        An image is a path, the bytes of a file, an open file, a PIL image or an array (H, W, 3) of uint8, with channels
        as `color` says. `boxes` (N, 4), x1, y1, x2, y2 from the corner of the image, or a `supervision.Detections`, say
        where the people are; for several images one of these, or None, for each. Boxes without area or outside of the
        image are left out, with a warning in the log. Raises InputError where an image cannot be read, ValueError where
        an array is no image or boxes are malformed, TypeError where the source is something else.
        """
        if callable(read := getattr(source, "read", None)):
            source = read()
            if isinstance(source, str):
                raise TypeError('an open file must be open in binary mode, "rb"')
        if isinstance(source, bytearray | memoryview):
            source = bytes(source)
        if isinstance(source, Iterator):
            pairs = ((image, None) for image in source) if boxes is None else zip(source, boxes, strict=True)
            return self._poses(as_frame(image, its, color) for image, its in pairs)
        if isinstance(source, Sequence) and not isinstance(source, str | bytes):
            each = [None] * len(source) if boxes is None else boxes
            if len(each) != len(source):
                raise ValueError(f"{len(source)} images need boxes (or None) for each, got {len(each)}")
            return list(self._poses(as_frame(image, its, color) for image, its in zip(source, each, strict=True)))
        return next(self._poses([as_frame(source, boxes, color)]))

    def _poses(self, frames: Iterable[Frame]) -> Iterator[ImagePoses]:
        return (poses for _, poses in self.stream(frames))

    def stream(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, ImagePoses]]:
        """Each frame with its people, in order, with up to `FRAMES_AT_A_TIME` frames in memory.

        Where `frames` raises an error, it is raised after the frames before it are answered.
        """
        remaining, failed = iter(frames), None
        while failed is None:
            chunk: list[Frame] = []
            try:
                chunk.extend(islice(remaining, min(FRAMES_AT_A_TIME, self.keypoints.batch_size)))  # keeps those before
            except Exception as error:
                failed = error
            if chunk:
                yield from zip(chunk, self._estimate(chunk), strict=True)
            elif failed is None:
                return
        raise failed

    def _estimate(self, frames: Sequence[Frame]) -> list[ImagePoses]:
        """The people of a few frames; their crops share the batches."""
        unknown = [frame for frame in frames if frame.detections is None]
        found = iter(self.detector(unknown) if unknown else [])
        detections = [next(found) if frame.detections is None else frame.detections for frame in frames]
        owners = np.repeat(np.arange(len(frames)), [len(each) for each in detections])
        boxes = np.concatenate([each.boxes for each in detections])
        joints, scores = self.keypoints.in_boxes([frames[owner].image for owner in owners.tolist()], boxes)
        poses = [
            self._image_poses(frame, its, joints[owners == number], scores[owners == number])
            for number, (frame, its) in enumerate(zip(frames, detections, strict=True))
        ]
        empty = [n for n, each in enumerate(poses) if not len(each) and frames[n].detections is None]
        if empty and self.choice == "auto" and self._detector_name() == "person":
            for number, again in zip(empty, self._lone_people([frames[n] for n in empty]), strict=True):
                poses[number] = again
        return poses

    def _lone_people(self, frames: Sequence[Frame]) -> list[ImagePoses]:
        """The one person of each frame, taken as a whole, if the keypoints are sure."""
        whole, least = WholeImage(self.keypoints, self.min_score), max(self.min_person_score, LONE_PERSON_SCORE)
        alone = PoseEstimator(self.network, whole, self.min_score, least)
        alone.keypoints = self.keypoints
        return [poses for _, poses in alone.stream(frames)]

    @property
    def _moves_boxes(self) -> bool:
        """Whether boxes follow the keypoints: those of the bundled detector do, whose errors were measured."""
        detector = self._hevitpose_detector
        bundled = detector is not None and detector.path == bundled_detector()
        return bundled and is_human(self.network.config.skeleton)

    def are_people(self, scores: Floats) -> NDArray[np.bool_]:
        """Which candidates (N,) are people by the scores (N, K) of their keypoints; the detector is not asked."""
        min_mean = MIN_MEAN_SCORE * min(1, self.min_score / MIN_SCORE)
        return np.array([is_person(each, self.min_score, min_mean, self.head) for each in scores], dtype=np.bool_)

    def _image_poses(self, frame: Frame, detections: Detections, joints: Floats, scores: Floats) -> ImagePoses:
        """The people of a frame; keypoints outside of the image, in the black around it, are absent."""
        height, width = frame.image.shape[:2]
        kept = np.ones(len(detections), dtype=np.bool_)
        if detections.keypoints is not None and detections.keypoint_scores is not None:
            joints, scores = better_pass(detections.keypoints, detections.keypoint_scores, joints, scores)
            kept = self.are_people(scores)
        outline = geometry.image_box((height, width))
        present = (scores >= self.min_score) & geometry.in_box(joints, outline)
        present[shows_only_head(scores, self.head)] &= self.head
        rating, boxes = person_scores(scores, present, detections.scores), detections.boxes
        if frame.detections is None and self.calibration:
            rating = self.calibration(rating)
        if frame.detections is None and self._moves_boxes:
            boxes = boxes_with_keypoints(boxes, joints, present, outline, self.network.config.skeleton)
        poses = ImagePoses(
            self.network.config.skeleton,
            (width, height),
            boxes,
            np.where(present[..., None], joints, np.nan),
            scores,
            rating,
            joints,
            frame.source,
            self.network.name,
        )
        if frame.detections is None:
            order = np.argsort(-rating, kind="stable")
            sure = order[(kept & (rating >= self.min_person_score))[order]]
            poses = without_duplicates(poses.subset(sure))
        return chosen_people(poses, self.max_people, self.person)


def chosen_people(poses: ImagePoses, max_people: int | None = None, person: PersonChoice | None = None) -> ImagePoses:
    """The best `max_people`, in their order, and of them the one that is wanted.

    >>> from hevitpose import COCO17
    >>> len(chosen_people(ImagePoses.empty(COCO17, (640, 480)), 1, "largest"))
    0
    """
    if max_people is not None and len(poses) > max_people:
        poses = poses.subset(np.sort(np.argsort(-poses.person_scores, kind="stable")[:max_people]))
    if person is None or not len(poses):
        return poses
    best = best_person(poses, person)
    return poses.subset(slice(best, best + 1))


def best_person(poses: ImagePoses, choice: PersonChoice) -> int:
    """The index of the person with the largest box, or with the box nearest to the centre of the image."""
    sides = poses.boxes[:, 2:] - poses.boxes[:, :2]
    if choice == "largest":
        return int(sides.prod(axis=1).argmax())
    centers = (poses.boxes[:, :2] + poses.boxes[:, 2:]) / 2
    return int(np.linalg.norm(centers - np.array(poses.size_wh) / 2, axis=1).argmin())


def without_duplicates(poses: ImagePoses) -> ImagePoses:
    """Each person once: of two poses that are alike by OKS the better one stays; `poses` are sorted by score."""
    sides = poses.boxes[:, 2:] - poses.boxes[:, :2]
    sigmas = sigmas_or_default(poses.skeleton)
    kept, _ = oks_nms(poses.all_keypoints, poses.person_scores, sides.prod(axis=1), sigmas, SAME_POSE)
    return poses.subset(kept)


def boxes_with_keypoints(
    boxes: Floats, keypoints: Floats, present: NDArray[np.bool_], outline: Floats, skeleton: Skeleton
) -> Floats:
    """Boxes (N, 4) of people, moved half way to what the `present` (N, K) of their `keypoints` (N, K, 2) say.

    A detector's boxes of small people may be a cell off, and the pose network looks closer. At the edge of the image,
    whose box is `outline` (4,), a person may be cut: a side there does not move inwards.
    """
    head = head_keypoints(skeleton)
    enough = (present & ~head).sum(axis=1) >= MIN_BODY_KEYPOINTS
    if not enough.any():
        return boxes
    margins = np.array(BOX_MARGINS)
    if "head top" not in index_of_names(skeleton.keypoints):
        margins[1] = MARGIN_ABOVE_FACE
    points = np.where(present[enough][..., None], geometry.corner_frame(keypoints[enough]), np.nan)
    known = boxes[enough]
    extents = np.concatenate([np.nanmin(points, axis=1), np.nanmax(points, axis=1)], axis=1)
    sides = np.tile(known[:, 2:] - known[:, :2], 2)
    moved = (known + extents + margins * sides * (-1, -1, 1, 1)) / 2
    at_edge = abs(known - outline) < AT_EDGE * np.tile(outline[2:], 2)
    outer = np.concatenate([np.minimum(known, moved)[:, :2], np.maximum(known, moved)[:, 2:]], axis=1)
    better = boxes.copy()
    better[enough] = np.where(at_edge, outer, moved).clip(0, np.tile(outline[2:], 2))
    return better


def better_pass(
    first: Floats, first_scores: Floats, second: Floats, second_scores: Floats
) -> tuple[NDArray[np.float64], Floats]:
    """Keypoints (N, K, 2) and scores (N, K) of the second pass; of the first where the second scores clearly less."""
    keep_first = first_scores.mean(axis=1) > second_scores.mean(axis=1) + SECOND_PASS_TOLERANCE
    joints = np.where(keep_first[:, None, None], first, second)
    return joints, np.where(keep_first[:, None], first_scores, second_scores)
