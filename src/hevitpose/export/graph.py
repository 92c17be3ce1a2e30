"""An ONNX graph while it is being built."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from hevitpose.models.weights import MIN_ROUNDED_SIZE

OPSET = 18


class Graph:
    """Nodes and constants. Each of its functions returns the name of the value that it adds."""

    def __init__(self, compact: bool = True) -> None:
        self.compact = compact
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._names: dict[tuple[Any, ...], str] = {}

    def constant(self, value: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """A constant array; the same array twice is one."""
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = f"constant_{len(self.constants)}"
            self.constants[self._names[key]] = array
        return self._names[key]

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def weight(self, weight: NDArray[np.float32], scale: NDArray[np.float32] | None = None) -> str:
        """A weight; with `compact` a large one whose numbers were rounded, before its scale, is stored as they were.

        A runtime casts and scales it once, when it loads the file, unless it is told to run the graph as it is.
        """
        if not self.compact or weight.size < MIN_ROUNDED_SIZE:
            return self.constant(weight)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            trained = weight if scale is None else np.where(scale == 0, 0, weight / scale)
            of_channels = as_int8(weight)  # those of a batch norm scale the steps
            rounded = of_channels or as_int8(trained) or as_half(trained)
        if rounded is None:
            return self.constant(weight)
        numbers, steps = rounded
        stored = self.op("Cast", self.constant(numbers, numbers.dtype.type), to=TensorProto.FLOAT)
        for factor in (steps, None if of_channels else scale):
            stored = stored if factor is None else self.op("Mul", stored, self.constant(factor))
        return stored

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node of one output."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """A node of several outputs."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name, **attributes))
        return names

    def splice(self, nodes: Sequence[onnx.NodeProto], names: Mapping[str, str]) -> dict[str, str]:
        """Nodes of another graph, its inputs and constants called `names` here; what all its values are called."""
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
        """Give a value its name."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [name if each == value else each for each in names]

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto], name: str
    ) -> onnx.ModelProto:
        """The graph as a file holds it. Raises onnx.checker.ValidationError."""
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, name, inputs, outputs, constants)
        model = helper.make_model(graph, producer_name="hevitpose", opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8  # the one of opset 18: a newer one would shut out runtimes for nothing
        onnx.checker.check_model(model, full_check=True)
        return model


def as_half(weight: NDArray[np.float32]) -> tuple[NDArray[np.float16], None] | None:
    """The float16 numbers of which a weight consists, without steps; None where it does not."""
    half = weight.astype(np.float16)
    return (half, None) if np.allclose(half, weight, rtol=1e-6, atol=1e-9) else None


def as_int8(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    """The whole numbers from -127 to 127, and the step of each output channel (o, 1, ...), of which a weight (o, ...)
    is the product; None where it is not.

    A part of a rounded weight may lack its channel's largest number, so that the step is that of any number of steps.
    Of a projection that torch's exporter has turned, (i, o), the steps are of its columns.
    """
    found = _of_rows(weight)
    if found is None and weight.ndim == 2 and (turned := _of_rows(weight.T)):
        return turned[0].T, turned[1].T
    return found


def _of_rows(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    if weight.ndim < 2 or weight[0].size < 9:  # of the few numbers of a channel many are some step apart
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
