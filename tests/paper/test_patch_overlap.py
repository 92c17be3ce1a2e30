from itertools import product

import numpy as np
import pytest

from hevitpose.paper.patch_overlap import Convolution, parse_layers, pixel_uses

PAPER = ["conv(3,2), conv(3,2)", "conv(7,4)", "conv(15,8), deconv(4,2)", "conv(7,2), conv(7,2)"]
LAYERS = [*map(parse_layers, PAPER), (Convolution(4, 4, 0),), (Convolution(5, 3, 1), Convolution(3, 1, 2))]


def paths(layers, side):
    """Every path walked one by one: from each last position back through each tap of each layer."""
    sizes = [side]
    for layer in layers:
        sizes.append(layer.outputs(sizes[-1]))
    uses = np.zeros((side, side), dtype=int)

    def walk(depth, y, x):
        if depth < 0:
            uses[y, x] += 1
            return
        layer, size = layers[depth], sizes[depth]
        for v, u in product(taps(layer, size, y), taps(layer, size, x)):
            walk(depth - 1, v, u)

    for y, x in product(range(sizes[-1]), repeat=2):
        walk(len(layers) - 1, y, x)
    return uses


def taps(layer, inputs, output):
    """The positions before the layer that one position after it is made of."""
    if layer.transposed:
        return [i for i in range(inputs) if 0 <= output + layer.padding - i * layer.stride < layer.kernel]
    first = output * layer.stride - layer.padding
    return [i for i in range(first, first + layer.kernel) if 0 <= i < inputs]


@pytest.mark.parametrize("layers", LAYERS)
def test_uses_are_the_paths_walked_one_by_one(layers):
    np.testing.assert_array_equal(pixel_uses(layers, 16), paths(layers, 16))


@pytest.mark.parametrize("text", PAPER)
def test_uses_are_the_gradient_of_the_network_itself_with_all_weights_1(text):
    import torch
    from torch import nn

    layers = parse_layers(text)
    modules = [
        (nn.ConvTranspose2d if layer.transposed else nn.Conv2d)(1, 1, layer.kernel, layer.stride, layer.padding)
        for layer in layers
    ]
    network = nn.Sequential(*modules)
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    image = torch.zeros(1, 1, 32, 32, requires_grad=True)
    heatmap = network(image)
    assert heatmap.shape[2:] == (8, 8)  # a quarter, as the stem's
    heatmap.sum().backward()
    np.testing.assert_array_equal(pixel_uses(layers, 32), image.grad[0, 0].numpy())


def test_windows_that_tile_use_each_pixel_once_and_those_that_leave_gaps_leave_pixels_out():
    assert (pixel_uses([Convolution(4, 4, 0)], 12) == 1).all()
    assert (np.diag(pixel_uses([Convolution(1, 2, 0)], 5)) == [1, 0, 1, 0, 1]).all()


@pytest.mark.parametrize(("text", "overlap"), [*zip(PAPER, [1, 3, 7, 5], strict=True)])
def test_overlap_is_kernel_less_stride(text, overlap):
    assert parse_layers(text)[0].overlap == overlap
