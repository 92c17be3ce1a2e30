from fractions import Fraction

import numpy as np
import pytest

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.io import video_writer
from hevitpose.io.video import VideoReader
from hevitpose.io.video_writer import Sound, VideoWriter

av = pytest.importorskip("av")
RED, BLUE = (220, 40, 40), (40, 40, 220)
VARIABLE = [0.0, 0.033, 0.07, 0.2, 0.23, 0.5, 0.533]


def half_red(size_wh=(64, 48)):
    """Red on the left, blue on the right, the upper left corner white."""
    image = np.full((size_wh[1], size_wh[0], 3), BLUE, dtype=np.uint8)
    image[:, : size_wh[0] // 2] = RED
    image[:8, :8] = 255
    return image


def times_of(path):
    return [frame.time_s for frame in VideoReader(path)]


def like(image, color):
    return abs(image.astype(int).reshape(-1, 3).mean(axis=0) - color).max() < 12


@pytest.mark.parametrize(
    ("degrees", "mirrored", "turned"),
    [
        (-90, False, lambda image: np.rot90(image, -1)),
        (90, False, lambda image: np.rot90(image, 1)),
        (180, False, lambda image: np.rot90(image, 2)),
        (0, True, lambda image: image[:, ::-1]),
    ],
)
def test_frames_come_upright(make_clip, degrees, mirrored, turned):
    path = make_clip([half_red()] * 2, turn=(degrees, mirrored))
    reader = VideoReader(path)
    (image, _), _ = reader
    expected = turned(half_red())
    assert reader.size_wh == expected.shape[1::-1]
    assert abs(image.astype(int) - expected).mean() < 12


def test_times_of_a_variable_rate_survive_reading_and_writing(make_clip, tmp_path):
    path = make_clip([half_red()] * len(VARIABLE), times=VARIABLE)
    assert times_of(path) == pytest.approx(VARIABLE, abs=1e-3)
    writer = VideoWriter(tmp_path / "new" / "out.mp4", 30)
    for frame in VideoReader(path):
        writer.write(*frame)
    writer.close()
    assert times_of(tmp_path / "new" / "out.mp4") == pytest.approx(VARIABLE, abs=1e-3)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".h264"])
def test_frames_count_their_time_from_the_first(make_clip, suffix):
    assert times_of(make_clip([half_red()] * 5, suffix=suffix)) == pytest.approx(np.arange(5) / 25, abs=1e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_truncated_clip_gives_the_frames_before_the_cut(make_clip, suffix, noise):
    path = make_clip(noise(50), suffix=suffix)
    whole = [frame.image for frame in VideoReader(path)]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    reader = VideoReader(path)
    cut = [frame.image for frame in reader]
    assert 20 < len(cut) < 32
    assert all((a == b).all() for a, b in zip(cut, whole, strict=False))
    assert reader.problem.startswith("ends early")
    if suffix == ".mp4":
        assert reader.note == f"announces 50 frames, {len(cut)} were decoded"


def test_a_whole_clip_has_no_problem(make_clip, noise):
    reader = VideoReader(make_clip(noise(30)))
    assert reader.expected_frames == len(list(reader)) == 30
    assert reader.problem is reader.note is None


def test_damage_in_the_middle_ends_nothing(make_clip, noise):
    path = make_clip(noise(50))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    assert times_of(path)[-1] == pytest.approx(49 / 25)


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mpg", ".h264"])
def test_a_part_of_a_clip_begins_at_its_start_in_every_format(make_clip, suffix):
    path = make_clip([half_red()] * 50, keyframe_every=10, suffix=suffix)
    reader = VideoReader(path, 0.6)
    assert [frame.time_s for frame in reader] == pytest.approx([n / 25 for n in range(15, 50)], abs=1e-3)
    assert reader.problem is None


def test_a_part_of_a_clip(make_clip):
    path = make_clip([half_red()] * 50, keyframe_every=10)
    reader = VideoReader(path, 0.5, 1.5, 0.2)
    assert [frame.time_s for frame in reader] == pytest.approx([0.52, 0.72, 0.92, 1.12, 1.32])
    assert reader.expected_frames == 5
    assert reader.problem is None
    assert [frame.time_s for frame in reader.again()] == pytest.approx([0.52, 0.72, 0.92, 1.12, 1.32])


def test_what_is_no_clip(make_clip, tmp_path, refused):
    text = tmp_path / "notes.mp4"
    text.write_text("no clip")
    only_sound = make_clip([], sound="aac", name="sound")
    empty = make_clip([], name="empty", suffix=".avi", codec="mpeg4")
    short = make_clip([half_red()] * 5, name="short")
    for path, reason in (
        (text, "cannot be read as a video"),
        (tmp_path / "none.mp4", "no such file"),
        (tmp_path, "is a folder"),
        (only_sound, "has no video, only audio"),
        (empty, "has no frame that can be decoded"),
    ):
        with refused(path, reason):
            VideoReader(path)
    with refused(short, "from 7 s", "it ends at 0.16 s"):
        VideoReader(short, 7)


@pytest.mark.parametrize(("given", "named"), [((-1,), "start"), ((2, 1), "end"), ((0, None, 0), "every")])
def test_times_that_make_no_sense_are_refused(make_clip, given, named):
    with pytest.raises(InputError, match=named):
        VideoReader(make_clip([half_red()]), *given)


@pytest.mark.parametrize("size_wh", [(1, 1), (2, 2), (33, 17), (640, 2)])
def test_small_and_odd_sizes(tmp_path, size_wh):
    path = tmp_path / "tiny.mp4"
    writer = VideoWriter(path, 25)
    for number in range(3):
        writer.write(np.full((size_wh[1], size_wh[0], 3), (200, 60, 30), dtype=np.uint8), number / 25)
    writer.close()
    frames = [frame.image for frame in VideoReader(path)]
    assert len(frames) == 3
    assert frames[0].shape[:2] == tuple(side + side % 2 for side in size_wh[::-1])
    assert like(frames[0], (200, 60, 30))


def test_colours_survive(make_clip, tmp_path):
    path = make_clip([half_red((640, 480))] * 3)
    writer = VideoWriter(tmp_path / "out.mp4", 25)
    for frame in VideoReader(path):
        writer.write(*frame)
    writer.close()
    image = next(iter(VideoReader(tmp_path / "out.mp4"))).image
    assert like(image[100:, :300], RED)
    assert like(image[100:, 340:], BLUE)


@pytest.mark.parametrize(
    ("suffix", "sound", "kept"),
    [
        (".mp4", "aac", "aac"),
        (".mkv", "libopus", "opus"),
        (".mov", "pcm_s16le", "pcm_s16le"),
        (".avi", "adpcm_ms", "aac"),
    ],
)
@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, np.inf), (0.8, 1.6)])
def test_sound_is_kept(make_clip, tmp_path, suffix, sound, kept, start_s, end_s):
    path = make_clip([half_red()] * 50, suffix=suffix, sound=sound, codec="mpeg4" if suffix == ".avi" else "libx264")
    reader = VideoReader(path, start_s, end_s)
    writer = VideoWriter(tmp_path / "out.mp4", reader.fps, Sound(path, reader.origin_s, end_s))
    for frame in reader:
        writer.write(*frame)
    writer.close()
    with av.open(str(tmp_path / "out.mp4")) as new:
        audio = new.streams.audio[0]
        assert audio.codec_context.name == kept
        seconds = sum(frame.samples for frame in new.decode(audio)) / audio.sample_rate
    assert seconds == pytest.approx(min(end_s, 2.0) - start_s, abs=0.06)
    # The tone begins in the middle of the clip.
    assert tone_begins(tmp_path / "out.mp4") == pytest.approx(1.0 - start_s, abs=0.06)
    assert writer.note is None


