import pytest
from torch import nn

from hevitpose.models.cost import Cost, cost, total
from hevitpose.models.hevitpose import hevitpose_t


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(3, 8, 3, 2, 1), Cost(224, 16 * 16 * (216 + 8), 16 * 16 * 216)),
        (nn.Conv2d(3, 6, 3, 1, 1, groups=3, bias=False), Cost(54, 32 * 32 * 54, 32 * 32 * 54)),
        # Over the positions of the input, in both countings.
        (nn.ConvTranspose2d(3, 8, 4, 2, 1, bias=False), Cost(384, 32 * 32 * 384, 32 * 32 * 384)),
        (nn.Linear(32, 10), Cost(330, 3 * 32 * 320, 3 * 32 * 320)),
        (nn.BatchNorm2d(3), Cost(6, 2 * 3 * 32 * 32, 0)),
        (nn.LayerNorm(32), Cost(64, 2 * 3 * 32 * 32, 0)),
        (nn.ReLU(), Cost(0, 3 * 32 * 32, 0)),
        (nn.ReLU6(), Cost(0, 3 * 32 * 32, 0)),
        (nn.GELU(), Cost(0, 0, 0)),
        (nn.Sigmoid(), Cost(0, 0, 0)),
        # Pooling by its input, interpolation by its output.
        (nn.MaxPool2d(2), Cost(0, 3 * 32 * 32, 0)),
        (nn.AvgPool2d(2), Cost(0, 3 * 32 * 32, 0)),
        (nn.AdaptiveAvgPool2d(1), Cost(0, 3 * 32 * 32, 0)),
        (nn.Upsample(scale_factor=2), Cost(0, 3 * 64 * 64, 0)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_layer(layer, expected):
    assert cost(nn.Sequential(layer), (32, 32))["0"] == expected


def test_a_layer_called_twice_counts_twice_but_its_parameters_once():
    layer = nn.Conv2d(3, 3, 1, bias=False)
    assert total(cost(nn.Sequential(nn.Sequential(layer, layer)), (8, 8))) == Cost(9, 2 * 9 * 64, 2 * 9 * 64)


def test_operations_grow_with_the_area_but_parameters_do_not():
    small, large = (total(cost(hevitpose_t(), size)) for size in ((64, 64), (128, 128)))
    assert small.parameters == large.parameters
    assert large.paper_operations == pytest.approx(4 * small.paper_operations, rel=0.01)


def test_counting_leaves_the_model_as_it_was():
    model = hevitpose_t()
    cost(model)
    assert next(model.parameters()).device.type == "cpu"
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
