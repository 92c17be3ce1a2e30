import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hevitpose.core.architecture import Variant
from hevitpose.core.errors import InputError
from hevitpose.core.model_config import KEY, ModelConfig
from hevitpose.core.skeleton import MPII16
from hevitpose.inference.backends import TorchHeatmaps
from hevitpose.inference.network import PAPER_T, find_weights
from hevitpose.models.baselines.efficientvit import EfficientViTPose
from hevitpose.models.baselines.networks import Baseline
from hevitpose.models.hevitpose import HEViTPose, hevitpose_b, hevitpose_t
from hevitpose.models.registry import build_network
from hevitpose.models.weights import (
    half_precision,
    load,
    load_into,
    load_model,
    rename_old_keys,
    round_to_int8,
    save,
    save_model,
)

CONFIG = ModelConfig("t", MPII16, (192, 256), 1.25)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return hevitpose_t().eval()


def test_weights_and_config_come_back(model, tmp_path):
    save_model(tmp_path / "w.safetensors", model.state_dict(), CONFIG)
    loaded, config = load_model(tmp_path / "w.safetensors")
    assert config == CONFIG
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_variant_is_remembered_and_a_plain_network_needs_no_word(tmp_path):
    variant = Variant(groups=(2, 2, 2), shared_weights=False)
    config = replace(CONFIG, variant=variant)
    network = build_network("t", 16, variant)
    save_model(tmp_path / "w.safetensors", network.state_dict(), config)
    loaded, read = load_model(tmp_path / "w.safetensors")
    assert (read, str(loaded)) == (config, str(network))
    assert (config.to_json()["variant"], "variant" in CONFIG.to_json()) == ("groups=2-2-2:shared_weights=false", False)


def test_a_variant_that_is_none_is_refused(model, tmp_path):
    config = CONFIG.to_json() | {"variant": "depth=9"}
    save(tmp_path / "w.safetensors", model.state_dict(), {KEY: json.dumps(config)})
    with pytest.raises(InputError, match=r"w\.safetensors: no such setting 'depth'"):
        load_model(tmp_path / "w.safetensors")


def test_half_precision_weights_load_as_float32(model, tmp_path):
    save_model(tmp_path / "w.safetensors", half_precision(model.state_dict()), CONFIG)
    loaded, _ = load_model(tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").stat().st_size < 7e6
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.head.deconv0.weight, model.head.deconv0.weight.half().float())


def test_int8_are_255_values_of_each_output_channel(model):
    rounded = hevitpose_t()
    rounded.load_state_dict(model.state_dict())
    round_to_int8(rounded)
    for layer, before in zip(rounded.modules(), model.modules(), strict=True):
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            continue
        axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        ours, exact = (each.weight.detach().transpose(0, axis).flatten(1) for each in (layer, before))
        largest = exact.abs().amax(dim=1, keepdim=True)
        assert ((ours - exact).abs() <= largest / 254 * 1.001).all()
        if exact.numel() >= 1024:
            numbers = ours / largest.clamp(min=1e-20) * 127
            assert torch.allclose(numbers, numbers.round(), atol=1e-3)


def written(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 64])
def test_a_broken_file_is_one_line(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=r"w\.safetensors: cannot be read as safetensors") as error:
        load(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.safetensors")


def test_a_file_of_another_program_is_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="not weights of hevitpose"):
        load_model(tmp_path / "w.safetensors")


