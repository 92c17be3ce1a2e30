import threading
from dataclasses import replace

import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.results import Detections
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.inputs import Frame
from hevitpose.inference.network import Network
from hevitpose.inference.video import PoseTracker, smooth_clip

SKELETON = Skeleton("dots", ("red", "green", "blue"), (0, 1, 2), symmetric=True)
OFFSETS = np.array([[0.0, -20], [-12, 18], [12, 18]])
SIZE_WH = (320, 240)


def find_dots(crops):
    """A network that needs no training: the middle of each pure colour."""
    joints, scores = np.zeros((len(crops), 3, 2)), np.zeros((len(crops), 3))
    for n, crop in enumerate(crops.astype(int)):
        for k in range(3):
            y, x = np.nonzero(crop[..., k] - np.delete(crop, k, axis=2).max(axis=2) > 100)
            if len(x):
                joints[n, k], scores[n, k] = (x.mean(), y.mean()), 0.9
    return joints, scores


class KnownPeople:
    """A detector that knows where people are, by frame; `calls` are the frames that it was asked about."""

    def __init__(self, places):
        self.places, self.calls = places, []

    def __call__(self, frames):
        self.calls += [frame.index for frame in frames]
        return [self.boxes(frame.index) for frame in frames]

    def boxes(self, index):
        places = np.array(self.places[index], dtype=float).reshape(-1, 2)
        return Detections.from_boxes(np.concatenate([places - (25, 32), places + (25, 32)], axis=1))


def image_of(places):
    y, x = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]]
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), 40, dtype=np.uint8)
    for place in places:
        for k, (px, py) in enumerate(place + OFFSETS):
            image[(x - px) ** 2 + (y - py) ** 2 <= 9] = np.eye(3, dtype=np.uint8)[k] * 255
    return image


def frames_of(places, fps=10):
    return [Frame(image_of(its), index=n, time_s=n / fps) for n, its in enumerate(places)]


@pytest.fixture
def tracker():
    """A function that makes a tracker of people at these places in each frame."""

    def make(places, batch_size=4, **options):
        network = Network("dots", None, ModelConfig("t", SKELETON, (128, 96), 1.25), find_dots)
        return PoseTracker(PoseEstimator(network, KnownPeople(places), batch_size=batch_size), **options)

    return make


WALK = [[(60 + 4 * n, 120)] for n in range(12)]
TWO = [[(60 + 4 * n, 80), (250 - 5 * n, 170)] for n in range(12)]


def ids(found):
    return [poses.track_ids.tolist() for _, poses in found]


def test_people_have_identities_and_new_ones_with_every_clip(tracker):
    both = tracker(TWO)
    for _ in range(2):
        assert ids(both.stream(frames_of(TWO))) == [[0, 0]] + [[1, 2]] * 11


@pytest.mark.parametrize(("every", "asked"), [(1, range(12)), (4, [0, 1, 4, 8]), (100, [0, 1])])
def test_the_detector_runs_in_every_nth_frame_and_when_someone_is_new(tracker, every, asked):
    some = tracker(TWO, detect_every=every)
    found = list(some.stream(frames_of(TWO)))
    assert some.estimator.detector.calls == list(asked)
    assert ids(found)[1:] == [[1, 2]] * 11
    for (_, poses), places in zip(found, TWO, strict=True):
        order = np.argsort(poses.keypoints[:, 0, 1])
        assert poses.keypoints[order] == pytest.approx(np.array(places)[:, None] + OFFSETS, abs=0.7)


def test_a_lost_track_calls_the_detector(tracker):
    places = WALK[:5] + [[]] + WALK[6:]
    some = tracker(places, detect_every=100)
    found = ids(some.stream(frames_of(places)))
    # Lost in frame 5, looked for in frame 6, where it is again.
    assert some.estimator.detector.calls == [0, 1, 6]
    assert found == [[0], *[[1]] * 4, [], *[[1]] * 6]


