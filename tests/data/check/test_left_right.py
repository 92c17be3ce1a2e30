import numpy as np
import pytest

from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.data.check.left_right import exchanged_sides, turned_sides, viewers_sides

MOUSE = Skeleton("mouse", ("snout", "rightear", "leftear", "tail"), (0, 2, 1, 3))
BODY = np.array([[0.0, 10], [4, 6], [-4, 6], [0, -20]])


@pytest.fixture
def mice():
    """Forty mice from above, in every direction, not quite alike."""
    random = np.random.default_rng(0)
    angles = random.uniform(0, 2 * np.pi, 40)
    turned = np.stack([np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angles])
    return (BODY + random.normal(0, 0.5, (40, 4, 2))) @ turned + 100


def test_the_one_that_is_the_other_way_round_is_found(mice):
    assert exchanged_sides(mice, MOUSE) == []
    mice[7, [1, 2]] = mice[7, [2, 1]]
    # The left ear is the keypoint 2.
    assert exchanged_sides(mice, MOUSE) == [(7, 2, pytest.approx(39 / 40))]


def test_what_is_not_labelled_says_nothing(mice):
    mice[7, [1, 2]] = mice[7, [2, 1]]
    mice[7, 1] = np.nan
    mice[8] = np.nan
    assert exchanged_sides(mice, MOUSE) == []


def test_few_mice_and_mice_from_both_sides_make_no_rule(mice):
    mice[7, [1, 2]] = mice[7, [2, 1]]
    assert exchanged_sides(mice[:19], MOUSE) == []
    mice[10:20, [1, 2]] = mice[10:20, [2, 1]]
    assert exchanged_sides(mice, MOUSE) == []


def test_pairs_are_compared_with_each_other():
    """People from the front and from behind: only hips against shoulders tell."""
    person = np.array([[10.0, 0], [-10, 0], [6, 30], [-6, 30]])
    skeleton = Skeleton("person", ("left_shoulder", "right_shoulder", "left_hip", "right_hip"), (1, 0, 3, 2))
    people = np.tile(person, (60, 1, 1)) * np.where(np.arange(60) % 2, 1, -1)[:, None, None] * (1, 0) + person * (0, 1)
    assert exchanged_sides(people, skeleton) == []
    people[5, [2, 3]] = people[5, [3, 2]]
    assert {n for n, _, _ in exchanged_sides(people, skeleton)} == {5}


def test_sets_that_name_sides_the_other_way_round_are_noticed(mice):
    turned = mice[:, [0, 2, 1, 3]]
    assert turned_sides(mice[:20], mice[20:], MOUSE) == []
    assert turned_sides(mice, turned, MOUSE) == [2]
    assert turned_sides(mice, turned[:8], MOUSE) == [2]
    assert turned_sides(mice, turned[:2], MOUSE) == []  # two say little
    mixed = np.concatenate([turned[:20], mice[20:]])
    assert turned_sides(mice, mixed, MOUSE) == []
    turned[:, 1:3] = np.nan
    assert turned_sides(mice, turned, MOUSE) == []


def test_people_from_all_sides_are_compared_by_their_majorities():
    person = np.array([[10.0, 0], [-10, 0], [6, 30], [-6, 30]])
    skeleton = Skeleton("person", ("left_shoulder", "right_shoulder", "left_hip", "right_hip"), (1, 0, 3, 2))

    def crowd(share):
        backs = np.where(np.arange(200) < 200 * share, -1, 1)[:, None, None] * (1, 0) + np.array([0, 1])
        return person * backs

    assert turned_sides(crowd(0.25), crowd(0.4), skeleton) == []
    assert turned_sides(crowd(0.25), crowd(0.25)[:, [1, 0, 3, 2]], skeleton) == [0, 2]


def test_without_pairs_or_people_there_is_nothing_to_say():
    assert exchanged_sides(np.zeros((0, 4, 2)), MOUSE) == []
    assert exchanged_sides(np.zeros((30, 1, 2)), Skeleton("x", ("snout",), (0,))) == []
    assert turned_sides(np.zeros((0, 4, 2)), np.zeros((3, 4, 2)), MOUSE) == []
    assert turned_sides(np.zeros((3, 1, 2)), np.zeros((3, 1, 2)), Skeleton("x", ("snout",), (0,))) == []


@pytest.fixture
def crowd():
    """Forty people with COCO's joints from the front, turned in the image, and forty from behind, without a face."""
    person = np.zeros((17, 3))
    person[:, 2] = 2
    person[0, :2] = (0, 4)
    for k in range(1, 17, 2):
        person[[k, k + 1], :2] = [[4, 8 * k - 8], [-4, 8 * k - 8]]
    behind = person * (-1, 1, 1)
    behind[:3, 2] = 0
    random = np.random.default_rng(0)
    people = np.concatenate([np.tile(person, (40, 1, 1)), np.tile(behind, (40, 1, 1))])
    angles = random.uniform(-2, 2, 80)
    turns = np.stack([np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angles])
    people[..., :2] = people[..., :2] @ turns + random.normal(0, 0.5, (80, 17, 2))
    return people


def test_the_viewers_sides_are_seen_in_faces_alone(crowd):
    partners = list(COCO17.mirror)
    assert viewers_sides(crowd, COCO17) == ([], 40)
    assert viewers_sides(crowd[:, partners], COCO17) == ([1, 3, 5, 7, 9, 11, 13, 15], 40)
    hips = crowd.copy()
    hips[:, [11, 12]] = hips[:, [12, 11]]
    assert viewers_sides(hips, COCO17) == ([11], 40)


def test_where_faces_do_not_tell_nothing_is_said(crowd):
    wrong = crowd[:, list(COCO17.mirror)]
    assert viewers_sides(wrong[31:49], COCO17) == ([], 9)  # few
    hidden = wrong.copy()
    hidden[:, 0, 2] = 1
    assert viewers_sides(hidden, COCO17) == ([], 0)
    assert viewers_sides(wrong[:, :16], MPII16) == ([], 0)
