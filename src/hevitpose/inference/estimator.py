"""Images in, poses out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike, fspath
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.results import Detections, ImagePoses, Person
from hevitpose.data.crops import Crops
from hevitpose.inference.keypoints import predict_keypoints
from hevitpose.inference.network import DEFAULT, Network, Runtime, load_network
from hevitpose.io import images
from hevitpose.io.images import Image

MIN_SCORE = 0.2
"""Keypoints that score less are absent: of those on lsp_val that score less, fewer than half are right."""
MIN_KEYPOINTS = 3
MIN_SHARE = 1 / 3
"""Without a box, fewer sure keypoints than these, or than that share of all, rounded down, are no person."""
MIN_MEAN = 0.3
"""Nor are sure keypoints that score less in the mean, as those seen in nothing do; in proportion with a lower
`min_score` than the usual one."""
SECOND_PASS_TOLERANCE = 0.1
"""A second look is finer, and counts unless its mean score is lower than the first one's by more than this."""

Source = str | PathLike[str] | Image
"""A path, or RGB uint8 (H, W, 3)."""


@dataclass(frozen=True, eq=False)
class Frame:
    """An image to work on; without `detections` it is taken to show one person."""

    image: Image
    detections: Detections | None = None
    file: str | None = None


class PoseEstimator:
    """Finds keypoints of people in images.

    >>> estimator = PoseEstimator.from_pretrained()
    >>> pose = estimator(np.zeros((200, 100, 3), dtype=np.uint8))
    >>> pose.size_wh
    (100, 200)

    Without boxes an image is taken to show one person: the whole image is the first crop, and a second one is cut
    round the joints found in it. With `flip_test` each crop is also seen mirrored, at twice the time, unless the
    keypoints have no mirror partners. `padding` grows boxes, by default as in training.
    """

    def __init__(
        self,
        network: Network,
        min_score: float = MIN_SCORE,
        padding: float | None = None,
        flip_test: bool = False,
        batch_size: int = 8,
    ) -> None:
        self.network = network
        self.min_score = min_score
        self.padding = network.config.padding if padding is None else padding
        config = network.config
        self.mirror = config.skeleton.mirror if flip_test and config.skeleton.flips and not config.flip_test else None
        self.batch_size = batch_size

    @classmethod
    def from_pretrained(
        cls,
        name: str | PathLike[str] = DEFAULT,
        *,
        runtime: Runtime | None = None,
        threads: int | None = None,
        device: str = "cpu",
        min_score: float = MIN_SCORE,
        padding: float | None = None,
        flip_test: bool = False,
        batch_size: int = 8,
        quick_start: bool = False,
    ) -> "PoseEstimator":
        """The estimator of weights that ship, or of a file (.onnx, .xml, .safetensors). Raises InputError.

        `quick_start` is for an image or two: ready sooner, and slower at each.
        """
        network = load_network(name, runtime, threads, device, quick_start)
        return cls(network, min_score, padding, flip_test, batch_size)

    @overload
    def __call__(self, source: Source, boxes: ArrayLike | None = None) -> ImagePoses: ...
    @overload
    def __call__(
        self, source: list[Source] | tuple[Source, ...], boxes: Sequence[ArrayLike | None] | None = None
    ) -> list[ImagePoses]: ...

    def __call__(self, source: Any, boxes: Any = None) -> ImagePoses | list[ImagePoses]:
        """The pose in an image, or the poses of a list of images.

        `boxes`: of the people in the image, (N, 4) x1, y1, x2, y2 in pixels, without padding; for a list of
        images, one such array or None for each. Raises InputError where an image cannot be read, ValueError where
        an array is no image or no boxes.
        """
        if not isinstance(source, list | tuple):
            return next(self.stream([_item(source, boxes)]))
        each = [None] * len(source) if boxes is None else boxes
        return list(self.stream(_item(image, its) for image, its in zip(source, each, strict=True)))

    def stream(self, items: Iterable[Frame]) -> Iterator[ImagePoses]:
        """Poses of many images, in their order, with `batch_size` images in memory at a time."""
        remaining = iter(items)
        while chunk := list(islice(remaining, self.batch_size)):
            for item, people in zip(chunk, self._people(chunk), strict=True):
                height, width = item.image.shape[:2]
                yield ImagePoses(self.network.config.skeleton, (width, height), people, item.file)

    def _people(self, items: Sequence[Frame]) -> list[list[Person]]:
        alone = [i for i, item in enumerate(items) if item.detections is None]
        whole = [geometry.image_box(items[i].image.shape[:2]) for i in alone]
        joints, scores = self._find(items, alone, np.array(whole).reshape(-1, 4), padding=1.0)
        first = {i: (j, s) for i, j, s in zip(alone, joints, scores, strict=True) if self._is_person(s)}
        owners = list(first)
        boxes = [square_around_joints(j[s >= self.min_score]) for j, s in first.values()]
        box_scores = [1.0] * len(boxes)
        for i, item in enumerate(items):
            if item.detections is not None:
                owners += [i] * len(item.detections.xyxy)
                boxes += list(item.detections.xyxy)
                box_scores += list(item.detections.scores)
        xyxy = np.array(boxes).reshape(-1, 4)
        joints, scores = self._find(items, owners, xyxy, self.padding)
        people: list[list[Person]] = [[] for _ in items]
        for owner, its_joints, its_scores, box, box_score in zip(owners, joints, scores, xyxy, box_scores, strict=True):
            found = its_joints, its_scores
            if owner in first:
                if first[owner][1].mean() > its_scores.mean() + SECOND_PASS_TOLERANCE:
                    found = first[owner]
                if not self._is_person(found[1], MIN_MEAN * min(1, self.min_score / MIN_SCORE)):
                    continue
            people[owner].append(self._person(*found, box, box_score, items[owner].image.shape[:2]))
        return people

    def _is_person(self, scores: Floats, mean: float = 0.0) -> bool:
        """Whether so many keypoints are sure, and score so much in the mean, that somebody is there."""
        sure = scores[scores >= self.min_score]
        enough = min(len(scores), max(MIN_KEYPOINTS, int(len(scores) * MIN_SHARE)))
        return len(sure) >= enough and float(sure.mean()) >= mean

    def _find(
        self, items: Sequence[Frame], owners: Sequence[int], boxes: Floats, padding: float
    ) -> tuple[Floats, Floats]:
        """Joints (N, K, 2) in image pixels and scores (N, K) in boxes (N, 4) of the images `owners`."""
        network, config = self.network, self.network.config
        crops = cut_boxes([items[owner].image for owner in owners], boxes, padding, config.input_size)
        return predict_keypoints(network.backend, crops, self.batch_size, self.mirror, config.codec, network.decoded)

    def _person(
        self, joints: Floats, scores: Floats, box: Floats, box_score: float, size_hw: tuple[int, int]
    ) -> Person:
        """What is found beyond the image's edge, in the black round it, is absent too."""
        outline = geometry.image_box(size_hw)
        present = (scores >= self.min_score) & ((joints >= outline[:2]) & (joints <= outline[2:])).all(axis=1)
        # The mean of what was found times the detector's score, as in COCO's top-down protocol.
        score = float(box_score * scores[present].mean()) if present.any() else 0.0
        return Person(np.where(present[:, None], joints, np.nan), scores, box, score, joints)


