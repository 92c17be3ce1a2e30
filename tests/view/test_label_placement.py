import numpy as np
import pytest

from hevitpose.view.label_placement import place_labels

LOW, HIGH = np.array([0.0, 0]), np.array([200.0, 150])


def touching(corners, sizes, centres, radii):
    """Pairs of labels that share area, and pairs of label and bubble."""
    highs = corners + sizes
    shared = (np.minimum(highs[:, None], highs) - np.maximum(corners[:, None], corners)).min(axis=-1)
    labels = [(a, b) for a, b in zip(*np.nonzero(shared > 0), strict=True) if a < b]
    nearest = np.clip(centres, corners[:, None], highs[:, None])
    return labels + list(zip(*np.nonzero(np.linalg.norm(nearest - centres, axis=-1) < radii), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_no_label_covers_a_bubble_or_another_label(seed):
    random = np.random.default_rng(seed)
    centres, radii = random.uniform(20, 130, (12, 2)), random.uniform(2, 8, 12)
    sizes = np.stack([random.uniform(15, 45, 12), np.full(12, 7.0)], axis=1)
    corners = place_labels(centres, radii, sizes, LOW, HIGH)
    assert touching(corners, sizes, centres, radii) == []
    assert (corners >= LOW).all()
    assert (corners + sizes <= HIGH).all()


def test_a_lone_label_stands_right_of_its_bubble_and_left_at_the_right_edge():
    size, radius = np.array([[30.0, 8]]), np.array([5.0])
    ((x, y),) = place_labels(np.array([[100.0, 50]]), radius, size, LOW, HIGH)
    assert (x, y) == (106.5, 46)
    ((x, y),) = place_labels(np.array([[190.0, 50]]), radius, size, LOW, HIGH)
    assert (x + 30, y) == (183.5, 46)


def test_where_nothing_is_free_labels_stay_in_the_frame():
    centres = np.full((20, 2), 10.0)
    corners = place_labels(centres, np.full(20, 3.0), np.full((20, 2), (15.0, 8)), LOW, LOW + 25)
    assert (corners >= 0).all()
    assert (corners + (15, 8) <= 25).all()


def test_the_way_from_a_bubble_to_its_label_crosses_no_other_label():
    # Three bubbles in each other's way, between two labels that fill the sides.
    centres = np.array([[100.0, 70], [100, 76], [100, 82]])
    radii, sizes = np.full(3, 2.0), np.full((3, 2), (60.0, 9))
    corners = place_labels(centres, radii, sizes, LOW, HIGH)
    for n, centre in enumerate(centres):
        way = centre + np.linspace(0, 1, 50)[:, None] * (np.clip(centre, corners[n], corners[n] + sizes[n]) - centre)
        for other in {0, 1, 2} - {n}:
            assert not ((way > corners[other]) & (way < corners[other] + sizes[other])).all(axis=1).any()
