"""The best pairs of rows and columns: what matches tracks with detections, and predicted with true trajectories."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hevitpose.core.geometry import Floats

Indices = NDArray[np.int64]


def best_pairs(values: ArrayLike, least: float = 0.0) -> tuple[Indices, Indices]:
    """Rows and columns of the one-to-one pairs of `values` (N, M) with the largest sum; no pair is below `least`.

    Values are finite. The optimum over all pairs of at least `least` is found by shortest augmenting paths (Jonker and
    Volgenant), in O(N^2 M).

    >>> best_pairs([[0.9, 0.8], [0.85, 0.1]], least=0.3)
    (array([0, 1]), array([1, 0]))
    """
    gains = np.asarray(values, dtype=np.float64)
    if gains.ndim != 2 or not gains.size:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    # A pair that may not be formed is worth as much as no pair.
    allowed = gains >= least
    floor = min(least, 0.0)
    worth = np.where(allowed, gains - floor, 0.0)
    rows, columns = _assign(-worth) if worth.shape[0] <= worth.shape[1] else _assign(-worth.T)[::-1]
    kept = allowed[rows, columns]
    order = np.argsort(rows[kept], kind="stable")
    return rows[kept][order], columns[kept][order]


def _assign(costs: Floats) -> tuple[Indices, Indices]:
    """Rows and their columns of the least sum of costs (N, M), N <= M; every row gets a column."""
    count, width = costs.shape
    row_price, price = np.zeros(count), np.zeros(width)
    row_of = np.full(width, -1)
    for start in range(count):
        distance, came_from = np.full(width, np.inf), np.full(width, -1)
        done = np.zeros(width, dtype=np.bool_)
        row, column, so_far = start, -1, 0.0
        while row >= 0:  # grow the shortest path until it ends at a free column
            through = so_far + costs[row] - row_price[row] - price
            closer = ~done & (through < distance)
            distance[closer], came_from[closer] = through[closer], column
            column = int(np.where(done, np.inf, distance).argmin())
            so_far = float(distance[column])
            done[column] = True
            row = int(row_of[column])
        reached = done & (row_of >= 0)
        price[done] -= so_far - distance[done]
        row_price[row_of[reached]] += so_far - distance[reached]
        row_price[start] += so_far
        while column >= 0:  # exchange the pairs along the path
            before = int(came_from[column])
            row_of[column] = start if before < 0 else row_of[before]
            column = before
    columns = np.flatnonzero(row_of >= 0)
    return row_of[columns], columns
