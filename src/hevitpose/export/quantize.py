"""Dense convolutions in 8 bits; the file is written only when what that costs is measured and small."""

import json
import logging
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from hevitpose.core.errors import InputError
from hevitpose.core.labels import LabelledPeople
from hevitpose.data.crops import cut_people
from hevitpose.evaluation.predict import predict_in_label_boxes
from hevitpose.evaluation.score import score
from hevitpose.export.checked import Parity, compare, loader, publish, reference, writer
from hevitpose.export.fuse import fuse
from hevitpose.export.onnx import add_metadata, to_onnx
from hevitpose.inference.network import load_network
from hevitpose.metrics.names import Metric
from hevitpose.models.weights import MIN_ROUNDED_SIZE, load_model

MIN_CHANNELS = 64
"""Convolutions of fewer channels, in or out, stay float."""
CALIBRATION_CROPS = 64
MAX_LOSS = 0.5
"""Points of the score that 8 bits may cost."""
INT8 = "hevitpose.int8"
BATCH = 8
OPTIONS: dict[str, Any] = {
    "quant_format": QuantFormat.QDQ,
    "op_types_to_quantize": ["Conv", "Relu"],
    "per_channel": True,
    "reduce_range": True,
    "activation_type": QuantType.QUInt8,
    "weight_type": QuantType.QInt8,
    # The mean of the crops' extremes: ranges that hold all of them are too wide for most, and joints move farther.
    "extra_options": {"CalibMovingAverage": True},
}


@dataclass(frozen=True)
class Int8:
    """What 8 bits cost: the `difference` from torch, and the two scores in percent on so many `persons` of `data`."""

    difference: Parity
    calibration: str
    calibration_crops: int
    data: str
    metric: str
    persons: int
    float_score: float
    int8_score: float
    precision: str = "int8"


def export_int8(
    weights: Path,
    path: Path,
    crops: NDArray[np.uint8],
    calibration: LabelledPeople,
    labelled: LabelledPeople,
    metric: Metric,
    max_loss: float = MAX_LOSS,
    flip_test: bool = False,
) -> Int8:
    """Write the network of a safetensors file as `path` (.onnx or .xml), its dense convolutions in 8 bits.

    Ranges of values are averages over crops of `calibration`. The file and the same graph in float32 are scored on
    `labelled`, with the flip test, and compared on `crops` (7 or more, H, W, 3). Raises InputError, and writes nothing,
    where more than `max_loss` points are lost.
    """
    model, config = load_model(weights)
    config = replace(config, flip_test=flip_test)
    exact = to_onnx(fuse(model), config, compact=False)
    nodes = in_eight_bits(exact)
    if not nodes:
        raise InputError(path, f"not written: no convolution has the {MIN_CHANNELS} channels that 8 bits are worth")
    chosen = calibration.subset(spread(len(calibration), CALIBRATION_CROPS))
    proto = quantized(exact, cut_people(chosen, config.input_size, config.padding).pixels, nodes)
    seen = cut_people(labelled, config.input_size, config.padding)
    with tempfile.TemporaryDirectory() as drafts, tempfile.TemporaryDirectory() as floats:
        scores = []
        for folder, graph in ((floats, exact), (drafts, proto)):
            draft = Path(folder, path.name)
            writer(path)(graph, draft)
            found = predict_in_label_boxes(load_network(draft), labelled, seen, True, BATCH)
            scores.append(score(labelled, found, metric))
        exact_score, int8_score = (round(each.main, 3) for each in scores)
        lost = exact_score - int8_score
        if not lost <= max_loss:
            of = f"{scores[0].metric} on {labelled.name}"
            raise InputError(path, f"not written: 8 bits cost {lost:.2f} points of {of}, more than {max_loss:g}")
        difference = compare(loader(path)(draft), reference(model.eval(), config), config, crops)
        cost = Int8(
            difference,
            calibration.name,
            len(chosen),
            labelled.name,
            scores[0].metric,
            scores[0].persons,
            exact_score,
            int8_score,
        )
        add_metadata(proto, INT8, json.dumps(asdict(cost)))
        writer(path)(proto, draft)
        publish(Path(drafts), path)
    return cost


def spread(count: int, wanted: int) -> NDArray[np.int64]:
    """At most so many indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).astype(np.int64))


def quantized(exact: onnx.ModelProto, crops: NDArray[np.uint8], nodes: list[str], **options: Any) -> onnx.ModelProto:
    """The graph with these nodes in 8 bits, ranges averaged over `crops`, other weights in float16.

    Activations are unsigned, weights symmetric, each output channel with its own scale. Weights have 7 bits: without
    VNNI a processor adds products in pairs of 16 bits, which overflow where both factors have 8 (projections of tokens
    then err six times as much); where nothing overflows the eighth bit gains nothing. `options`: instead of those
    here, as `quantize_static` of ONNX Runtime has them.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, draft = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(exact, source)  # from memory, the quantiser would move the weights of `exact` into a file of its own
        logging.disable(logging.WARNING)  # its advice is to fuse the graph first
        try:
            quantize_static(source, draft, Batches(crops), nodes_to_quantize=nodes, **OPTIONS | options)
        finally:
            logging.disable(logging.NOTSET)
        proto = onnx.load(draft)
    store_as_half(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def in_eight_bits(proto: onnx.ModelProto) -> list[str]:
    """The nodes that gain by 8 bits: wide dense convolutions of maps, depthwise ones between them, ReLUs behind both.

    Float stays what gains nothing, as benchmarks/int8.py measures: attention, whose small products stand between norms
    and softmax (those cannot be in 8 bits, and turning tokens to and fro costs what products gain), depthwise
    convolutions between residual sums, and the stem. So does the last convolution: its outputs are the heatmaps, of
    which 8 bits leave 256 values.
    """
    shapes = {tensor.name: tensor.dims for tensor in proto.graph.initializer}
    nodes: list[str] = []
    convolved, activated = set[str](), set[str]()
    for node in proto.graph.node:
        if node.op_type == "Conv":
            outputs, inputs, *kernel = shapes[node.input[1]]
            wide = min(outputs, inputs) >= MIN_CHANNELS
            if len(kernel) == 2 and (wide or (inputs == 1 and node.input[0] in activated)):
                nodes.append(node.name)
                convolved.add(node.output[0])
        elif node.op_type == "Relu" and node.input[0] in convolved:
            nodes.append(node.name)
            activated.add(node.output[0])
    return nodes


class Batches:
    """Crops one by one, as the calibration of ONNX Runtime reads them."""

    def __init__(self, crops: NDArray[np.uint8]) -> None:
        self.rest = iter(crops)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        crop = next(self.rest, None)
        return None if crop is None else {"crops": crop[None]}


def store_as_half(proto: onnx.ModelProto) -> None:
    """Large float32 constants as float16, which a runtime casts once: less is lost by it than by 8 bits elsewhere."""
    for i, tensor in reversed(list(enumerate(proto.graph.initializer))):
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= MIN_ROUNDED_SIZE:
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_half")
            cast = helper.make_node("Cast", [half.name], [tensor.name], f"{tensor.name}_cast", to=TensorProto.FLOAT)
            proto.graph.node.insert(0, cast)
            del proto.graph.initializer[i]
            proto.graph.initializer.append(half)
