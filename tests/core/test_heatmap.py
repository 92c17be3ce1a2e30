import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hevitpose.core.heatmap import CODECS, EDGES, UDP, Codec, decode_cells, mirror
from hevitpose.core.skeleton import MPII16

CROP, SIZE = (192, 256), (48, 64)
# Joints that are seven cells and more from the border, where every codec is whole.
inside = st.tuples(st.floats(30, 225), st.floats(30, 160))
everywhere = st.tuples(st.floats(0, 255), st.floats(0, 191))
# Input pixels of 4 to a cell: rounding to a cell costs half of one, a quarter offset leaves a quarter.
WORST = {"edges": 1.0, "msra": 2.0, "dark": 0.1, "udp": 0.1}


@pytest.mark.parametrize("name", CODECS)
@given(st.lists(inside, min_size=1, max_size=5))
def test_every_codec_finds_its_joints_again(name, joints):
    codec = CODECS[name]
    found, scores = codec.decode(codec.encode(joints, CROP, SIZE), CROP)
    assert abs(found - joints).max() <= WORST[name] + 0.05
    assert (scores > 0.8).all()


@given(st.lists(everywhere, min_size=1, max_size=5))
def test_at_the_border_a_joint_is_half_a_cell_off_at_most(joints):
    found, _ = EDGES.decode(EDGES.encode(joints, CROP, SIZE), CROP)
    assert abs(found - joints).max() <= 2 + 1e-3


@given(st.integers(1, 62), st.integers(1, 46), st.sampled_from([-0.25, 0.25]), st.sampled_from([-0.25, 0.25]))
def test_a_joint_a_quarter_off_a_cell_comes_back_exactly(x, y, dx, dy):
    joint = (np.array([[x + dx, y + dy]]) + 0.5) * 4 - 0.5
    found, _ = EDGES.decode(EDGES.encode(joint, CROP, SIZE), CROP)
    assert found == pytest.approx(joint, abs=1e-3)


@pytest.mark.parametrize("refine", ["none", "quarter", "dark"])
def test_a_joint_on_a_cell_comes_back_exactly(refine):
    codec = Codec(refine=refine)
    found, scores = codec.decode(codec.encode([[29.5, 37.5]], CROP, SIZE), CROP)
    assert found == pytest.approx(np.array([[29.5, 37.5]]), abs=1e-6)
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
    points, _ = decode_cells(heatmap)
    assert points.tolist() == [point]


def dark_by_hand(heatmap):
    """DARK with plain loops, as the authors' `taylor` and OpenCV's Gaussian blur of 11 cells."""
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    padded = np.pad(heatmap, 5)
    kernel = np.array([np.exp(-((i - 5) ** 2) / 8.0) for i in range(11)])
    smooth = np.zeros_like(heatmap)
    for i in range(heatmap.shape[0]):
        for j in range(heatmap.shape[1]):
            smooth[i, j] = (padded[i : i + 11, j : j + 11] * np.outer(kernel, kernel)).sum()
    log = np.log(np.maximum(smooth, 1e-10))
    gradient = 0.5 * np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]])
    dxx = 0.25 * (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2])
    dyy = 0.25 * (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x])
    dxy = 0.25 * (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1])
    return np.array([x, y]) - np.linalg.inv([[dxx, dxy], [dxy, dyy]]) @ gradient


@pytest.mark.parametrize("seed", range(8))
def test_dark_is_newtons_step_on_the_smoothed_logarithm(seed):
    random = np.random.default_rng(seed)
    heatmap = Codec().encode([random.uniform(20, 100, 2)], (128, 128), (32, 32))[0].astype(float)
    heatmap += random.uniform(0, 0.05, heatmap.shape)
    points, _ = decode_cells(heatmap[None], "dark")
    assert points[0] == pytest.approx(dark_by_hand(heatmap), abs=1e-9)


@pytest.mark.parametrize(
    "heatmap",
    [np.zeros((8, 8)), np.ones((8, 8)), np.eye(8)[::-1] * -1, np.indices((8, 8)).sum(0) / 20],
    ids=["nothing", "flat", "below zero", "slope"],
)
def test_dark_stays_at_the_peak_where_there_is_no_maximum(heatmap):
    points, _ = decode_cells(heatmap[None].astype(float), "dark")
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    assert points.tolist() == [[x, y]]


def test_scores_stay_between_0_and_1():
    _, scores = decode_cells(np.array([one_cell((2, 2, 1.7)), one_cell() - 0.3]))
    assert scores.tolist() == [[1], [0]]


@pytest.mark.parametrize("codec", [EDGES, UDP, Codec(refine="dark")], ids=["edges", "udp", "edges, dark"])
@given(st.integers(0, 2**32 - 1))
def test_decoding_the_mirrored_heatmaps_mirrors_the_joints(codec, seed):
    joints = np.random.default_rng(seed).uniform((0, 0), (255, 191), (3, 16, 2))
    heatmaps = codec.encode(joints, CROP, SIZE)
    found, scores = codec.decode(heatmaps, CROP)
    of_mirrored, mirrored_scores = codec.decode(mirror(heatmaps, MPII16.mirror), CROP)
    partners = list(MPII16.mirror)
    assert of_mirrored[..., 0] == pytest.approx(255 - found[:, partners, 0], abs=1e-3)
    assert of_mirrored[..., 1] == pytest.approx(found[:, partners, 1], abs=1e-3)
    assert mirrored_scores == pytest.approx(scores[:, partners])


@pytest.mark.parametrize(("name", "shift"), [("edges", 0), ("udp", 0), ("msra", 0.75), ("dark", 0.75)])
def test_only_msras_alignment_moves_under_mirroring(name, shift):
    joints = np.random.default_rng(0).uniform(20, 170, (2, 16, 2))
    mirrored_joints = joints[:, list(MPII16.mirror)] * (-1, 1) + (255, 0)
    back = mirror(CODECS[name].encode(mirrored_joints, CROP, SIZE), MPII16.mirror)
    cells, back_cells = (decode_cells(h, "dark")[0] for h in (CODECS[name].encode(joints, CROP, SIZE), back))
    difference = cells - back_cells
    assert difference[..., 0].mean() == pytest.approx(shift, abs=0.1)
    assert difference[..., 1].mean() == pytest.approx(0, abs=0.01)


def test_the_flip_average_of_a_consistent_pair_is_the_heatmap_itself():
    heatmaps = EDGES.encode(np.random.default_rng(0).uniform(20, 160, (2, 16, 2)), CROP, SIZE)
    assert EDGES.flip_average(heatmaps, mirror(heatmaps, MPII16.mirror), MPII16.mirror) == pytest.approx(heatmaps)


def test_the_flip_shift_moves_the_mirrored_heatmap_a_cell_to_the_right():
    heatmaps = np.random.default_rng(0).uniform(size=(1, 1, 2, 4))
    average = Codec(flip_shift=1).flip_average(np.zeros_like(heatmaps), heatmaps, [0])
    assert 2 * average[0, 0] == pytest.approx(heatmaps[0, 0][:, [3, 3, 2, 1]])  # as HRNet's SHIFT_HEATMAP


def test_no_people_decode_to_no_people():
    for refine in ("none", "quarter", "dark"):
        points, scores = decode_cells(np.zeros((0, 16, 8, 8)), refine)
        assert points.shape == (0, 16, 2)
        assert scores.shape == (0, 16)
