import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hevitpose.inference.video import PoseTracker
from hevitpose.io.video import VideoReader

av = pytest.importorskip("av")
NUMBER = 6


@pytest.fixture
def skiing(make_clip, skier):
    """A clip of the skier, who moves a little in each frame, with sound."""
    with Image.open(skier) as photo:
        image = np.asarray(photo.convert("RGB").resize((320, 240)))
    return make_clip([np.roll(image, 2 * n, axis=1) for n in range(NUMBER)], sound="aac")


def lines_of(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_clip_gives_json_lines_and_a_drawn_clip(hevitpose, skiing):
    status, out, _ = hevitpose("predict", skiing, "--draw", "--detect-every", 2, "--smooth", "online", "--threads", 1)
    assert status == 0
    assert out.splitlines() == [
        f"{skiing}: {NUMBER} frames, people in {NUMBER} of them, 1 identity",
        "results: out/clip.jsonl",
        "drawn: out/clip.mp4 (libx264)",
    ]
    header, *frames = lines_of("out/clip.jsonl")
    assert (header["schema"], header["width"], header["height"], header["fps"]) == ("hevitpose.clip/1", 320, 240, 25)
    assert [frame["frame"] for frame in frames] == list(range(NUMBER))
    assert [frame["time_s"] for frame in frames] == pytest.approx(np.arange(NUMBER) / 25)
    assert [person["id"] for frame in frames for person in frame["people"]] == [None] + [1] * (NUMBER - 1)
    assert "raw" in frames[1]["people"][0]
    drawn = VideoReader(Path("out/clip.mp4"))
    assert [frame.time_s for frame in drawn] == pytest.approx(np.arange(NUMBER) / 25, abs=1e-3)
    with av.open("out/clip.mp4") as clip:
        assert clip.streams.audio[0].codec_context.name == "aac"


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("csv", "r.csv"),
        ("mot", "r.txt"),
        ("coco", "r.json"),
        ("openpose", "out/clip_openpose"),
        ("openpose", "r_openpose"),
        ("npz", "out/clip.npz"),
    ],
)
def test_other_formats_and_a_part_of_a_clip(hevitpose, skiing, format, name):
    output = "out" if name.startswith("out") else name
    options = ("--start", 0.08, "--end", 0.2, "--format", format, "--output", output, "--threads", 1)
    status, out, _ = hevitpose("predict", skiing, *options)
    assert status == 0
    assert f"results: {name}" in out
    if format == "openpose":
        files = sorted(file.name for file in Path(name).iterdir())
        name = Path(name).name.removesuffix("_openpose")
        assert files == [f"{name}_{n:012d}_keypoints.json" for n in range(3)]
        return
    if format == "npz":
        assert np.load(name)["frame"].tolist() == [0, 1, 2]
        return
    text = Path(name).read_text()
    if format == "csv":
        assert {line.split(",")[0] for line in text.splitlines()[1:]} == {"0", "1", "2"}
    elif format == "mot":
        assert [line.split(",")[:2] for line in text.splitlines()] == [["2", "1"], ["3", "1"]]
    else:
        assert [entry["image_id"] for entry in json.loads(text)] == [0, 1, 2]


def test_a_truncated_clip_is_written_to_the_cut_and_reported(hevitpose, make_clip, noise):
    path = make_clip(noise(16))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    status, _, err = hevitpose("predict", path, "--draw", "--smooth", "offline", "--threads", 1)
    assert status == 3
    decoded = len(lines_of("out/clip.jsonl")) - 1
    assert 6 < decoded < 10
    assert len(list(VideoReader(Path("out/clip.mp4")))) == decoded
    assert f"note: {path}: announces 16 frames, {decoded} were decoded" in err
    assert f"warning: {path}: ends early" in err


@pytest.mark.parametrize("smooth", ["none", "offline"])
def test_ctrl_c_leaves_valid_files(hevitpose, monkeypatch, skiing, smooth):
    tracked = PoseTracker._tracked

    def interrupted(self, source, on_progress):
        for number, entry in enumerate(tracked(self, source, on_progress)):
            if number == 3:
                raise KeyboardInterrupt
            yield entry

    monkeypatch.setattr(PoseTracker, "_tracked", interrupted)
    status, _, err = hevitpose("predict", skiing, "--draw", "--smooth", smooth, "--threads", 1)
    assert status == 130
    assert "interrupted: the results hold the first 3 frames" in err
    assert len(lines_of("out/clip.jsonl")) == 4
    assert len(list(VideoReader(Path("out/clip.mp4")))) == 3
    assert sorted(file.name for file in Path("out").iterdir()) == ["clip.jsonl", "clip.mp4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["CLIP", "--draw", "--output", "."], "clip.mp4: is one of the inputs"),
        (["CLIP", "--model", "net.jsonl", "--output", "net.jsonl"], "net.jsonl: is one of the inputs"),
        (["CLIP", "PHOTO"], "is no clip: predict images and clips with a command each"),
        (["CLIP", "--box", "1,2,3,4"], "--box: is for images"),
        (["CLIP", "--verbose"], "--verbose: is for images"),
        (["CLIP", "--format", "json"], "--format json: is for images"),
        (["CLIP", "--output", "r.csv"], "r.csv: --format jsonl writes FILE.jsonl"),
        (["CLIP", "--person", "tall"], "--person tall: must be largest, center, or in clips an id"),
        (["CLIP", "--start", "2", "--end", "1"], "--end 1: must be later than the start"),
        (["CLIP", "--start", "5"], "has no frame from 5 s"),
        (["none.mp4"], "none.mp4: no such file"),
        (["PHOTO", "--every", "1"], "--every: is for clips"),
        (["PHOTO", "--format", "mot"], "--format mot: is for clips"),
    ],
)
def test_what_cannot_be_done_is_one_line(hevitpose, make_clip, skier, arguments, message):
    clip = make_clip([np.zeros((48, 64, 3), dtype=np.uint8)])
    names = {"CLIP": clip, "PHOTO": skier}
    before = clip.read_bytes()
    Path("net.jsonl").touch()
    status, out, err = hevitpose("predict", *[names.get(each, each) for each in arguments])
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert clip.read_bytes() == before
    assert not Path("out").exists()


def test_a_broken_clip_does_not_stop_the_others(hevitpose, make_clip):
    good = make_clip([np.zeros((48, 64, 3), dtype=np.uint8)] * 2, name="good")
    Path("bad.mp4").write_text("no clip")
    status, out, err = hevitpose("predict", "bad.mp4", good, "--threads", 1)
    assert status == 1
    assert "error: bad.mp4: cannot be read as a video" in err
    assert f"{good}: 2 frames, no person found" in out
    assert len(lines_of("out/good.jsonl")) == 3


def test_without_pyav_the_extra_is_named(hevitpose, make_clip, monkeypatch):
    clip = make_clip([np.zeros((48, 64, 3), dtype=np.uint8)])
    monkeypatch.setitem(sys.modules, "av", None)
    status, _, err = hevitpose("predict", clip)
    assert status == 1
    assert err == 'error: clips: needs packages that are not installed: pip install "hevitpose[video]"\n'
