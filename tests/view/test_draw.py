from dataclasses import replace

import numpy as np
import pytest

from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import COCO17, Skeleton
from hevitpose.view.draw import COLORS, draw

SKELETON = Skeleton("three", ("left_hand", "right_hand", "head"), (1, 0, 2), ((0, 2), (1, 2)))


def pose_of(*joints):
    keypoints = np.array(joints, dtype=float)[None]
    box = np.array([[0.0, 0, 140, 140]])
    return ImagePoses(SKELETON, (200, 150), box, keypoints, np.ones((1, 3)), np.ones(1), keypoints)


def test_keypoints_and_limbs_are_drawn_in_the_colours_of_their_side():
    drawn = draw(np.zeros((150, 200, 3), dtype=np.uint8), pose_of((40, 60), (120, 60), (80, 20)))
    assert tuple(drawn[60, 40]) == tuple(drawn[40, 60]) == COLORS["left"]
    assert tuple(drawn[60, 120]) == tuple(drawn[40, 100]) == COLORS["right"]
    assert tuple(drawn[20, 80]) == COLORS["middle"]


def test_a_drawing_lies_on_its_joint():
    drawn = draw(np.zeros((150, 200, 3), dtype=np.uint8), pose_of((40.25, 60.5), (np.nan, np.nan), (np.nan, np.nan)))
    light = drawn.sum(axis=2) / drawn.sum()
    y, x = np.mgrid[:150, :200]
    assert ((light * x).sum(), (light * y).sum()) == pytest.approx((40.25, 60.5), abs=0.25)


def test_what_is_absent_is_not_drawn_and_the_image_stays_as_it_was():
    image = np.full((150, 200, 3), 90, dtype=np.uint8)
    nowhere = (np.nan, np.nan)
    assert (draw(image, pose_of(nowhere, nowhere, nowhere)) == image).all()
    assert (draw(image, pose_of((40, 60), nowhere, (80, 20)))[55:65, 115:125] == 90).all()
    assert (image == 90).all()


@pytest.mark.parametrize("image", ["photo.png", np.zeros((150, 200), dtype=np.uint8)], ids=["path", "grey"])
def test_what_cannot_be_drawn_on_is_refused(image):
    with pytest.raises(TypeError, match=r"\(H, W, 3\)"):
        draw(image, pose_of((40, 60), (120, 60), (80, 20)))


def test_joints_outside_the_image_do_no_harm():
    image = np.full((150, 200, 3), 90, dtype=np.uint8)
    assert (draw(image, pose_of((-500, 60), (-450, 90), (-600, 20))) == image).all()
    drawn = draw(image, pose_of((-40, 60), (240, 60), (100, 60)))
    assert tuple(drawn[60, 0]) == COLORS["left"]
    assert tuple(drawn[60, 199]) == COLORS["right"]


def test_a_person_who_fills_a_large_photo():
    canvas = np.zeros((2100, 2100, 3), dtype=np.uint8)
    drawn = draw(canvas, pose_of((0, 0), (2099, 0), (1050, 2099)))
    for side, x in (("left", 525), ("right", 1574)):
        assert (drawn[1049, x - 3 : x + 4] == COLORS[side]).all(axis=1).any()


def test_edges_are_smooth():
    drawn = draw(np.full((150, 200, 3), 255, dtype=np.uint8), pose_of((40, 60), (120, 60), (80, 20)))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 10


def test_lines_are_as_thick_as_the_person_is_large_and_not_as_the_box_is_loose():
    tight = pose_of((40, 60), (120, 60), (80, 20))
    loose = replace(tight, boxes=np.array([[0.0, 0, 2000, 2000]]))
    image = np.zeros((150, 200, 3), dtype=np.uint8)
    assert (draw(image, loose) == draw(image, tight)).all()


def test_the_face_is_drawn_smaller_than_the_limbs():
    def colored(name):
        image = np.zeros((200, 200, 3), dtype=np.uint8)
        keypoints = np.full((1, COCO17.num_keypoints, 2), np.nan)
        keypoints[0, [COCO17.keypoints.index(name), COCO17.keypoints.index("left_ankle")]] = (50, 20), (50, 180)
        ones = np.ones((1, COCO17.num_keypoints))
        pose = ImagePoses(COCO17, (200, 200), np.array([[0.0, 0, 200, 200]]), keypoints, ones, np.ones(1), keypoints)
        return int(draw(image, pose)[:100].any(axis=2).sum())

    assert 4 < colored("left_eye") < 0.4 * colored("left_wrist")
