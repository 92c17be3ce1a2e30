"""What smoothing gains: the error to the truth on synthetic tracks, and the jitter on a clip.

    python benchmarks/smoothing.py --data lsp_val --root data/people16 --clip clips/single_squats.mp4 \\
        --output results/smoothing.json

The noise of the synthetic tracks is fitted to that of the bundled network on every --every-th person of --data, each
cut in eight boxes that differ as a detector's do. The One-Euro filter (CHI 2012) is measured for comparison.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core.geometry import Floats
from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import COCO17
from hevitpose.data.find import find_split
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.keypoints import KeypointPredictor
from hevitpose.inference.network import DEFAULT, load_network
from hevitpose.inference.smoothing import OnlineSmoother, smooth_offline
from hevitpose.io import atomic, images
from tracking import read_clip, source_of
from walkers import along, figure, jumps

FPS, SECONDS, HEIGHT, SEEDS = 30, 8, 200.0, 2
SIZE = HEIGHT * 0.35**0.5
"""Of a figure's box, the unit of the noise."""
BOX_NOISE, PIXEL_NOISE, BOXES = 0.04, 4.0, 8
NOISE_MEDIAN, NOISE_SPREAD = 0.0068, 0.7
"""Of the keypoints' standard deviations, in sizes: the median, and the standard deviation of the logarithm."""
OUTLIERS, OUTLIER_NOISE, MISSES = 0.022, 0.07, 0.0126
PERCENTILES = (50, 75, 90, 95, 99)
ONE_EURO = ((1.7, 3.0), (1.7, 8.0), (3.0, 30.0))
"""Cutoffs in Hz and betas, in Hz per (size / s)."""
LEFT_HIP, LEFT_ANKLE = 11, 15

Smooth = Callable[[Floats, Floats, Floats], Floats]
"""From times (T,), keypoints (T, K, 2) and scores (T, K) to smoothed keypoints."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", help="set of labelled people, as hevitpose evaluate takes it")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--every", type=int, default=25, metavar="N")
    parser.add_argument("--clip", type=Path, help="of one person whose feet stay in place")
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args()
    content: dict[str, Any] = {"noise": {"synthetic": synthetic_noise()}}
    if options.data:
        content["noise"]["measured"] = measured_noise(options.data, options.root, options.every)
    show(content["noise"])
    smoothers: dict[str, Smooth] = {"online": online, "offline": lambda *track: smooth_offline(*track)[0]}
    smoothers |= {f"One-Euro {cutoff} Hz, beta {beta}": one_euro(cutoff, beta) for cutoff, beta in ONE_EURO}
    content["synthetic"] = [{"smoother": name} | gain(smooth) for name, smooth in smoothers.items() if show(name)]
    show(content["synthetic"])
    if options.clip:
        content["clip"] = on_clip(options.clip, smoothers)
        show(content["clip"])
    if options.output:
        atomic.write(options.output, json.dumps(content | {"provenance": source_of()}, indent=1) + "\n")


def show(value: Any) -> bool:
    print(json.dumps(value), flush=True)
    return True


def synthetic_noise() -> dict[str, float]:
    nothing = np.zeros((200, 17, 2))
    found = np.concatenate([disturbed(nothing, np.random.default_rng(seed))[0] for seed in range(50)])
    distances = np.linalg.norm(found, axis=-1) / SIZE
    return percentiles(distances[np.isfinite(distances)]) | {"missed": float(np.isnan(distances).mean().round(4))}


def percentiles(distances: Floats) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(distances, share)), 4) for share in PERCENTILES}


def measured_noise(data: str, root: Path | None, every: int) -> dict[str, float]:
    """Distances from the median place, in sizes, of keypoints that usually score enough, and how many are missed."""
    people, rng = find_split(data, root).people, np.random.default_rng(0)
    predictor, distances, missed = KeypointPredictor(load_network(DEFAULT)), [], []
    for n in range(0, len(people), every):
        image, box = images.read(people.images[people.image_index[n]]), people.boxes[n]
        size = float(np.sqrt((box[2:] - box[:2]).prod()))
        boxes = box + rng.normal(0, BOX_NOISE, (BOXES, 4)) * size
        noisy = [(image + rng.normal(0, PIXEL_NOISE, image.shape)).clip(0, 255).astype(np.uint8) for _ in boxes]
        points, scores = predictor.in_boxes(noisy, boxes)
        usual, sure = np.median(scores, axis=0) >= 0.2, scores >= 0.2
        away = np.linalg.norm(points - np.median(points, axis=0), axis=-1) / size
        distances.append(away[sure & usual] * np.sqrt(BOXES / (BOXES - 1)))
        missed.append((~sure)[:, usual].ravel())
    return percentiles(np.concatenate(distances)) | {"missed": round(float(np.concatenate(missed).mean()), 4)}


def disturbed(truth: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Keypoints (T, K, 2) as a network finds them, and their scores (T, K)."""
    frames, keypoints, _ = truth.shape
    spread = np.exp(rng.normal(np.log(NOISE_MEDIAN), NOISE_SPREAD, keypoints)).clip(0.002, 0.04)
    outlier = rng.uniform(size=(frames, keypoints)) < OUTLIERS
    deviation = np.where(outlier, OUTLIER_NOISE, spread)
    found = truth + rng.normal(0, 1, truth.shape) * deviation[..., None] * SIZE
    found[rng.uniform(size=(frames, keypoints)) < MISSES] = np.nan
    # As measured: a keypoint's noise is about 0.0045 sizes over its score.
    scores = 0.0045 / spread * np.exp(rng.normal(0, 0.2, (frames, keypoints))) * np.where(outlier, 0.7, 1)
    return found, scores.clip(0.2, 0.95)


