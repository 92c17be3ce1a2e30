"""A builder of ONNX graphs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from hevitpose.models.weights import MIN_ROUNDED_SIZE

OPSET = 18


class Graph:
    """The nodes and constants of a graph. Methods that add a value return its name.

    `compact` stores large weights as float16 or int8 where that loses nothing.
    """

    def __init__(self, compact: bool = True) -> None:
        self.compact = compact
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._names: dict[tuple[Any, ...], str] = {}

    def constant(self, value: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """A constant array; equal arrays are stored once."""
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = f"constant_{len(self.constants)}"
            self.constants[self._names[key]] = array
        return self._names[key]

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def weight(self, weight: NDArray[np.float32], scale: NDArray[np.float32] | None = None) -> str:
        """A weight, which may be the product of a rounded weight and a `scale` of the same number of axes.

        With `compact`, a large weight is stored as the float16 or int8 values that it was rounded to. Runtimes cast and
        scale it once, when they load the file, unless their graph optimization is off.
        """
        if not self.compact or weight.size < MIN_ROUNDED_SIZE:
            return self.constant(weight)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            trained = weight if scale is None else np.where(scale == 0, 0, weight / scale)
            of_channels = as_int8(weight)  # the scale of a batch norm is part of the steps
            rounded = of_channels or as_int8(trained) or as_half(trained)
        if rounded is None:
            return self.constant(weight)
        numbers, steps = rounded
        stored = self.op("Cast", self.constant(numbers, numbers.dtype.type), to=TensorProto.FLOAT)
        for factor in (steps, None if of_channels else scale):
            stored = stored if factor is None else self.op("Mul", stored, self.constant(factor))
        return stored

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name, **attributes))
        return names

    def splice(self, nodes: Sequence[onnx.NodeProto], names: Mapping[str, str]) -> dict[str, str]:
        """Add the nodes of another graph, given the `names` here of its inputs and constants.

        Returns the names here of all its values.
        """
        known = {"": "", **names}
        for node in nodes:
            known |= {output: f"spliced_{output}" for output in node.output}
            copied = onnx.NodeProto()
            copied.CopyFrom(node)
            copied.name = f"spliced_{node.name}"
            copied.input[:] = [known[name] for name in node.input]
            copied.output[:] = [known[name] for name in node.output]
            self.nodes.append(copied)
        return known

    def rename(self, value: str, name: str) -> None:
        """Rename a value."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [name if each == value else each for each in names]

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto], name: str
    ) -> onnx.ModelProto:
        """The graph as an ONNX model. Raises onnx.checker.ValidationError."""
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, name, inputs, outputs, constants)
        model = helper.make_model(graph, producer_name="hevitpose", opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8  # that of opset 18; a newer one would only exclude older runtimes
        onnx.checker.check_model(model, full_check=True)
        return model


def as_half(weight: NDArray[np.float32]) -> tuple[NDArray[np.float16], None] | None:
    """The float16 values of a weight that was rounded to them, and no steps; None for other weights."""
    half = weight.astype(np.float16)
    return (half, None) if np.allclose(half, weight, rtol=1e-6, atol=1e-9) else None


def as_int8(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    """Integers from -127 to 127 and a step for each output channel (o, 1, ...) whose product is the weight (o, ...).

    None for a weight that was not rounded so. A part of a rounded weight may lack its channel's largest value, so that
    every possible step is tried. In projections that torch's exporter has transposed, (i, o), each column has a step.
    """
    found = _of_rows(weight)
    if found is None and weight.ndim == 2 and (turned := _of_rows(weight.T)):
        return turned[0].T, turned[1].T
    return found


def _of_rows(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    if weight.ndim < 2 or weight[0].size < 9:  # a channel of few values fits some step by chance
        return None
    numbers = np.zeros(weight.shape, dtype=np.int8)
    steps = np.ones((len(weight), *[1] * (weight.ndim - 1)), dtype=np.float32)
    for channel, values in enumerate(weight):
        if not (peak := abs(values).max()):
            continue
        possible = (peak / count for count in range(127, 0, -1))
        step = next((step for step in possible if abs(values / step - np.rint(values / step)).max() < 1e-3), None)
        if step is None:
            return None
        numbers[channel], steps[channel] = np.rint(values / step), step
    return numbers, steps
