"""Where the people are: detectors give the boxes that the keypoints are predicted in."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.results import Detections
from hevitpose.inference.inputs import Frame
from hevitpose.inference.keypoints import KeypointPredictor

MIN_KEYPOINTS = 3
MIN_KEYPOINT_SHARE = 1 / 3
"""A candidate with fewer confident keypoints than these, or than this share of all, is rejected."""


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
        return [self._detection(*found) for found in zip(joints, scores, strict=True)]

    def _detection(self, joints: Floats, scores: Floats) -> Detections:
        if not is_person(scores, self.min_score):
            return Detections.empty()
        box = square_around(joints[scores >= self.min_score])
        return Detections(box[None], np.ones(1), joints[None], scores[None])


def is_person(scores: Floats, min_score: float, min_mean: float = 0.0) -> bool:
    """Whether enough keypoints score at least `min_score` (K,), and these at least `min_mean` on average."""
    confident = scores[scores >= min_score]
    enough = min(len(scores), max(MIN_KEYPOINTS, int(len(scores) * MIN_KEYPOINT_SHARE)))
    return len(confident) >= enough and float(confident.mean()) >= min_mean


def square_around(keypoints: Floats) -> Floats:
    """The square (4,) around the keypoints (K, 2): on lsp_val larger and smaller squares found fewer joints."""
    extent = geometry.keypoint_extent(keypoints)
    side = max(1.0, float((extent[2:] - extent[:2]).max()))
    return geometry.box_from_center((extent[:2] + extent[2:]) / 2, (side, side))
