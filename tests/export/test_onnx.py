import dataclasses
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from torch import nn

from hevitpose.core.architecture import parse_variant
from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import CODECS
from hevitpose.core.model_config import ModelConfig, model_config_from_metadata
from hevitpose.core.skeleton import MPII16
from hevitpose.export import checked
from hevitpose.export.fuse import fuse
from hevitpose.export.graph import as_int8
from hevitpose.export.onnx import OUTPUTS, to_onnx
from hevitpose.inference.backends import load_onnx, load_openvino, open_torch, torch_backend
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import load_network
from hevitpose.models.hevitpose import HEViTPose, hevitpose_t
from hevitpose.models.weights import half_precision, load_into, round_to_int8, save_model

FACTS = ModelConfig("t", MPII16, (256, 256), 1.25, CODECS["udp"])
SMALL = {"num_keypoints": 16, "channels": (32, 64, 96), "depths": (1, 1, 1)}
LOADERS = {".onnx": load_onnx, ".xml": load_openvino}


@pytest.fixture(scope="module")
def crops(real_crops):
    return real_crops[:, ::2, ::2]


@pytest.fixture(scope="module")
def files(tmp_path_factory, crops, as_if_trained):
    folder = tmp_path_factory.mktemp("export")
    save_model(folder / "t.safetensors", half_precision(as_if_trained(hevitpose_t()).state_dict()), FACTS)
    for suffix in LOADERS:
        checked.export(folder / "t.safetensors", folder / f"t{suffix}", crops)
    checked.export(folder / "t.safetensors", folder / "flipped.onnx", crops, flip_test=True)
    return folder


@pytest.mark.parametrize("suffix", LOADERS)
def test_the_file_gives_the_heatmaps_of_torch_and_decodes_them_as_the_codec_does(files, crops, suffix):
    run, metadata = LOADERS[suffix](files / f"t{suffix}")
    torch_run, _ = open_torch(files / "t.safetensors")
    assert model_config_from_metadata(metadata, "file") == FACTS
    for batch in (crops[:1], crops, crops[:3, :, :96], crops[:2, :64, :160]):
        keypoints, scores, heatmaps = run(batch, OUTPUTS)
        expected = torch_run(batch)
        assert abs(heatmaps - expected).max() < 1e-4
        joints, peaks = FACTS.codec.decode(heatmaps, batch.shape[1:3])
        assert keypoints == pytest.approx(joints, abs=1e-3)
        assert scores == pytest.approx(peaks, abs=1e-6)


def test_the_metadata_says_what_the_file_is(files):
    metadata = onnxruntime.InferenceSession(files / "t.onnx").get_modelmeta().custom_metadata_map
    config, parity = (json.loads(metadata[key]) for key in ("hevitpose", "hevitpose.parity"))
    assert config["skeleton"]["keypoints"] == list(MPII16.keypoints)
    assert metadata["hevitpose.version"] == "0.1.0"
    assert 0 < parity["heatmaps"] <= checked.MAX_DIFFERENCE


def test_a_file_with_the_flip_test_gives_its_average_and_is_not_mirrored_again(files, crops):
    plain, flipped = (PoseEstimator.from_pretrained(files / name) for name in ("t.onnx", "flipped.onnx"))
    assert (flipped.network.config.flip_test, plain.network.config.flip_test) == (True, False)
    run = plain.network.backend
    average = FACTS.codec.flip_average(run(crops), run(crops[:, :, ::-1]), MPII16.mirror)
    assert flipped.network.backend(crops) == pytest.approx(average, abs=1e-4)
    assert PoseEstimator(flipped.network, flip_test=True).mirror is None
    assert PoseEstimator(plain.network, flip_test=True).mirror == MPII16.mirror


def test_weights_that_are_float16_are_stored_so(files):
    assert (files / "t.onnx").stat().st_size < 7e6
    assert (files / "t.bin").stat().st_size < 7e6


