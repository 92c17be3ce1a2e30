"""Frames of a camera: the newest one, whenever it is asked for. Needs the extra `camera` (OpenCV)."""

import time
from collections.abc import Callable
from importlib import import_module
from threading import Condition, Thread
from typing import Any, Protocol

import numpy as np

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.io.images import Image
from hevitpose.io.video import ClipFrame

START_TIMEOUT_S = 10.0
"""A camera that was opened and gives no frame for so long is not working."""
MAX_FAILED_READS = 30
"""Reads in a row without a frame after which a camera is gone."""
RETRY_S = 0.02


class Capture(Protocol):
    """What is used of `cv2.VideoCapture`."""

    def isOpened(self) -> bool: ...  # noqa: N802

    def read(self) -> tuple[bool, Any]: ...

    def release(self) -> None: ...


class Camera:
    """A camera that a thread of its own reads all the time; a frame that is not asked for is dropped and counted.

    `started` is false until there is a frame, `lost` true once no more frames come. Times count from the first frame,
    by the clock. Close it, or use it in a `with` statement.
    """

    def __init__(self, capture: Capture, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.capture, self.name, self.clock = capture, name, clock
        self.dropped = 0
        self.started = self.lost = False
        self._newest: ClipFrame | None = None
        self._changed = Condition()
        self._closing = False
        self._opened_s = clock()
        self._first_s = 0.0
        self._thread = Thread(target=self._grab, daemon=True)
        self._thread.start()

    def newest(self, timeout_s: float) -> ClipFrame | None:
        """The newest frame that was not given yet; None if there is none in time, so that the caller can look around.

        Raises InputError where the camera stopped, or has not started for long.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self.lost, timeout_s)
            frame, self._newest = self._newest, None
            if frame is None and self.lost:
                raise InputError(self.name, "gives no more frames: was it unplugged?")
            if frame is None and not self.started and self.clock() - self._opened_s > START_TIMEOUT_S:
                raise InputError(self.name, f"was opened, but gives no frame for {START_TIMEOUT_S:.0f} s")
            return frame

    def close(self) -> None:
        """Stop the thread and free the camera."""
        self._closing = True
        self._thread.join()
        self.capture.release()

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _grab(self) -> None:
        failed = 0
        while not self._closing:
            ok, bgr = self.capture.read()
            if ok and bgr is not None:
                failed = 0
                self._put(np.ascontiguousarray(bgr[..., ::-1]))
                continue
            failed += 1
            if self.started and failed >= MAX_FAILED_READS:
                break
            time.sleep(RETRY_S)
        with self._changed:
            self.lost = not self._closing
            self._changed.notify_all()

    def _put(self, image: Image) -> None:
        with self._changed:
            now = self.clock()
            if not self.started:
                self.started, self._first_s = True, now
            self.dropped += self._newest is not None
            self._newest = ClipFrame(image, now - self._first_s)
            self._changed.notify_all()


def open_camera(number: int) -> Camera:
    """The camera of this number, as OpenCV counts them. Raises InputError where there is none, MissingExtraError."""
    cv2 = opencv()
    if logging := getattr(getattr(cv2, "utils", None), "logging", None):
        logging.setLogLevel(logging.LOG_LEVEL_ERROR)  # its warnings about each backend would hide our one line
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise InputError(f"camera {number}", "no camera was found at this number, or another program uses it")
    return Camera(capture, f"camera {number}")


def opencv() -> Any:
    """OpenCV. Raises MissingExtraError."""
    try:
        return import_module("cv2")
    except ImportError as error:
        raise MissingExtraError("camera", "cameras") from error