def motions() -> dict[str, tuple[Floats, Floats]]:
    """Times and true keypoints by name."""
    times = np.arange(0, SECONDS, 1 / FPS)
    stand = np.tile([[300.0, 400.0]], (len(times), 1))
    lift, squat = jumps(times)
    up = np.stack([0 * times, HEIGHT * lift], axis=1)
    made = {"still": figure(times, stand, HEIGHT, steps=0)}
    for view, end in ((0, (100, 460)), (45, (1180, 400)), (90, (1180, 400))):
        made[f"walking, {view} degrees"] = figure(times, along((100, 400), end, SECONDS)(times), HEIGHT, view)
    made["jumping"] = figure(times, stand - up, HEIGHT, steps=0, squat=squat)
    return {name: (times, points) for name, points in made.items()}


def gain(smooth: Smooth) -> dict[str, Any]:
    """Mean distances to the truth in pixels before and after, the lag in frames and the share kept of a jump."""
    before: dict[str, list[float]] = {}
    after: dict[str, list[float]] = {}
    lags, heights = [], []
    for name, (times, truth) in motions().items():
        for seed in range(SEEDS):
            found, scores = disturbed(truth, np.random.default_rng([seed, len(name)]))
            smoothed = smooth(times, found, scores)
            here = np.isfinite(found[..., 0])
            before.setdefault(name, []).append(float(np.linalg.norm(found - truth, axis=-1)[here].mean()))
            after.setdefault(name, []).append(float(np.linalg.norm(smoothed - truth, axis=-1)[here].mean()))
            if name == "jumping":
                heights.append(rise(times, smoothed) / rise(times, truth))
                lags.append(lag(smoothed[:, LEFT_HIP], truth[:, LEFT_HIP]))
            elif name.startswith("walking"):
                lags.append(lag(smoothed[:, LEFT_ANKLE], truth[:, LEFT_ANKLE]))
    change = {name: round(100 * (np.mean(after[name]) / np.mean(before[name]) - 1), 1) for name in before}
    kinds = [[name for name in before if name.startswith(kind)] for kind in ("still", "walking", "jumping")]
    error = [np.mean([np.mean([np.mean(each[name]) for name in kind]) for kind in kinds]) for each in (before, after)]
    return {
        "error_px": [round(float(value), 3) for value in error],
        "change_percent": round(100 * (error[1] / error[0] - 1), 1),
        "by_motion": change,
        "lag_frames": round(float(np.mean(lags)), 2),
        "jump_height_kept": round(float(np.mean(heights)), 3),
    }


def rise(times: Floats, points: Floats) -> float:
    """How far the left hip rises above where it is at rest: the mean of the jumps."""
    height = -points[:, LEFT_HIP, 1]
    rest = np.nanmedian(height[np.abs((times + 1.25) % 2.5 - 1.25) > 1.1])
    return float(np.mean([np.nanmax(height[np.abs(times - top) < 0.4]) - rest for top in (2.5, 5.0)]))


