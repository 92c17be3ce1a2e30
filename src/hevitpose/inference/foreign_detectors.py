"""Person detectors of other projects, as they export them to ONNX: which layout a file has, and how it is read.

The layout follows from the names and shapes of the outputs. Class 0 is taken to be the person: so it is in COCO's
classes and in files of one class. Images are stretched to the input, but for YOLOX, which keeps their shape.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.results import Detections
from hevitpose.inference.backends import OnnxGraph
from hevitpose.inference.inputs import Frame
from hevitpose.io import images
from hevitpose.io.images import Image
from hevitpose.metrics.detection import nms

MIN_BOX_SCORE = 0.3
"""Boxes that score less are dropped: NanoDet-g then has about one stray in an image."""
NMS_IOU = 0.6
CLASSES = (1, 80)
"""Of the files that are read: persons alone, or COCO's."""
NANODET_BINS = (8, 11)
NANODET_MEAN_BGR, NANODET_STD_BGR = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
YOLOX_GREY = 114
LARGEST_LOG_SIDE = 12.0
"""In strides: YOLOX's raw sides are logarithms, and no box is e^12 strides wide; decoded sides are pixels."""

Outputs = Mapping[str, Floats]
Answer = tuple[Floats, Floats]
"""Boxes (N, 4), xyxy in pixels of the input, and scores (N,)."""


@dataclass(frozen=True)
class Layout:
    """How one project's files are fed and read.

    `pixels` makes the input (3, H, W) of the image in its size, RGB uint8; `decode` takes the outputs of one image and
    height and width of the input. `keeps_shape`: the image lies at the upper left, the rest is grey.
    """

    name: str
    pixels: Callable[[Image], NDArray[np.float32]]
    decode: Callable[[Outputs, tuple[int, int]], Answer]
    keeps_shape: bool = False
    suppress: bool = True


