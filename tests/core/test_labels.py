from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.labels import Ignored, ImageFile, labelled_people
from hevitpose.core.skeleton import Skeleton

ENDS = Skeleton("ends", ("nose", "tail"), (0, 1))
IMAGES = (ImageFile("a.png", Path()), ImageFile("b.png", Path()))
JOINTS = [[[1, 2, 2], [0, 0, 0]], [[3, 4, 1], [5, 6, 2]]]
BOXES = [[0, 0, 9, 9], [1, 1, 8, 8]]


def test_what_is_unknown_is_filled_in():
    people = labelled_people("two", ENDS, IMAGES, [0, 1], JOINTS, BOXES)
    assert (people.image_ids, people.ids.tolist(), people.category_ids) == ((0, 1), [0, 1], (1,))
    assert np.isnan([people.head_sizes, people.areas]).all()
    assert people.labelled.tolist() == [[True, False], [True, True]]
    assert len(labelled_people("none", ENDS, (), [], np.zeros((0, 2, 3)), np.zeros((0, 4)))) == 0
    assert people.subset(np.array([1])).keypoints.tolist() == [[[3, 4], [5, 6]]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"boxes": BOXES[:1]}, "`boxes` must have shape (2, 4), found (1, 4)"),
        ({"boxes": [[0, 0, 9, 9], [8, 1, 8, 8]]}, "x2 > x1"),
        ({"boxes": [[0, 0, 9, 9], [1, 1, np.nan, 8]]}, "must be finite"),
        ({"image_index": [0]}, "`image_index` must have shape (2,), found (1,)"),
        ({"image_index": [0, 2]}, "`image_index` must be 0 to 1, found 2"),
        ({"image_index": [-1, 0]}, "`image_index` must be 0 to 1, found -1"),
        ({"ids": [7]}, "`ids` must have shape (2,)"),
        ({"areas": np.zeros((2, 1))}, "`areas` must have shape (2,), found (2, 1)"),
        ({"image_ids": (1, 2, 3)}, "`image_ids` are 3 for 2 images"),
        ({"joints": np.full((2, 2, 3), 2.5)[..., :2].repeat(2, -1)[..., :3] + [0, 0, 0.5]}, "`visibility` must be"),
        ({"joints": [[[np.nan, 2, 2], [0, 0, 0]], JOINTS[1]]}, "`keypoints` must be finite"),
        ({"ignored": Ignored(np.array([5]), np.array([[0.0, 0, 1, 1]]), np.ones(1), np.array([True]))}, "found 5"),
    ],
)
def test_records_are_checked_when_they_are_made(refused, change, reason):
    parts = {"image_index": [0, 1], "joints": JOINTS, "boxes": BOXES} | change
    with refused("two", reason):
        labelled_people("two", ENDS, IMAGES, **parts)


def test_ignored_regions_are_checked_too(refused):
    with refused("ignored regions", "`areas` must have shape (1,), found (2,)"):
        Ignored(np.array([0]), np.array([[0.0, 0, 1, 1]]), np.ones(2), np.array([True]))
    with refused("ignored regions", "x2 > x1"):
        Ignored(np.array([0]), np.array([[0.0, 0, 0, 1]]), np.ones(1), np.array([True]))
