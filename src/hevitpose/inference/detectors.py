"""Where the people are: detectors give the boxes that the keypoints are predicted in."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import normalize_name
from hevitpose.core.results import Detections
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.backends import DEFAULT_OPTIONS, OnnxGraph, RuntimeOptions
from hevitpose.inference.inputs import Frame
from hevitpose.inference.keypoints import KeypointPredictor
from hevitpose.inference.network import PERSON_DETECTOR, weights_folder
from hevitpose.io import images
from hevitpose.io.images import Image

DETECTOR_KEY = "hevitpose.detector"
"""The entry of an ONNX file's metadata that says how a detector is used."""

MIN_KEYPOINTS = 3
MIN_KEYPOINT_SHARE = 1 / 3
"""A candidate with fewer confident keypoints than these, or than this share of all, is rejected."""
LONE_KEYPOINT_SHARE = 0.25
"""Of the image's longer side: the box around a single keypoint, which has no extent."""


class Detector(Protocol):
    """Finds people: one `Detections` per frame."""

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]: ...


class WholeImage:
    """Takes an image to show one person: keypoints are predicted in the whole image, and the box is around them.

    The detection brings these keypoints. A candidate without enough confident keypoints is no detection.
    """

    def __init__(self, keypoints: KeypointPredictor, min_score: float) -> None:
        self.keypoints, self.min_score = keypoints, min_score

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        whole = np.array([geometry.image_box(frame.image.shape[:2]) for frame in frames]).reshape(-1, 4)
        joints, scores = self.keypoints.in_boxes([frame.image for frame in frames], whole, padding=1.0)
        longer = (max(frame.image.shape[:2]) for frame in frames)
        return [self._detection(*found) for found in zip(joints, scores, longer, strict=True)]

    def _detection(self, joints: Floats, scores: Floats, longer: int) -> Detections:
        if not is_person(scores, self.min_score):
            return Detections.empty()
        confident = joints[scores >= self.min_score]
        box = square_around(confident, LONE_KEYPOINT_SHARE * longer if len(confident) == 1 else 1.0)
        return Detections(box[None], np.ones(1), joints[None], scores[None])


def is_person(scores: Floats, min_score: float, min_mean: float = 0.0) -> bool:
    """Whether enough keypoints score at least `min_score` (K,), and these at least `min_mean` on average."""
    confident = scores[scores >= min_score]
    enough = min(len(scores), max(MIN_KEYPOINTS, int(len(scores) * MIN_KEYPOINT_SHARE)))
    return len(confident) >= enough and float(confident.mean()) >= min_mean


def square_around(keypoints: Floats, smallest: float = 1.0) -> Floats:
    """The square (4,) around the keypoints (K, 2), no smaller than `smallest`.

    On lsp_val larger and smaller squares found fewer joints.
    """
    extent = geometry.keypoint_extent(keypoints)
    side = max(smallest, float((extent[2:] - extent[:2]).max()))
    return geometry.box_from_center((extent[:2] + extent[2:]) / 2, (side, side))


class PersonDetector:
    """Finds all people with a detector's ONNX file, the bundled one by default; its graph decodes the boxes.

    An image is scaled so that its longer side fills the square input. Boxes below `min_score`, by default the score
    that the file states, are dropped, and of the others the best `max_people` are kept.
    """

    def __init__(
        self,
        path: Path | None = None,
        options: RuntimeOptions = DEFAULT_OPTIONS,
        min_score: float | None = None,
        max_people: int | None = None,
        batch_size: int = 8,
    ) -> None:
        path = path or weights_folder() / f"{PERSON_DETECTOR}.onnx"
        self.graph = OnnxGraph(path, replace(options, runtime=None))
        try:
            config = json.loads(self.graph.metadata[DETECTOR_KEY])
            self.side, stated = int(config["input_size"][0]), float(config["min_score"])
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(path, "is not a detector of hevitpose") from error
        self.min_score = stated if min_score is None else min_score
        self.max_people, self.batch_size = max_people, batch_size

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        found: list[Detections] = []
        for start in range(0, len(frames), self.batch_size):
            batch = [frame.image for frame in frames[start : start + self.batch_size]]
            squares, scales = zip(*(letterbox(image, self.side) for image in batch), strict=True)
            boxes, scores = self.graph(np.stack(squares), ["boxes", "scores"])
            for image, scale, its_boxes, its_scores in zip(batch, scales, boxes, scores, strict=True):
                found.append(self._detections(image, np.array(scale), its_boxes.astype(np.float64), its_scores))
        return found

    def _detections(self, image: Image, scale: Floats, boxes: Floats, scores: NDArray[np.float32]) -> Detections:
        """The boxes in the pixels of the image, cut at its edges, best first."""
        boxes = np.clip(boxes / np.tile(scale, 2), 0, geometry.image_box(image.shape[:2])[[2, 3, 2, 3]])
        kept = (scores >= self.min_score) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(axis=1)
        order = np.flatnonzero(kept)[: self.max_people]
        return Detections(boxes[order], scores[order].astype(np.float64))


def letterbox(image: Image, side: int, aspect: float | None = None) -> tuple[Image, tuple[float, float]]:
    """The image at the upper left of a black square (side, side, 3), its longer side filling it; its scales in x and y.

    Boxes of the square divided by the scales are boxes of the image. `aspect`: width / height that the image is given
    instead of its own.

    >>> letterbox(np.full((20, 40, 3), 9, np.uint8), 64)[1]
    (1.6, 1.6)
    """
    height, width = image.shape[:2]
    shape = (aspect or width / height, 1.0)
    columns, rows = (max(1, round(side * length / max(shape))) for length in shape)
    square = np.zeros((side, side, 3), dtype=np.uint8)
    square[:rows, :columns] = images.resize(image, (rows, columns))
    return square, (columns / width, rows / height)


def is_human(skeleton: Skeleton) -> bool:
    """Whether these are keypoints of people, whom the person detector finds: shoulders and hips are among them.

    >>> from hevitpose import COCO17
    >>> is_human(COCO17)
    True
    """
    names = {normalize_name(name) for name in skeleton.keypoints}
    return {f"{side} {part}" for side in ("left", "right") for part in ("shoulder", "hip")} <= names
