"""Steadier keypoints in clips: a filter that follows live, and one that looks both ways.

Both separate how the body moves from how its limbs move. The body's step is shared by many keypoints, so it is known
well; what is left moves less and can be smoothed more. Times are in seconds, so frames may come at any rate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.core.results import ImagePoses

Bools = NDArray[np.bool_]
MAX_GAP_S = 0.5
"""Longer gaps are not filled, and after them smoothing begins anew."""
MIN_BODY = 5
"""Keypoints that two frames must share to say how the body moved."""
NOISE, MIN_NOISE, MIN_KEYPOINT_SCORE = 0.008, 0.004, 0.2
"""Of a keypoint of score 1, its standard deviation in sizes, the square root of the area of a person's box; it grows as
the score falls. Bounds of the noise, and of the score that it is estimated from."""
ACCELERATION, ALERTNESS = 0.15, 4.0
"""How quickly a velocity changes while predictions are unbiased, in sizes / s^1.5, and the power by which that grows
where the last predictions all erred to one side."""
MEMORY_S = 0.15
"""How long a bias of the predictions is remembered."""
DAMPING = 5.0
"""How quickly velocities fade, per second."""
BOUND = 4.0
"""Standard deviations from which a surprise counts less; from twice as many it is an outlier, for a frame."""
MIN_ACCELERATION, MAX_ACCELERATION = 0.03, 8.0
"""Bounds of the changes of velocity that a keypoint is believed to make, in sizes per second^1.5."""
WINDOWS_S = (0.1, 0.15, 0.22, 0.33, 0.5)
"""Half widths of the parabolas that are tried, offline."""
BODY_WINDOW_S = 0.12
CONSISTENT = 1.6
"""Standard deviations by which a wider window may differ from the narrower ones."""
HAMPEL_REACH, HAMPEL_BOUND = 3, 3.0
"""Neighbours on each side, and robust standard deviations, from which a keypoint is an outlier."""


@dataclass(eq=False)
class _State:
    """Of one person: keypoints and velocities (K, 2) in pixels, their variances and covariance (K,) in sizes; mean
    surprise (K, 2) in standard deviations; mean errors (2, K) in sizes of predictions that do not go with the body and
    that do; outliers in a row (K,); when each was last seen (K,)."""

    keypoints: Floats
    velocities: Floats
    variance: Floats
    covariance: Floats
    velocity_variance: Floats
    surprise: Floats
    errors: Floats
    outliers: NDArray[np.int64]
    seen_s: Floats

    @classmethod
    def of(cls, keypoints: int) -> "_State":
        points, velocities, surprise = (np.zeros((keypoints, 2)) for _ in range(3))
        variance, covariance, velocity_variance = (np.zeros(keypoints) for _ in range(3))
        never, none = np.full(keypoints, -np.inf), np.zeros(keypoints, np.int64)
        errors = np.zeros((2, keypoints))
        return cls(points, velocities, variance, covariance, velocity_variance, surprise, errors, none, never)


class OnlineSmoother:
    """Smooths the keypoints of each track as frames come, with hardly any delay.

    A Kalman filter of each keypoint, whose quickness follows the keypoint: while its predictions err to both sides it
    is slow, and it becomes quick when they err to one side. A single outlier is left out. People without an id (0, or
    `track_ids` None) pass unchanged, absent keypoints stay absent.

    >>> from dataclasses import replace
    >>> from hevitpose import COCO17
    >>> poses = replace(ImagePoses.empty(COCO17, (64, 48)), track_ids=np.zeros(0, dtype=np.int64))
    >>> OnlineSmoother().update(poses, time_s=0.0)
    ImagePoses(no people, 64 x 48)
    """

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}

    def update(self, poses: ImagePoses, time_s: float) -> ImagePoses:
        """The people of the next frame with smoothed keypoints (`ImagePoses.with_keypoints`)."""
        if poses.track_ids is None:
            return poses
        keypoints = poses.keypoints.copy()
        for person, track_id in enumerate(poses.track_ids.tolist()):
            if track_id:
                state = self._states.setdefault(track_id, _State.of(poses.skeleton.num_keypoints))
                size = float(np.sqrt((poses.boxes[person, 2:] - poses.boxes[person, :2]).prod()))
                self._follow(state, keypoints[person], poses.keypoint_scores[person], max(size, 1.0), time_s)
                keypoints[person] = np.where(np.isfinite(keypoints[person]), state.keypoints, np.nan)
        oldest = time_s - MAX_GAP_S
        self._states = {k: state for k, state in self._states.items() if state.seen_s.max() >= oldest}
        return poses.with_keypoints(keypoints)

    def _follow(self, state: _State, found: Floats, scores: Floats, size: float, time_s: float) -> None:
        here = np.isfinite(found[:, 0])
        known = time_s - state.seen_s <= MAX_GAP_S
        dt = np.where(known, time_s - state.seen_s, 0.0)
        noise = np.maximum(NOISE / np.maximum(scores, MIN_KEYPOINT_SCORE), MIN_NOISE) ** 2
        step = state.velocities * dt[:, None]
        both = here & known
        share = 1 - np.exp(-dt / MEMORY_S)
        if both.sum() >= MIN_BODY:
            body = weighted_median((found - state.keypoints - step)[None, both], 1 / noise[None, both])
            tried = np.stack([step, step + body]) + state.keypoints
            errors = np.linalg.norm(np.where(both[:, None], found - tried, 0.0), axis=2) / size
            # A foot on the ground does not move with the body.
            step += np.where((state.errors[1] <= state.errors[0])[:, None], body, 0.0)
            state.errors += share * (errors - state.errors)
        expected = state.keypoints + step
        variance, covariance, velocity_variance = self._spread(state, dt)
        total = variance + noise
        error = np.where(both[:, None], found - expected, 0.0) / size
        distance = np.linalg.norm(error, axis=1) / np.sqrt(total)
        outlier = both & (distance > 2 * BOUND)
        state.outliers = np.where(here, np.where(outlier, state.outliers + 1, 0), state.outliers)
        fresh = here & (~known | (state.outliers > 1))
        gain = np.where(both & ~outlier, 1 / total, 0.0)
        error = error * np.minimum(1, BOUND / np.maximum(distance, 1e-9))[:, None]
        keypoints = expected + (gain * variance)[:, None] * error * size
        velocities = state.velocities + (gain * covariance)[:, None] * error * size
        velocities = velocities * np.exp(-DAMPING * dt)[:, None]
        standard = error / np.sqrt(total)[:, None]
        moved = both[:, None]
        state.surprise = np.where(moved, state.surprise + share[:, None] * (standard - state.surprise), state.surprise)
        state.variance = np.where(both, variance * (1 - gain * variance), state.variance)
        state.velocity_variance = np.where(both, velocity_variance - gain * covariance**2, state.velocity_variance)
        state.covariance = np.where(both, covariance * (1 - gain * variance), state.covariance)
        state.keypoints = np.where(moved, keypoints, state.keypoints)
        state.velocities = np.where(moved, velocities, state.velocities)
        state.seen_s = np.where(here, time_s, state.seen_s)
        self._begin(state, fresh, found, noise)

    def _spread(self, state: _State, dt: Floats) -> tuple[Floats, Floats, Floats]:
        """Variances of place and velocity, and their covariance (K,), before the next look."""
        share = 1 - np.exp(-dt / MEMORY_S)
        # The mean of n unbiased surprises is shorter by the root of n: the bias is 1 where nothing but noise is seen.
        unbiased = 1.25 * np.sqrt(share / (2 - share))
        bias = np.linalg.norm(state.surprise, axis=1) / np.maximum(unbiased, 1e-9)
        quick = ACCELERATION * bias**ALERTNESS
        power = np.clip(quick, MIN_ACCELERATION, MAX_ACCELERATION) ** 2
        variance = state.variance + 2 * dt * state.covariance + dt**2 * state.velocity_variance + power * dt**3 / 3
        covariance = state.covariance + dt * state.velocity_variance + power * dt**2 / 2
        return variance, covariance, state.velocity_variance + power * dt

    def _begin(self, state: _State, fresh: Bools, found: Floats, noise: Floats) -> None:
        """Start these keypoints anew where they were found, with a velocity that is not known."""
        state.keypoints = np.where(fresh[:, None], found, state.keypoints)
        state.velocities = np.where(fresh[:, None], 0.0, state.velocities)
        # The first surprises are as large as in a quick motion: a track begins alert.
        state.surprise = np.where(fresh[:, None], 0.5, state.surprise)
        state.variance = np.where(fresh, noise, state.variance)
        state.covariance = np.where(fresh, 0.0, state.covariance)
        state.velocity_variance = np.where(fresh, 0.5, state.velocity_variance)
        state.errors = np.where(fresh, 0.0, state.errors)
        state.outliers = np.where(fresh, 0, state.outliers)


def smooth_offline(times: Floats, keypoints: Floats, scores: Floats) -> tuple[Floats, Bools]:
    """Keypoints (T, K, 2) of one person smoothed with a look at both sides, and which (T, K) were filled in.

    `times` (T,) in seconds must rise; `keypoints` (T, K, 2) are NaN where absent, `scores` (T, K) weigh them. Outliers
    are replaced (Hampel), and a parabola is fitted around each time (Savitzky-Golay on real times) over the widest
    window that agrees with narrower ones (Katkovnik 1999), so a quick motion keeps its height. Gaps up to `MAX_GAP_S`
    are filled; longer ones stay NaN. Raises ValueError where shapes do not fit or time does not rise.

    >>> times = np.arange(30) / 30
    >>> keypoints = np.stack([100 * times, np.full(30, 5.0)], axis=1)[:, None]
    >>> keypoints[10:14] = np.nan
    >>> smoothed, filled = smooth_offline(times, keypoints, np.ones((30, 1)))
    >>> int(filled.sum()), smoothed[12, 0].round(2).tolist()
    (4, [40.0, 5.0])
    """
    if keypoints.shape != (*scores.shape, 2) or scores.shape[:1] != times.shape or (np.diff(times) <= 0).any():
        raise ValueError("times (T,) must rise, with keypoints (T, K, 2) and scores (T, K)")
    present = np.isfinite(keypoints[..., 0])
    trusted = present.copy()
    for k in range(present.shape[1]):
        trusted[present[:, k], k] = ~_outliers(keypoints[present[:, k], k])
    body = _body_path(times, keypoints, np.where(trusted, scores, 0))
    steady = _parabolas(times, body, np.ones(len(times)), BODY_WINDOW_S)[0]
    smoothed = keypoints.copy()
    for k in range(present.shape[1]):
        at = times[trusted[:, k]]
        if not len(at):
            continue
        points, weights = keypoints[trusted[:, k], k], scores[trusted[:, k], k]
        moved = steady[trusted[:, k]]
        alone, spread = _widest_parabolas(at, points, weights)
        relative, spread_relative = _widest_parabolas(at, points - body[trusted[:, k]], weights)
        # A foot on the ground does not move with the body: the view in which a wider window fits is the better one.
        relative = np.where((spread <= spread_relative)[:, None], alone - moved, relative)
        path = np.stack([np.interp(times, at, relative[:, axis]) for axis in range(2)], axis=1) + steady
        before = at[np.maximum(np.searchsorted(at, times, side="right") - 1, 0)]
        after = at[np.minimum(np.searchsorted(at, times), len(at) - 1)]
        inside = (times >= at[0]) & (times <= at[-1]) & (after - before <= MAX_GAP_S)
        smoothed[inside, k] = path[inside]
    return smoothed, np.isfinite(smoothed[..., 0]) & ~present


def weighted_median(values: Floats, weights: Floats) -> Floats:
    """Medians (G, 2) over N values (G, N, 2) with weights (G, N), of each coordinate alone.

    >>> weighted_median(np.array([[[0.0, 0], [1, 5], [9, 9]]]), np.array([[1, 1, 3.0]]))
    array([[9., 9.]])
    """
    order = np.argsort(values, axis=1)
    each = np.take_along_axis(np.repeat(weights[..., None], 2, axis=2), order, axis=1)
    passed = np.cumsum(each, axis=1)
    middle = (passed >= passed[:, -1:] / 2).argmax(axis=1)[:, None]
    return np.take_along_axis(np.take_along_axis(values, order, axis=1), middle, axis=1)[:, 0]


def _body_path(times: Floats, keypoints: Floats, weights: Floats) -> Floats:
    """How the body moves (T, 2): the steps that most keypoints share, added up; even where no one is seen."""
    seen = np.flatnonzero((weights > 0).sum(axis=1) >= MIN_BODY)
    if len(seen) < 2:
        return np.zeros((len(times), 2))
    points, each = keypoints[seen], weights[seen]
    common = np.minimum(each[1:], each[:-1])
    steps = weighted_median(np.where(common[..., None] > 0, points[1:] - points[:-1], 0), common**2 + 1e-12)
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    return np.stack([np.interp(times, times[seen], path[:, axis]) for axis in range(2)], axis=1)


def _outliers(points: Floats) -> Bools:
    """Which points (T, 2) lie far from the median of their neighbours (Hampel)."""
    if len(points) <= 2 * HAMPEL_REACH:
        return np.zeros(len(points), dtype=np.bool_)
    padded = np.pad(points, ((HAMPEL_REACH, HAMPEL_REACH), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * HAMPEL_REACH + 1, axis=0)
    medians = np.median(windows, axis=-1)
    spread = 1.4826 * np.median(np.abs(windows - medians[..., None]), axis=-1)
    return np.asarray((np.abs(points - medians) > HAMPEL_BOUND * np.maximum(spread, 1.5 * _noise(points))).any(axis=1))


def _noise(points: Floats) -> float:
    """Standard deviation of the noise of points (T, 2), from their third differences, which a motion hardly changes."""
    third = np.diff(points, n=3, axis=0)
    return float(1.4826 * np.median(np.abs(third)) / np.sqrt(20)) if len(third) else 0.0


def _widest_parabolas(times: Floats, points: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Points (T, 2) fitted over the widest window that agrees with all narrower ones, and how much of the noise is left
    (T,)."""
    left = np.ones(len(times))
    if len(times) < 4:
        return points, left
    noise = _noise(points)
    best, low, high = points, np.full(points.shape, -np.inf), np.full(points.shape, np.inf)
    agree = np.ones(len(times), dtype=np.bool_)
    interval = float(np.median(np.diff(times)))
    for number, window_s in enumerate(WINDOWS_S):
        values, spread = _parabolas(times, points, weights, max(window_s, (number + 1.5) * interval))
        margin = CONSISTENT * noise * spread[:, None]
        lower, upper = np.maximum(low, values - margin), np.minimum(high, values + margin)
        agree &= (lower <= upper).all(axis=1)
        best, low, high = (np.where(agree[:, None], *each) for each in ((values, best), (lower, low), (upper, high)))
        left = np.where(agree, spread, left)
    return best, left


