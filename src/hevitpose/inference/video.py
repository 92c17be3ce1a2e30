"""People in clips and in front of cameras: found in some frames, followed in the others, each with an identity."""

from bisect import bisect
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from copy import copy
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import numpy as np

from hevitpose.core.choices import PersonChoice, Smoothing
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.inference.estimator import PoseEstimator, best_person
from hevitpose.inference.inputs import Frame
from hevitpose.inference.network import DEFAULT
from hevitpose.inference.overlap import ahead
from hevitpose.inference.smoothing import OnlineSmoother, smooth_offline
from hevitpose.inference.tracking import START_SCORE, Tracker, TrackerOptions
from hevitpose.io.video import VideoReader
from hevitpose.metrics.detection import iou

Found = Generator[tuple[Frame, ImagePoses], None, None]
"""Each frame with its people; closing it ends the work."""
MIN_CANDIDATE_SCORE = 0.1
"""People below the estimator's `min_person_score` and above this can continue a track."""
NO_IMAGE = np.zeros((0, 0, 3), dtype=np.uint8)


class PoseTracker:
    """Finds the people in the frames of a clip, with their identities.

    >>> tracker = PoseTracker.from_pretrained()
    >>> frames = (Frame(np.zeros((120, 160, 3), np.uint8), index=n, time_s=n / 30) for n in range(3))
    >>> [len(poses) for frame, poses in tracker.stream(frames)]
    [0, 0, 0]

    Args:
        estimator: Finds people and keypoints in a frame.
        detect_every: Run the detector in every n-th frame, and after a track was lost; in between, the boxes are where
            the tracks lead. With 1, the frames of a file share batches.
        smooth: "online" smooths each frame by those before it; "offline" by the whole clip, which is then decoded
            twice, and fills short gaps. The keypoints before are `ImagePoses.raw_keypoints`.
        person: Keep one person: the "largest" or the one nearest to the "center" of the first frame with people, until
            they have been away for long, or the one with this id.
        tracker: How people are matched; by default, a track starts with the estimator's `min_person_score`.
    """

    def __init__(
        self,
        estimator: PoseEstimator,
        detect_every: int = 1,
        smooth: Smoothing = "none",
        person: PersonChoice | int | None = None,
        tracker: TrackerOptions | None = None,
    ) -> None:
        if detect_every < 1:
            raise InputError(f"`detect_every={detect_every}`", "must be 1 or more")
        if smooth not in get_args(Smoothing):
            raise InputError(f"`smooth={smooth}`", f"must be one of {', '.join(get_args(Smoothing))}")
        if person is not None and (person < 1 if isinstance(person, int) else person not in get_args(PersonChoice)):
            raise InputError(f"`person={person}`", "must be largest, center or an id from 1 on")
        self.detect_every, self.smooth, self.person = detect_every, smooth, person
        self.min_person_score = estimator.min_person_score
        start, high = self.min_person_score, min(TrackerOptions.high_score, self.min_person_score)
        self.tracker_options = tracker or TrackerOptions(start_score=start, high_score=high)
        self.estimator = copy(estimator)  # the weaker candidates are for the tracker alone
        self.estimator.min_person_score = min(MIN_CANDIDATE_SCORE, self.min_person_score)
        self.interrupted = False

    @classmethod
    def from_pretrained(
        cls,
        name: str | PathLike[str] = DEFAULT,
        *,
        detect_every: int = 1,
        smooth: Smoothing = "none",
        person: PersonChoice | int | None = None,
        tracker: TrackerOptions | None = None,
        **options: Any,
    ) -> "PoseTracker":
        """With an estimator of bundled weights or of a file; `options` are those of `PoseEstimator.from_pretrained`."""
        options.setdefault("min_person_score", START_SCORE)
        return cls(PoseEstimator.from_pretrained(name, **options), detect_every, smooth, person, tracker)

    def stream(
        self,
        source: str | PathLike[str] | VideoReader | Iterable[Frame],
        *,
        images: bool = True,
        on_progress: OnProgress = ignore_progress,
    ) -> Found:
        """Each frame of a clip with its people; every call begins with new identities.

        A file is decoded by a thread of its own. Frames of any other source need times that rise, and are answered one
        by one, without waiting for the next. With `images=False` the frames of offline smoothing come without pixels,
        and the clip is decoded once. Ctrl-C while it is read for the first time gives the frames so far and sets
        `interrupted`. Raises InputError and MissingExtraError as `VideoReader` does.
        """
        self.interrupted = False
        reader = VideoReader(Path(source)) if isinstance(source, str | PathLike) else source
        if self.smooth == "offline":
            if not isinstance(reader, VideoReader):
                raise InputError("`smooth=offline`", "needs a clip that can be read twice: use online")
            return self._offline(reader, images, on_progress)
        return self._online(reader, on_progress)

    def _online(self, source: VideoReader | Iterable[Frame], on_progress: OnProgress) -> Found:
        smoother = OnlineSmoother() if self.smooth == "online" else None
        for frame, poses in self._tracked(source, on_progress):
            yield frame, poses if smoother is None else smoother.update(poses, time_of(frame))

    def _offline(self, reader: VideoReader, images: bool, on_progress: OnProgress) -> Found:
        frames, found = [], []
        try:
            for frame, poses in self._tracked(reader, on_progress):
                frames.append(replace(frame, image=NO_IMAGE, detections=None))
                found.append(poses)
        except KeyboardInterrupt:  # what there is so far is worth smoothing
            if not frames:
                raise
            self.interrupted = True
        smoothed = smooth_clip([time_of(frame) for frame in frames], found)
        if not images:
            yield from zip(frames, smoothed, strict=True)
            return
        with closing(ahead(clip_frames(reader.again()))) as decoded:
            for done, (frame, poses) in enumerate(zip(decoded, smoothed, strict=False), start=1):
                yield frame, poses
                on_progress(
                    Progress("smoothed frames", done, len(smoothed), run_share=done / len(smoothed), unit="frames")
                )

    def _tracked(self, source: VideoReader | Iterable[Frame], on_progress: OnProgress) -> Found:
        """Frames with their people, who have identities, unsmoothed."""
        following = _Following(self)
        choice = _Choice(self.person, self.tracker_options.max_age_s)
        total = source.expected_frames or 0 if isinstance(source, VideoReader) else 0
        frames = ahead(clip_frames(source)) if isinstance(source, VideoReader) else (frame for frame in source)
        if isinstance(source, VideoReader) and self.detect_every == 1:
            found = following.in_batches(frames)
        else:
            found = ((frame, following.update(frame)) for frame in frames)
        try:
            for done, (frame, poses) in enumerate(found, start=1):
                yield frame, choice(poses, time_of(frame))
                share = min(1.0, done / total) if total else None
                on_progress(Progress("frames", done, max(total, done) if total else 0, run_share=share, unit="frames"))
        finally:
            found.close()
            frames.close()


