"""Identities of synthetic walkers, whose truth is exact."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import COCO17
from hevitpose.inference.tracking import Tracker, TrackerOptions, exchange_sides
from hevitpose.metrics.tracking import FrameTracks, track_scores

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from walkers import Noise, along, figure, scenes

sys.path.pop(0)
LOW = Noise(scores=(0.2, 0.5))
CONDITIONS = {
    "low scores": {"noise": LOW},
    "5 frames/s": {"fps": 5},
    "irregular times": {"fps": 15, "irregular": True, "noise": Noise(missed=0.1)},
    "misses and noisy boxes": {"noise": Noise(box=0.06, missed=0.2)},
}


def person(x=100.0, y=300.0, view=0.0, height=120.0, score=0.8, time_s=0.0):
    """One walking figure as the only person of an image, without noise."""
    points = figure(np.array([time_s]), np.array([[x, y]]), height, view)
    box = np.array([[x - 0.2 * height, y - height, x + 0.2 * height, y]])
    return ImagePoses(COCO17, (640, 480), box, points, np.full((1, 17), 0.7), np.array([score]), points)


NOBODY = ImagePoses.empty(COCO17, (640, 480))


def ids_of(frames, step_s=0.1, **options):
    tracker = Tracker(TrackerOptions(**options))
    return [tracker.update(poses, n * step_s).track_ids.tolist() for n, poses in enumerate(frames)]


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_walkers_keep_their_identities(condition):
    for scene in scenes(**condition):
        tracker, frames = Tracker(), []
        for time_s, boxes, ids, poses in zip(scene.times, scene.boxes, scene.ids, scene.poses, strict=True):
            tracked = tracker.update(poses, time_s)
            here = tracked.track_ids > 0
            frames.append(FrameTracks(boxes, ids, tracked.boxes[here], tracked.track_ids[here]))
        scores = track_scores(frames)
        given = np.unique(np.concatenate([frame.found_ids for frame in frames]))
        assert scores.switches == 0, scene.name
        assert given.tolist() == list(range(1, len(np.unique(np.concatenate(scene.ids))) + 1)), scene.name


def test_an_id_comes_with_the_second_hit_and_is_never_used_again():
    gone = [NOBODY] * 30
    assert ids_of([person(), person(), *gone, person(), person(x=104)])[-2:] == [[0], [2]]
    assert ids_of([person(), *gone, person(), person()])[-2:] == [[0], [1]]


def test_somebody_who_is_away_for_a_second_keeps_the_id():
    assert ids_of([person(x=100 + n) for n in range(5)] + [NOBODY] * 10 + [person(x=115)])[-1] == [1]


def test_low_scores_continue_a_track_but_begin_none():
    assert ids_of([person(score=0.35)] * 4) == [[0]] * 4
    assert ids_of([person(), person(), person(score=0.35)]) == [[0], [1], [1]]
    assert ids_of([person(), person(), person(score=0.15)]) == [[0], [1], [1]]


@pytest.mark.parametrize("view", [0, 45])
def test_left_and_right_exchanged_for_a_frame_are_put_back(view):
    tracker = Tracker()
    for n in range(20):
        poses = person(x=100 + 3 * n, view=view, time_s=n / 10)
        given = exchange_sides(poses, np.array([n in (7, 12)]))
        assert np.array_equal(tracker.update(given, n / 10).keypoints, poses.keypoints)


def test_sides_that_stay_exchanged_are_believed():
    tracker = Tracker()
    exchanged = exchange_sides(person(), np.array([True]))
    found = [tracker.update(person() if n < 3 else exchanged, n / 10).keypoints for n in range(8)]
    assert np.array_equal(found[3], person().keypoints)
    assert np.array_equal(found[-1], exchanged.keypoints)


def test_boxes_are_predicted_by_the_motion_and_follow_the_keypoints():
    tracker = Tracker()
    for n in range(10):
        tracker.update(person(x=100 + 10 * n), n / 10)
    for n in range(10, 20):  # no detector runs
        poses = person(x=100 + 10 * n)
        expected = tracker.predict(n / 10)
        assert np.abs(expected.boxes - poses.boxes).max() < 6
        assert tracker.update(replace(poses, boxes=expected.boxes), n / 10, detected=False).track_ids.tolist() == [1]
    assert not tracker.lost


def test_a_lost_person_is_reported_once():
    tracker, lost = Tracker(), []
    for n, poses in enumerate([person(), person(), NOBODY, NOBODY]):
        tracker.update(poses, n / 10)
        lost.append(tracker.lost)
    assert lost == [False, False, True, False]
    assert len(tracker.predict(0.5)) == 0


def test_two_boxes_on_one_person_are_one_without_a_detector():
    two = person().subset(np.array([0, 0]))
    apart = np.concatenate([person().boxes, person(x=300).boxes])
    points = np.concatenate([person().keypoints, person(x=300).keypoints])
    both = replace(two, boxes=apart, keypoints=points, all_keypoints=points)
    tracker = Tracker()
    for n in range(3):
        tracker.update(both, n / 10)
    collapsed = replace(both, keypoints=two.keypoints, all_keypoints=two.keypoints, person_scores=np.array([0.8, 0.7]))
    assert tracker.update(collapsed, 0.3, detected=False).track_ids.tolist() == [1, 0]
    assert tracker.lost


def test_the_state_is_bounded_and_time_does_not_run_back():
    tracker = Tracker(TrackerOptions(max_tracks=3))
    for n in range(20):
        tracker.update(person(x=10 + 31 * n), n / 10)
    assert len(tracker._tracks) <= 3
    with pytest.raises(ValueError, match="order of time"):
        tracker.update(person(), 1.0)


def test_along_a_path_is_where_it_says():
    assert along((0, 0), (10, 20), 2)(np.array([1.0])).tolist() == [[5, 10]]
