import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from hevitpose.core.errors import InputError
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import PAPER_T, find_weights
from hevitpose.models.hub import HubNetwork
from hevitpose.models.weights import load_model

PHOTO = Path(__file__).parents[2] / "examples" / "skier.jpg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a repository on the Hub holds after a push."""
    path = tmp_path_factory.mktemp("hub")
    HubNetwork.from_file(find_weights(PAPER_T, "torch")).save_pretrained(path)
    return path


def test_a_network_comes_back_as_it_was(folder):
    back = HubNetwork.from_pretrained(folder)
    model, config = load_model(find_weights(PAPER_T, "torch"))
    assert (back.config, back.training) == (config, False)
    pixels = torch.rand(1, 3, 64, 64)
    assert torch.equal(back(pixels), model.eval()(pixels))


def test_the_file_on_the_hub_is_one_that_every_command_takes(folder):
    of_hub = PoseEstimator.from_pretrained(folder / "model.safetensors")(PHOTO)
    by_name = PoseEstimator.from_pretrained(PAPER_T, runtime="torch")(PHOTO)
    assert of_hub.people[0].keypoints == pytest.approx(by_name.people[0].keypoints, nan_ok=True)


def test_the_readme_states_the_terms_of_the_data(folder):
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.library_name) == ("other", "hevitpose")
    assert "HEViTPose-T, 16 keypoints" in card.text
    assert "Terms of the training data: research use only" in card.text


def test_a_file_beside_the_weights_that_is_no_card_states_no_terms(folder, tmp_path):
    source = tmp_path / "mine.safetensors"
    source.write_bytes((folder / "model.safetensors").read_bytes())
    source.with_suffix(".json").write_text("[1]")
    assert HubNetwork.from_file(source).terms == "not stated"
    source.with_suffix(".json").write_text('{"terms": "mine"}')
    assert HubNetwork.from_file(source).terms == "mine"
    source.with_suffix(".json").write_text("{")
    with pytest.raises(InputError, match=r"mine\.json: not valid JSON"):
        HubNetwork.from_file(source)


def test_saved_again_it_is_one_file(folder, tmp_path):
    HubNetwork.from_pretrained(folder).save(tmp_path / "network.safetensors")
    assert load_model(tmp_path / "network.safetensors")[1] == load_model(folder / "model.safetensors")[1]


def test_a_file_that_is_no_safetensors_is_refused(folder, monkeypatch, tmp_path):
    from huggingface_hub import hub_mixin
    from huggingface_hub.errors import EntryNotFoundError

    pickled = tmp_path / "pytorch_model.bin"
    torch.save({}, pickled)

    def download(filename, **_):
        if filename == "model.safetensors":
            raise EntryNotFoundError("no such file")
        return str(folder / filename if filename == "config.json" else pickled)

    monkeypatch.setattr(hub_mixin, "hf_hub_download", download)
    with pytest.raises(InputError, match=r"pytorch_model\.bin: is not safetensors, the only form that is loaded"):
        HubNetwork.from_pretrained("someone/old")


def test_a_config_of_something_else_is_one_sentence(folder, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"config": {"architecture": "t"}}))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="not weights of hevitpose"):
        HubNetwork.from_pretrained(tmp_path)
