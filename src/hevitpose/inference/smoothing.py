"""Steadier keypoints in clips: a filter that follows live, and one that looks both ways.

Both work on real times in seconds, so frames may come at any rate, and in units of the body's size, so that near and
far people are treated alike.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.core.results import ImagePoses

MAX_GAP_S = 0.5
"""Longer gaps are not filled, and after them smoothing begins anew."""


@dataclass(frozen=True)
class SmootherOptions:
    """Of the One-Euro filter (Casiez et al., CHI 2012), with lengths in sizes, the square root of a box's area.

    `min_cutoff` in Hz smooths a still keypoint; `beta`, in Hz per (size / s), lessens that with speed;
    `speed_cutoff` in Hz smooths the speed. Keypoints unseen for `max_gap_s` begin anew.
    """

    min_cutoff: float = 1.7
    beta: float = 3.0
    speed_cutoff: float = 1.0
    max_gap_s: float = MAX_GAP_S


@dataclass(eq=False)
class _State:
    """Of one person: the smoothed keypoints (K, 2), velocities (K, 2), and when each was last seen (K,)."""

    keypoints: Floats
    velocities: Floats
    seen_s: Floats


class OnlineSmoother:
    """Smooths the keypoints of each track as frames come, with a delay of about a frame.

    People without an id (0, or `track_ids` None) pass unchanged, absent keypoints stay absent.
    """

    def __init__(self, options: SmootherOptions = SmootherOptions()) -> None:
        self.options = options
        self._states: dict[int, _State] = {}

    def update(self, poses: ImagePoses, time_s: float) -> ImagePoses:
        """The people with smoothed keypoints."""
        if poses.track_ids is None:
            return poses
        keypoints = poses.keypoints.copy()
        for person, track_id in enumerate(poses.track_ids.tolist()):
            if track_id:
                size = float(np.sqrt((poses.boxes[person, 2:] - poses.boxes[person, :2]).prod()))
                keypoints[person] = self._smooth(track_id, keypoints[person], size, time_s)
        oldest = time_s - self.options.max_gap_s
        self._states = {k: state for k, state in self._states.items() if state.seen_s.max() >= oldest}
        return replace(poses, keypoints=keypoints)

    def _smooth(self, track_id: int, keypoints: Floats, size: float, time_s: float) -> Floats:
        here = np.isfinite(keypoints[:, 0])
        state = self._states.get(track_id)
        if state is None:
            state = _State(keypoints, np.zeros_like(keypoints), np.full(len(keypoints), -np.inf))
            self._states[track_id] = state
        dt = time_s - state.seen_s
        known = here & (dt <= self.options.max_gap_s) & (dt > 0)
        begins = here & ~known
        state.keypoints = np.where(begins[:, None], keypoints, state.keypoints)
        state.velocities = np.where(begins[:, None], 0.0, state.velocities)
        dt = np.where(known, dt, 1.0)[:, None]
        velocity = (keypoints - state.keypoints) / dt
        weight = _weight(self.options.speed_cutoff, dt)
        velocity = state.velocities + weight * (velocity - state.velocities)
        speed = np.linalg.norm(velocity, axis=1, keepdims=True) / size
        weight = _weight(self.options.min_cutoff + self.options.beta * speed, dt)
        smoothed = state.keypoints + weight * (keypoints - state.keypoints)
        state.velocities = np.where(known[:, None], velocity, state.velocities)
        state.keypoints = np.where(known[:, None], smoothed, state.keypoints)
        state.seen_s = np.where(here, time_s, state.seen_s)
        return np.where(here[:, None], state.keypoints, np.nan)


def _weight(cutoff: float | Floats, dt: Floats) -> Floats:
    """Of the newest value in a low-pass filter of that cutoff in Hz."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff * dt)))


def smooth_offline(
    times: Floats,
    keypoints: Floats,
    scores: Floats,
    window_s: float = 0.45,
    max_gap_s: float = MAX_GAP_S,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Keypoints (T, K, 2) of one person smoothed with a look at both sides, and which (T, K) were filled in.

    `times` (T,) are in seconds and rise; `keypoints` (T, K, 2) are NaN where absent; `scores` (T, K) weigh them.
    Outliers are left out (Hampel), gaps up to `max_gap_s` are filled, and a parabola is fitted to the `window_s` around
    each time (Savitzky-Golay on real times).
    """
    present = np.isfinite(keypoints[..., 0])
    smoothed = np.full(keypoints.shape, np.nan)
    for k in range(keypoints.shape[1]):
        trusted = present[:, k].copy()
        trusted[trusted] = ~_outliers(keypoints[present[:, k], k])
        if not trusted.any():
            continue
        at, points = times[trusted], keypoints[trusted, k]
        fitted = _local_parabola(at, points, scores[trusted, k], window_s)
        filled = np.stack([np.interp(times, at, fitted[:, axis]) for axis in range(2)], axis=1)
        after = np.searchsorted(at, times)
        before = at[np.maximum(np.searchsorted(at, times, side="right") - 1, 0)]
        gap = at[np.minimum(after, len(at) - 1)] - before
        inside = (times >= at[0]) & (times <= at[-1])
        kept = (inside & (gap <= max_gap_s)) | present[:, k]
        smoothed[kept, k] = filled[kept]
    return smoothed, np.isfinite(smoothed[..., 0]) & ~present


def _outliers(points: Floats, reach: int = 3, bound: float = 3.0) -> NDArray[np.bool_]:
    """Which points (T, 2) lie further from the median of their neighbours than three robust standard deviations."""
    if len(points) <= 2 * reach:
        return np.zeros(len(points), dtype=np.bool_)
    padded = np.pad(points, ((reach, reach), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    medians = np.median(windows, axis=-1)
    away = np.abs(points - medians)
    spread = 1.4826 * np.median(np.abs(windows - medians[..., None]), axis=-1)
    return np.asarray((away > bound * spread + 1e-9).any(axis=1))


def _local_parabola(times: Floats, points: Floats, weights: Floats, window_s: float) -> Floats:
    """Values (T, 2) at each time of the parabola that fits the weighted points (T, 2) around it best."""
    reach = max(2, int(np.ceil(window_s / 2 / max(float(np.median(np.diff(times))), 1e-6)))) if len(times) > 1 else 1
    index = np.arange(len(times))[:, None] + np.arange(-reach, reach + 1)
    inside = (index >= 0) & (index < len(times))
    index = index.clip(0, len(times) - 1)
    x = (times[index] - times[:, None]) / max(window_s, 1e-6)
    inside &= np.abs(x) <= 1
    each = np.where(inside, weights[index].clip(0.05, 1), 0)
    basis = np.stack([np.ones_like(x), x, x**2], axis=2) * np.sqrt(each)[..., None]
    values = points[index] * np.sqrt(each)[..., None]
    return np.asarray((np.linalg.pinv(basis, rcond=1e-6) @ values)[:, 0])