@pytest.mark.parametrize(
    ("skeleton", "sure", "high", "options"),
    [
        (COCO17, ["nose", "left_eye", "right_eye"], 0.8, {}),
        (MPII16, ["upper_neck", "head_top"], 0.8, {}),
        (SKELETON, ["red", "green", "blue"], 0.2, {"min_score": 0.1, "min_person_score": 0.1}),
    ],
    ids=["face", "head", "faint"],
)
def test_whom_the_detector_frames_show_the_frames_between_show_too(skeleton, sure, high, options):
    scores = np.where(np.isin(skeleton.keypoints, sure), high, 0.05)
    joints = (48, 64) + np.stack(np.divmod(np.arange(len(scores)), 4), axis=1)

    def keypoint_fn(crops):
        return np.tile(joints.astype(float), (len(crops), 1, 1)), np.tile(scores, (len(crops), 1))

    network = Network("sure", None, ModelConfig("t", skeleton, (128, 96), 1.25), keypoint_fn)
    still = [[(160, 120)]] * 9
    some = PoseTracker(PoseEstimator(network, KnownPeople(still), **options), detect_every=4)
    assert ids(some.stream(frames_of(still))) == [[0]] + [[1]] * 8
    assert some.estimator.detector.calls == [0, 1, 4, 8]


def test_given_boxes_are_detections(tracker):
    detector = KnownPeople(WALK)
    frames = [replace(frame, detections=detector.boxes(frame.index)) for frame in frames_of(WALK)]
    some = tracker(WALK, detect_every=5)
    assert ids(some.stream(frames))[1:] == [[1]] * 11
    assert some.estimator.detector.calls == []


def test_a_live_source_is_answered_frame_by_frame(tracker):
    asked = []

    def source():
        for frame in frames_of(WALK):
            asked.append(frame.index)
            yield frame

    stream = tracker(WALK).stream(source())
    for number in range(3):
        assert next(stream)[0].index == number
        assert asked[-1] == number


def test_people_of_several_frames_share_batches(make_clip, tracker):
    path = make_clip([image_of(places) for places in TWO])
    one, many = tracker(TWO, batch_size=1), tracker(TWO, batch_size=5)
    alone, together = (list(each.stream(path)) for each in (one, many))
    assert [frame.index for frame, _ in together] == list(range(12))
    assert [frame.time_s for frame, _ in together] == pytest.approx(np.arange(12) / 25)
    for (_, a), (_, b) in zip(alone, together, strict=True):
        assert a.keypoints == pytest.approx(b.keypoints, abs=0.01, nan_ok=True)
        assert a.track_ids.tolist() == b.track_ids.tolist()


def test_weak_candidates_only_continue_tracks(tracker):
    """People of score 0.9 * 0.2 are below 0.25: with the detector's full score first, they stay; alone, never begin."""

    class Weaker(KnownPeople):
        def boxes(self, index):
            found = super().boxes(index)
            return replace(found, scores=np.full(len(found), 1.0 if index < 3 and self.first else 0.2))

    for first, expected in ((True, [1] * 12), (False, [0] * 12)):
        some = tracker(WALK)
        some.estimator._detector = detector = Weaker(WALK)
        detector.first = first
        assert [len(poses) for _, poses in some.stream(frames_of(WALK))] == expected


@pytest.mark.parametrize(
    ("person", "expected"), [(None, {1, 2}), ("largest", {2}), ("center", {1}), (2, {2}), (7, set())]
)
def test_one_person_is_kept(tracker, person, expected):
    class Boxes(KnownPeople):
        def boxes(self, index):
            (x, y), (u, v) = self.places[index]
            return Detections.from_boxes([[x - 25, y - 32, x + 25, y + 32], [u - 40, v - 50, u + 40, v + 50]])

    places = [[(160, 120), (60 + n, 60)] for n in range(8)]
    some = tracker(places, person=person)
    some.estimator._detector = Boxes(places)
    assert {person for its in ids(some.stream(frames_of(places)))[1:] for person in its} == expected


def test_who_was_largest_in_the_first_frame_is_kept_when_another_grows(tracker):
    class Boxes(KnownPeople):
        def boxes(self, index):
            (x, y), (u, v) = self.places[index]
            return Detections.from_boxes(
                [[x - 30, y - 50, x + 30, y + 50], [u - 29 - index, v - 49 - index, u + 29 + index, v + 49 + index]]
            )

    places = [[(60, 100), (220 + n, 100)] for n in range(6)]
    some = tracker(places, person="largest")
    some.estimator._detector = Boxes(places)
    assert [poses.boxes[:, 0].tolist() for _, poses in some.stream(frames_of(places))] == [[30.0]] * 6