def lag(smoothed: Floats, truth: Floats) -> float:
    """By how many frames the truth must be delayed to fit best, between frames by a parabola."""
    frames, shifts = np.arange(10, len(truth) - 10), np.arange(-3, 7)
    errors = [float(np.nanmean((smoothed[frames] - truth[frames - shift]) ** 2)) for shift in shifts]
    at = int(np.argmin(errors[1:-1])) + 1
    left, middle, right = errors[at - 1 : at + 2]
    return float(shifts[at] + 0.5 * (left - right) / (left - 2 * middle + right))


def online(times: Floats, points: Floats, scores: Floats) -> Floats:
    smoother, smoothed = OnlineSmoother(), []
    for time_s, found, score in zip(times.tolist(), points, scores, strict=True):
        poses = ImagePoses(
            COCO17 if len(found) == COCO17.num_keypoints else load_network(DEFAULT).config.skeleton,
            (2000, 1000),
            np.array([[0, 0, SIZE, SIZE]]),
            found[None],
            score[None],
            np.ones(1),
            np.nan_to_num(found)[None],
            track_ids=np.array([1]),
        )
        smoothed.append(smoother.update(poses, time_s).keypoints[0])
    return np.array(smoothed)


def one_euro(min_cutoff: float, beta: float) -> Smooth:
    """The One-Euro filter with speeds in sizes per second."""

    def smooth(times: Floats, points: Floats, scores: Floats) -> Floats:  # noqa: ARG001 - takes no scores
        def weight(cutoff: Any, dt: float) -> Any:
            return 1 / (1 + 1 / (2 * np.pi * cutoff * dt))

        last, speed, smoothed = points[0], np.zeros_like(points[0]), [points[0]]
        for dt, found in zip(np.diff(times).tolist(), points[1:], strict=True):
            new = np.nan_to_num((found - last) / dt)
            speed = speed + weight(3.0, dt) * (new - speed)
            cutoff = min_cutoff + beta * np.linalg.norm(speed, axis=1, keepdims=True) / SIZE
            moved = last + weight(cutoff, dt) * (found - last)
            last = np.where(np.isfinite(moved), moved, np.where(np.isfinite(last), last, found))
            smoothed.append(np.where(np.isfinite(found), last, np.nan))
        return np.array(smoothed)

    return smooth


def on_clip(path: Path, smoothers: dict[str, Smooth]) -> dict[str, Any]:
    """Jitter of the ankles, the mean second difference in pixels, and the range of the hips, raw and smoothed."""
    frames = read_clip(path)
    poses = [found for _, found in PoseEstimator.from_pretrained(detector="whole").stream(frames)]
    kept = [n for n, found in enumerate(poses) if len(found)]
    names = poses[0].skeleton.keypoints
    times = np.array([frames[n].time_s for n in kept], dtype=np.float64)
    points, scores = (np.stack([getattr(poses[n], name)[0] for n in kept]) for name in ("keypoints", "keypoint_scores"))
    ankles, hips = ([k for k, name in enumerate(names) if name.endswith(part)] for part in ("ankle", "hip"))

    def figures(track: Floats) -> dict[str, float]:
        second = np.linalg.norm(np.diff(track[:, ankles], n=2, axis=0), axis=-1)
        y = track[:, hips, 1]
        reach = np.nanpercentile(y, 95, axis=0) - np.nanpercentile(y, 5, axis=0)
        return {"ankle_jitter_px": float(np.nanmean(second)), "hip_range_px": float(reach.mean())}

    raw = figures(points)
    rows: list[dict[str, Any]] = [{"smoother": "none"} | {key: round(value, 2) for key, value in raw.items()}]
    for name in ("online", "offline"):
        made = figures(smoothers[name](times, points, scores))
        rows.append(
            {"smoother": name}
            | {key: round(value, 2) for key, value in made.items()}
            | {
                "jitter_change_percent": round(100 * (made["ankle_jitter_px"] / raw["ankle_jitter_px"] - 1), 1),
                "hip_range_kept": round(made["hip_range_px"] / raw["hip_range_px"], 3),
            }
        )
    return {"clip": path.name, "frames": len(frames), "with_person": len(kept), "rows": rows}


if __name__ == "__main__":
    main()
