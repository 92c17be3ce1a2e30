"""How well identities are kept on a clip with known truth, by where its boxes come from.

    pip install av trackers
    python benchmarks/tracking.py clips/multi_walkers.mp4 --truth clips/multi_walkers_gt.csv --size 768 576 \\
        --region 0 0 240 112 --output results/tracking.json

`--truth` has columns frame, person, x, y, width, height and counted (0: to be ignored) in pixels of an image of
`--size`. `--region` (x1, y1, x2, y2 in pixels of the clip) is ignored. `--nanodet` is the graph of
detector_peers.py. If the library `trackers` is installed, its trackers get the same detections.
"""

import argparse
import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats, xyxy_from_xywh
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.inputs import Frame
from hevitpose.inference.tracking import Tracker
from hevitpose.inference.video import PoseTracker
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.metrics.tracking import FrameTracks, track_scores

Tracks = list[tuple[Floats, NDArray[np.int64]]]
"""Of each frame the boxes (N, 4) and ids (N,) of confirmed tracks."""
NANODET_SCORE = 0.3
DETECT_EVERY = (1, 5)
STARTS = range(5)
"""Frames left out at the beginning: the mean is reported, for one identity that is lost or kept decides much."""
PEERS = ("SORTTracker", "ByteTrackTracker", "OCSORTTracker", "BoTSORTTracker")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, required=True, metavar=("W", "H"))
    parser.add_argument("--region", type=float, nargs=4, action="append", default=[], metavar=("X1", "Y1", "X2", "Y2"))
    parser.add_argument("--nanodet", type=Path, help="graph of detector_peers.py")
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args()
    frames = read_clip(options.clip)
    truth = read_truth(options.truth, len(frames), frames[0].image.shape[1] / options.size[0], options.region)
    rows = []
    for tiles, every in product((1, 2), DETECT_EVERY):
        tracker = PoseTracker.from_pretrained(tiles=tiles, detect_every=every)
        name = "person_detector" + f", tiles {tiles}" * (tiles > 1)
        found = [[confirmed(poses) for _, poses in tracker.stream(iter(frames[n:]))] for n in STARTS]
        rows.append(row(name, "hevitpose", every, truth, found))
    for name, poses in sources(frames, truth, options.nanodet):
        for every in DETECT_EVERY:
            found = [follow(poses[n:], frames[n:], every) for n in STARTS]
            rows.append(row(name, "hevitpose", every, truth, found))
        if find_spec("trackers"):
            fps = (len(frames) - 1) / (frames[-1].time_s or 1)
            rows += [row(name, peer, 1, truth, [follow_with(peer, poses[n:], fps) for n in STARTS]) for peer in PEERS]
    if options.output:
        files = {"clip": options.clip.name, "truth": options.truth.name, "region": options.region}
        atomic.write(options.output, json.dumps(files | {"rows": rows, "provenance": source_of()}, indent=1) + "\n")


def row(
    detections: str, tracker: str, detect_every: int, truth: Sequence[FrameTracks], found: Sequence[Tracks]
) -> dict[str, Any]:
    """The mean scores of tracks that were `found` without the first frame, without the first two and so on."""
    scores = []
    for start, tracks in zip(STARTS, found, strict=True):
        here = zip(truth[start:], tracks, strict=True)
        scores.append(asdict(track_scores([replace(at, found=boxes, found_ids=ids) for at, (boxes, ids) in here])))
    means = {name: round(fmean(each[name] for each in scores), 4) for name in scores[0]}
    made = {"detections": detections, "tracker": tracker, "detect_every": detect_every} | means
    print(json.dumps(made), flush=True)
    return made


def source_of() -> dict[str, Any]:
    """Where the figures come from, the paths of the command without their folders."""
    found = provenance()
    return found | {"command": " ".join(Path(part).name for part in found["command"].split())}


def read_clip(path: Path) -> list[Frame]:
    import av

    with av.open(str(path)) as clip:
        return [
            Frame(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), str(path), n, float(frame.time))
            for n, frame in enumerate(clip.decode(video=0))
        ]


