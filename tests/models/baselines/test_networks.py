import pickle
from copy import deepcopy
from functools import cache

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hevitpose.models.baselines.networks import import_timm
from hevitpose.models.registry import NETWORKS


@cache
def on_meta(name):
    """The network for 5 keypoints on shapes alone: nothing is computed."""
    with torch.device("meta"):
        return NETWORKS[name].build(5).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_heatmaps_are_a_quarter_of_an_input_of_multiples_of_32(name):
    model = on_meta(name)
    assert model(torch.empty(2, 3, 32, 96, device="meta")).shape == (2, 5, 8, 24)
    with pytest.raises(ValueError, match="100 x 96: both sides must be multiples of 32"):
        model(torch.empty(1, 3, 100, 96, device="meta"))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_head_ends_in_a_row_for_each_keypoint_also_of_a_copy(name):
    network = on_meta(name)
    for model in (network, deepcopy(network), pickle.loads(pickle.dumps(network))):
        *_, last = model.head.children()
        assert isinstance(last, nn.Conv2d)
        assert (last.out_channels, last.kernel_size) == (5, (1, 1))


@pytest.mark.parametrize("name", ["shufflenet_v2", "mobilenet_v2", "pvt_s", "efficientvit_m4"])
def test_every_parameter_learns(name):
    torch.manual_seed(0)
    model = NETWORKS[name].build(3)
    model(torch.rand(2, 3, 64, 96)).square().mean().backward()
    assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", ["shufflenet_v2", "mobilenet_v2"])
def test_the_head_begins_as_simple_baseline(name):
    head = NETWORKS[name].build(3).head
    assert head[0].weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert head[-1].bias.abs().max() == 0


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "mobilenet_v2" else pytest.mark.slow)
        for name, network in NETWORKS.items()
        if network.pretrained
    ],
)
def test_a_file_of_imagenet_weights_fills_the_backbone(name, tmp_path):
    architecture = on_meta(name).backbone.pretrained_cfg["architecture"]
    tensors = import_timm().create_model(architecture).state_dict()
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, tmp_path / "model.safetensors")
    backbone = NETWORKS[name].build(3, pretrained=tmp_path / "model.safetensors").backbone.state_dict()
    resized = {"pos_embed"} if name == "vitpose_b" else set()
    assert backbone.keys() <= tensors.keys()
    assert {key for key, tensor in backbone.items() if not torch.equal(tensor, tensors[key])} == resized


def test_timm_can_be_imported_again():
    assert import_timm() is import_timm()
