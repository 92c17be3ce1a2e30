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
from hevitpose.core.keypoint_names import index_of_names, normalize_name
from hevitpose.core.model_config import DETECTOR_KEY
from hevitpose.core.results import Detections
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.backends import DEFAULT_OPTIONS, Graph, RuntimeOptions, TorchDetector
from hevitpose.inference.foreign_detectors import DetectorGraph, ForeignDetector
from hevitpose.inference.inputs import Frame
from hevitpose.inference.keypoints import KeypointPredictor
from hevitpose.inference.network import PERSON_DETECTOR, weights_folder
from hevitpose.io import images
from hevitpose.io.images import Image
from hevitpose.metrics.detection import nms
from hevitpose.metrics.oks import similarity

MIN_KEYPOINTS = 3
MIN_KEYPOINT_SHARE = 1 / 3
"""A candidate with fewer confident keypoints than these, or than this share of all, is rejected."""
HEAD = ("nose", "eye", "ear", "mouth", "chin", "forehead", "head", "head top", "upper neck")
MIN_HEAD_KEYPOINTS, SURE_HEAD = 2, 0.5
"""So many keypoints of the head that score so much on average are a person, whatever else is seen."""
BODY_OF_HEAD = 0.5
"""Where all other keypoints score less than this share of the head's, only the head is visible."""
DEFAULT_SIGMA = 0.07
"""Of keypoints without sigmas: between COCO's of the wrists and of the shoulders."""
DEFAULT_BOX_SIZES = (0.25, 0.5, 1.0)
"""Of windows where the sizes of boxes in training are unknown: shares of the image's longer side."""
SIZE_RATIO = 2.0
"""The most by which the sizes of windows differ: a network trained with random scales reads what lies between."""
WINDOW_STEP = 0.5
"""Of neighbouring windows, in their sides: a subject lies within a quarter of a side of the centre of one."""
SAME_SUBJECT = 0.5
"""IoU of the boxes around the keypoints of two windows that show the same subject."""
UNCONFIRMED = 0.5
"""The agreement of a window that shows what no other window shows."""
LARGEST_BOX_SIZE = 4.0
"""A box may reach beyond its image, but not further than this share of it."""
BATCH_SIZE = 8
"""Squares per call of a detector."""
MAX_TILES = 8
TILE_OVERLAP = 0.25
CUT_MARGIN = 0.01
"""A box that ends within this share of the tile's width at its edge is cut by it."""
SAME_BOX = 0.5
"""IoU from which a box in a tile and one in the whole image are of the same person."""
LONE_KEYPOINT_SHARE = 0.25
"""Of the image's longer side: the box around a single keypoint where the sizes of boxes in training are unknown."""


class Detector(Protocol):
    """Finds people: one `Detections` per frame."""

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]: ...


class WholeImage:
    """Takes an image to show one person: keypoints are predicted in the whole image, and the box is around them.

    The detection brings these keypoints. A candidate without enough confident keypoints is no detection. The box around
    a single keypoint is `lone` of the image's longer side.
    """

    def __init__(self, keypoints: KeypointPredictor, min_score: float, lone: float = LONE_KEYPOINT_SHARE) -> None:
        self.keypoints, self.min_score, self.lone = keypoints, min_score, lone
        self.head = head_keypoints(keypoints.network.config.skeleton)

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        whole = np.array([geometry.image_box(frame.image.shape[:2]) for frame in frames]).reshape(-1, 4)
        joints, scores = self.keypoints.in_boxes([frame.image for frame in frames], whole, padding=1.0)
        longer = (max(frame.image.shape[:2]) for frame in frames)
        return [self._detection(*found) for found in zip(joints, scores, longer, strict=True)]

    def _detection(self, joints: Floats, scores: Floats, longer: int) -> Detections:
        if not is_person(scores, self.min_score, head=self.head):
            return Detections.empty()
        confident = joints[scores >= self.min_score]
        box = square_around(confident, self.lone * longer if len(confident) == 1 else 1.0)
        return Detections(box[None], np.ones(1), joints[None], scores[None])


def is_person(scores: Floats, min_score: float, min_mean: float = 0.0, head: NDArray[np.bool_] | None = None) -> bool:
    """Whether enough keypoints score at least `min_score` (K,), and these at least `min_mean` on average.

    Two of the `head` (K,) are enough where they are sure.
    """
    present = scores >= min_score
    enough = min(len(scores), max(MIN_KEYPOINTS, int(len(scores) * MIN_KEYPOINT_SHARE)))
    if present.sum() >= enough and float(scores[present].mean()) >= min_mean:
        return True
    seen = scores[present & head] if head is not None else scores[:0]
    return len(seen) >= MIN_HEAD_KEYPOINTS and float(seen.mean()) >= SURE_HEAD