def read_truth(path: Path, count: int, scale: float, regions: Iterable[Sequence[float]]) -> list[FrameTracks]:
    with path.open(newline="") as file:
        rows = [{key: float(value) for key, value in line.items()} for line in csv.DictReader(file)]
    frames = []
    for number in range(count):
        here = [each for each in rows if each["frame"] == number]
        xywh = np.array([[each[key] for key in ("x", "y", "width", "height")] for each in here]).reshape(-1, 4)
        ids = np.array([each["person"] for each in here], dtype=np.int64)
        ignored = np.array([each["counted"] == 0 for each in here], dtype=np.bool_)
        nothing = np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
        areas = np.array(list(regions), dtype=np.float64).reshape(-1, 4)
        frames.append(FrameTracks(xyxy_from_xywh(xywh * scale), ids, *nothing, ignored, areas))
    return frames


def sources(
    frames: Sequence[Frame], truth: Sequence[FrameTracks], nanodet: Path | None
) -> Iterable[tuple[str, list[ImagePoses]]]:
    """Boxes that do not come from the bundled detector, by name, and the people in them in each frame."""
    labelled = [Detections.from_boxes(each.boxes[~ignored_of(each)]) for each in truth]
    yield "labels", poses_in(frames, labelled)
    if nanodet:
        from detector_peers import load_peer

        find, detections = load_peer(nanodet), []
        for frame in frames:
            boxes, scores = find(frame.image)
            kept = scores >= NANODET_SCORE
            detections.append(Detections(boxes[kept].astype(np.float64), scores[kept].astype(np.float64)))
        yield "NanoDet-g", poses_in(frames, detections)


def poses_in(frames: Sequence[Frame], detections: Sequence[Detections]) -> list[ImagePoses]:
    """The poses in known boxes, which keep their scores: the people here are too small for scores of keypoints."""
    given = [replace(frame, detections=boxes) for frame, boxes in zip(frames, detections, strict=True)]
    poses = [found for _, found in PoseEstimator.from_pretrained().stream(given)]
    return [replace(found, person_scores=boxes.scores) for found, boxes in zip(poses, detections, strict=True)]


def ignored_of(frame: FrameTracks) -> NDArray[np.bool_]:
    return np.zeros(len(frame.boxes), dtype=np.bool_) if frame.ignored is None else frame.ignored


def follow(poses: Sequence[ImagePoses], frames: Sequence[Frame], detect_every: int) -> Tracks:
    """The tracks, with a detector that runs on each `detect_every`-th frame and when a track was lost."""
    tracker, tracks, estimator = Tracker(), [], PoseEstimator.from_pretrained()
    last = -detect_every
    for number, (at_detection, frame) in enumerate(zip(poses, frames, strict=True)):
        time_s = frame.time_s or 0.0
        expected = tracker.predict(time_s)
        detected = number - last >= detect_every or tracker.lost or not len(expected)
        if detected:
            last, found = number, at_detection
        else:
            (_, found), *_ = estimator.stream([replace(frame, detections=expected)])
        tracks.append(confirmed(tracker.update(found, time_s, detected)))
    return tracks


def confirmed(poses: ImagePoses) -> tuple[Floats, NDArray[np.int64]]:
    """The boxes and ids of people who have an id."""
    return poses.boxes[poses.ids > 0], poses.ids[poses.ids > 0]


def follow_with(peer: str, poses: Sequence[ImagePoses], fps: float) -> Tracks:
    """A tracker of the library `trackers` with its own settings."""
    import supervision
    import trackers

    tracker = getattr(trackers, peer)(frame_rate=fps)
    tracks = []
    for found in poses:
        detections = supervision.Detections(
            xyxy=found.boxes.astype(np.float32),
            confidence=found.person_scores.astype(np.float32),
            class_id=np.zeros(len(found), dtype=int),
        )
        tracked = tracker.update(detections)
        ids = np.asarray(tracked.tracker_id if tracked.tracker_id is not None else np.full(len(tracked), -1))
        tracks.append((tracked.xyxy[ids >= 0].astype(np.float64), ids[ids >= 0].astype(np.int64)))
    return tracks


if __name__ == "__main__":
    main()
