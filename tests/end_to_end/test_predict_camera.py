import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hevitpose.cli import camera as module
from hevitpose.io.camera import Camera

SIZE_WH = (160, 120)


class FakeCapture:
    """The skier, then nobody once six images were shown; unplugged once `count` were."""

    def __init__(self, photo, count, shown):
        with Image.open(photo) as image:
            self.image = np.asarray(image.convert("RGB").resize(SIZE_WH))[..., ::-1]
        self.count, self.shown = count, shown

    def isOpened(self):  # noqa: N802
        return True

    def read(self):
        time.sleep(0.02)
        if len(self.shown) > self.count:
            return False, None
        return True, self.image if len(self.shown) < 6 else np.zeros_like(self.image)

    def release(self):
        pass


class FakeOpenCV:
    """Windows in memory; `q` is pressed once `quit_after` images were shown."""

    class error(Exception):  # noqa: N801, N818
        pass

    WINDOW_AUTOSIZE = WND_PROP_VISIBLE = 1

    def __init__(self, quit_after=4, headless=False):
        self.shown, self.quit_after, self.headless = [], quit_after, headless

    def namedWindow(self, *_):  # noqa: N802
        if self.headless:
            raise self.error("The function is not implemented. Rebuild the library with Windows, GTK+ 2.x or Cocoa")

    def imshow(self, _, image):
        self.shown.append(np.array(image))

    def waitKey(self, _):  # noqa: N802
        return ord("q") if len(self.shown) > self.quit_after else -1

    def getWindowProperty(self, *_):  # noqa: N802
        return 1.0

    def destroyAllWindows(self):  # noqa: N802
        pass


@pytest.fixture
def camera(monkeypatch, skier):
    """A function that puts a fake camera and OpenCV in place, and returns the latter."""

    def plug_in(count=100, **options):
        opencv = FakeOpenCV(**options)
        capture = FakeCapture(skier, count, opencv.shown)
        monkeypatch.setattr(module, "open_camera", lambda number: Camera(capture, f"camera {number}"))
        monkeypatch.setattr(module, "opencv", lambda: opencv)
        monkeypatch.setenv("DISPLAY", ":0")
        return opencv

    return plug_in


def lines_of(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_window_shows_the_frames_until_q(hevitpose, camera):
    opencv = camera(quit_after=12)
    status, out, err = hevitpose("predict", "--camera", 0, "--threads", 1)
    assert status == 0
    header, *frames = lines_of("out/camera0.jsonl")
    assert (header["file"], header["width"], header["height"]) == ("camera 0", *SIZE_WH)
    assert f"camera 0: {len(frames)} frames" in out
    assert "frames were dropped" in err
    starting, *shown = opencv.shown
    assert starting.shape == (480, 640, 3)
    assert starting.any()
    assert shown[0].shape == (*SIZE_WH[::-1], 3)
    # The later frames are black, but for the word at the lower left and the end of a trail.
    assert frames[-1]["people"] == []
    assert shown[-1][-8:, :60].any()


def test_the_mirror_is_in_the_drawing_only(hevitpose, camera):
    results = {}
    for flag in ("--mirror", "--no-mirror"):
        opencv = camera(quit_after=2)
        hevitpose("predict", "--camera", 0, flag, "--threads", 1)
        results[flag] = opencv.shown[1], lines_of("out/camera0.jsonl")[1]["people"]
    (mirrored, people), (plain, same) = results.values()
    assert people == same
    assert abs(mirrored[:60, ::-1].astype(int) - plain[:60]).mean() < 2
    assert abs(mirrored[:60].astype(int) - plain[:60]).mean() > 10


def test_without_a_window_into_a_file(hevitpose, camera):
    pytest.importorskip("av")
    camera(headless=True)
    status, out, _ = hevitpose("predict", "--camera", 1, "--draw", "--end", 0.3, "--output", "live", "--threads", 1)
    assert status == 0
    assert "drawn: live/camera1.mp4" in out
    from hevitpose.io.video import VideoReader

    times = [line["time_s"] for line in lines_of("live/camera1.jsonl")[1:]]
    assert [frame.time_s for frame in VideoReader(Path("live/camera1.mp4"))] == pytest.approx(times, abs=1e-3)


def test_an_unplugged_camera_leaves_valid_files(hevitpose, camera, monkeypatch):
    monkeypatch.setattr("hevitpose.io.camera.RETRY_S", 0.0)
    camera(count=3, quit_after=1000)
    status, _, err = hevitpose("predict", "--camera", 0, "--threads", 1)
    assert status == 3
    assert "warning: camera 0: gives no more frames" in err
    assert len(lines_of("out/camera0.jsonl")) >= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--camera: this OpenCV has no windows (opencv-python-headless?)"),
        (["--start", "1"], "--start: is not for cameras"),
        (["--smooth", "offline"], "--smooth offline: needs a clip"),
        (["--box", "1,2,3,4"], "--box: is not for cameras"),
    ],
)
def test_what_cannot_be_done_is_one_line(hevitpose, camera, arguments, message):
    camera(headless=True)
    status, _, err = hevitpose("predict", "--camera", 0, *arguments)
    assert status == 1
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_the_mirror_is_for_cameras(hevitpose, skier):
    status, _, err = hevitpose("predict", skier, "--mirror")
    assert (status, err) == (1, "error: --mirror: is for cameras\n")


def test_openpose_files_go_into_the_folder_of_an_earlier_run(hevitpose, camera):
    camera(quit_after=2)
    Path("out/camera0_openpose").mkdir(parents=True)
    status, _, _ = hevitpose("predict", "--camera", 0, "--format", "openpose", "--threads", 1)
    assert status == 0
    assert Path("out/camera0_openpose/camera0_000000000000_keypoints.json").is_file()


def test_an_output_with_a_suffix_is_a_file(hevitpose, camera):
    camera(quit_after=2)
    assert hevitpose("predict", "--camera", 0, "--output", "live.csv", "--threads", 1)[2] == (
        "error: live.csv: --format jsonl writes FILE.jsonl\n"
    )
    status, printed, _ = hevitpose("predict", "--camera", 0, "--output", "live.jsonl", "--person", 7, "--threads", 1)
    assert (status, "results: live.jsonl" in printed) == (0, True)
    assert lines_of("live.jsonl")
