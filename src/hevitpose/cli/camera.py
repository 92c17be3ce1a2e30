"""`hevitpose predict --camera`."""

import os
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import numpy as np

from hevitpose.cli.common import model_files
from hevitpose.cli.keypoints import written_skeleton
from hevitpose.cli.options import note
from hevitpose.cli.predict_options import Request
from hevitpose.cli.progress import show_progress
from hevitpose.cli.video import (
    DAMAGED,
    clip_format,
    make_tracker,
    named_results,
    note_left_out,
    refuse_unwritable,
)
from hevitpose.core.errors import InputError
from hevitpose.core.results import ImagePoses
from hevitpose.inference.clip_writers import CLIP_SUFFIXES, ClipDrawing, ClipHeader, clip_writer
from hevitpose.inference.inputs import Frame
from hevitpose.inference.predict_clip import predict_clip
from hevitpose.io import atomic
from hevitpose.io.camera import Camera, open_camera, opencv
from hevitpose.io.images import Image
from hevitpose.io.video import pyav
from hevitpose.view.draw_clip import ClipPainter, draw_text

DETECT_EVERY = 5
"""Of cameras by default: with the detector in every frame, twice as many frames would be dropped."""
WAIT_S = 0.05
NOMINAL_FPS = 30.0
QUIT_KEYS = (ord("q"), 27)
STARTING_SIZE_HW = (480, 640)


class Window:
    """The live window. Raises InputError where there can be none."""

    TITLE = "hevitpose"

    def __init__(self) -> None:
        self.cv2 = opencv()
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise InputError("--camera", "there is no display for a window: write a file with --draw")
        try:
            self.cv2.namedWindow(self.TITLE, self.cv2.WINDOW_AUTOSIZE)
        except self.cv2.error as error:
            reason = (
                "this OpenCV has no windows (opencv-python-headless?): install opencv-python instead, or use --draw"
            )
            raise InputError("--camera", reason) from error
        self.closed = False
        self.show(draw_text(np.zeros((*STARTING_SIZE_HW, 3), np.uint8), "starting"))

    def show(self, image: Image) -> None:
        """Show a frame."""
        self.cv2.imshow(self.TITLE, image[..., ::-1])
        self.look()

    def look(self) -> bool:
        """Let the window work; whether the user wants to end."""
        key = self.cv2.waitKey(1) & 0xFF
        hidden = self.cv2.getWindowProperty(self.TITLE, self.cv2.WND_PROP_VISIBLE) < 1
        self.closed = self.closed or key in QUIT_KEYS or hidden
        return self.closed

    def close(self) -> None:
        """Close it."""
        self.cv2.destroyAllWindows()


class LiveView:
    """A writer that shows each frame in the window."""

    def __init__(self, window: Window, painter: ClipPainter) -> None:
        self.window, self.painter = window, painter

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        image = self.painter(frame.image, poses, frame.time_s or 0.0)
        self.window.show(image if len(poses) else draw_text(image, "nobody"))

    def close(self) -> None:
        self.window.close()


def predict_camera(number: int, mirror: bool | None, request: Request) -> int:
    """Predict the frames of the camera of this number until the user or --end stops it; the exit status.

    The drawing is shown, or written where the request says so; with `mirror` None it is mirrored in the window alone.
    """
    output, draw, options = request.output, request.draw, request.for_clips
    for name, value in (("--start", options.start), ("--every", options.every)):
        if value:
            raise InputError(name, "is not for cameras")
    request.for_images.refuse("is not for cameras")
    if options.smooth == "offline":
        raise InputError("--smooth offline", "needs a clip that can be read twice: use online")
    form = clip_format(request.format, "cameras")
    base = named_results(output, draw, form) or output / f"camera{number}"
    results, drawn = Path(f"{base}{CLIP_SUFFIXES[form]}"), Path(f"{base}.mp4")
    refuse_unwritable(results)
    atomic.refuse_inputs([results, drawn], model_files(request.model, request.estimator["detector"]))
    if draw:
        pyav()
        atomic.refuse_unwritable_file(drawn)
    with ExitStack() as stack:
        camera = stack.enter_context(open_camera(number))
        window = None if draw else Window()
        tracker = make_tracker(request, DETECT_EVERY)
        look: Callable[[], bool] = window.look if window else lambda: False
        frames = camera_frames(camera, options.end, look)
        first = next(frames, None)
        if first is None:
            print(f"{camera.name}: ended before its first frame", file=sys.stderr)
            return 1
        network = tracker.estimator.network
        skeleton = written_skeleton(options.keypoints, form, network)
        written = skeleton or network.config.skeleton
        size_wh = (first.image.shape[1], first.image.shape[0])
        writer = clip_writer(form, results, ClipHeader(camera.name, network.name, size_wh, None, written))
        mirrored = window is not None if mirror is None else mirror
        painter = ClipPainter(options.color_by or "person", mirror=mirrored)
        drawing = ClipDrawing(drawn, painter, NOMINAL_FPS) if draw else None
        views = [LiveView(window, painter)] if window else []
        with show_progress() as on_progress:
            summary = predict_clip(tracker, chain([first], frames), [writer, *views], drawing, skeleton, on_progress)
    found = f"people in {summary.frames_with_people} of them" if summary.frames_with_people else "nobody"
    print(f"{camera.name}: {summary.frames} frames, {found}, {len(summary.ids)} identities")
    print(f"results: {results}")
    if drawing is not None and drawing.video.encoder:
        print(f"drawn: {drawn} ({drawing.video.encoder})")
    note_left_out(camera.name, writer, summary, options)
    note(f"{camera.dropped} frames were dropped to keep up")
    return DAMAGED if camera.lost else 0


def camera_frames(camera: Camera, end_s: float | None, look: Callable[[], bool]) -> Generator[Frame, None, None]:
    """The newest frames of a camera, until `look` says that the user wants to end; it is called while waiting, too."""
    index, first_s = 0, 0.0
    while not look():
        try:
            frame = camera.newest(WAIT_S)
        except InputError as error:
            if not index:
                raise
            print(f"warning: {error}", file=sys.stderr)
            return
        if frame is None:
            continue
        if not index:
            first_s = frame.time_s
        if end_s is not None and frame.time_s - first_s >= end_s:
            return
        yield Frame(frame.image, camera.name, index, frame.time_s - first_s)
        index += 1