def test_a_cut_file_is_refused(model, tmp_path):
    save_model(tmp_path / "w.safetensors", model.state_dict(), CONFIG)
    whole = (tmp_path / "w.safetensors").read_bytes()
    path = written(tmp_path, whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.pop("head.heatmaps.bias"), r"head\.heatmaps\.bias is missing"),
        (lambda t: t.update({"extra": torch.zeros(1)}), "extra is unknown to this network"),
        (
            lambda t: t.update({"head.heatmaps.bias": torch.zeros(17)}),
            r"head\.heatmaps\.bias is \(17,\), expected \(16,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_name_the_first_that_does_not(model, change, reason):
    tensors = dict(model.state_dict())
    change(tensors)
    with pytest.raises(InputError, match=rf"^file: {reason}"):
        load_into(hevitpose_t(), tensors, "file")


OLD_KEYS = json.loads(Path(__file__).with_name("keys_0_1.json").read_text())
"""Names of the weights in files of version 0.1, in the order of the network."""
SMALL = {"num_keypoints": 5, "channels": (32, 64, 96), "depths": (1, 2, 1)}
NETWORKS = {
    "plain": lambda: HEViTPose(**SMALL),
    "relu_projection": lambda: HEViTPose(**SMALL, relu_projection=True, embedding="conv7-conv7"),
    "conv15-deconv4": lambda: HEViTPose(**SMALL, embedding="conv15-deconv4"),
    "efficientvit": lambda: EfficientViTPose(5, (32, 64, 96), (1, 1, 1)),
    "two widths": lambda: Baseline(nn.Identity(), 32, 5, widths=(16, 8)),
    "no widths": lambda: Baseline(nn.Identity(), 32, 5, widths=()),
}


@pytest.mark.parametrize("name", OLD_KEYS)
def test_keys_of_version_0_1_become_todays(name):
    keys = [key for key in NETWORKS[name]().state_dict() if key.endswith("weight")]
    assert list(rename_old_keys(dict.fromkeys(OLD_KEYS[name]))) == keys
    assert list(rename_old_keys(dict.fromkeys(keys))) == keys


@pytest.mark.parametrize("key", ["stages.0.0.0.0.branch.7.weight", "stages.²..0", "head.²", "head.2.x", "", "stages"])
def test_keys_of_no_network_are_refused_as_unknown(key):
    with pytest.raises(InputError, match=r"is missing|is unknown"):
        load_into(HEViTPose(**SMALL), {key: torch.zeros(1)}, "file")


def test_the_bundled_weights_give_the_heatmaps_that_they_gave_in_version_0_1(real_crops):
    heatmaps = TorchHeatmaps(load_model(find_weights(PAPER_T, "torch"))[0].eval())(real_crops[1:2])[0]
    scores = [0.4472, 0.6686, 0.6608, 0.5320, 0.5856, 0.4548, 0.5898, 0.5296]
    scores += [0.6411, 0.5739, 0.4147, 0.4863, 0.4625, 0.4782, 0.4674, 0.6022]
    cells = [3169, 2524, 2018, 1958, 2726, 3372, 2020, 1054, 926, 540, 1746, 1497, 1051, 993, 1447, 1832]
    assert heatmaps.max(axis=(1, 2)) == pytest.approx(np.array(scores), abs=1e-4)
    assert heatmaps.reshape(16, -1).argmax(axis=1).tolist() == cells


def test_pretrained_weights_are_those_of_the_file(model, tmp_path):
    save_model(tmp_path / "mine.safetensors", model.state_dict(), CONFIG)
    mine, bundled = hevitpose_t(pretrained=tmp_path / "mine.safetensors"), hevitpose_t(pretrained=True)
    assert all(torch.equal(tensor, mine.state_dict()[name]) for name, tensor in model.state_dict().items())
    expected = load_model(find_weights(PAPER_T, "torch"))[0].state_dict()
    assert all(torch.equal(tensor, bundled.state_dict()[name]) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("build", "arguments", "words"),
    [
        (hevitpose_b, {}, ["HEViTPose-T, not", "HEViTPose-B"]),
        (hevitpose_t, {"num_keypoints": 17}, ["16 keypoints, not for 17"]),
        (hevitpose_t, {"query_reduction": True}, ["not of HEViTPose-T, query_reduction=true"]),
    ],
)
def test_pretrained_weights_of_another_network_are_refused(build, arguments, words, refused):
    path = find_weights(PAPER_T, "torch")
    with refused(path, *words):
        build(pretrained=path, **arguments)


def test_networks_without_bundled_weights_say_which_have_some(refused):
    with refused("HEViTPose-B", "no weights are bundled", "HEViTPose-T"):
        hevitpose_b(pretrained=True)
