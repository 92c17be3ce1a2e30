"""A detector as one graph: 8-bit square images in; boxes, scores and classes out."""

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
from hevitpose.models.detector import MAX_LOG_DISTANCE, NMS_IOU, STRIDE, TOP_K, Detector, decode
from hevitpose.models.detector_weights import DetectorFileConfig, load_detector
from hevitpose.models.input import normalize

OUTPUTS = ("boxes", "scores", "classes")
LETTERBOX = "longest side to the input's, bilinear with antialiasing, at the upper left, the rest black"
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

    The input `images` is uint8 RGB (N, S, S, 3), any N; the longer side of each image fills S, the rest, right or
    below, is black (`inference.detectors.letterbox`). Outputs are `boxes` (N, T, 4), xyxy in pixels from the corner of
    the input, `scores` (N, T), best first and 0 for duplicates, and `classes` (N, T) int64; T is 100 at most. `images`
    are real ones on which the file is compared with torch: raises InputError, and writes nothing, where they differ.
    `min_score`, below which boxes are better not shown, is stored beside the classes' names.
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
    """The graph of a detector, decoding included, for any number of images of the file_config' size."""
    graph, side = Graph(), file_config.side
    pixels = graph.op("Transpose", "images", perm=[0, 3, 1, 2])
    centers, distances = _network(graph, fuse(model), normalized(graph, pixels))
    outputs = _decode(graph, centers, distances, side // STRIDE)
    for value, name in zip(outputs, OUTPUTS, strict=True):
        graph.rename(value, name)
    top = min(TOP_K, model.config.num_classes * (side // STRIDE) ** 2)
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64)
    shapes: tuple[list[str | int], ...] = (["batch", top, 4], ["batch", top], ["batch", top])
    proto = graph.model(
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", side, side, 3])],
        [helper.make_tensor_value_info(*one) for one in zip(OUTPUTS, kinds, shapes, strict=True)],
        name="detector",
    )
    use = {"input_size": [side, side], "letterbox": LETTERBOX, "min_score": min_score, "nms_iou": NMS_IOU}
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


def _decode(graph: Graph, centers: str, distances: str, cells: int) -> tuple[str, str, str]:
    """`decode` of `models/detector.py` for maps of `cells` x `cells`."""
    scores = graph.op("Sigmoid", centers)
    highest = graph.op("MaxPool", scores, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
    peaks = graph.op("Cast", graph.op("Equal", scores, highest), to=TensorProto.FLOAT)
    flat = graph.op("Reshape", graph.op("Mul", scores, peaks), graph.integers(0, -1))
    size = graph.op("Gather", graph.op("Shape", flat), graph.integers(1))
    scores, order = graph.ops("TopK", flat, graph.op("Min", size, graph.integers(TOP_K)), outputs=2, axis=1)
    area = graph.integers(cells * cells)
    classes, at = graph.op("Div", order, area), graph.op("Mod", order, area)

    middle = np.broadcast_to((np.arange(cells) + 0.5) * STRIDE, (cells, cells))
    centers_xyxy = graph.constant(np.stack([middle, middle.T, middle, middle.T]))
    steps = graph.constant(np.array([-STRIDE, -STRIDE, STRIDE, STRIDE]).reshape(4, 1, 1))
    boxes = graph.op("Add", graph.op("Mul", distances, steps), centers_xyxy)
    boxes = graph.op("Clip", boxes, graph.constant(0.0), graph.constant(float(STRIDE * cells)))
    rows = graph.op("Transpose", graph.op("Reshape", boxes, graph.integers(0, 4, -1)), perm=[0, 2, 1])
    boxes = graph.op("GatherND", rows, graph.op("Unsqueeze", at, graph.integers(2)), batch_dims=1)

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
    if cells * cells < TOP_K:  # fewer candidates than the mask has rows
        ends = graph.op("Concat", *[graph.op("Gather", graph.op("Shape", scores), graph.integers(1))] * 2, axis=0)
        above = graph.op("Slice", above, graph.integers(0, 0), ends)
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