def shows_only_head(scores: Floats, head: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of which people (N,) only the head is visible: scores (N, K) of the `head` (K,) are sure, all others far lower.

    >>> shows_only_head(np.array([[0.8, 0.9, 0.3], [0.8, 0.9, 0.6]]), np.array([True, True, False]))
    array([ True, False])
    """
    if head.sum() < MIN_HEAD_KEYPOINTS or head.all():
        return np.zeros(len(scores), dtype=np.bool_)
    of_head = np.sort(scores[:, head], axis=1)[:, -MIN_HEAD_KEYPOINTS:].mean(axis=1)
    return np.asarray((of_head >= SURE_HEAD) & (scores[:, ~head].max(axis=1) < BODY_OF_HEAD * of_head))


def head_keypoints(skeleton: Skeleton) -> NDArray[np.bool_]:
    """Which keypoints (K,) are of the head, for people; none for other skeletons.

    >>> from hevitpose import MPII16
    >>> [MPII16.keypoints[k] for k in np.flatnonzero(head_keypoints(MPII16))]
    ['upper_neck', 'head_top']
    """
    human = is_human(skeleton)
    parts = [normalize_name(name).removeprefix("left ").removeprefix("right ") for name in skeleton.keypoints]
    return np.array([human and part in HEAD for part in parts], dtype=np.bool_)


def sigmas_or_default(skeleton: Skeleton) -> Floats:
    """The sigmas (K,) of the keypoints for OKS, `DEFAULT_SIGMA` where they are unknown."""
    return np.array(skeleton.sigmas or [DEFAULT_SIGMA] * skeleton.num_keypoints)


def square_around(keypoints: Floats, smallest: float = 1.0) -> Floats:
    """The square (4,) around the keypoints (K, 2), no smaller than `smallest`.

    On lsp_val larger and smaller squares found fewer joints.
    """
    extent = geometry.keypoint_extent(keypoints)
    side = max(smallest, float((extent[2:] - extent[:2]).max()))
    return geometry.box_from_center((extent[:2] + extent[2:]) / 2, (side, side))


class WindowSearch:
    """Finds subjects that no detector knows: keypoints are predicted in overlapping windows, the best ones count.

    Windows are squares of the sizes that boxes had in training. A network that has only seen crops of subjects can be
    sure of keypoints in an empty window, too; but it sees those of a real subject at one place from every window that
    shows them. So a detection's score is the mean OKS of its keypoints with those of the other windows around them.
    Detections bring their keypoints; boxes are windows, moved to have these in the middle.

    Args:
        keypoints: Predicts the keypoints.
        min_score: Keypoints that score less do not count.
        box_sizes: Longer sides of the training set's boxes, as shares of the longer sides of their images: of small and
            large ones; windows have these sizes and those between.
    """

    def __init__(
        self, keypoints: KeypointPredictor, min_score: float, box_sizes: Sequence[float] | None = None
    ) -> None:
        sizes = DEFAULT_BOX_SIZES if box_sizes is None else box_sizes
        if not len(sizes) or not all(0 < size <= LARGEST_BOX_SIZE for size in sizes):
            raise InputError(f"`box_sizes={list(sizes)}`", f"must be above 0 and at most {LARGEST_BOX_SIZE:g}")
        self.keypoints, self.min_score, self.box_sizes = keypoints, min_score, tuple(sizes)
        self.sigmas = sigmas_or_default(keypoints.network.config.skeleton)

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        return [self._search(frame.image) for frame in frames]

    def _search(self, image: Image) -> Detections:
        boxes = windows(image.shape[:2], self.box_sizes)
        joints, scores = self.keypoints.in_boxes([image] * len(boxes), boxes)
        sure = scores >= self.min_score
        able = np.flatnonzero([is_person(each, self.min_score) for each in scores])
        if not len(able):
            return Detections.empty()
        lone = LONE_KEYPOINT_SHARE * max(image.shape[:2])
        around = np.stack([square_around(joints[k][sure[k]], lone if sure[k].sum() == 1 else 1.0) for k in able])
        agreement = self._agreement(boxes, joints, able, around)
        best = nms(around, scores[able].mean(axis=1) * agreement, SAME_SUBJECT)
        kept = able[best]
        # The boxes of training were as large as the windows, not as tight as the keypoints.
        sizes = np.maximum(around[best, 2:] - around[best, :2], boxes[kept, 2:] - boxes[kept, :2])
        moved = geometry.box_from_center((around[best, :2] + around[best, 2:]) / 2, sizes)
        return Detections(moved, agreement[best], joints[kept], scores[kept])

    def _agreement(self, boxes: Floats, joints: Floats, able: NDArray[np.int64], around: Floats) -> Floats:
        """For each window of `able`, the mean OKS of its keypoints with those of the other windows around them."""
        padding = self.keypoints.padding
        seen = geometry.crop_box(boxes, padding, 1.0)
        shares = np.full(len(able), UNCONFIRMED)
        for number, (window, own) in enumerate(zip(able.tolist(), around, strict=True)):
            sees = np.flatnonzero(((own[:2] >= seen[:, :2]) & (own[2:] <= seen[:, 2:])).all(axis=1))
            others = sees[sees != window]
            if len(others):
                area = float((own[2:] - own[:2]).prod())
                areas = np.full(len(others), area)
                shares[number] = similarity(joints[window], joints[others], area, areas, self.sigmas).mean()
        return shares


def windows(size_hw: tuple[int, ...], box_sizes: Sequence[float]) -> Floats:
    """Square windows (N, 4) all over the image, of sizes from the largest to the smallest of these.

    Sizes are shares of the image's longer side.

    >>> windows((100, 200), [1.0, 0.5]).tolist()
    [[0.0, -50.0, 200.0, 150.0], [0.0, 0.0, 100.0, 100.0], [50.0, 0.0, 150.0, 100.0], [100.0, 0.0, 200.0, 100.0]]
    """
    low, high = min(box_sizes), max(box_sizes)
    steps = int(np.ceil(np.log(high / low) / np.log(SIZE_RATIO) - 1e-9))
    found: list[tuple[float, float, float, float]] = []
    for side in (max(size_hw[:2]) * np.geomspace(high, low, steps + 1)).tolist():
        starts = []
        for length in size_hw[:2]:
            room = length - side
            count = 1 + int(np.ceil(max(0.0, room) / (side * WINDOW_STEP)))
            starts.append(np.linspace(0, room, count) if room > 0 else np.array([room / 2]))
        found += [(x, y, x + side, y + side) for y in starts[0] for x in starts[1]]
    return np.array(found)


class PersonDetector:
    """Finds all people with a detector's file (.onnx, or with torch .safetensors), the bundled one by default.

    Each image is scaled to fill an input of its own shape (`input_size`); older files take squares alone. Boxes below
    `min_score`, by default the score that the file states, are dropped. `source` is the file, or its graph where it is
    open already.
    """

    def __init__(
        self,
        source: Path | Graph | None = None,
        options: RuntimeOptions = DEFAULT_OPTIONS,
        min_score: float | None = None,
    ) -> None:
        self.graph = source if isinstance(source, Graph) else _open(source, options)
        self.path = self.graph.path
        try:
            config = json.loads(self.graph.metadata[DETECTOR_KEY])
            self.side, stated = int(config["input_size"][0]), float(config["min_score"])
            self.multiple = int(config.get("input_multiple", self.side))
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(self.path, "is not a detector of hevitpose") from error
        if not self.side >= self.multiple >= 1:
            raise InputError(self.path, f"has no input size: {self.side} pixels, in multiples of {self.multiple}")
        self.min_score = stated if min_score is None else min_score

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        found = [Detections.empty()] * len(frames)
        shapes = [frame.image.shape for frame in frames]
        sizes = [input_size(width / height, self.side, self.multiple) for height, width, _ in shapes]
        for size in dict.fromkeys(sizes):
            alike = [number for number, its in enumerate(sizes) if its == size]
            for start in range(0, len(alike), BATCH_SIZE):
                batch = alike[start : start + BATCH_SIZE]
                inputs, scales = zip(*(letterbox(frames[number].image, size) for number in batch), strict=True)
                answers = zip(*self.graph(np.stack(inputs), ["boxes", "scores"]), strict=True)
                for number, scale, (boxes, scores) in zip(batch, scales, answers, strict=True):
                    in_image = boxes.astype(np.float64) / np.tile(scale, 2)
                    found[number] = self._detections(frames[number].image, in_image, scores)
        return found

    def _detections(self, image: Image, boxes: Floats, scores: NDArray[np.float32]) -> Detections:
        """The boxes, which are in pixels of the image, cut at its edges, best first."""
        boxes = np.clip(boxes, 0, geometry.image_box(image.shape[:2])[[2, 3, 2, 3]])
        kept = (scores >= self.min_score) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(axis=1)
        return Detections(boxes[kept], scores[kept].astype(np.float64))


def input_size(aspect: float, side: int, multiple: int) -> tuple[int, int]:
    """Height and width of the input in which an image of this width / height is largest.

    Both are multiples of `multiple`, no larger than `2 * side`, with no more pixels than a square of `side`, so that
    every shape takes about the same time. A third of a square input would be black in photos of 3 : 2.

    >>> input_size(3 / 2, 320, 64), input_size(1.0, 320, 64), input_size(9 / 16, 320, 64)
    ((256, 384), (320, 320), (384, 256))
    """
    steps = range(multiple, 2 * side + 1, multiple)
    possible = [(height, width) for height in steps for width in steps if height * width <= side * side]
    return max(possible, key=lambda size: (min(size[0], size[1] / aspect), -size[0] * size[1]))


def load_detector(path: Path | None = None, options: RuntimeOptions = DEFAULT_OPTIONS) -> Detector:
    """The detector of a file, of hevitpose or (ONNX) of another project; the bundled one by default.

    Raises InputError where the file is none that is read.

    >>> load_detector()([])
    []
    """
    graph = _open(path, options)
    if isinstance(graph, DetectorGraph) and DETECTOR_KEY not in graph.metadata:
        return ForeignDetector(graph)
    return PersonDetector(graph)


def bundled_detector() -> Path:
    """The file of the bundled person detector."""
    return weights_folder() / f"{PERSON_DETECTOR}.onnx"


def _open(path: Path | None, options: RuntimeOptions) -> Graph:
    path = path or bundled_detector()
    if not path.exists():
        raise InputError(path, "no such file")
    graph: type[Graph] = TorchDetector if path.suffix == ".safetensors" else DetectorGraph
    return graph(path, replace(options, runtime=None))


class TiledDetector:
    """Finds people in whole images and again in overlapping tiles of them, in which small people are larger.

    A tile's box that ends at an edge inside of the image may hold half a person: it is dropped, because the tile
    beside it or the whole image shows all of them. Of boxes that overlap the best stays.
    """

    def __init__(self, detector: Detector, tiles: int) -> None:
        if not 1 <= tiles <= MAX_TILES:
            raise InputError(f"`tiles={tiles}`", f"must be 1 to {MAX_TILES}")
        self.detector, self.tiles = detector, tiles

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        return [self._detect(frame.image) for frame in frames]

    def _detect(self, image: Image) -> Detections:
        whole, parts = geometry.image_box(image.shape[:2]), tile_boxes(image.shape[:2], self.tiles)
        cuts = [image[y1:y2, x1:x2] for x1, y1, x2, y2 in parts.tolist()]
        found, *of_parts = self.detector([Frame(image), *map(Frame, cuts)])
        boxes, scores = [found.boxes], [found.scores]
        for part, its in zip(parts, of_parts, strict=True):
            moved = its.boxes + np.tile(part[:2], 2)
            inner = np.where(part == whole, np.inf, part)
            cut = (abs(moved - inner) < CUT_MARGIN * (part[2] - part[0])).any(axis=1)
            boxes.append(moved[~cut])
            scores.append(its.scores[~cut])
        every, rating = np.concatenate(boxes), np.concatenate(scores)
        kept = nms(every, rating, SAME_BOX)
        return Detections(every[kept], rating[kept])


def tile_boxes(size_hw: tuple[int, ...], tiles: int) -> NDArray[np.int64]:
    """The boxes (tiles * tiles, 4) of a grid that covers the image; neighbours share `TILE_OVERLAP` of their sides.

    >>> tile_boxes((100, 175), 2).tolist()[0], tile_boxes((100, 175), 2).tolist()[3]
    ([0, 0, 100, 58], [75, 42, 175, 100])
    """
    spans = []
    for length in size_hw[:2]:
        side = int(np.ceil(length / (tiles - (tiles - 1) * TILE_OVERLAP)))
        starts = np.linspace(0, length - side, tiles).round().astype(int).tolist()
        spans.append([(start, start + side) for start in starts])
    return np.array([(x1, y1, x2, y2) for y1, y2 in spans[0] for x1, x2 in spans[1]], dtype=np.int64)


def letterbox(image: Image, size_hw: tuple[int, int], aspect: float | None = None) -> tuple[Image, tuple[float, float]]:
    """The image as large as it fits, at the upper left of a black input (h, w, 3); its scales in x and y.

    Boxes of the input divided by the scales are boxes of the image. `aspect`: width / height that the image is given
    instead of its own.

    >>> letterbox(np.full((20, 40, 3), 9, np.uint8), (64, 64))[1]
    (1.6, 1.6)
    """
    height, width = image.shape[:2]
    aspect = aspect or width / height
    scale = min(size_hw[0], size_hw[1] / aspect)
    rows, columns = max(1, round(scale)), max(1, round(scale * aspect))
    canvas = np.zeros((*size_hw, 3), dtype=np.uint8)
    canvas[:rows, :columns] = images.resize(image, (rows, columns))
    return canvas, (columns / width, rows / height)


def is_human(skeleton: Skeleton) -> bool:
    """Whether these are keypoints of people, whom the person detector finds: shoulders and hips are among them.

    >>> from hevitpose import COCO17
    >>> is_human(COCO17)
    True
    """
    names = index_of_names(skeleton.keypoints)
    return all(f"{side} {part}" in names for side in ("left", "right") for part in ("shoulder", "hip"))
