import numpy as np
import pytest
import torch

from hevitpose.core.heatmap import Codec
from hevitpose.training.targets import heatmap_loss, heatmap_targets


def test_targets_are_the_codecs_heatmaps():
    joints = np.random.default_rng(0).uniform(-20, 200, (3, 16, 2))
    codec = Codec(sigma=2.0)
    cells = codec.cells(joints, (128, 192), (32, 48))
    targets, _ = heatmap_targets(torch.from_numpy(cells), torch.ones(3, 16, dtype=torch.bool), (32, 48), 2.0)
    assert targets.numpy() == pytest.approx(codec.encode(joints, (128, 192), (32, 48)), abs=1e-6)


@pytest.mark.parametrize(
    ("joint", "labelled", "weight"),
    [
        ((10, 10), True, 1),
        ((10, 10), False, 0),
        ((-6, 10), True, 1),
        ((-6.01, 10), True, 0),
        ((10, 37), True, 1),
        ((10, 37.01), True, 0),
    ],
)
def test_only_labelled_joints_in_reach_of_the_map_are_learned_from(joint, labelled, weight):
    _, weights = heatmap_targets(torch.tensor([[joint]]), torch.tensor([[labelled]]), (32, 48), 2.0)
    assert weights.tolist() == [[weight]]


def test_unlabelled_joints_carry_no_loss_and_no_gradient():
    heatmaps = torch.rand(2, 3, 8, 8, requires_grad=True)
    targets, weights = torch.rand(2, 3, 8, 8), torch.tensor([[1.0, 0, 1], [0, 1, 1]])
    loss = heatmap_loss(heatmaps, targets, weights)
    loss.backward()
    assert loss.item() == pytest.approx((((heatmaps - targets) ** 2) * weights[..., None, None]).mean().item())
    assert (heatmaps.grad.abs().sum((2, 3)) > 0).equal(weights.bool())


def test_the_loss_of_bfloat16_heatmaps_is_float32():
    heatmaps = torch.zeros(1, 1, 4, 4, dtype=torch.bfloat16)
    loss = heatmap_loss(heatmaps, torch.full((1, 1, 4, 4), 0.1001), torch.ones(1, 1))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0.1001**2, rel=1e-5)
