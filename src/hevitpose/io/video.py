"""The frames of clips: any file that FFmpeg reads, in constant memory. Needs the extra `video` (PyAV)."""

import math
import re
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.io.images import Image

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".h264", ".m2ts", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"}
    | {".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
"""What is taken for a clip on the command line; `VideoReader` itself takes any file."""
DEFAULT_INTERVAL_S = 0.04
"""Between frames of a file that states neither times nor a rate (raw H.264)."""
SHORTEST_INTERVAL_S = 0.001
"""What puts a frame after the one before where the file gives both the same time."""
MAX_FPS = 1000.0
"""A stated rate from here on is the file's clock, not a rate of frames."""
LONGEST_GAPS = 2
"""A clip ends early if the announced time goes on for more than this many of its longest intervals, ..."""
MIN_MISSING_S = 0.2
"""... and for more than this."""


class ClipFrame(NamedTuple):
    """A frame: `image` (H, W, 3) RGB, upright; `time_s` from the clip's first frame on."""

    image: Image
    time_s: float


class VideoReader:
    """The frames of a clip in order, upright, each with its own time; iterate over it once.

    Opening decodes the first frame. A damaged file gives the frames that can be decoded; `problem` then says what is
    missing. Frames of another size than the first are scaled to it.

    Args:
        path: Any file with a video stream that FFmpeg reads; of several streams the best.
        start_s: Leave out frames before this time.
        end_s: Leave out frames from this time on.
        every_s: Leave out frames that follow the one before, in steps of this many seconds, too soon.

    Raises:
        InputError: The file is missing, no video, or has no frame in this range.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(
        self, path: Path, start_s: float = 0.0, end_s: float | None = None, every_s: float | None = None
    ) -> None:
        check_range(start_s, end_s, every_s)
        self.path, self.start_s, self.end_s, self.every_s = path, start_s, end_s, every_s
        self.container, self.stream = open_video(path)
        self.fps = _rate(self.stream)
        self.origin_s = _seconds(self.stream.start_time, self.stream)
        self.problem: str | None = None
        self.note: str | None = None
        self._undecodable = self._packets = self._decoded_count = 0
        self._failure: str | None = None
        self._interval_s = 1 / self.fps if self.fps else DEFAULT_INTERVAL_S
        self._last_s, self._longest_s = -math.inf, self._interval_s
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._shape: tuple[int, int] | None = None
        self._frames = self._read()
        self._first = next(self._frames, None)
        if self._first is None:
            if self._decoded_count:
                until = "" if end_s is None else f" to {end_s:g} s"
                end = f"it ends at {max(self._last_s, 0):.2f} s"
                raise InputError(path, f"has no frame from {start_s:g} s{until} ({end})")
            raise InputError(path, f"has no frame that can be decoded{f' ({self._failure})' if self._failure else ''}")
        self.size_wh = (self._first.image.shape[1], self._first.image.shape[0])

    def __iter__(self) -> Iterator[ClipFrame]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._frames

    def again(self) -> "VideoReader":
        """The same frames once more, from a file that is opened anew."""
        return VideoReader(self.path, self.start_s, self.end_s, self.every_s)

    def close(self) -> None:
        """Close the file; the thread that reads must be done."""
        self._frames.close()

    @property
    def duration_s(self) -> float | None:
        """What the file states, else None."""
        if self.stream.duration:
            return _seconds(self.stream.duration, self.stream)
        if stated := re.match(r"(\d+):(\d+):(\d+\.?\d*)", self.stream.metadata.get("DURATION", "")):  # Matroska's
            hours, minutes, seconds = (float(part) for part in stated.groups())
            return 3600 * hours + 60 * minutes + seconds
        if self.container.duration and len(self.container.streams) == 1:
            return self.container.duration / 1e6
        return None

    @property
    def expected_frames(self) -> int | None:
        """How many frames will come, by what the file states; None where it states nothing."""
        duration = self._duration
        if duration is None:
            return None
        span = max(0.0, min(duration, self.end_s or math.inf) - self.start_s)
        average = self._announced / duration if self._announced and duration else MAX_FPS
        rate = average if average < MAX_FPS else self.fps
        if self.every_s is not None:
            rate = min(1 / self.every_s, rate or math.inf)
        return None if rate is None else max(1, round(span * rate))

    def _read(self) -> Generator[ClipFrame, None, None]:
        """The frames that are wanted; closes the file at their end."""
        self._duration, self._announced = self.duration_s, self.stream.frames
        due = self.start_s
        try:
            for frame in self._from_start() if self.start_s else self._decoded():
                time_s = self._time(frame)
                if self.end_s is not None and time_s >= self.end_s:
                    break
                if time_s < due - SHORTEST_INTERVAL_S / 2:
                    continue
                if self.every_s is not None:
                    passed = math.floor((time_s - self.start_s + SHORTEST_INTERVAL_S / 2) / self.every_s)
                    due = self.start_s + (passed + 1) * self.every_s
                yield ClipFrame(self._image(frame), time_s)
            else:
                self._check_end()
        finally:
            self.container.close()

    def _from_start(self) -> "Iterator[av.VideoFrame]":
        """Frames from the key frame before `start_s` on, or from the first, where that cannot be found."""
        import av

        ticks = int((self.start_s + self.origin_s) / float(self.stream.time_base or 1))
        try:
            self.container.seek(ticks, stream=self.stream)
            frames = self._decoded()
            first = next(frames, None)
        except av.FFmpegError:
            first = None
        # In MPEG's own formats FFmpeg finds the time, but not the key frame that is needed to decode it.
        if first is not None and first.pts is not None and self._time_in_clip(first.pts) <= self.start_s:
            return chain([first], frames)
        self.container.close()
        self.container, self.stream = open_video(self.path)
        self._undecodable = self._packets = self._decoded_count = 0
        self._failure = None
        return self._decoded()

    def _decoded(self) -> "Iterator[av.VideoFrame]":
        import av

        packets = self.container.demux(self.stream)
        cut: av.Packet[VideoStream] | None = None
        while True:
            packet: av.Packet[VideoStream] | None = None
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self._failure = error.strerror
            last = packet is None or not packet.size
            # A packet may be cut off at the end of the file. Decoding it would take the frames before with it.
            if cut is not None:
                if last:
                    self._failure = self._failure or "cut off in the middle of a frame"
                else:
                    yield from self._frames_of(cut)
            cut = packet if packet is not None and packet.is_corrupt else None
            self._packets += not last
            if cut is None:
                yield from self._frames_of(packet)
            if last:
                return

    def _frames_of(self, packet: "av.Packet[VideoStream] | None") -> "list[av.VideoFrame]":
        import av

        try:
            frames = self.stream.decode(packet)
        except av.EOFError:
            return []
        except av.FFmpegError:
            self._undecodable += 1
            return []
        self._decoded_count += len(frames)
        return frames

    def _time(self, frame: "av.VideoFrame") -> float:
        if frame.pts is None:
            time_s = 0.0 if self._last_s == -math.inf else self._last_s + self._interval_s
        else:
            time_s = max(self._time_in_clip(frame.pts), self._last_s + SHORTEST_INTERVAL_S)
        if self._last_s != -math.inf:
            self._longest_s = max(self._longest_s, time_s - self._last_s)
        self._last_s = time_s
        return time_s

    def _time_in_clip(self, pts: int) -> float:
        return _seconds(pts, self.stream) - self.origin_s

    def _image(self, frame: "av.VideoFrame") -> Image:
        if self._shape is None:
            self._shape = (frame.width, frame.height)
        width, height = self._shape
        image = self._reformatter.reformat(frame, width, height, "rgb24").to_ndarray()
        return upright(image.astype(np.uint8, copy=False), _display_matrix(frame))

    def _check_end(self) -> None:
        """Compare what came with what the file states."""
        missing_s = 0.0
        if self._duration is not None:
            missing_s = self._duration - self._last_s - LONGEST_GAPS * self._longest_s
        whole = self.start_s == 0 and self._announced > 0
        if self._failure:
            self.problem = f"ends early ({self._failure})"
        elif self._undecodable:
            self.problem = f"is damaged: {self._undecodable} parts could not be decoded"
        elif missing_s > MIN_MISSING_S and not (whole and self._packets >= self._announced):
            self.problem = f"ends early: its last frame is at {self._last_s:.2f} s of {self._duration:.2f} s"
        if whole and self._announced != self._decoded_count:
            self.note = f"announces {self._announced} frames, {self._decoded_count} were decoded"


def check_range(start_s: float, end_s: float | None, every_s: float | None) -> None:
    """Raise InputError unless these are times in order."""
    if not 0 <= start_s < math.inf:
        raise InputError(f"`start={start_s:g}`", "must be 0 s or more")
    if end_s is not None and not end_s > start_s:
        raise InputError(f"`end={end_s:g}`", f"must be later than the start at {start_s:g} s")
    if every_s is not None and not 0 < every_s < math.inf:
        raise InputError(f"`every={every_s:g}`", "must be more than 0 s")


def pyav() -> ModuleType:
    """PyAV. Raises MissingExtraError."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("video", "clips") from error
    return av


def open_video(path: Path) -> "tuple[InputContainer, VideoStream]":
    """A clip and its best video stream. Raises InputError or MissingExtraError."""
    cover = pyav().stream.Disposition.attached_pic
    container = open_container(path)
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    best = container.streams.best("video") if streams else None
    if best is None:
        kinds = sorted({stream.type for stream in container.streams})
        container.close()
        raise InputError(path, f"has no video, only {' and '.join(kinds)}" if kinds else "has no video")
    stream = next((each for each in streams if each.index == best.index), streams[0])
    context: Any = stream.codec_context
    if context is None:
        container.close()
        raise InputError(path, "is in a video format that this FFmpeg cannot decode")
    stream.thread_type = "AUTO"  # frames and slices
    return container, stream


def open_container(path: Path) -> "InputContainer":
    """A file in FFmpeg, which may open no other files or addresses on its behalf but local ones. Raises InputError."""
    import av

    if path.is_dir() or not path.exists():
        raise InputError(path, "is a folder" if path.is_dir() else "no such file")
    # "file:" keeps a colon in the name from being read as a protocol.
    name, options = f"file:{path}", {"protocol_whitelist": "file"}
    try:
        try:
            return av.open(name, options=options, metadata_errors="replace")
        except TypeError:  # PyAV 19 replaces without being asked
            return av.open(name, options=options)
    except (av.FFmpegError, OSError) as error:
        raise InputError(path, f"cannot be read as a video ({error.strerror})") from error


def upright(image: Image, matrix: "np.ndarray[tuple[int, int], np.dtype[np.int32]] | None") -> Image:
    """The image (H, W, 3) turned and mirrored as its display matrix (3, 3) says, to the nearest quarter turn.

    >>> turn = np.array([[0, 65536, 0], [-65536, 0, 0], [0, 0, 1]], np.int32)  # a phone held upright
    >>> upright(np.arange(6, dtype=np.uint8).reshape(1, 2, 3), turn)[:, 0].tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    if matrix is None:
        return image
    (a, b), (c, d) = matrix[:2, :2].tolist()
    if abs(a) < abs(b):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _display_matrix(frame: "av.VideoFrame") -> "np.ndarray[tuple[int, int], np.dtype[np.int32]] | None":
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3)


def _rate(stream: "VideoStream") -> float | None:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < float(rate) < MAX_FPS:
            return float(rate)
    return None


def _seconds(ticks: int | None, stream: "VideoStream") -> float:
    return 0.0 if ticks is None else float(ticks * stream.time_base) if stream.time_base else 0.0
