import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from hevitpose.core.heatmap import CODECS
from hevitpose.core.labels import ImageFile, LabelledPeople
from hevitpose.core.model_config import ModelConfig, model_config_from_metadata
from hevitpose.core.skeleton import MPII16
from hevitpose.data.crops import cut_people
from hevitpose.evaluation.predict import predict_in_label_boxes
from hevitpose.export import quantize
from hevitpose.export.fuse import fuse
from hevitpose.export.onnx import OUTPUTS, to_onnx
from hevitpose.inference.backends import OnnxGraph, OpenVINOGraph, TorchHeatmaps
from hevitpose.inference.network import PAPER_T, Network, load_network
from hevitpose.models.hevitpose import HEViTPose, hevitpose_t

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIG = ModelConfig("t", MPII16, (128, 128), 1.25, CODECS["udp"])
BUNDLED_CONFIG = load_network(PAPER_T).config


@pytest.fixture(scope="module")
def model(as_if_trained):
    return as_if_trained(HEViTPose(16, (32, 64, 96), (1, 1, 1))).eval()


@pytest.fixture(scope="module")
def people():
    """Two people, each twice, labelled where the bundled network finds their joints."""
    people = LabelledPeople(
        name="two images",
        skeleton=MPII16,
        images=tuple(ImageFile(name, EXAMPLES) for name in ("skier.jpg", "street.jpg")),
        image_ids=(0, 1),
        image_index=np.array([0, 1, 0, 1]),
        ids=np.arange(4),
        boxes=np.array([[280.0, 44, 498, 390], [275, 128, 417, 379], [280, 30, 500, 400], [250, 110, 430, 390]]),
        keypoints=np.zeros((4, 16, 2)),
        visibility=np.full((4, 16), 2, dtype=np.int8),
        head_sizes=np.full(4, np.nan),
        areas=np.full(4, np.nan),
    )
    found = predict_in_label_boxes(
        load_network(PAPER_T), people, cut_people(people, BUNDLED_CONFIG.input_size), True, 4
    )
    return dataclasses.replace(people, keypoints=found.joints)


@pytest.fixture(scope="module")
def bundled(people, real_crops, tmp_path_factory):
    """The bundled network in 8 bits, calibrated and scored on `people`, and what it cost."""
    path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    score = {"calibration": people, "labelled": people, "metric": "pck_box"}
    return path, quantize.export_int8(PAPER_T, path, images=real_crops, **score)


@pytest.mark.parametrize("runtime", [OnnxGraph, OpenVINOGraph])
def test_the_file_finds_the_joints_of_the_float_network(bundled, people, runtime):
    run = runtime(bundled[0])
    assert model_config_from_metadata(run.metadata, "file") == BUNDLED_CONFIG
    crops = cut_people(people, BUNDLED_CONFIG.input_size).pixels
    joints, scores, heatmaps = run(crops, OUTPUTS)
    expected = load_network(PAPER_T).heatmap_fn(crops)
    assert 0 < abs(heatmaps - expected).mean() < 2e-3
    seen = scores > 0.5
    assert seen.sum() > 30
    assert np.median(abs(joints - BUNDLED_CONFIG.codec.decode(expected, BUNDLED_CONFIG.input_size)[0])[seen]) < 0.5
    assert run(crops[:1], OUTPUTS)[2] == pytest.approx(heatmaps[:1], abs=1e-3)


def test_the_metadata_says_what_8_bits_cost(bundled):
    path, cost = bundled
    assert json.loads(OnnxGraph(path).metadata["hevitpose.int8"]) == dataclasses.asdict(cost)
    assert (cost.precision, cost.float_score, cost.metric, cost.persons) == ("int8", 100, "PCKbox@0.05", 4)
    assert 99.5 <= cost.int8_score <= 100
    assert (cost.data, cost.calibration, cost.calibration_crops) == ("two images", "two images", 4)
    assert 0 < cost.difference.mean_heatmaps < 2e-3


def test_weights_are_integers_and_others_float16(bundled):
    stored = onnx.load(bundled[0]).graph.initializer
    kinds = {tensor.data_type for tensor in stored if np.prod(tensor.dims) >= 1024}
    assert kinds == {onnx.TensorProto.INT8, onnx.TensorProto.FLOAT16}
    assert bundled[0].stat().st_size < 4.5e6


def test_a_file_that_loses_too_much_is_not_written(model, people, real_crops, monkeypatch, tmp_path, refused):
    quantized = quantize.quantized
    monkeypatch.setattr(quantize, "load_model", lambda _: (model, CONFIG))
    monkeypatch.setattr(quantize, "quantized", lambda exact, crops, nodes: quantized(exact, 0 * crops, nodes))
    network = Network("torch", TorchHeatmaps(model), CONFIG)
    found = predict_in_label_boxes(network, people, cut_people(people, CONFIG.input_size), True, 4)
    own = dataclasses.replace(people, keypoints=found.joints)
    score = {"calibration": own, "labelled": own, "metric": "pck_box"}
    with refused(tmp_path / "int8.onnx", "not written: 8 bits cost", "PCKbox@0.05 on two images, more than 0.5"):
        quantize.export_int8(PAPER_T, tmp_path / "int8.onnx", images=real_crops, **score)
    assert not list(tmp_path.iterdir())


def test_what_gains_nothing_stays_float(as_if_trained):
    proto = to_onnx(fuse(as_if_trained(hevitpose_t(16))), CONFIG, compact=False)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
    chosen = set(quantize.in_eight_bits(proto))
    kernels = {True: set(), False: set()}
    for node in proto.graph.node:
        if node.op_type == "Conv":
            kernels[node.name in chosen].add(shapes[node.input[1]][2:])
    assert kernels == {True: {(1, 1), (2, 2), (3, 3)}, False: {(7, 7), (15, 15), (3, 3), (1,), (1, 1)}}
    last = [node.name for node in proto.graph.node if node.op_type == "Conv"][-1]
    assert last not in chosen


def test_the_fast_network_has_its_nodes_in_eight_bits_too(as_if_trained):
    model = as_if_trained(HEViTPose(16, (64, 128, 192), (1, 1, 1), query_reduction=True))
    proto = to_onnx(fuse(model), CONFIG, compact=False)
    chosen = set(quantize.in_eight_bits(proto))
    assert sum(node.op_type == "Conv" for node in proto.graph.node if node.name in chosen) > 20
