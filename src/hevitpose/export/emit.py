"""Modules of torch as ONNX nodes.

torch's own exporter takes minutes over a network of many small operations, and its graph has half as many nodes again.
A module that is no torch module writes its nodes itself (`Emits`), beside its `forward`.
"""

from typing import Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from hevitpose.export.graph import Graph
from hevitpose.models.hevitpose import Residual, SqueezeExcite


@runtime_checkable
class Emits(Protocol):
    """A module with an `emit` that says the same as its `forward`."""

    def emit(self, graph: Graph, x: str) -> str: ...


def emit(graph: Graph, module: nn.Module, x: str) -> str:
    """The nodes of a module, given the value `x`; the value that it returns. Raises TypeError where none are known."""
    match module:
        case Emits():
            return module.emit(graph, x)
        case nn.Sequential():
            return sequence(graph, module, x)
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


def sequence(graph: Graph, modules: nn.Sequential, x: str) -> str:
    """Module after module; zeros round a map are padding of the convolution that follows."""
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
    """A convolution, with `pads` (top, left, bottom, right) instead of its own padding."""
    scale = dict(conv.named_buffers()).get("weight_scale")
    weight = cast("NDArray[np.float32]", conv.weight.numpy())
    of_groups = weight.reshape(conv.groups, -1, *weight.shape[1:])
    if graph.compact and conv.groups > 1 and scale is None and (of_groups == of_groups[0]).all():
        # In a file that is to be small, weights that all groups share are stored once.
        parameters = [graph.op("Concat", *[graph.weight(of_groups[0])] * conv.groups, axis=0)]
    else:
        parameters = [graph.weight(weight, None if scale is None else scale.numpy())]
    if conv.bias is not None:
        parameters.append(array(graph, conv.bias))
    kind = "ConvTranspose" if isinstance(conv, nn.ConvTranspose2d) else "Conv"
    own = [int(side) for side in (*conv.padding, *conv.padding)]
    return graph.op(kind, x, *parameters, strides=list(conv.stride), pads=pads or own, group=conv.groups)


def array(graph: Graph, tensor: Tensor) -> str:
    """A constant of a tensor's numbers."""
    return graph.constant(tensor.detach().numpy())
