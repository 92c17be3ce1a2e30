"""The best pairs against trying them all."""

from itertools import permutations

import numpy as np
import pytest

from hevitpose.core.assignment import best_pairs


def best_sum(values, least):
    values = values if values.shape[0] <= values.shape[1] else values.T
    worth = np.where(values >= least, values, 0)
    return max(
        worth[range(len(worth)), list(columns)].sum() for columns in permutations(range(worth.shape[1]), len(worth))
    )


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (5, 2), (4, 4), (5, 6)])
def test_the_sum_is_the_largest(shape):
    rng = np.random.default_rng(sum(shape))
    for _ in range(20):
        values = rng.uniform(0, 1, shape).round(1)
        rows, columns = best_pairs(values, 0.3)
        assert len(set(rows)) == len(set(columns)) == len(rows)
        assert (values[rows, columns] >= 0.3).all()
        assert values[rows, columns].sum() == pytest.approx(best_sum(values, 0.3))


def test_nothing_to_pair():
    for values in (np.zeros((0, 3)), np.zeros((3, 0)), np.zeros((2, 2)), []):
        assert [len(side) for side in best_pairs(values, 0.1)] == [0, 0]
