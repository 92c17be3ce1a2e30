"""Export with dense convolutions in 8 bits, written only if the file scores nearly as well as the float network."""

import json
import logging
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from hevitpose.core.errors import InputError
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.sampling import evenly_spaced
from hevitpose.data.crops import cut_people
from hevitpose.evaluation.predict import predict_in_label_boxes
from hevitpose.evaluation.score import Evaluation, score
from hevitpose.export.checked import Parity, compare, crops_of, onnx_path, opened, reference, with_flip_test
from hevitpose.export.fuse import fuse
from hevitpose.export.onnx import add_metadata, to_onnx
from hevitpose.inference.inputs import Source
from hevitpose.inference.network import find_weights, load_network
from hevitpose.io import atomic
from hevitpose.metrics.names import Metric
from hevitpose.models.weights import MIN_ROUNDED_SIZE, load_model

MIN_CHANNELS = 64
"""Convolutions of fewer channels, in or out, stay float."""
CALIBRATION_CROPS = 64
MAX_LOSS = 0.5
"""Points of the score that 8 bits may cost."""
INT8 = "hevitpose.int8"
BATCH = 8
OPTIONS: dict[str, object] = {
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
    """What 8 bits cost: the `difference` from torch, and both scores in percent on the `persons` of `data`."""

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
    weights: str | PathLike[str],
    output: str | PathLike[str],
    *,
    images: Iterable[Source],
    calibration: LabelledPeople,
    labelled: LabelledPeople,
    metric: Metric,
    max_loss: float = MAX_LOSS,
    flip_test: bool = False,
) -> Int8:
    """Write a network as ONNX with its dense convolutions in 8 bits, and return what that costs.

    Args:
        weights: A .safetensors file, or the name of bundled weights.
        output: The .onnx file to write.
        images: Images, or folders of them, on which the file is compared with torch.
        calibration: People; the ranges of activations are averages over 64 of their crops.
        labelled: People on whom the file and the same graph in float32 are scored, with the flip test.
        metric: Metric of that score.
        max_loss: Points of the score that may be lost.
        flip_test: Average with the mirrored crop, inside the graph.

    Raises InputError, and writes nothing, where more is lost or an input is unusable.
    """
    path = onnx_path(output)
    model, config = load_model(find_weights(weights, "torch"))
    config = with_flip_test(config, flip_test)
    crops = crops_of(images, config.input_size)
    exact = to_onnx(fuse(model), config, compact=False)
    nodes = in_eight_bits(exact)
    if not nodes:
        raise InputError(
            path, f"not written: no convolution has the {MIN_CHANNELS} channels that 8 bits need to pay off"
        )
    chosen = calibration.subset(evenly_spaced(len(calibration), CALIBRATION_CROPS))
    proto = quantized(exact, cut_people(chosen, config.input_size, config.padding).pixels, nodes)
    evaluations = scores_of((exact, proto), labelled, metric, config)
    exact_score, int8_score = (round(each.main, 3) for each in evaluations)
    if not exact_score - int8_score <= max_loss:
        lost = f"{exact_score - int8_score:.2f} points of {evaluations[0].metric} on {labelled.name}"
        raise InputError(path, f"not written: 8 bits cost {lost}, more than {max_loss:g}")
    cost = Int8(
        compare(opened(proto), reference(model.eval(), config), config, crops),
        calibration.name,
        len(chosen),
        labelled.name,
        evaluations[0].metric,
        evaluations[0].persons,
        exact_score,
        int8_score,
    )
    add_metadata(proto, INT8, json.dumps(asdict(cost)))
    atomic.write(path, proto.SerializeToString())
    return cost


def scores_of(
    graphs: Iterable[onnx.ModelProto], labelled: LabelledPeople, metric: Metric, config: ModelConfig
) -> list[Evaluation]:
    """Each graph's scores in the boxes of the labels, with the flip test."""
    crops = cut_people(labelled, config.input_size, config.padding)
    evaluations = []
    with tempfile.TemporaryDirectory() as folder:
        for number, graph in enumerate(graphs):
            draft = Path(folder, f"{number}.onnx")
            onnx.save(graph, draft)
            found = predict_in_label_boxes(load_network(draft), labelled, crops, True, BATCH)
            evaluations.append(score(labelled, found, metric))
    return evaluations


def quantized(exact: onnx.ModelProto, crops: NDArray[np.uint8], nodes: list[str], **options: Any) -> onnx.ModelProto:
    """The graph with these nodes in 8 bits, ranges averaged over `crops` (N, H, W, 3), other weights in float16.

    Activations are unsigned; weights are symmetric with a scale for each output channel. Weights have 7 bits: without
    VNNI, processors add products in pairs of 16 bits, which overflow where both factors have 8 (errors of token
    projections grow sixfold); where nothing overflows, the eighth bit gains nothing. `options` override those of
    ONNX Runtime's `quantize_static`.
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
    """The nodes that gain from 8 bits: wide dense convolutions of maps, depthwise ones between them, ReLUs behind both.

    The rest gains nothing (benchmarks/int8.py) and stays float: the stem, depthwise convolutions between residual sums
    and attention, where converting to and from norms and softmax costs what the small products gain. The last
    convolution stays float as well: 8 bits would leave its heatmaps 256 values.
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
    """Crops one by one, in the form that ONNX Runtime's calibration reads."""

    def __init__(self, crops: NDArray[np.uint8]) -> None:
        self.rest = iter(crops)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        crop = next(self.rest, None)
        return None if crop is None else {"crops": crop[None]}


def store_as_half(proto: onnx.ModelProto) -> None:
    """Store large float32 constants as float16, which a runtime casts once; this loses less than 8 bits elsewhere."""
    for i, tensor in reversed(list(enumerate(proto.graph.initializer))):
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= MIN_ROUNDED_SIZE:
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_half")
            cast = helper.make_node("Cast", [half.name], [tensor.name], f"{tensor.name}_cast", to=TensorProto.FLOAT)
            proto.graph.node.insert(0, cast)
            del proto.graph.initializer[i]
            proto.graph.initializer.append(half)