def _parabolas(times: Floats, points: Floats, weights: Floats, window_s: float) -> tuple[Floats, Floats]:
    """Values (T, 2) of the weighted parabolas through the points (T, 2) within `window_s` of each time, and how much
    of the noise is left (T,); the points themselves where there are fewer than four."""
    if len(times) < 4:
        return points, np.ones(len(times))
    interval = max(float(np.median(np.diff(times))), 1e-6)
    window_s = max(window_s, 1.5 * interval)
    reach = min(int(np.ceil(window_s / interval)) + 1, len(times) - 1)
    index = np.arange(len(times))[:, None] + np.arange(-reach, reach + 1)
    inside = (index >= 0) & (index < len(times))
    index = index.clip(0, len(times) - 1)
    x = (times[index] - times[:, None]) / window_s
    inside &= np.abs(x) <= 1 + 1e-9
    each = np.where(inside, weights[index].clip(MIN_KEYPOINT_SCORE, 1), 0)
    moments = [(each * x**power).sum(axis=1) for power in range(5)]
    normal = np.stack([np.stack(moments[row : row + 3], axis=-1) for row in range(3)], axis=-2)
    first = np.linalg.inv(normal + 1e-9 * np.eye(3))[:, 0]
    kernel = each * (first[:, :1] + first[:, 1:2] * x + first[:, 2:] * x**2)
    enough = inside.sum(axis=1) > 3
    values = np.where(enough[:, None], np.einsum("tw,twc->tc", kernel, points[index]), points)
    return values, np.where(enough, np.sqrt((kernel**2).sum(axis=1)), 1.0)
