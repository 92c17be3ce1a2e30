import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import Skeleton
from hevitpose.view.draw import COLORS
from hevitpose.view.draw_clip import PERSON_COLORS, UNCONFIRMED, ClipPainter, draw_text

SKELETON = Skeleton("three", ("left_hand", "right_hand", "head"), (1, 0, 2), ((0, 2), (1, 2)))
BLACK = np.zeros((150, 200, 3), dtype=np.uint8)


def poses_at(x, track_id=1, scores=(1.0, 1.0, 1.0)):
    keypoints = np.array([[[x - 20.0, 80], [x + 20.0, 80], [x, 50]]])
    box = np.array([[x - 25.0, 40, x + 25, 90]])
    ids = np.array([track_id])
    return ImagePoses(SKELETON, (200, 150), box, keypoints, np.array([scores]), np.ones(1), keypoints, track_ids=ids)


@pytest.mark.parametrize(
    ("track_id", "by", "color"),
    [
        (1, "person", PERSON_COLORS[0]),
        (11, "person", PERSON_COLORS[0]),
        (2, "person", PERSON_COLORS[1]),
        (0, "person", UNCONFIRMED),
        (1, "side", COLORS["left"]),
    ],
)
def test_people_have_the_colour_of_their_id_or_their_sides(track_id, by, color):
    drawn = ClipPainter(by)(BLACK, poses_at(100, track_id), 0.0)
    assert tuple(drawn[80, 80]) == color
    labelled = (drawn[:40] > 0).any()
    assert labelled == (track_id > 0)
    assert not BLACK.any()


def test_low_scores_fade():
    drawn = ClipPainter()(BLACK, poses_at(100, scores=(0.9, 0.1, 0.9)), 0.0)
    assert drawn[80, 80].sum() > 2 * drawn[80, 120].sum() > 0


def test_a_trail_shows_the_last_second_and_is_forgotten():
    painter = ClipPainter()
    for n in range(4):
        drawn = painter(BLACK, poses_at(40 + 30 * n), n / 4)
    assert drawn[64:67, 60].any()
    assert not painter(BLACK, poses_at(130), 1.9)[64:67, 60].any()
    painter(BLACK, ImagePoses.empty(SKELETON, (200, 150)), 4.0)
    assert painter.trails == {}


def test_the_mirror_turns_the_drawing_but_not_its_figures():
    plain, mirrored = (ClipPainter(mirror=mirror)(BLACK, poses_at(60, 12), 0.0) for mirror in (False, True))
    np.testing.assert_array_equal(mirrored[45:, ::-1], plain[45:])
    above, above_mirrored = plain[:44], mirrored[:44]
    ink = [np.argwhere(image.any(axis=2)) for image in (above, above_mirrored)]
    cut = [
        image[a.min(axis=0)[0] : a.max(axis=0)[0], a.min(axis=0)[1] : a.max(axis=0)[1]]
        for image, a in zip((above, above_mirrored), ink, strict=True)
    ]
    np.testing.assert_array_equal(*cut)


@pytest.mark.parametrize("x", [-10, 3, 198, 230])
def test_the_labels_of_people_at_the_edges_are_whole(x):
    drawn, inside = (ClipPainter()(BLACK, poses_at(at), 0.0)[:44] for at in (x, 100))
    assert drawn.any()
    (upper, left), (other_upper, other_left) = (np.argwhere(each.any(axis=2)).min(axis=0) for each in (drawn, inside))
    assert (upper, abs(left - other_left) > 60) == (other_upper, True)
    label = np.roll(drawn, other_left - left, axis=1)
    np.testing.assert_array_equal(label, inside)


def test_tiny_frames_have_no_figures():
    tiny = np.zeros((4, 4, 3), dtype=np.uint8)
    assert ClipPainter()(tiny, poses_at(2), 0.0).shape == draw_text(tiny, "nobody").shape == tiny.shape


def test_other_colours_are_refused():
    with pytest.raises(InputError, match="color_by=mood"):
        ClipPainter("mood")