def test_weights_that_all_groups_share_are_stored_once(as_if_trained):
    model = as_if_trained(hevitpose_t(query_reduction=True))
    load_into(model, half_precision(model.state_dict()), "half")
    assert len(to_onnx(fuse(model), FACTS).SerializeToString()) < 7e6


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("rounded", [None, "float16", "int8"])
def test_weights_are_stored_as_they_are_rounded(as_if_trained, crops, tmp_path, rounded, fast):
    """What is written equals torch with the same rounded weights, to 1e-4."""
    config = dataclasses.replace(FACTS, variant=parse_variant("query_reduction=true" if fast else "", "test"))
    save_model(tmp_path / "t.safetensors", as_if_trained(hevitpose_t(query_reduction=fast)).state_dict(), config)
    checked.export(tmp_path / "t.safetensors", tmp_path / "t.onnx", crops, rounded=rounded)
    size = {None: (12e6, 14e6), "float16": (6e6, 7e6), "int8": (3e6, 3.9e6)}[rounded]
    assert size[0] < (tmp_path / "t.onnx").stat().st_size < size[1]


def test_int8_are_255_numbers_of_each_output_channel(as_if_trained):
    exact, model = as_if_trained(hevitpose_t()), as_if_trained(hevitpose_t())
    round_to_int8(model)
    for layer, before in zip(model.modules(), exact.modules(), strict=True):
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            continue
        axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        weights = [each.weight.detach().transpose(0, axis) for each in (layer, before)]
        for rounded, unrounded in zip(*weights, strict=True):
            assert len(rounded.unique()) <= 255
            assert (rounded - unrounded).abs().max() <= unrounded.abs().max() / 254 * 1.001


def test_a_part_of_a_rounded_weight_is_found_to_be_rounded():
    """Without the channel's largest number: of a transposed convolution each phase has some of the taps."""
    numbers = np.array([[100, -3, 50, 1, 2, 3, 4, 5, 6], [0] * 9, [7, 127, -127, 0, 0, 0, 0, 0, 1]])
    found, steps = as_int8((numbers * [[0.3], [1], [0.002]]).astype(np.float32))
    assert found * steps == pytest.approx(numbers * [[0.3], [1], [0.002]], rel=1e-6)
    turned = np.random.default_rng(0).integers(-127, 128, (20, 30)) * np.linspace(0.1, 0.9, 30)
    found, steps = as_int8(turned.astype(np.float32))
    assert found * steps == pytest.approx(turned, rel=1e-6)
    assert as_int8(np.sqrt(np.arange(1, 28, dtype=np.float32)).reshape(3, 9)) is None
    assert as_int8(np.arange(2000, dtype=np.float32)) is None  # what has one number a channel is no weight


@pytest.mark.parametrize("damage", [2e-4, np.nan])
def test_a_graph_that_differs_is_not_written(files, crops, monkeypatch, tmp_path, damage):
    damaged = onnx.load(files / "t.onnx")
    last = [node for node in damaged.graph.node if node.op_type == "Conv"][-1]
    bias = next(tensor for tensor in damaged.graph.initializer if tensor.name == last.input[2])
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(damage), bias.name))
    monkeypatch.setattr(checked, "to_onnx", lambda *_: damaged)
    with pytest.raises(InputError, match=r"not written: heatmaps differ by (2.*e-04|nan), joints by .* from torch's"):
        checked.export(files / "t.safetensors", tmp_path / "t.onnx", crops)
    assert not list(tmp_path.iterdir())


FORMS = [
    {"query_reduction": True, "reductions": (4, 2, 1)},
    {"relu_projection": True},
    {"shared_weights": False},
    {"embedding": "conv15-deconv4"},
]


@pytest.mark.parametrize("switches", FORMS, ids=str)
def test_every_form_of_the_network_can_be_exported(switches, real_crops, tmp_path, as_if_trained):
    model = as_if_trained(HEViTPose(**SMALL | switches))
    (tmp_path / "x.onnx").write_bytes(to_onnx(fuse(model), FACTS).SerializeToString())
    ours = load_network(tmp_path / "x.onnx").backend(real_crops[:2, :64, :96])
    theirs = torch_backend(model)(real_crops[:2, :64, :96])
    assert abs(ours - theirs).max() < 1e-4
