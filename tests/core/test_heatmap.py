import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hevitpose.core.heatmap import decode, encode, flip_average, mirror
from hevitpose.core.skeleton import MPII16

SIZE = (48, 64)
inside = st.tuples(st.floats(0, 63), st.floats(0, 47))


@given(st.lists(inside, min_size=1, max_size=5), st.floats(1.0, 3.0))
def test_decoding_finds_each_joint_within_a_quarter_of_a_cell(joints, sigma):
    points, scores = decode(encode(np.array(joints), SIZE, sigma))
    # The border cells have one neighbour only and cannot be refined.
    x, y = np.array(joints).T
    border = ((x <= 0.5) | (x >= 62.5))[:, None] * [1, 0] + ((y <= 0.5) | (y >= 46.5))[:, None] * [0, 1]
    assert (abs(points - joints) <= np.where(border, 0.5, 0.25) + 1e-3).all()
    assert (scores > 0.7).all()


@given(st.integers(1, 62), st.integers(1, 46), st.sampled_from([-0.25, 0.25]), st.sampled_from([-0.25, 0.25]))
def test_a_joint_a_quarter_off_a_cell_comes_back_exactly(x, y, dx, dy):
    points, _ = decode(encode(np.array([[x + dx, y + dy]]), SIZE, 2.0))
    assert points == pytest.approx(np.array([[x + dx, y + dy]]), abs=1e-3)


def test_a_joint_on_a_cell_comes_back_exactly():
    points, scores = decode(encode(np.array([[7.0, 9.0]]), SIZE, 2.0))
    assert points.tolist() == [[7, 9]]
    assert scores.tolist() == [1]


def one_cell(*values):
    heatmap = np.zeros((1, 5, 5))
    for y, x, value in values:
        heatmap[0, y, x] = value
    return heatmap


@pytest.mark.parametrize(
    ("heatmap", "point"),
    [
        (one_cell(), [0, 0]),
        (one_cell((2, 2, 1)), [2, 2]),
        (one_cell((2, 2, 1), (2, 3, 0.5), (2, 1, 0.4)), [2.25, 2]),
        (one_cell((2, 2, 1), (1, 2, 0.5), (3, 2, 0.4)), [2, 1.75]),
        (one_cell((0, 0, 1), (0, 1, 0.5), (1, 0, 0.5)), [0, 0]),
        (one_cell((4, 4, 1), (4, 3, 0.5), (3, 4, 0.5)), [4, 4]),
        # The row above must not stand in for the missing left neighbour.
        (one_cell((2, 0, 1), (1, 4, 0.9)), [0, 2]),
    ],
)
def test_the_quarter_offset_points_to_the_higher_neighbour(heatmap, point):
    points, _ = decode(heatmap)
    assert points.tolist() == [point]


def test_scores_stay_between_0_and_1():
    _, scores = decode(np.array([one_cell((2, 2, 1.7)), one_cell() - 0.3]))
    assert scores.tolist() == [[1], [0]]


@given(st.integers(0, 2**32 - 1))
def test_decoding_the_mirrored_heatmaps_mirrors_the_joints(seed):
    joints = np.random.default_rng(seed).uniform((1, 1), (62, 46), (3, 16, 2))
    heatmaps = encode(joints, SIZE, 2.0)
    points, scores = decode(heatmaps)
    mirrored_points, mirrored_scores = decode(mirror(heatmaps, MPII16.mirror))
    partners = list(MPII16.mirror)
    assert mirrored_points[..., 0] == pytest.approx(63 - points[:, partners, 0], abs=1e-3)
    assert mirrored_points[..., 1] == pytest.approx(points[:, partners, 1], abs=1e-3)
    assert mirrored_scores == pytest.approx(scores[:, partners])


def test_the_flip_average_of_a_consistent_pair_is_the_heatmap_itself():
    heatmaps = encode(np.random.default_rng(0).uniform(5, 40, (2, 16, 2)), SIZE, 2.0)
    of_mirrored = encode_mirrored = mirror(heatmaps, MPII16.mirror)
    assert flip_average(heatmaps, of_mirrored, MPII16.mirror) == pytest.approx(heatmaps)
    assert mirror(encode_mirrored, MPII16.mirror) == pytest.approx(heatmaps)


def test_no_people_decode_to_no_people():
    points, scores = decode(np.zeros((0, 16, 8, 8)))
    assert points.shape == (0, 16, 2)
    assert scores.shape == (0, 16)
