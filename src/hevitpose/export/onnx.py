"""A network as one ONNX graph: 8-bit crops in; joints in pixels of the crop, their scores, and heatmaps out."""

import json
from importlib.metadata import version

import onnx
from onnx import TensorProto, helper
from torch import nn

from hevitpose.core.model_config import KEY, ModelConfig
from hevitpose.export.decode import decode, flip_average, mirror
from hevitpose.export.emit import emit
from hevitpose.export.graph import Graph
from hevitpose.export.traced import trace
from hevitpose.models.hevitpose import HEViTPose
from hevitpose.models.input import MEAN, STD

OUTPUTS = ("keypoints", "scores", "heatmaps")
CONTRACT = (
    "Input `crops`: uint8 RGB (N, H, W, 3), one person per crop. The box grows about its centre to the aspect W / H, "
    "then by `padding`; its edges are the edges of the crop. Bilinear resampling; where n >= 2 image pixels fall on a "
    "crop pixel, the means of n x n blocks come first. What lies outside of the image is black. No normalization: the "
    "graph does it. Outputs: `keypoints` (N, K, 2), x before y, in crop pixels from the centre of the first pixel; "
    "`scores` (N, K) in [0, 1]; `heatmaps` (N, K, H/4, W/4). Names, input size and padding: metadata `hevitpose`."
)
"""How a file is used without hevitpose: its description, and part of docs/export.md."""


def to_onnx(model: nn.Module, config: ModelConfig, compact: bool = True) -> onnx.ModelProto:
    """The graph of a fused network, for any batch and sides that are multiples of 32, with its config in the metadata.

    `compact` stores weights that were rounded to float16 or int8 as such.
    """
    graph, k = Graph(compact), config.skeleton.num_keypoints
    pixels = graph.op("Transpose", "crops", perm=[0, 3, 1, 2])
    if config.flip_test:
        pixels = graph.op("Concat", pixels, mirror(graph, pixels, axis=3), axis=0)
    heatmaps = network(graph, model, normalized(graph, pixels))
    if config.flip_test:
        heatmaps, of_mirrored = graph.ops("Split", heatmaps, outputs=2, axis=0, num_outputs=2)
        heatmaps = flip_average(graph, heatmaps, of_mirrored, config.skeleton.mirror, config.codec)
    keypoints, scores = decode(graph, heatmaps, config.codec)
    for value, name in zip((keypoints, scores, heatmaps), OUTPUTS, strict=True):
        graph.rename(value, name)
    shapes: list[list[int | str]] = [[2], [], ["height / 4", "width / 4"]]
    proto = graph.model(
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["batch", "height", "width", 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", k, *rest])
            for name, rest in zip(OUTPUTS, shapes, strict=True)
        ],
        name=config.architecture,
    )
    proto.doc_string = CONTRACT
    add_metadata(proto, KEY, json.dumps(config.to_json()))
    add_metadata(proto, f"{KEY}.version", version("hevitpose"))
    return proto


def normalized(graph: Graph, pixels: str) -> str:
    """As `models.input.normalize`, of (N, 3, H, W) uint8."""
    mean, deviation = (graph.constant([[[255 * value]] for value in values]) for values in (MEAN, STD))
    return graph.op("Div", graph.op("Sub", graph.op("Cast", pixels, to=TensorProto.FLOAT), mean), deviation)


def network(graph: Graph, model: nn.Module, x: str) -> str:
    """Add the nodes of a network that takes normalised RGB `x` (N, 3, H, W), and return its heatmaps."""
    if not isinstance(model, HEViTPose):
        return trace(graph, model, x)
    for part in (model.embedding, *model.stages, model.head):
        x = emit(graph, part, x)
    return x


def add_metadata(proto: onnx.ModelProto, key: str, value: str) -> None:
    entry = proto.metadata_props.add()
    entry.key, entry.value = key, value
