"""Who is who from frame to frame: identities of the people in a clip.

People are matched with tracks by the larger of box overlap (IoU) and keypoint similarity (OKS), after each track moved
on at constant velocity (a Kalman filter). Good scores choose first; people with low scores can only continue a track
(ByteTrack, ECCV 2022). Boxes grow with a track's uncertainty before they are compared (C-BIoU, WACV 2023). Times are in
seconds, so frames may come at any rate. Lengths are in sizes: the square root of the area of a person's box.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.assignment import best_pairs
from hevitpose.core.geometry import Floats
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.detectors import MIN_HEAD_KEYPOINTS, sigmas_or_default
from hevitpose.metrics.detection import iou

START_SCORE = 0.4
"""`min_person_score` in clips, by default: higher than in images, for a person has many frames to be found in."""
MIN_KEYPOINTS = 3
"""Fewer keypoints say nothing about a person's place."""
SAME_POSE = 0.7
"""OKS from which two people that were found in the boxes of two tracks are one."""
SIDES_GAIN = 0.5
"""Weight of the newest box's width and height."""
MIN_SWAP, SWAP_SPEED = 0.06, 1.5
"""Left and right are exchanged where keypoints jump by more than this, in sizes, and faster than limbs move, in sizes
per second: root mean squares over the paired keypoints. A walk seen from the side has half that speed."""
SWAP_RATIO = 0.5
"""And where they jump by less than this share of it once they are put back."""
MAX_SWAP_S = 0.15
"""Left and right that stay exchanged for longer are believed."""


@dataclass(frozen=True)
class TrackerOptions:
    """How people are matched.

    Args:
        start_score: People that score less can only continue a track.
        high_score: People that score less are matched after the others.
        min_match: Least max(IoU, OKS) of a match.
        min_match_low: The same for people below `high_score`.
        hits: Matches after which a track gets its id.
        max_age_s: A track with an id waits this long for its person to come back.
        max_age_new_s: A track without an id waits this long.
        noise: Standard deviation of boxes' centres, in sizes.
        acceleration: How quickly velocities change, in sizes per second^1.5.
        speed: Standard deviation of the velocity of a new person, in sizes per second.
        max_tracks: The longest unseen tracks above this number are forgotten.
    """

    start_score: float = START_SCORE
    high_score: float = 0.25
    min_match: float = 0.2
    min_match_low: float = 0.4
    hits: int = 2
    max_age_s: float = 2.0
    max_age_new_s: float = 0.5
    noise: float = 0.06
    acceleration: float = 0.6
    speed: float = 1.0
    max_tracks: int = 200


@dataclass(eq=False)
class _Track:
    """One person. `center` and `velocity` are in pixels (and seconds), their `covariance` (2, 2) in sizes.

    `keypoints` (K, 2) are the last place of each, moved with the person while absent; NaN if never seen. `margins` (4,)
    lead from their extent to the box, in sizes. `id` is 0 until the track is confirmed.
    """

    center: Floats
    velocity: Floats
    covariance: Floats
    sides: Floats
    keypoints: Floats
    margins: Floats
    seen_s: float
    hits: int = 1
    id: int = 0
    swapped_since: float | None = None

    @property
    def size(self) -> float:
        return float(np.sqrt(self.sides.prod()))

    @property
    def box(self) -> Floats:
        return geometry.box_from_center(self.center, self.sides)


