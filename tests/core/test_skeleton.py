import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.keypoint_names import match_names, mirror_from_names
from hevitpose.core.skeleton import COCO17, MPII16, PEOPLE21, Skeleton
from hevitpose.data.skeletons import category_of, category_with, skeleton_from_coco, skeleton_table


def names(skeleton):
    return {skeleton.keypoints[a]: skeleton.keypoints[b] for a, b in enumerate(skeleton.mirror) if a < b}


def test_mpii_and_coco_pairs():
    assert [(a, b) for a, b in enumerate(MPII16.mirror) if a < b] == [
        (0, 5),
        (1, 4),
        (2, 3),
        (10, 15),
        (11, 14),
        (12, 13),
    ]
    assert all(left.replace("left", "right") == right for left, right in names(COCO17).items())
    assert len(names(COCO17)) == 8


@pytest.mark.parametrize(
    ("keypoints", "mirror"),
    [
        ([], ()),
        (["nose"], (0,)),
        (["left_eye", "right_eye"], (1, 0)),
        (["snout", "leftear", "rightear", "tailbase"], (0, 2, 1, 3)),
        (["L_Hip", "R_Hip"], (1, 0)),
        (["hip.l", "hip.r"], (1, 0)),
        (["paw-left-front", "paw-right-front", "paw-left-back"], (1, 0, 2)),
        (["EyeLeft", "EyeRight"], (1, 0)),
        (["lower_lip", "upper_lip", "collar"], (0, 1, 2)),
        (["left_eye", "right_eye", "LF", "RF"], (1, 0, 3, 2)),
        (["FL", "FR", "RL", "RR"], (1, 0, 3, 2)),
        (["Rhindpaw", "Lhindpaw", "hipl", "hipr"], (1, 0, 3, 2)),
        (
            ["left_eye_left_corner", "left_eye_right_corner", "right_eye_left_corner", "right_eye_right_corner"],
            (3, 2, 1, 0),
        ),
        (["left_eye_left_corner", "left_eye_right_corner"], (0, 1)),
        (["left_eye_l1", "right_eye_l1"], (1, 0)),
        (["lEye", "LEye", "rEye", "REye"], (2, 3, 0, 1)),
        (["Left_Eye", "RIGHT_EYE", "A", "a"], (1, 0, 2, 3)),
        (["left_bright_spot", "right_bright_spot"], (1, 0)),
        (["tail", "nose", "rear", ""], (0, 1, 2, 3)),
    ],
)
def test_partners_follow_from_names(keypoints, mirror):
    assert mirror_from_names(keypoints) == mirror


def test_the_side_is_the_persons_own():
    assert [MPII16.side(k) for k in (0, 5, 6)] == ["right", "left", "middle"]
    assert COCO17.side(1) == "left"


@pytest.mark.parametrize(
    "wrong",
    [
        {"keypoints": ("a", "a", "b")},
        {"mirror": (1, 2, 0)},
        {"mirror": (0, 1)},
        {"limbs": ((0, 3),)},
        {"sigmas": (0.1,)},
    ],
)
def test_what_does_not_fit_is_refused(wrong):
    parts = {"name": "x", "keypoints": ("a", "b", "c"), "mirror": (0, 1, 2)} | wrong
    with pytest.raises(InputError, match=r"^x: "):
        Skeleton(**parts)


def test_a_coco_category_names_its_own_pairs_and_limbs():
    category = {"id": 1, "name": "fly", "keypoints": ["a", "b", "c"], "skeleton": [[1, 2]], "flip_pairs": [[0, 2]]}
    skeleton = skeleton_from_coco(category, "file.json")
    assert skeleton.mirror == (2, 1, 0)
    assert skeleton.limbs == ((0, 1),)
    assert skeleton.sigmas is None


LETTERS = {"id": 1, "name": "letters", "keypoints": ["a", "b", "c", "d"]}


@pytest.mark.parametrize(
    ("category", "flips"),
    [
        (LETTERS, False),
        (LETTERS | {"keypoints": ["snout", "left_ear"]}, False),
        (LETTERS | {"flip_pairs": []}, True),
        (LETTERS | {"flip_pairs": [[0, 1]]}, True),
        (LETTERS | {"keypoints": ["left_ear", "right_ear"]}, True),
        (category_with(LETTERS, skeleton_table({"mirror": []}, "x.toml")), True),
        (category_with(LETTERS, skeleton_table({"limbs": [["a", "b"]]}, "x.toml")), False),
    ],
)
def test_without_pairs_a_skeleton_flips_only_where_that_is_said(category, flips):
    skeleton = skeleton_from_coco(category, "file.json")
    assert skeleton.flips == flips
    assert skeleton_from_coco(category_of(skeleton), "file.json").flips == flips


def test_coco_people_get_cocos_sigmas():
    skeleton = skeleton_from_coco({"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}, "file.json")
    assert skeleton.sigmas == COCO17.sigmas
    assert skeleton.mirror == COCO17.mirror


@pytest.mark.parametrize(
    "wrong",
    [
        {"keypoints": []},
        {"keypoints": "nose"},
        {"keypoints": ["nose", 3]},
        {"flip_pairs": [[0, 5]]},
        {"flip_pairs": [[0, 1], [1, 2]]},
        {"flip_pairs": [0, 1]},
        {"skeleton": [[0]]},
        {"skeleton": [[3, 4]]},
        {"skeleton": [[float("inf"), 1]]},
    ],
)
def test_a_wrong_category_is_one_line_about_the_file(wrong):
    category = {"id": 1, "name": "fly", "keypoints": ["a", "b", "c"]} | wrong
    with pytest.raises(InputError, match=r"^file\.json: .*") as error:
        skeleton_from_coco(category, "file.json")
    assert "\n" not in str(error.value)


def test_keypoints_that_differ_in_a_number_or_in_another_script_are_not_the_same():
    names = ["keypoint_0", "keypoint_1", "finger1", "finger2", "левый_глаз", "правый_глаз"]
    assert match_names(names, names) == (0, 1, 2, 3, 4, 5)
    assert match_names(["Keypoint 1", "tail_4"], names) == (1, None)


def test_the_lower_body_is_known_however_its_names_are_spelled():
    lower = ("LKnee", "hip_left", "RightAnkle", "left_foot_1", "pelvis", "l_big_toe")
    assert Skeleton("any", ("nose", *lower, "toeless"), tuple(range(8))).upper_body == (0, 7)


def test_names_with_two_sides_or_in_two_cases_are_not_mixed_up():
    corners = ["left_eye_left_corner", "left_eye_right_corner"]
    assert match_names(corners, corners[::-1]) == (1, 0)
    assert match_names(["LeftEyeRightCorner", "eye_L"], [*corners, "l_eye", "L_eye"]) == (1, None)


def test_the_side_of_a_pair_follows_from_both_names():
    paws = Skeleton("paws", ("RF", "LF", "one", "other"), (1, 0, 3, 2))
    assert [paws.side(k) for k in range(4)] == ["right", "left", "left", "right"]


def test_people21_holds_both_sets_by_name():
    assert None not in match_names(MPII16.keypoints, PEOPLE21.keypoints)
    assert None not in match_names(COCO17.keypoints, PEOPLE21.keypoints)
    mirrored = {(PEOPLE21.mirror[a], PEOPLE21.mirror[b]) for a, b in PEOPLE21.limbs}
    assert {frozenset(limb) for limb in mirrored} == {frozenset(limb) for limb in PEOPLE21.limbs}
    assert PEOPLE21.sigmas[16:] == COCO17.sigmas[:5]
