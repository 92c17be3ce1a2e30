"""Angles and lengths of a figure whose joints are known."""

import numpy as np
import pytest

from hevitpose.core.angles import joint_angles, limb_lengths
from hevitpose.core.keypoint_names import mirror_from_names
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton


@pytest.mark.parametrize(("skeleton", "names"), [(COCO17, "left_{}"), (MPII16, "l_{}")])
@pytest.mark.parametrize("bend", [0, 30, 90, 150])
def test_a_knee_that_bends_by_so_much(skeleton, names, bend):
    keypoints = np.full((5, skeleton.num_keypoints, 2), np.nan)
    turn = np.deg2rad(bend)
    places = {
        "shoulder": (0, -60),
        "hip": (0, 0),
        "knee": (0, 50),
        "ankle": (40 * np.sin(turn), 50 + 40 * np.cos(turn)),
    }
    for part, place in places.items():
        keypoints[:, skeleton.keypoints.index(names.format(part))] = place
    angles, lengths = joint_angles(keypoints, skeleton), limb_lengths(keypoints, skeleton)
    assert angles["left_knee"] == pytest.approx(np.full(5, 180 - bend))
    assert angles["left_hip"] == pytest.approx(np.full(5, 180))
    assert np.isnan(angles["right_knee"]).all()
    assert (lengths["left_thigh"][0], lengths["left_shank"][0]) == pytest.approx((50, 40))
    assert lengths["left_trunk"][0] == pytest.approx(60)


def test_joints_that_a_skeleton_does_not_have_are_left_out():
    names = ("l_knee", "l_ankle", "l_big_toe", "tail")
    foot = Skeleton("foot", names, mirror_from_names(names))
    keypoints = np.array([[0.0, 0], [0, 10], [10, 10], [3, 3]])
    assert {name: float(value) for name, value in joint_angles(keypoints, foot).items()} == {"left_ankle": 90}
    assert list(limb_lengths(keypoints, foot)) == ["left_shank"]


def test_points_on_one_spot_have_no_angle():
    assert np.isnan(joint_angles(np.zeros((17, 2)), COCO17)["left_elbow"])
