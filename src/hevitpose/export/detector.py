"""A detector as one graph: 8-bit images in; boxes, scores and classes out."""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from hevitpose.core.errors import InputError
from hevitpose.core.model_config import DETECTOR_KEY
from hevitpose.export.checked import WeightPrecision, round_weights
from hevitpose.export.emit import emit, repeat
from hevitpose.export.fuse import fuse
from hevitpose.export.graph import Graph
from hevitpose.export.onnx import add_metadata, normalized
from hevitpose.io import atomic
from hevitpose.models.detector import MAX_LOG_DISTANCE, NMS_IOU, SIDE_DIVISOR, STRIDE, TOP_K, Detector, decode
from hevitpose.models.detector_weights import DetectorFileConfig, load_detector
from hevitpose.models.input import normalize

OUTPUTS = ("boxes", "scores", "classes")
LETTERBOX = (
    "of inputs whose sides are multiples of 64 and at most twice those of input_size, with no more pixels, the "
    "smallest in which the image is largest; there bilinear with antialiasing at the upper left, the rest black"
)
MAX_BOX_DIFFERENCE, MAX_SCORE_DIFFERENCE = 0.1, 1e-3
"""Boxes (pixels of the input) and scores of the file may differ from torch's by this."""
COMPARED_SCORE = 0.05
"""Candidates of a lower score are not compared: their order may change with the last bit."""


def export_detector(
    weights: Path,
    path: Path,
    images: NDArray[np.uint8],
    precision: WeightPrecision = "float32",
    min_score: float = 0.3,
) -> None:
    """Write the detector of a safetensors file as ONNX, its large weights rounded to `precision`.

    The input `images` is uint8 RGB (N, H, W, 3), any N and any multiples of 64; an image fills it as far as its shape
    allows, the rest, right or below, is black (`inference.detectors.letterbox`). Outputs are `boxes` (N, T, 4), xyxy in
    pixels from the corner of the input, `scores` (N, T), best first and 0 for duplicates, and `classes` (N, T) int64; T
    is 100 at most. `images` are real ones on which the file is compared with torch: raises InputError, and writes
    nothing, where they differ. `min_score`, below which boxes are better not shown, is stored beside the names.
    """
    model, file_config = load_detector(weights)
    round_weights(model, precision)
    content = detector_to_onnx(model, file_config, min_score).SerializeToString()
    box_error, score_error = parity(content, model, images)
    if not (box_error <= MAX_BOX_DIFFERENCE and score_error <= MAX_SCORE_DIFFERENCE):
        difference = f"boxes differ by {box_error:.2f} pixels, scores by {score_error:.1e} from torch's"
        raise InputError(path, f"not written: {difference}")
    atomic.write(path, content)


def detector_to_onnx(model: Detector, file_config: DetectorFileConfig, min_score: float = 0.3) -> onnx.ModelProto:
    """The graph of a detector, decoding included."""
    graph, side = Graph(), file_config.side
    pixels = graph.op("Transpose", "images", perm=[0, 3, 1, 2])
    centers, distances = _network(graph, fuse(model), normalized(graph, pixels))
    outputs = _decode(graph, centers, distances)
    for value, name in zip(outputs, OUTPUTS, strict=True):
        graph.rename(value, name)
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64)
    shapes: tuple[list[str | int], ...] = (["batch", "found", 4], ["batch", "found"], ["batch", "found"])
    proto = graph.model(
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", "height", "width", 3])],
        [helper.make_tensor_value_info(*one) for one in zip(OUTPUTS, kinds, shapes, strict=True)],
        name="detector",
    )
    use = {"input_size": [side, side], "input_multiple": SIDE_DIVISOR, "letterbox": LETTERBOX}
    use |= {"min_score": min_score, "nms_iou": NMS_IOU}
    add_metadata(proto, DETECTOR_KEY, json.dumps({"architecture": "detector"} | asdict(file_config) | use))
    add_metadata(proto, f"{DETECTOR_KEY}.version", version("hevitpose"))
    return proto


def _network(graph: Graph, model: torch.nn.Module, x: str) -> tuple[str, str]:
    """`Detector.forward` of the fused network."""
    part = model.get_submodule
    x = graph.op("Add", emit(graph, part("embedding"), x), emit(graph, part("detail"), x))
    maps = []
    for stage, lateral in zip(part("stages").children(), part("laterals").children(), strict=True):
        x = emit(graph, stage, x)
        maps.append(emit(graph, lateral, x))
    fused = maps.pop()
    for fusion in part("fusions").children():
        fused = emit(graph, fusion, graph.op("Add", maps.pop(), repeat(graph, fused, 2)))
    logs = emit(graph, part("head.distances"), fused)
    limited = graph.op("Min", logs, graph.constant(MAX_LOG_DISTANCE))
    return emit(graph, part("head.centers"), fused), graph.op("Exp", limited)