def test_online_smoothing_keeps_the_raw_keypoints(tracker):
    shaky = [[(60 + 4 * n + 3 * (n % 2), 120)] for n in range(12)]
    raw = np.array([poses.keypoints[0, 0, 0] for _, poses in tracker(shaky).stream(frames_of(shaky))])
    found = [poses for _, poses in tracker(shaky, smooth="online").stream(frames_of(shaky))]
    assert [poses.raw_keypoints[0, 0, 0] for poses in found] == pytest.approx(raw)
    smoothed = [poses.keypoints[0, 0, 0] for poses in found]
    assert [poses.all_keypoints[0, 0, 0] for poses in found] == smoothed
    assert abs(np.diff(smoothed, 2)).mean() < 0.7 * abs(np.diff(raw, 2)).mean()


def test_offline_smoothing_fills_a_short_gap(make_clip, tracker):
    places = [[(60 + 4 * n + 3 * (n % 2), 120)] for n in range(16)]
    known = places[:7] + [[], []] + places[9:]
    path = make_clip([image_of(its) for its in known])
    some = tracker(known, smooth="offline")
    found = list(some.stream(path))
    assert ids(found) == [[0]] + [[1]] * 15
    filled = [bool(poses.filled.all()) for _, poses in found]
    assert filled == [7 <= n < 9 for n in range(16)]
    assert all((poses.all_keypoints == poses.keypoints).all() for _, poses in found)
    for n in (7, 8):
        poses = found[n][1]
        assert poses.keypoints[0, 0] == pytest.approx((60 + 4 * n + 1.5, 100), abs=1.5)
        assert poses.person_scores[0] == 0
        assert np.isnan(poses.raw_keypoints).all()
    assert all(frame.image.shape == (240, 320, 3) for frame, _ in found)
    without = list(some.stream(path, images=False))
    assert {frame.image.size for frame, _ in without} == {0}
    assert [poses.keypoints.tolist() for _, poses in without] == [poses.keypoints.tolist() for _, poses in found]


def test_a_long_gap_stays_a_gap(tracker):
    places = WALK[:4] + [[]] * 7 + WALK[11:]
    found = list(tracker(places).stream(frames_of(places)))
    smoothed = smooth_clip([frame.time_s for frame, _ in found], [poses for _, poses in found])
    assert [len(poses) for poses in smoothed] == [len(its) for its in places]


def test_offline_smoothing_needs_a_file(tracker):
    with pytest.raises(InputError, match="smooth=offline"):
        tracker(WALK, smooth="offline").stream(frames_of(WALK))


@pytest.mark.parametrize("options", [{"detect_every": 0}, {"smooth": "much"}, {"person": 0}, {"person": "tall"}])
def test_options_that_make_no_sense_are_refused(tracker, options):
    with pytest.raises(InputError, match=next(iter(options))):
        tracker(WALK, **options)


def test_a_long_clip_needs_no_more_memory(make_clip, tracker, monkeypatch):
    """Of 120 frames only a few are alive at any time."""
    import weakref

    from hevitpose.inference import video

    alive, most = weakref.WeakSet(), []

    def counted(*args, **kwargs):
        frame = Frame(*args, **kwargs)
        alive.add(frame)
        most.append(len(alive))
        return frame

    monkeypatch.setattr(video, "Frame", counted)
    path = make_clip([image_of([(160, 120)])] * 120)
    assert sum(1 for _ in tracker([[(160, 120)]] * 120).stream(path)) == 120
    assert max(most) <= 16


def test_leaving_a_stream_ends_its_thread(make_clip, tracker):
    before = threading.active_count()
    stream = tracker([[(160, 120)]] * 60).stream(make_clip([image_of([(160, 120)])] * 60))
    next(stream)
    assert threading.active_count() > before
    stream.close()
    assert threading.active_count() == before


def test_frames_need_rising_times(tracker):
    frames = frames_of(WALK)
    with pytest.raises(ValueError, match="time_s"):
        list(tracker(WALK).stream([replace(frames[0], time_s=None)]))
    stream = tracker(WALK).stream([frames[0], frames[2], frames[1]])
    assert [next(stream)[0].index for _ in range(2)] == [0, 2]
    with pytest.raises(ValueError, match=r"order of time, got 0\.1 s after 0\.2 s"):
        next(stream)


@pytest.mark.parametrize(("options", "start", "high"), [({}, 0.4, 0.25), ({"min_person_score": 0.2}, 0.2, 0.2)])
def test_a_clip_asks_for_more_than_an_image_unless_told_otherwise(options, start, high):
    some = PoseTracker.from_pretrained(**options)
    assert (some.min_person_score, some.tracker_options.start_score) == (start, start)
    assert some.tracker_options.high_score == high
