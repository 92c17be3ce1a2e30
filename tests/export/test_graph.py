import numpy as np
import pytest

from hevitpose.export.graph import as_int8


def test_a_part_of_a_rounded_weight_is_recognized():
    """Without the channel's largest number: each phase of a transposed convolution has some of the taps."""
    numbers = np.array([[100, -3, 50, 1, 2, 3, 4, 5, 6], [0] * 9, [7, 127, -127, 0, 0, 0, 0, 0, 1]])
    found, steps = as_int8((numbers * [[0.3], [1], [0.002]]).astype(np.float32))
    assert found * steps == pytest.approx(numbers * [[0.3], [1], [0.002]], rel=1e-6)
    turned = np.random.default_rng(0).integers(-127, 128, (20, 30)) * np.linspace(0.1, 0.9, 30)
    found, steps = as_int8(turned.astype(np.float32))
    assert found * steps == pytest.approx(turned, rel=1e-6)


@pytest.mark.parametrize("weight", [np.sqrt(np.arange(1, 28)).reshape(3, 9), np.arange(2000)])
def test_other_weights_and_vectors_are_not_taken_for_rounded_ones(weight):
    assert as_int8(weight.astype(np.float32)) is None
