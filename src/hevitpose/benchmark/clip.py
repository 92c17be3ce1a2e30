"""Measure whole clips, from the file to the drawn file, in terms of one crop of the network."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.benchmark.pipeline import median_ms
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.core.results import ImagePoses
from hevitpose.inference.clip_writers import ClipDrawing, ClipHeader, JsonLines
from hevitpose.inference.inputs import Frame
from hevitpose.inference.network import Network
from hevitpose.inference.predict_clip import predict_clip
from hevitpose.inference.video import PoseTracker
from hevitpose.io.video import VideoReader
from hevitpose.io.video_writer import Sound
from hevitpose.view.draw_clip import ClipPainter

FEW_FRAMES_S = 0.5
ROUNDS = 3
CROP_RUNS = 30
"""Crops that are timed before and after each clip."""


def measure_clip(tracker: PoseTracker, path: Path, on_progress: OnProgress = ignore_progress) -> dict[str, Any]:
    """Milliseconds of a frame and of one crop of the network, in turn for `ROUNDS` rounds, and their ratio.

    A frame costs what decoding, detecting, poses, identities, JSON lines, drawing and encoding take together by the
    clock, as they overlap; a crop is one call of the network with the same threads. Ratios and times are medians.
    Raises InputError where the clip cannot be read.
    """
    network = tracker.estimator.network
    _run(tracker, path, FEW_FRAMES_S)  # loads the detector, warms the caches
    frame_ms, crop_ms, ratios = [], [], []
    for number in range(ROUNDS):
        on_progress(Progress("rounds", number, ROUNDS))
        before = crop_time_ms(network)
        start = time.perf_counter()
        frames, facts = _run(tracker, path)
        frame_ms.append(1000 * (time.perf_counter() - start) / frames)
        crop_ms.append(statistics.fmean((before, crop_time_ms(network))))
        ratios.append(frame_ms[-1] / crop_ms[-1])
    return {
        "clip": path.name,
        **facts,
        "weights": network.name,
        "input_size": list(network.config.input_size),
        "detect_every": tracker.detect_every,
        "smooth": tracker.smooth,
        "rounds": ROUNDS,
        "frame_ms": round(statistics.median(frame_ms), 2),
        "frames_per_second": round(1000 / statistics.median(frame_ms), 2),
        "crop_ms": round(statistics.median(crop_ms), 2),
        "crops_per_frame": round(statistics.median(ratios), 3),
    }


def crop_time_ms(network: Network) -> float:
    """Median milliseconds of one crop in one call of the network."""
    crop = np.random.default_rng(0).integers(0, 256, (1, *network.config.input_size, 3), dtype=np.uint8)
    run = network.keypoint_fn or network.heatmap_fn
    return median_ms({"crop": lambda: run(crop)}, CROP_RUNS)["crop"]


class _People:
    """Counts the people of all frames."""

    count = 0

    def write(self, _: Frame, poses: ImagePoses) -> None:
        self.count += len(poses)

    def close(self) -> None:
        """Nothing to do."""


def _run(tracker: PoseTracker, path: Path, end_s: float | None = None) -> tuple[int, dict[str, object]]:
    """Predict and draw the clip into a folder that is removed afterwards; its frames, and what was in it."""
    network, people = tracker.estimator.network, _People()
    with tempfile.TemporaryDirectory() as folder:
        reader = VideoReader(path, 0.0, end_s)
        header = ClipHeader(path.name, network.name, reader.size_wh, reader.fps, network.config.skeleton)
        lines = JsonLines(Path(folder) / "clip.jsonl", header)
        drawing = ClipDrawing(Path(folder) / "clip.mp4", ClipPainter(), reader.fps, Sound(path, reader.origin_s))
        frames = predict_clip(tracker, reader, [lines, people], drawing).frames
    return frames, {
        "size_wh": list(reader.size_wh),
        "frames": frames,
        "people_per_frame": round(people.count / frames, 2),
        "encoder": drawing.video.encoder,
    }