class _Following:
    """The state of one clip: who is there, and when the detector is next."""

    def __init__(self, options: PoseTracker) -> None:
        self.estimator, self.options = options.estimator, options
        self.tracker = Tracker(options.tracker_options)
        self.since_detection = options.detect_every
        self.check_new = False

    def in_batches(self, frames: Iterable[Frame]) -> Found:
        """With the detector in every frame: boxes do not depend on the frames before."""
        for frame, poses in self.estimator.stream(frames):
            yield frame, self._known(self.tracker.update(poses, time_of(frame)))

    def update(self, frame: Frame) -> ImagePoses:
        """The people of the next frame, by the detector where it is due."""
        time_s = time_of(frame)
        due = self.since_detection >= self.options.detect_every
        if frame.detections is None and not (due or self.tracker.lost or self.check_new):
            return self._followed(frame, time_s)
        poses = self.tracker.update(self._poses(frame), time_s)
        # A new person gets an id when the detector has found them twice; it does not wait for its turn.
        self.check_new = due and bool((poses.ids == 0).any())
        self.since_detection = 1 if due else self.since_detection + 1
        return self._known(poses)

    def _followed(self, frame: Frame, time_s: float) -> ImagePoses:
        self.since_detection += 1
        expected = self.tracker.predict(time_s)
        poses = self._poses(replace(frame, detections=inside(expected, frame.image.shape)))
        sure = self.estimator.are_people(poses.keypoint_scores)
        poses = self.tracker.update(poses.subset(sure), time_s, detected=False)
        return poses.subset(poses.ids > 0)

    def _poses(self, frame: Frame) -> ImagePoses:
        return next(self.estimator.stream([frame]))[1]

    def _known(self, poses: ImagePoses) -> ImagePoses:
        """Without the weak candidates that no track goes on with."""
        return poses.subset((poses.ids > 0) | (poses.person_scores >= self.options.min_person_score))