def cut_boxes(of: Sequence[Image], boxes: Floats, padding: float, size_hw: tuple[int, int]) -> Crops:
    """A crop of `size_hw` for each box (N, 4), padded, out of its image, of which there is one for each box."""
    height, width = size_hw
    matrices = geometry.crop_matrix(geometry.crop_box(boxes, padding, width / height), size_hw)
    pixels = np.empty((len(of), height, width, 3), dtype=np.uint8)
    for row, (image, matrix) in enumerate(zip(of, matrices, strict=True)):
        pixels[row] = images.cut(image, matrix, size_hw)
    return Crops(pixels, matrices)


def square_around_joints(joints: Floats) -> Floats:
    """The square round the joints (K, 2) of a person, (4,): in wider and narrower ones fewer of lsp_val were right."""
    low, high = joints.min(axis=0), joints.max(axis=0)
    side = max(1.0, (high - low).max())
    return geometry.box_from_center((low + high) / 2, (side, side))


def _item(source: Source, boxes: ArrayLike | None) -> Frame:
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or not source.size:
            raise ValueError(f"an image is RGB uint8 (H, W, 3), got {source.dtype} {source.shape}")
        image, file = source, None
    else:
        image, file = images.read(source), fspath(source)
    if boxes is None:
        return Frame(image, None, file)
    xyxy = np.asarray(boxes, dtype=np.float64)
    xyxy = xyxy.reshape(-1, 4) if xyxy.size == 0 else np.atleast_2d(xyxy)
    if xyxy.ndim != 2 or xyxy.shape[1] != 4 or not np.isfinite(xyxy).all() or not (xyxy[:, 2:] > xyxy[:, :2]).all():
        raise ValueError(f"boxes are (N, 4) x1, y1, x2, y2 with x2 > x1 and y2 > y1, got {boxes!r:.200}")
    return Frame(image, Detections(xyxy, np.ones(len(xyxy))), file)
