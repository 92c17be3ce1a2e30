import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from hevitpose.core.architecture import Variant
from hevitpose.core.errors import InputError
from hevitpose.core.model_config import KEY, ModelConfig
from hevitpose.core.skeleton import MPII16
from hevitpose.models.hevitpose import hevitpose_t
from hevitpose.models.registry import build_network
from hevitpose.models.weights import half_precision, load, load_into, load_model, save, save_model

FACTS = ModelConfig("t", MPII16, (192, 256), 1.25)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return hevitpose_t().eval()


def test_weights_and_facts_come_back(model, tmp_path):
    save_model(tmp_path / "w.safetensors", model.state_dict(), FACTS)
    loaded, config = load_model(tmp_path / "w.safetensors")
    assert config == FACTS
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_variant_is_remembered_and_a_plain_network_needs_no_word(tmp_path):
    variant = Variant(groups=(2, 2, 2), shared_weights=False)
    config = replace(FACTS, variant=variant)
    network = build_network("t", 16, variant)
    save_model(tmp_path / "w.safetensors", network.state_dict(), config)
    loaded, read = load_model(tmp_path / "w.safetensors")
    assert (read, str(loaded)) == (config, str(network))
    assert (config.to_json()["variant"], "variant" in FACTS.to_json()) == ("groups=2-2-2:shared_weights=false", False)


def test_a_variant_that_is_none_is_refused(model, tmp_path):
    config = FACTS.to_json() | {"variant": "depth=9"}
    save(tmp_path / "w.safetensors", model.state_dict(), {KEY: json.dumps(config)})
    with pytest.raises(InputError, match=r"w\.safetensors: no such setting 'depth'"):
        load_model(tmp_path / "w.safetensors")


def test_half_precision_weights_load_as_float32(model, tmp_path):
    save_model(tmp_path / "w.safetensors", half_precision(model.state_dict()), FACTS)
    loaded, _ = load_model(tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").stat().st_size < 7e6
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.head[0].weight, model.head[0].weight.half().float())


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
    save_model(tmp_path / "w.safetensors", model.state_dict(), FACTS)
    whole = (tmp_path / "w.safetensors").read_bytes()
    path = written(tmp_path, whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.pop("head.6.bias"), r"head\.6\.bias is missing"),
        (lambda t: t.update({"extra": torch.zeros(1)}), "extra is unknown to this network"),
        (lambda t: t.update({"head.6.bias": torch.zeros(17)}), r"head\.6\.bias is \(17,\), expected \(16,\)"),
    ],
)
def test_weights_that_do_not_fit_name_the_first_that_does_not(model, change, reason):
    tensors = dict(model.state_dict())
    change(tensors)
    with pytest.raises(InputError, match=rf"^file: {reason}"):
        load_into(hevitpose_t(), tensors, "file")