class _Choice:
    """The one person who is wanted; all where `wanted` is None."""

    def __init__(self, wanted: PersonChoice | int | None, patience_s: float) -> None:
        self.wanted, self.patience_s = wanted, patience_s
        self.id = wanted if isinstance(wanted, int) else 0
        self.box: Floats | None = None  # of the chosen person, who has no id in the first frame
        self.seen_s = -np.inf

    def __call__(self, poses: ImagePoses, time_s: float) -> ImagePoses:
        if self.wanted is None or not len(poses):
            return poses
        if isinstance(self.wanted, int):
            return poses.subset(poses.ids == self.wanted)
        if self.id:
            here = np.flatnonzero(poses.ids == self.id)
            if not len(here) and time_s - self.seen_s <= self.patience_s:
                return poses.subset(here)
        else:
            shared = np.zeros(len(poses)) if self.box is None else iou(poses.boxes, self.box[None])[:, 0]
            here = np.flatnonzero(shared == shared.max()) if shared.any() else np.zeros(0, dtype=np.int64)
        chosen = int(here[0]) if len(here) else best_person(poses, self.wanted)
        self.id, self.box, self.seen_s = int(poses.ids[chosen]), poses.boxes[chosen], time_s
        return poses.subset(slice(chosen, chosen + 1))


def clip_frames(reader: VideoReader) -> Generator[Frame, None, None]:
    """The frames of a clip for prediction; the file is closed at the end."""
    try:
        for index, (image, time_s) in enumerate(reader):
            yield Frame(image, str(reader.path), index, time_s)
    finally:
        reader.close()


def time_of(frame: Frame) -> float:
    """The time of a frame in seconds. Raises ValueError where it has none."""
    if frame.time_s is None:
        raise ValueError("frames of a clip need `time_s`")
    return frame.time_s


def inside(detections: Detections, shape: Sequence[int]) -> Detections:
    """The detections whose centre lies in an image (H, W, 3)."""
    centers = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2
    within = (centers >= 0) & (centers < np.array(shape[1::-1]))
    return detections.subset(np.asarray(within.all(axis=1)))


def smooth_clip(times: Sequence[float], clip: Sequence[ImagePoses]) -> list[ImagePoses]:
    """The people of every frame, smoothed along their identities by all frames; short gaps are filled.

    `times` are in seconds and rise. Where a person was missed for a short while, they are added with score 0.
    """
    at = np.asarray(times, dtype=np.float64)
    keypoints = [poses.keypoints.copy() for poses in clip]
    filled = [np.zeros(poses.keypoints.shape[:2], dtype=np.bool_) for poses in clip]
    added: list[list[ImagePoses]] = [[] for _ in clip]
    for track_id, places in _tracks(clip).items():
        frames = np.arange(places[0][0], places[-1][0] + 1)
        rows = dict(places)
        shape = keypoints[frames[0]].shape[1:]
        raw, scores = np.full((len(frames), *shape), np.nan), np.zeros((len(frames), shape[0]))
        for row, frame in enumerate(frames.tolist()):
            if frame in rows:
                raw[row], scores[row] = clip[frame].keypoints[rows[frame]], clip[frame].keypoint_scores[rows[frame]]
        smoothed, gaps = smooth_offline(at[frames], raw, scores)
        for row, frame in enumerate(frames.tolist()):
            if frame in rows:
                keypoints[frame][rows[frame]], filled[frame][rows[frame]] = smoothed[row], gaps[row]
            elif np.isfinite(smoothed[row]).any():
                box = _box_between(at, frame, places, clip)
                added[frame].append(_missed(clip[frame], track_id, smoothed[row], box))
    joined = []
    for poses, its, gaps, more in zip(clip, keypoints, filled, added, strict=True):
        joined.append(poses.with_keypoints(its, gaps).with_people(more))
    return joined


def _tracks(clip: Sequence[ImagePoses]) -> dict[int, list[tuple[int, int]]]:
    """For each id, the frames where it is with its index in them."""
    tracks: dict[int, list[tuple[int, int]]] = {}
    for frame, poses in enumerate(clip):
        for index, track_id in enumerate(poses.ids.tolist()):
            if track_id:
                tracks.setdefault(track_id, []).append((frame, index))
    return tracks


def _box_between(at: Floats, frame: int, places: list[tuple[int, int]], clip: Sequence[ImagePoses]) -> Floats:
    """The box (4,) of a track in a frame where it was missed, between those before and after."""
    after = bisect(places, (frame, -1))
    (first, a), (last, b) = places[after - 1], places[after]
    share = (at[frame] - at[first]) / (at[last] - at[first])
    return np.asarray((1 - share) * clip[first].boxes[a] + share * clip[last].boxes[b])


def _missed(poses: ImagePoses, track_id: int, keypoints: Floats, box: Floats) -> ImagePoses:
    """A person of a frame whose keypoints come from the frames around it."""
    present = np.isfinite(keypoints[:, 0])
    return replace(
        poses,
        boxes=box[None],
        keypoints=keypoints[None],
        keypoint_scores=np.zeros((1, len(keypoints))),
        person_scores=np.zeros(1),
        all_keypoints=np.nan_to_num(keypoints)[None],
        track_ids=np.array([track_id]),
        raw_keypoints=np.full((1, len(keypoints), 2), np.nan),
        filled=present[None],
    )
