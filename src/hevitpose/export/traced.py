"""ONNX nodes of any other network, by torch's exporter."""

from typing import cast

import torch
from onnx import numpy_helper
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import nn

from hevitpose.core.geometry import INPUT_MULTIPLE
from hevitpose.export.graph import OPSET, Graph

TRACED_SIZE = (192, 256)
"""Large enough that no map is 1 wide, which torch would take for a constant and fix the graph's size."""


def trace(graph: Graph, model: nn.Module, x: str) -> str:
    """Add the nodes of a network that takes normalised RGB `x` (N, 3, H, W), and return its heatmaps."""
    sides = [
        INPUT_MULTIPLE * torch.export.Dim(f"{name}_{INPUT_MULTIPLE}", min=1, max=64) for name in ("height", "width")
    ]
    program = cast(
        "torch.onnx.ONNXProgram",
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, *TRACED_SIZE),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["heatmaps"],
            dynamic_shapes=[{0: torch.export.Dim("batch", min=1), 2: sides[0], 3: sides[1]}],
            verbose=False,
        ),
    )
    ClearMetadataAndDocStringPass()(program.model)
    inner = program.model_proto.graph
    scales = {name: scale.numpy() for name, scale in model.named_buffers()}
    names = {"images": x}
    for tensor in inner.initializer:
        array, scale = numpy_helper.to_array(tensor), scales.get(f"{tensor.name}_scale")
        is_weight = array.dtype == "float32"
        names[tensor.name] = graph.weight(array, scale) if is_weight else graph.constant(array, array.dtype.type)
    return graph.splice(inner.node, names)["heatmaps"]
