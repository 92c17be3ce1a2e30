from threading import Event

import numpy as np
import pytest

from hevitpose.core.errors import MissingExtraError
from hevitpose.io import camera as module
from hevitpose.io.camera import Camera, open_camera


class FakeCapture:
    """Gives `count` frames, whose blue value is their number, then waits for `more`, or fails."""

    def __init__(self, count, fails=False):
        self.count, self.fails, self.given = count, fails, 0
        self.all_given, self.more, self.released = Event(), Event(), False

    def isOpened(self):  # noqa: N802
        return True

    def read(self):
        if self.given == self.count:
            self.all_given.set()
            if self.fails:
                return False, None
            self.more.wait(0.01)
            if not self.more.is_set():
                return False, None
        self.given += 1
        return True, np.full((4, 6, 3), (self.given, 0, 255), dtype=np.uint8)

    def release(self):
        self.released = True


def test_the_newest_frame_wins_and_dropped_ones_are_counted():
    capture = FakeCapture(5)
    with Camera(capture, "camera 0") as camera:
        capture.all_given.wait(5)
        image, time_s = camera.newest(5)
        assert image[0, 0].tolist() == [255, 0, 5]
        assert time_s >= 0
        assert camera.dropped == 4
        assert camera.newest(0.01) is None
        assert not camera.lost
        capture.more.set()
        assert camera.newest(5).time_s > time_s
    assert capture.released


def test_a_camera_that_starts_slowly_is_not_lost(refused):
    now = [0.0]
    with Camera(FakeCapture(0), "camera 0", lambda: now[0]) as camera:
        assert camera.newest(0.01) is None
        assert not camera.started
        now[0] = 11.0
        with refused("camera 0", "gives no frame for 10 s"):
            camera.newest(0.01)


def test_a_camera_that_is_unplugged_is_lost(monkeypatch, refused):
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    with Camera(FakeCapture(1, fails=True), "camera 0") as camera:
        assert camera.newest(5) is not None
        with refused("camera 0", "gives no more frames"):
            camera.newest(5)


def test_no_camera_is_an_error(monkeypatch, refused):
    class NoCapture(FakeCapture):
        def isOpened(self):  # noqa: N802
            return False

    monkeypatch.setattr(module, "opencv", lambda: type("cv2", (), {"VideoCapture": lambda _: NoCapture(0)}))
    with refused("camera 3", "no camera was found"):
        open_camera(3)


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r'pip install "hevitpose\[camera\]"'):
        open_camera(0)
