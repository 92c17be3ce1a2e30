"""How large people are in their images."""

from weakref import WeakKeyDictionary

import numpy as np

from hevitpose.core.labels import LabelledPeople
from hevitpose.core.model_config import BoxSizes
from hevitpose.core.sampling import evenly_spaced
from hevitpose.io import images

MEASURED_PEOPLE = 1000
"""Of larger sets these many, evenly spaced: only the headers of their images are read."""


_MEASURED: WeakKeyDictionary[LabelledPeople, BoxSizes | None] = WeakKeyDictionary()
"""A training asks three times for the sizes of its people."""


def measure_box_sizes(people: LabelledPeople) -> BoxSizes | None:
    """The longer sides of the boxes as shares of their images' longer sides; None for no people. Raises InputError.

    The same people are measured once.
    """
    if people not in _MEASURED:
        _MEASURED[people] = _measure(people) if len(people) else None
    return _MEASURED[people]


def _measure(people: LabelledPeople) -> BoxSizes:
    chosen = evenly_spaced(len(people), MEASURED_PEOPLE)
    index = people.image_index[chosen]
    longer = {int(image): max(images.read_size(people.images[image])) for image in np.unique(index)}
    boxes = people.boxes[chosen]
    shares = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / np.array([longer[int(image)] for image in index])
    low, median, high = np.percentile(shares, [5, 50, 95]).round(4).tolist()
    return BoxSizes(median, low, high)
