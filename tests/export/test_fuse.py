import pytest
import torch
from torch import nn

from hevitpose.export.fuse import STEPS, fuse
from hevitpose.models.baselines.networks import Baseline
from hevitpose.models.hevitpose import HEViTPose, hevitpose_b, hevitpose_s, hevitpose_t

SMALL = {"num_keypoints": 5, "channels": (32, 64, 96), "depths": (1, 1, 1)}


def difference(model, other, *size_hw):
    """The largest difference of heatmaps whose highest value is 1."""
    torch.manual_seed(1)
    images = torch.randn(2, 3, *size_hw)
    with torch.no_grad():
        heatmaps = model(images)
        return ((heatmaps - other(images)).abs().max() / heatmaps.abs().max()).item()


@pytest.mark.parametrize("build", [hevitpose_t, hevitpose_s, hevitpose_b])
def test_the_inference_form_of_each_size_is_the_same_function(build, as_if_trained):
    model = as_if_trained(build(16))
    fused = fuse(model)
    for size_hw in ((64, 64), (96, 160)):
        assert difference(model, fused, *size_hw) < 1e-5


@pytest.mark.parametrize(
    "switches",
    [
        {"shared_weights": False},
        {"relu_projection": True},
        {"query_reduction": True},
        {"query_reduction": True, "shared_weights": False, "reductions": (4, 2, 1)},
        {"query_reduction": True, "relu_projection": True},
        {"relu_projection": True, "reductions": (4, 2, 1)},
        {"embedding": "conv3-conv3"},
        {"embedding": "conv15-deconv4"},
        {"groups": (1, 2, 8), "heads": (1, 1, 4)},
    ],
    ids=str,
)
def test_every_form_of_the_network_has_one(switches, as_if_trained):
    model = as_if_trained(HEViTPose(**SMALL | switches))
    assert difference(model, fuse(model), 64, 96) < 1e-5


@pytest.mark.parametrize("step", STEPS)
def test_each_step_alone_changes_the_network_but_not_its_function(step, as_if_trained):
    model, changed = (as_if_trained(HEViTPose(**SMALL)) for _ in range(2))
    with torch.no_grad():
        STEPS[step](changed)
    assert difference(model, changed, 64, 64) < 1e-5
    assert str(changed) != str(model)


def test_the_network_itself_stays_as_it_was(as_if_trained):
    model = as_if_trained(HEViTPose(**SMALL))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fuse(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


class Strided(nn.Module):
    """A backbone whose layers stand in no sequence, as those of timm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, stride=8, padding=1), nn.BatchNorm2d(8)

    def forward(self, images):
        return self.norm(self.conv(images))


def test_another_backbone_keeps_its_form_under_a_fused_head(as_if_trained):
    model = as_if_trained(Baseline(Strided(), 8, 5))
    fused = fuse(model)
    assert difference(model, fused, 64, 96) < 1e-5
    assert not any(isinstance(module, nn.BatchNorm2d | nn.ConvTranspose2d) for module in fused.modules())
