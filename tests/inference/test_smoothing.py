"""Smoothing on tracks whose truth is known: less error, no lag, jumps keep their height, gaps are bridged or not."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import COCO17
from hevitpose.inference.smoothing import OnlineSmoother, smooth_offline

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from smoothing import disturbed, gain, motions, online

sys.path.pop(0)
TIMES = np.arange(60) / 30


def poses_at(points, track_ids=(1,)):
    many = np.repeat(points[None], len(track_ids), axis=0)
    boxes, scores = np.tile([0.0, 0, 60, 200], (len(many), 1)), np.full(many.shape[:2], 0.7)
    ids = None if track_ids[0] is None else np.array(track_ids)
    return ImagePoses(COCO17, (640, 480), boxes, many, scores, np.ones(len(many)), np.nan_to_num(many), track_ids=ids)


@pytest.mark.parametrize(("smooth", "less"), [(online, 40), (lambda *track: smooth_offline(*track)[0], 55)])
def test_the_error_falls_without_lag_and_jumps_keep_their_height(smooth, less):
    gained = gain(smooth)
    assert gained["change_percent"] <= -less
    assert gained["lag_frames"] <= 1
    assert 0.95 <= gained["jump_height_kept"] <= 1.05


def test_people_are_smoothed_apart_and_without_an_id_not_at_all():
    found = disturbed(motions()["still"][1], np.random.default_rng(0))[0]
    smoother = OnlineSmoother()
    for n in range(20):
        smoothed = smoother.update(poses_at(found[n], (1, 0, 2)), n / 30)
        assert np.array_equal(smoothed.keypoints[1], found[n], equal_nan=True)
    assert np.array_equal(smoothed.keypoints[0], smoothed.keypoints[2], equal_nan=True)
    assert not np.array_equal(smoothed.keypoints[0], found[19], equal_nan=True)
    assert np.array_equal(smoother.update(poses_at(found[20], (None,)), 1.0).keypoints[0], found[20], equal_nan=True)


def test_a_single_outlier_is_left_out_and_a_real_jump_is_followed():
    points = motions()["still"][1][0]
    away = points + [80, 0] * (np.arange(17) == 9)[:, None]
    smoother, given = OnlineSmoother(), [away if n == 15 or n >= 25 else points for n in range(30)]
    kept = [smoother.update(poses_at(found), n / 30).keypoints[0, 9, 0] for n, found in enumerate(given)]
    assert abs(kept[15] - points[9, 0]) < 5
    assert abs(kept[27] - away[9, 0]) < 5


def test_absent_stays_absent_and_after_a_long_gap_smoothing_begins_anew():
    points = motions()["still"][1][0]
    smoother = OnlineSmoother()
    smoother.update(poses_at(points), 0.0)
    assert np.isnan(smoother.update(poses_at(np.full((17, 2), np.nan)), 0.1).keypoints).all()
    assert np.array_equal(smoother.update(poses_at(points + 50), 0.8).keypoints[0], points + 50)
    assert not OnlineSmoother().update(ImagePoses.empty(COCO17, (9, 9)), 0.0)


def test_people_who_left_are_forgotten():
    smoother = OnlineSmoother()
    for n in range(50):
        smoother.update(replace(poses_at(np.zeros((17, 2))), track_ids=np.array([n + 1])), n / 10)
    assert len(smoother._states) <= 7


def test_short_gaps_are_filled_and_flagged_and_long_ones_stay_absent():
    track = np.stack([40 * TIMES, 100 + 30 * TIMES**2], axis=1)[:, None] + np.zeros((1, 6, 1))
    holed = track.copy()
    holed[10:20, 0] = np.nan
    holed[10:40, 1] = np.nan
    holed[:5, 2] = np.nan
    smoothed, filled = smooth_offline(TIMES, holed, np.ones((60, 6)))
    assert filled[10:20, 0].all()
    assert filled.sum() == 10
    assert np.abs(smoothed - track)[10:20, 0].max() < 1.1
    assert np.isnan(smoothed[10:40, 1]).all()
    assert np.isnan(smoothed[:5, 2]).all()


def test_offline_times_may_be_irregular():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 4, 120))
    track = np.stack([30 * times, 50 + 10 * np.sin(3 * times)], axis=1)[:, None] + np.zeros((1, 6, 1))
    noisy = track + rng.normal(0, 2, track.shape)
    smoothed, _ = smooth_offline(times, noisy, np.ones((120, 6)))
    assert np.abs(smoothed - track).mean() < 0.6 * np.abs(noisy - track).mean()


def test_offline_takes_few_frames_and_nobody():
    for count in (0, 1, 2, 4):
        found = np.arange(count * 34.0).reshape(count, 17, 2)
        smoothed, filled = smooth_offline(TIMES[:count], found, np.ones((count, 17)))
        assert smoothed == pytest.approx(found, abs=1e-5)
        assert not filled.any()
    nothing = np.full((5, 17, 2), np.nan)
    assert np.isnan(smooth_offline(TIMES[:5], nothing, np.zeros((5, 17)))[0]).all()
    with pytest.raises(ValueError, match="must rise"):
        smooth_offline(np.zeros(2), np.zeros((2, 17, 2)), np.ones((2, 17)))