class DetectorGraph(OnnxGraph):
    """A detector's ONNX file. It may take the image's size as a second input; its boxes are then in image pixels."""

    def feeds(self, crops: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The inputs by name."""
        feeds = super().feeds(crops)
        if len(self.session.get_inputs()) == 2:
            feeds[self.session.get_inputs()[1].name] = np.array([crops.shape[:1:-1]], dtype=np.int64)
        return feeds


class ForeignDetector:
    """Finds people with another project's ONNX file: NanoDet, YOLOX, D-FINE or RT-DETR.

    Raises InputError where the file has none of these layouts. Scores are the file's own, not calibrated.

    >>> ForeignDetector(DetectorGraph(Path("nanodet.onnx")))  # doctest: +SKIP
    """

    def __init__(self, graph: DetectorGraph) -> None:
        self.graph = graph
        inputs, outputs = graph.session.get_inputs(), graph.session.get_outputs()
        self.outputs = [output.name for output in outputs]
        shape = inputs[0].shape
        if len(shape) != 4 or shape[1] != 3 or not all(isinstance(side, int) for side in shape[2:]):
            raise InputError(graph.path, f"its input must be (1, 3, height, width) of fixed size, found {shape}")
        self.size_hw: tuple[int, int] = (shape[2], shape[3])
        self.layout = layout_of({each.name: each.shape for each in outputs}, graph.path)

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        return [self._detect(frame.image) for frame in frames]

    def _detect(self, image: Image) -> Detections:
        canvas, scale = self._fit(image)
        pixels: NDArray[Any] = self.layout.pixels(canvas)[None]
        answers = self.graph(pixels, self.outputs)
        outputs = {name: np.asarray(of[0], dtype=np.float64) for name, of in zip(self.outputs, answers, strict=True)}
        try:
            boxes, scores = self.layout.decode(outputs, self.size_hw)
        except ValueError as error:
            raise InputError(self.graph.path, f"does not answer as {self.layout.name} does: {error}") from error
        boxes = np.clip(boxes / np.tile(scale, 2), 0, geometry.image_box(image.shape[:2])[[2, 3, 2, 3]])
        kept = np.flatnonzero((scores >= MIN_BOX_SCORE) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(axis=1))
        boxes, scores = boxes[kept], scores[kept]
        order = nms(boxes, scores, NMS_IOU) if self.layout.suppress else np.argsort(-scores, kind="stable")
        return Detections(boxes[order], np.clip(scores[order], 0, 1))

    def _fit(self, image: Image) -> tuple[Image, Floats]:
        """The image in the size of the input, and its scales (2,) in x and y."""
        sides = np.array(image.shape[:2])
        factors = np.array(self.size_hw) / sides
        rows, columns = np.maximum(1, np.round(sides * (factors.min() if self.layout.keeps_shape else factors)))
        canvas = np.full((*self.size_hw, 3), YOLOX_GREY, dtype=np.uint8)
        canvas[: int(rows), : int(columns)] = images.resize(image, (int(rows), int(columns)))
        return canvas, np.array([columns / sides[1], rows / sides[0]])


def layout_of(outputs: Mapping[str, Sequence[Any]], path: Path) -> Layout:
    """The layout of a file with these outputs (their shapes by name). Raises InputError where it is none of them."""
    shapes = list(outputs.values())
    wide = shapes[0][-1] if len(shapes) == 1 and len(shapes[0]) == 3 else None
    if {"labels", "boxes", "scores"} <= outputs.keys():
        return Layout("D-FINE, RT-DETR", _unit_rgb, _decode_detr, suppress=False)
    if {"logits", "pred_boxes"} <= outputs.keys():
        return Layout("D-FINE, RT-DETR (transformers)", _unit_rgb, _decode_transformers, suppress=False)
    if {"scores", "distances"} == outputs.keys() or wide in {c + 4 * bins for c in CLASSES for bins in NANODET_BINS}:
        return Layout("NanoDet", _nanodet_bgr, _decode_nanodet)
    if wide in {c + 5 for c in CLASSES}:
        return Layout("YOLOX", _bgr, _decode_yolox, keeps_shape=True)
    found = ", ".join(f"{name} {list(shape)}" for name, shape in outputs.items())
    raise InputError(path, f"no detector's layout that is read (hevitpose, NanoDet, YOLOX, D-FINE, RT-DETR): {found}")


def _unit_rgb(image: Image) -> NDArray[np.float32]:
    return np.asarray(image.transpose(2, 0, 1) / 255, dtype=np.float32)


def _bgr(image: Image) -> NDArray[np.float32]:
    return np.asarray(image[..., ::-1].transpose(2, 0, 1), dtype=np.float32)


def _nanodet_bgr(image: Image) -> NDArray[np.float32]:
    normal = (image[..., ::-1] - np.array(NANODET_MEAN_BGR)) / np.array(NANODET_STD_BGR)
    return np.asarray(normal.transpose(2, 0, 1), dtype=np.float32)


def _decode_nanodet(outputs: Outputs, size_hw: tuple[int, int]) -> Answer:
    """Distances to the sides are expectations over bins. Centres lie in the middle of cells in the first NanoDet, of
    three strides, and at their corners in NanoDet-Plus, of four."""
    if "distances" in outputs:
        scores, logits = outputs["scores"], outputs["distances"]
    else:
        (both,) = outputs.values()
        bins = next(b for b in NANODET_BINS if both.shape[1] - 4 * b in CLASSES)
        scores, logits = np.split(both, [both.shape[1] - 4 * bins], axis=1)
    logits = logits.reshape(len(logits), 4, -1)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    expected = (weights * np.arange(logits.shape[2])).sum(axis=2) / weights.sum(axis=2)
    plus = len(scores) == sum(_cells(size_hw, stride).prod() for stride in (8, 16, 32, 64))
    corners, strides = _grid(size_hw, (8, 16, 32, 64) if plus else (8, 16, 32), len(scores))
    centers, sides = corners + (0 if plus else strides / 2), expected * strides
    return np.concatenate([centers - sides[:, :2], centers + sides[:, 2:]], axis=1), scores[:, 0]


def _decode_yolox(outputs: Outputs, size_hw: tuple[int, int]) -> Answer:
    """Rows of centre, sides, objectness and classes; exported with or without the decoding of centre and sides."""
    (rows,) = outputs.values()
    centers, sides = rows[:, :2], rows[:, 2:4]
    if len(sides) and sides.max() < LARGEST_LOG_SIDE:
        corners, strides = _grid(size_hw, (8, 16, 32), len(rows))
        centers, sides = corners + centers * strides, np.exp(sides) * strides
    return geometry.box_from_center(centers, sides), rows[:, 4] * rows[:, 5]


def _decode_detr(outputs: Outputs, size_hw: tuple[int, int]) -> Answer:  # noqa: ARG001 - asked for in pixels
    return outputs["boxes"], np.where(outputs["labels"] == 0, outputs["scores"], 0.0)


def _decode_transformers(outputs: Outputs, size_hw: tuple[int, int]) -> Answer:
    shares = outputs["pred_boxes"] * np.tile(size_hw[::-1], 2)
    return geometry.box_from_center(shares[:, :2], shares[:, 2:]), 1 / (1 + np.exp(-outputs["logits"][:, 0]))


def _cells(size_hw: tuple[int, int], stride: int) -> NDArray[np.int64]:
    return np.asarray(-(-np.array(size_hw) // stride), dtype=np.int64)


def _grid(size_hw: tuple[int, int], strides: Sequence[int], count: int) -> tuple[Floats, Floats]:
    """The upper left corners (N, 2) of all cells in pixels, x before y, and their strides (N, 1).

    Raises ValueError where these are not `count` cells.
    """
    corners, steps = [], []
    for stride in strides:
        rows, columns = _cells(size_hw, stride).tolist()
        y, x = np.mgrid[:rows, :columns]
        corners.append(np.stack([x, y], axis=-1).reshape(-1, 2) * float(stride))
        steps.append(np.full((rows * columns, 1), float(stride)))
    if sum(map(len, corners)) != count:
        raise ValueError(f"{count} cells are not those of the strides {', '.join(map(str, strides))}")
    return np.concatenate(corners), np.concatenate(steps)
