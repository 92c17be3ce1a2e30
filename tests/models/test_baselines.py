import pytest
import torch

from hevitpose.models.baselines import import_timm, pvtv2_b2, resnet50


@pytest.mark.parametrize("build", [resnet50, pvtv2_b2])
def test_heatmaps_are_a_quarter_of_the_input(build):
    model = build(5).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 64, 96)).shape == (1, 5, 16, 24)


def test_timm_can_be_imported_again():
    assert import_timm() is import_timm()
