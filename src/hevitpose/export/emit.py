"""ONNX nodes of torch modules.

Modules of our own that inference adds write their nodes themselves (`Emits`), next to their `forward`.
torch's exporter gives a graph of the same speed, but takes about a hundred times as long to export HEViTPose
(benchmarks/export_forms.py).
"""

from collections.abc import Iterable
from typing import Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from hevitpose.export.graph import Graph
from hevitpose.models.hevitpose import Block, Downsampling, Residual, SqueezeExcite


@runtime_checkable
class Emits(Protocol):
    """A module whose `emit` writes the nodes of its `forward`."""

    def emit(self, graph: Graph, x: str) -> str: ...


def emit(graph: Graph, module: nn.Module, x: str) -> str:
    """Add the nodes of a module that takes the value `x`, and return its output. Raises TypeError for other modules."""
    match module:
        case Emits():
            return module.emit(graph, x)
        case nn.Sequential() | Block() | Downsampling():
            return sequence(graph, module.children(), x)
        case nn.Conv1d() | nn.Conv2d() | nn.ConvTranspose2d():
            return convolution(graph, module, x)
        case nn.BatchNorm2d():
            parameters = (module.weight, module.bias, module.running_mean, module.running_var)
            constants = [array(graph, cast("Tensor", parameter)) for parameter in parameters]
            return graph.op("BatchNormalization", x, *constants, epsilon=module.eps)
        case nn.ReLU():
            return graph.op("Relu", x)
        case nn.Identity():
            return x
        case Residual():
            return graph.op("Add", x, emit(graph, module.branch, x))
        case SqueezeExcite():
            squeezed = graph.op("Relu", emit(graph, module.squeeze, graph.op("GlobalAveragePool", x)))
            return graph.op("Mul", x, graph.op("Sigmoid", emit(graph, module.excite, squeezed)))
    raise TypeError(f"no ONNX nodes are known for {type(module).__name__}")


def sequence(graph: Graph, modules: Iterable[nn.Module], x: str) -> str:
    """Modules in sequence; zero padding becomes that of the convolution after it."""
    pads = None
    for module in modules:
        if isinstance(module, nn.ZeroPad2d):
            left, right, top, bottom = module.padding
            pads = [top, left, bottom, right]
        elif isinstance(module, nn.Conv2d):
            x, pads = convolution(graph, module, x, pads), None
        else:
            x = emit(graph, module, x)
    return x


def convolution(
    graph: Graph, conv: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d, x: str, pads: list[int] | None = None
) -> str:
    """A convolution; `pads` (top, left, bottom, right) replace its own padding."""
    scale = dict(conv.named_buffers()).get("weight_scale")
    weight = cast("NDArray[np.float32]", conv.weight.numpy())
    of_groups = weight.reshape(conv.groups, -1, *weight.shape[1:])
    if graph.compact and conv.groups > 1 and scale is None and (of_groups == of_groups[0]).all():
        # A compact file stores weights that all groups share once.
        parameters = [graph.op("Concat", *[graph.weight(of_groups[0])] * conv.groups, axis=0)]
    else:
        parameters = [graph.weight(weight, None if scale is None else scale.numpy())]
    if conv.bias is not None:
        parameters.append(array(graph, conv.bias))
    kind = "ConvTranspose" if isinstance(conv, nn.ConvTranspose2d) else "Conv"
    own = [int(side) for side in (*conv.padding, *conv.padding)]
    return graph.op(kind, x, *parameters, strides=list(conv.stride), pads=pads or own, group=conv.groups)


def repeat(graph: Graph, x: str, times: int) -> str:
    """Maps (N, C, H, W) with each position repeated in both directions, as `F.interpolate` with mode "nearest"."""
    rule = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.op("Resize", x, "", graph.constant([1, 1, times, times]), **rule)


def array(graph: Graph, tensor: Tensor) -> str:
    """A tensor as a constant."""
    return graph.constant(tensor.detach().numpy())