class Tracker:
    """Gives the people of a clip identities, frame by frame: 1, 2, 3 and so on, never used twice.

    `lost` is true if a person who had an id and was there in the frame before was missed in the last one: time to run
    the detector. The state is bounded by `TrackerOptions.max_tracks`.

    >>> from hevitpose import COCO17
    >>> box, points, score = np.array([[10.0, 20, 60, 220]]), np.full((1, 17, 2), 50.0), np.ones(1)
    >>> poses = ImagePoses(COCO17, (640, 480), box, points, np.ones((1, 17)), score, points)
    >>> tracker = Tracker()
    >>> [tracker.update(poses, time_s).track_ids.tolist() for time_s in (0.0, 0.04, 0.08)]
    [[0], [1], [1]]
    """

    def __init__(self, options: TrackerOptions = TrackerOptions()) -> None:
        self.options, self.lost = options, False
        self._tracks: list[_Track] = []
        self._ids, self._time_s = 0, -np.inf
        self._size_wh = (0, 0)

    def predict(self, time_s: float) -> Detections:
        """The people of the last frame where they are expected at `time_s`: boxes of score 1 for a frame without
        detector. Empty if the last frame showed no one; then only a detector can find people."""
        active = [track for track in self._tracks if track.seen_s == self._time_s]
        if not active:
            return Detections.empty()
        return Detections.from_boxes(np.stack([self._at(track, time_s).box for track in active]))

    def update(self, poses: ImagePoses, time_s: float, detected: bool = True) -> ImagePoses:
        """The same people in the same order with `track_ids` (N,), 0 while a track is not confirmed.

        Left and right that are exchanged in a frame or two are put back. `detected` is false if the boxes are those of
        `predict`: then no track begins, and the tracks follow the keypoints. Raises ValueError where time runs back.
        """
        if not time_s >= self._time_s:
            raise ValueError(f"frames come in the order of time, got {time_s} s after {self._time_s} s")
        self._size_wh = poses.size_wh
        expected = [self._at(track, time_s) for track in self._tracks]
        usable = np.ones(len(poses), dtype=np.bool_) if detected else _once(poses)
        matches = self._match(expected, poses, usable)
        track_of = {person: track for track, person in matches}
        followed = [track.id and track.seen_s == self._time_s for track in self._tracks]
        self.lost = any(followed[track] for track in set(range(len(expected))) - set(track_of.values()))
        ids = np.zeros(len(poses), dtype=np.int64)
        fresh: list[_Track] = []
        swapped = np.zeros(len(poses), dtype=np.bool_)
        for person in range(len(poses)):
            box, keypoints = poses.boxes[person], poses.keypoints[person]
            if person in track_of:
                track = expected[track_of[person]]
                swapped[person] = _is_swapped(track, keypoints, poses.skeleton, time_s)
                if swapped[person]:
                    keypoints = keypoints[list(poses.skeleton.mirror)]
                self._see(track, box, keypoints, time_s, detected)
                self._tracks[track_of[person]] = track
                ids[person] = track.id
            elif detected and poses.person_scores[person] >= self.options.start_score:
                fresh.append(self._new(box, keypoints, time_s))
        self._time_s = time_s
        self._forget(fresh)
        return replace(exchange_sides(poses, swapped), track_ids=ids)

    def _at(self, track: _Track, time_s: float) -> _Track:
        """The track as it is expected at a later time. Who leaves the image waits at its edge, to go anywhere."""
        dt = time_s - track.seen_s
        step = np.array([[1, dt], [0, 1]])
        noise = self.options.acceleration**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        covariance = step @ track.covariance @ step.T + noise
        free = track.center + track.velocity * dt
        center = np.clip(free, 0, self._size_wh)
        velocity = np.where(center == free, track.velocity, 0.0)
        if (center != free).any():
            covariance[1, 1] += self.options.speed**2
        keypoints = track.keypoints + center - track.center
        return replace(track, center=center, velocity=velocity, keypoints=keypoints, covariance=covariance)

    def _match(self, tracks: Sequence[_Track], poses: ImagePoses, usable: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Pairs of a track and a person: confirmed tracks before new ones, good scores before low ones."""
        options = self.options
        overlaps, similar = np.zeros((2, len(tracks), len(poses)))
        for row, track in enumerate(tracks):
            overlaps[row] = _overlap(track, poses.boxes)
            similar[row] = _pose_similarity(track.keypoints, poses, track.size)
        # The larger of the two says whether a pair is possible; which of several is best, both together say better.
        possible, worth = np.maximum(overlaps, similar), overlaps + similar
        confirmed = np.array([track.id > 0 for track in tracks], dtype=np.bool_)
        good = poses.person_scores >= options.high_score
        free, waiting = usable.copy(), np.ones(len(tracks), dtype=np.bool_)
        pairs: list[tuple[int, int]] = []
        for some_tracks, some_people, least in (
            (confirmed, good, options.min_match),
            (confirmed, ~good, options.min_match_low),
            (~confirmed, good, options.min_match),
        ):
            rows, columns = np.flatnonzero(some_tracks & waiting), np.flatnonzero(some_people & free)
            here = np.ix_(rows, columns)
            chosen_rows, chosen_columns = best_pairs(np.where(possible[here] >= least, worth[here], 0), least)
            waiting[rows[chosen_rows]] = free[columns[chosen_columns]] = False
            pairs += zip(rows[chosen_rows].tolist(), columns[chosen_columns].tolist(), strict=True)
        return pairs

    def _new(self, box: Floats, keypoints: Floats, time_s: float) -> _Track:
        center, sides = _center_and_sides(box)
        covariance = np.diag([self.options.noise**2, self.options.speed**2])
        track = _Track(center, np.zeros(2), covariance, sides, keypoints, np.full(4, np.nan), time_s)
        track.margins = _margins(box, keypoints, track.size)
        return track

    def _see(self, track: _Track, box: Floats, keypoints: Floats, time_s: float, detected: bool) -> None:
        """Correct the expected track by what was found."""
        here = np.isfinite(keypoints[:, 0])
        track.keypoints = np.where(here[:, None], keypoints, track.keypoints)
        if detected:
            track.margins = _margins(box, track.keypoints, track.size)
        elif np.isfinite(track.margins).all():
            box = _extent(track.keypoints) + track.margins * track.size
        center, sides = _center_and_sides(box)
        gain = track.covariance[:, 0] / (track.covariance[0, 0] + self.options.noise**2)
        surprise = center - track.center
        track.center = track.center + gain[0] * surprise
        track.velocity = track.velocity + gain[1] * surprise
        track.covariance = track.covariance - np.outer(gain, track.covariance[0])
        track.sides = track.sides + SIDES_GAIN * (sides - track.sides)
        track.seen_s, track.hits = time_s, track.hits + 1
        if not track.id and track.hits >= self.options.hits:
            self._ids += 1
            track.id = self._ids

    def _forget(self, fresh: Sequence[_Track]) -> None:
        """Drop old tracks, add fresh ones, and keep the number bounded."""
        ages = (self.options.max_age_new_s, self.options.max_age_s)
        kept = [track for track in self._tracks if self._time_s - track.seen_s <= ages[track.id > 0]]
        kept = sorted([*kept, *fresh], key=lambda track: -track.seen_s)  # stable: older tracks stay in front
        self._tracks = kept[: self.options.max_tracks]


def exchange_sides(poses: ImagePoses, of: NDArray[np.bool_]) -> ImagePoses:
    """The poses with left and right exchanged of the people (N,) where `of` is true."""
    if not of.any():
        return poses
    mirror = list(poses.skeleton.mirror)
    changed = {
        name: np.where(of.reshape(-1, *[1] * (array.ndim - 1)), array[:, mirror], array)
        for name in ("keypoints", "keypoint_scores", "all_keypoints")
        if (array := getattr(poses, name)) is not None
    }
    return replace(poses, **changed)


def _overlap(track: _Track, boxes: Floats) -> Floats:
    """IoU (N,) of the track with boxes (N, 4), all grown by the uncertainty of the track's place."""
    grown = float(np.sqrt(track.covariance[0, 0])) * track.size * np.array([-1, -1, 1, 1])
    return np.asarray(iou(track.box[None] + grown, boxes + grown, np.zeros(len(boxes), dtype=np.bool_))[0])


def _pose_similarity(keypoints: Floats, poses: ImagePoses, size: float) -> Floats:
    """OKS (N,) of keypoints (K, 2) with those of people, over keypoints present in both; 0 for too few of them."""
    squares = ((poses.keypoints - keypoints) ** 2).sum(axis=2)
    common = np.isfinite(squares)
    each = np.exp(-np.where(common, squares, 0) / (2 * (2 * sigmas_or_default(poses.skeleton) * size) ** 2))
    count = common.sum(axis=1)
    return np.asarray(np.where(count >= MIN_KEYPOINTS, (each * common).sum(axis=1) / np.maximum(count, 1), 0.0))


def _once(poses: ImagePoses) -> NDArray[np.bool_]:
    """Which people (N,) are there, and not a better one's twin: two boxes can show the pose of one person."""
    least = min(MIN_HEAD_KEYPOINTS, poses.skeleton.num_keypoints)
    there: NDArray[np.bool_] = poses.present.sum(axis=1) >= least
    order = np.argsort(-poses.person_scores, kind="stable")
    for place, person in enumerate(order):
        size = float(np.sqrt((poses.boxes[person, 2:] - poses.boxes[person, :2]).prod()))
        better = order[:place][there[order[:place]]]
        twins = _pose_similarity(poses.keypoints[person], poses.subset(better), size)
        there[person] &= not (twins >= SAME_POSE).any()
    return there


def _is_swapped(track: _Track, keypoints: Floats, skeleton: Skeleton, time_s: float) -> bool:
    """Whether left and right of a person fit the track much better when they are exchanged; not for long."""
    mirror = np.array(skeleton.mirror)
    paired = np.flatnonzero(mirror != np.arange(len(mirror)))
    straight, exchanged = (
        ((points - track.keypoints)[paired] ** 2).sum(axis=1) / track.size**2
        for points in (keypoints, keypoints[mirror])
    )
    common = np.isfinite(straight) & np.isfinite(exchanged)
    if common.sum() < 2 * MIN_KEYPOINTS:
        return False
    jump, rest = np.sqrt(straight[common].mean()), np.sqrt(exchanged[common].mean())
    if jump < max(MIN_SWAP, SWAP_SPEED * (time_s - track.seen_s)) or rest > SWAP_RATIO * jump:
        track.swapped_since = None
        return False
    track.swapped_since = time_s if track.swapped_since is None else track.swapped_since
    if time_s - track.swapped_since > MAX_SWAP_S:
        track.swapped_since = None
        return False
    return True


def _center_and_sides(box: Floats) -> tuple[Floats, Floats]:
    return (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], 1.0)


def _extent(keypoints: Floats) -> Floats:
    present = np.isfinite(keypoints[:, 0])
    return geometry.keypoint_extent(keypoints[present])


def _margins(box: Floats, keypoints: Floats, size: float) -> Floats:
    """What leads from the extent of the keypoints to the box, in sizes; NaN for too few keypoints."""
    if np.isfinite(keypoints[:, 0]).sum() < MIN_KEYPOINTS:
        return np.full(4, np.nan)
    return (box - _extent(keypoints)) / size