def tone_begins(path):
    with av.open(str(path)) as clip:
        for frame in clip.decode(audio=0):
            loud = np.flatnonzero(abs(frame.to_ndarray().astype(float)).max(axis=0) > 0.05 * scale_of(frame))
            if len(loud):
                return frame.time + loud[0] / frame.sample_rate / (
                    1 if frame.format.is_planar else frame.layout.nb_channels
                )
    return None


def scale_of(frame):
    return 1.0 if "flt" in frame.format.name else 32768


def test_a_clip_that_is_not_whole_has_no_more_sound_than_frames(make_clip, tmp_path):
    path = make_clip([half_red()] * 50, sound="aac")
    writer = VideoWriter(tmp_path / "out.mp4", 25, Sound(path))
    for frame in list(VideoReader(path))[:10]:
        writer.write(*frame)
    writer.close(whole=False)
    with av.open(str(tmp_path / "out.mp4")) as new:
        assert max(frame.time for frame in new.decode(audio=0)) < 0.45


def test_encoders_are_tried_in_turn(monkeypatch, tmp_path, refused):
    monkeypatch.setattr(video_writer, "ENCODERS", {"no_such": {}, "libx264": {"crf": "no number"}, "mpeg4": {}})
    writer = VideoWriter(tmp_path / "out.mp4", 29.97)
    for number in range(5):
        writer.write(half_red(), number / 29.97)
    assert writer.encoder == "mpeg4"
    writer.close()
    assert times_of(tmp_path / "out.mp4") == pytest.approx(np.arange(5) / 29.97, abs=1e-3)
    monkeypatch.setattr(video_writer, "ENCODERS", {"no_such": {}})
    with refused(tmp_path / "other.mp4", "no encoder for 64 x 48 pixels", "no_such"):
        VideoWriter(tmp_path / "other.mp4").write(half_red(), 0.0)


def test_the_file_before_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("before")
    writer = VideoWriter(path)
    writer.write(half_red(), 0.0)
    writer.abandon()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_without_pyav_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingExtraError, match=r'pip install "hevitpose\[video\]"'):
        VideoReader(tmp_path / "clip.mp4")


def test_the_writer_ticks_hold_common_rates():
    assert video_writer.CLOCK % 24 == video_writer.CLOCK % 25 == 0
    assert (video_writer.CLOCK * Fraction(1001, 30000)).denominator == 1
