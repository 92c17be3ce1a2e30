"""A network as one ONNX file: 8-bit crops in, heatmaps out, weights stored as float16 and computed with as float32."""

import copy
import json
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx_ir.passes.common import ClearMetadataAndDocStringPass, DeduplicateInitializersPass
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hevitpose.core.errors import InputError
from hevitpose.core.facts import KEY, Facts
from hevitpose.files import atomic
from hevitpose.inference.backends import open_onnx, torch_backend
from hevitpose.models.hevitpose import SIZE_DIVISOR
from hevitpose.models.input import normalize
from hevitpose.models.weights import load_model

OPSET = 18
MAX_DIFFERENCE = 1e-4
"""Heatmaps (about 0 to 1) of the file and of torch may differ by this."""
TRACED_SIZE = (192, 256)
"""No map of the network is 1 wide at this size: a 1 would be taken for a constant, and the graph for this size only."""
CHECKED_BATCHES = (1, 2, 7)
SMALLEST_HALF = 1024
"""Tensors of fewer numbers stay float32: they weigh nothing."""


class FromPixels(nn.Module):
    """The network with its normalisation: uint8 RGB (N, H, W, 3) to heatmaps (N, K, H/4, W/4)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        heatmaps: Tensor = self.network(normalize(crops.permute(0, 3, 1, 2)))
        return heatmaps


def export_onnx(weights: Path, path: Path, crops: NDArray[np.uint8]) -> float:
    """Write the network of a safetensors file to `path` and return how far its heatmaps are from torch's on `crops`.

    `crops` (7 or more, H, W, 3) are real ones; batches of 1, 2 and 7 are compared. The graph takes any batch, and any
    input whose sides are multiples of 32. Raises InputError, and writes nothing, where they differ by more than 1e-4.
    """
    model, facts = load_model(weights)
    model.eval()
    proto = to_onnx(model, facts)
    difference = 0.0
    reference = torch_backend(model)

    def write_checked(temporary: Path) -> None:
        nonlocal difference
        onnx.save(proto, temporary)
        run, _ = open_onnx(temporary)
        for count in CHECKED_BATCHES:
            difference = max(difference, float(abs(run(crops[:count]) - reference(crops[:count])).max()))
        if not difference <= MAX_DIFFERENCE:
            raise InputError(path, f"not written: heatmaps differ by {difference:.1e} from torch's")

    atomic.write_with(path, write_checked)
    return difference


def to_onnx(model: nn.Module, facts: Facts) -> onnx.ModelProto:
    """The graph with its weights as float16 and the facts in its metadata."""
    example = torch.zeros((2, *TRACED_SIZE, 3), dtype=torch.uint8)
    sides = {name: SIZE_DIVISOR * torch.export.Dim(f"{name}_32", min=1, max=64) for name in ("height", "width")}
    program = cast(
        "torch.onnx.ONNXProgram",
        torch.onnx.export(
            FromPixels(store_as_half(model)).eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["crops"],
            output_names=["heatmaps"],
            dynamic_shapes={"crops": {0: torch.export.Dim("batch", min=1), 1: sides["height"], 2: sides["width"]}},
            verbose=False,
        ),
    )
    for clean_up in (DeduplicateInitializersPass(size_limit=2**14), ClearMetadataAndDocStringPass()):
        clean_up(program.model)
    proto = program.model_proto
    del proto.graph.value_info[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(facts.to_json())
    onnx.checker.check_model(proto, full_check=True)
    return proto


class FromHalf(nn.Module):
    """A weight that is stored as float16 and read as float32."""

    def forward(self, stored: Tensor) -> Tensor:
        return stored.float()

    def right_inverse(self, weight: Tensor) -> tuple[Tensor]:
        return (weight.half(),)  # a tuple, for a lone tensor may not change its type here


def store_as_half(model: nn.Module) -> nn.Module:
    """A copy of the network that keeps its large weights as float16; ONNX Runtime casts them when it loads the file.

    Batch norms must not be folded before that: their product with a convolution would be rounded once more.
    """
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight.numel() >= SMALLEST_HALF:
                parametrize.register_parametrization(module, name, FromHalf(), unsafe=True)
    return model
