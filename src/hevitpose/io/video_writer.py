"""Writing MP4 clips: each frame at its own time, the sound of another clip beside them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.io import atomic
from hevitpose.io.images import Image
from hevitpose.io.video import open_container, pyav

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream

ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "libopenh264": {},
    "h264_videotoolbox": {},
    "h264_mf": {},
    "libsvtav1": {"preset": "10", "crf": "30"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "crf": "30", "b": "0"},
    "mpeg4": {},
}
"""The encoders that are tried, in this order, with their options: H.264, which every player shows, then AV1, VP9 and
MPEG-4."""
BITS_PER_PIXEL = 0.15
"""What encoders without a setting for quality are given."""
CLOCK = 60_000
"""Ticks per second: 24, 25, 30 and 29.97 frames a second come at whole ticks, and MPEG-4 takes no more than 65,535."""
DEFAULT_FPS = 25
BT709 = 1


class Sound(NamedTuple):
    """The sound of a clip, whose frames count their times from `origin_s` on, up to `end_s`, a time of frames."""

    path: Path
    origin_s: float = 0.0
    end_s: float = math.inf


class VideoWriter:
    """An MP4 file that grows beside `path` and takes its name at `close`; the first frame becomes time 0.

    The sound is copied as it is, or encoded as AAC where MP4 cannot hold it. Frames with an odd side gain a row or a
    column, as the encoders want. `encoder` names the one that is used once a frame is written, `note` what was not kept
    of the sound. Raises InputError where nothing can be written, MissingExtraError without PyAV.
    """

    def __init__(self, path: Path, fps: float | None = None, sound: Sound | None = None) -> None:
        pyav()
        self.path, self.fps, self.sound = path, fps or DEFAULT_FPS, sound
        self.part = atomic.part_of(path)
        self._file: _Mp4 | None = None

    @property
    def encoder(self) -> str | None:
        """The encoder in use."""
        return None if self._file is None else self._file.encoder

    @property
    def note(self) -> str | None:
        """What was not kept of the sound."""
        return None if self._file is None else self._file.sound_note

    def write(self, image: Image, time_s: float) -> None:
        """Add a frame (H, W, 3), of the size of the first one, that comes later than the one before."""
        with self._errors():
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                encoder = first_encoder((image.shape[1], image.shape[0]), self.fps, self.path)
                self._file = _Mp4(self.part, encoder, (image.shape[1], image.shape[0]), self.fps, self.sound, time_s)
            self._file.write(image, time_s)

    def close(self, whole: bool = True) -> None:
        """Finish the file; the sound ends with the last frame unless the clip is `whole`."""
        if self._file is None:
            return
        with self._errors():
            try:
                self._file.finish(whole)
                self.part.replace(self.path)
            finally:
                self.abandon()

    def abandon(self) -> None:
        """Remove what was written, unless the file is finished."""
        if self._file is not None:
            self._file.close()
        self.part.unlink(missing_ok=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """FFmpeg's errors and the system's as InputError."""
        import av

        try:
            yield
        except InputError:
            raise
        except (OSError, av.FFmpegError) as error:
            raise InputError(self.path, f"cannot be written ({error.strerror or error})") from error


class _Mp4:
    """An MP4 file that is being written, with one encoder and perhaps sound."""

    def __init__(
        self, part: Path, encoder: str, size_wh: tuple[int, int], fps: float, sound: Sound | None, first_s: float
    ) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        self.encoder, self.fps, self.first_s, self.last_ticks = encoder, fps, first_s, -1
        self.reformatter = VideoReformatter()
        self.file = av.open(f"file:{part}", "w", format="mp4")
        self.stream: Any = self.file.add_stream(encoder, _rate(fps), ENCODERS[encoder])
        _configure(self.stream.codec_context, size_wh, fps)
        self.stream.time_base = Fraction(1, CLOCK)
        self.sound_note: str | None = None
        self.sound = iter(()) if sound is None else self._open_sound(sound)
        self.next_sound = next(self.sound, None)

    def write(self, image: Image, time_s: float) -> None:
        import av

        rows, columns = (side % 2 for side in image.shape[:2])
        if rows or columns:
            image = np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="edge")
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
        frame = self.reformatter.reformat(rgb, format="yuv420p", dst_colorspace=BT709)
        self.last_ticks = max(round((time_s - self.first_s) * CLOCK), self.last_ticks + 1)
        frame.pts, frame.time_base = self.last_ticks, Fraction(1, CLOCK)
        self._mux_sound(self.last_ticks / CLOCK)
        self.file.mux(self.stream.encode(frame))

    def finish(self, whole: bool) -> None:
        self._mux_sound(math.inf if whole else self.last_ticks / CLOCK + 1 / self.fps)
        self.file.mux(self.stream.encode(None))
        self.file.close()

    def close(self) -> None:
        """Close sound and file; again does nothing."""
        if hasattr(self.sound, "close"):
            self.sound.close()
        self.file.close()

    def _mux_sound(self, until_s: float) -> None:
        """Add the packets of sound that come before this time of the new file."""
        while self.next_sound is not None and self.next_sound[0] < until_s:
            self.file.mux(self.next_sound[1])
            self.next_sound = next(self.sound, None)

    def _open_sound(self, sound: Sound) -> Iterator[tuple[float, Any]]:
        """The packets of sound, each with its time in the new file; the stream is added to the file at once."""
        source = open_container(sound.path)
        start_s, end_s = sound.origin_s + self.first_s, sound.origin_s + sound.end_s
        audio: Any = source.streams.best("audio")
        if audio is None or audio.codec_context is None:
            source.close()
            return iter(())
        copied = audio.codec_context.name in self.file.supported_codecs
        if copied:
            return self._copied(source, audio, self.file.add_stream_from_template(audio), start_s, end_s)
        return self._encoded(
            source, audio, self.file.add_stream("aac", audio.codec_context.sample_rate), start_s, end_s
        )

    def _copied(
        self, source: Any, audio: Any, target: Any, start_s: float, end_s: float
    ) -> "Iterator[tuple[float, av.Packet[AudioStream]]]":
        """Packets of sound as they are."""
        import av

        shift = round(start_s / audio.time_base)
        try:
            _seek(source, audio, start_s)
            for packet in source.demux(audio):
                if packet.dts is None or packet.pts is None or packet.pts + (packet.duration or 0) <= shift:
                    continue
                time_s = float(packet.pts * audio.time_base) - start_s
                if time_s >= end_s - start_s:
                    break
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, target
                yield time_s, packet
        except av.FFmpegError as error:
            self.sound_note = f"the sound ends early ({error.strerror})"
        finally:
            source.close()

    def _encoded(
        self, source: Any, audio: Any, target: Any, start_s: float, end_s: float
    ) -> "Iterator[tuple[float, list[av.Packet[AudioStream]]]]":
        """Packets of sound, decoded and encoded again."""
        import av

        time_s = 0.0
        try:
            _seek(source, audio, start_s)
            for frame in source.decode(audio):
                if frame.pts is None or frame.time < start_s:
                    continue
                if frame.time >= end_s:
                    break
                time_s = frame.time - start_s
                frame.pts -= round(start_s / frame.time_base)
                yield time_s, target.encode(frame)
        except av.FFmpegError as error:
            self.sound_note = f"the sound ends early ({error.strerror})"
        finally:
            source.close()
        yield time_s, target.encode(None)


def _seek(source: Any, audio: Any, start_s: float) -> None:
    if start_s > 0:
        source.seek(int(start_s / audio.time_base), stream=audio)


def first_encoder(size_wh: tuple[int, int], fps: float, path: Path) -> str:
    """The first of `ENCODERS` that this FFmpeg has and that takes such frames. Raises InputError about `path`."""
    import av

    for name, options in ENCODERS.items():
        try:
            context = av.CodecContext.create(name, "w")
            context.options = options
            _configure(context, size_wh, fps)
            context.open()
        except (av.FFmpegError, ValueError):  # unknown, or not for this size or machine
            continue
        return name
    raise InputError(
        path, f"this FFmpeg has no encoder for {size_wh[0]} x {size_wh[1]} pixels: tried {', '.join(ENCODERS)}"
    )


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)


def _configure(context: Any, size_wh: tuple[int, int], fps: float) -> None:
    width, height = (side + side % 2 for side in size_wh)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, CLOCK)
    context.framerate = _rate(fps)
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = 1  # of television, 16 to 235
    context.thread_type = "AUTO"
    if "crf" not in ENCODERS[context.name]:
        context.bit_rate = max(64_000, int(BITS_PER_PIXEL * width * height * fps))
