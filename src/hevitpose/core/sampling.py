"""Choosing some of many."""

import numpy as np
from numpy.typing import NDArray


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` indices, evenly spaced, the first and the last among them.

    >>> evenly_spaced(10, 4), evenly_spaced(2, 4), evenly_spaced(0, 4)
    (array([0, 3, 6, 9]), array([0, 1]), array([], dtype=int64))
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)