def _decode(graph: Graph, centers: str, distances: str) -> tuple[str, str, str]:
    """`decode` of `models/detector.py`."""
    scores = graph.op("Sigmoid", centers)
    highest = graph.op("MaxPool", scores, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
    peaks = graph.op("Cast", graph.op("Equal", scores, highest), to=TensorProto.FLOAT)
    flat = graph.op("Reshape", graph.op("Mul", scores, peaks), graph.integers(0, -1))
    size = graph.op("Gather", graph.op("Shape", flat), graph.integers(1))
    scores, order = graph.ops("TopK", flat, graph.op("Min", size, graph.integers(TOP_K)), outputs=2, axis=1)
    rows, columns = (graph.op("Gather", graph.op("Shape", centers), graph.integers(axis)) for axis in (2, 3))
    area = graph.op("Mul", rows, columns)
    classes, at = graph.op("Div", order, area), graph.op("Mod", order, area)

    def middles(count: str, shape: tuple[int, ...]) -> str:
        """The middles of `count` cells in pixels."""
        scalar = graph.op("Squeeze", count)
        numbers = graph.op("Range", graph.constant(0, np.int64), scalar, graph.constant(1, np.int64))
        shifted = graph.op("Add", graph.op("Cast", numbers, to=TensorProto.FLOAT), graph.constant(0.5))
        return graph.op("Reshape", graph.op("Mul", shifted, graph.constant(float(STRIDE))), graph.integers(*shape))

    grid = graph.op("Concat", graph.integers(1, 1), rows, columns, axis=0)
    x = graph.op("Expand", middles(columns, (1, 1, 1, -1)), grid)
    y = graph.op("Expand", middles(rows, (1, 1, -1, 1)), grid)
    steps = graph.constant(np.array([-STRIDE, -STRIDE, STRIDE, STRIDE]).reshape(4, 1, 1))
    boxes = graph.op("Add", graph.op("Mul", distances, steps), graph.op("Concat", x, y, x, y, axis=1))
    corner = graph.op("Cast", graph.op("Concat", columns, rows, columns, rows, axis=0), to=TensorProto.FLOAT)
    limit = graph.op("Reshape", graph.op("Mul", corner, graph.constant(float(STRIDE))), graph.integers(4, 1, 1))
    boxes = graph.op("Min", graph.op("Relu", boxes), limit)
    turned_boxes = graph.op("Transpose", graph.op("Reshape", boxes, graph.integers(0, 4, -1)), perm=[0, 2, 1])
    boxes = graph.op("GatherND", turned_boxes, graph.op("Unsqueeze", at, graph.integers(2)), batch_dims=1)

    above = graph.constant(np.triu(np.ones((TOP_K, TOP_K)), 1).astype(bool), np.bool_)
    turned = graph.op("Transpose", boxes, perm=[0, 2, 1])
    low_x, low_y, high_x, high_y = graph.ops("Split", boxes, outputs=4, axis=2, num_outputs=4)
    their_low_x, their_low_y, their_high_x, their_high_y = graph.ops("Split", turned, outputs=4, axis=1, num_outputs=4)
    sides = [
        graph.op("Relu", graph.op("Sub", graph.op("Min", high, their_high), graph.op("Max", low, their_low)))
        for low, their_low, high, their_high in (
            (low_x, their_low_x, high_x, their_high_x),
            (low_y, their_low_y, high_y, their_high_y),
        )
    ]
    shared = graph.op("Mul", *sides)
    areas = graph.op("Mul", graph.op("Sub", high_x, low_x), graph.op("Sub", high_y, low_y))
    either = graph.op("Sub", graph.op("Add", areas, graph.op("Transpose", areas, perm=[0, 2, 1])), shared)
    overlap = graph.op("Div", shared, graph.op("Max", either, graph.constant(1e-6)))
    first, second = (graph.op("Unsqueeze", classes, graph.integers(axis)) for axis in (2, 1))
    same = graph.op("And", graph.op("Equal", first, second), graph.op("Greater", overlap, graph.constant(NMS_IOU)))
    count = graph.op("Gather", graph.op("Shape", scores), graph.integers(1))  # fewer than TOP_K in a small input
    above = graph.op("Slice", above, graph.integers(0, 0), graph.op("Concat", count, count, axis=0))
    duplicate = graph.op("Cast", graph.op("And", same, above), to=TensorProto.FLOAT)
    kept = graph.op("Sub", graph.constant(1.0), graph.op("ReduceMax", duplicate, graph.integers(1), keepdims=0))
    return boxes, graph.op("Mul", scores, kept), classes


def parity(content: bytes, model: Detector, images: NDArray[np.uint8]) -> tuple[float, float]:
    """The largest differences of boxes (pixels) and scores between a graph in ONNX Runtime and the network in torch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    boxes, scores, _ = session.run(list(OUTPUTS), {"images": images})
    with torch.inference_mode():
        theirs = decode(*model.eval()(normalize(torch.from_numpy(images).permute(0, 3, 1, 2))))
    their_boxes, their_scores = (each.numpy() for each in theirs[:2])
    sure = their_scores >= COMPARED_SCORE
    box_error = float(abs(boxes - their_boxes)[sure].max(initial=0.0))
    return box_error, float(abs(scores - their_scores)[sure].max(initial=0.0))
