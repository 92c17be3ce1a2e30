import os
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.skeleton import MPII16

# Tiny tensors gain nothing from threads, and threads that wait for each other on a busy machine cost seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="session")
def real_crops() -> np.ndarray:
    """Eight uint8 crops (8, 256, 256, 3) of real people, upright and mirrored, near and far."""
    from hevitpose.core.geometry import crop_box, crop_matrix, xyxy_from_xywh
    from hevitpose.io import images

    crops = []
    for file, box in (("skier.jpg", (280, 44, 218, 346)), ("street.jpg", (275, 128, 142, 251))):
        image = images.read(EXAMPLES / file)
        for padding, mirrored in ((1.0, False), (1.25, False), (1.25, True), (1.7, False)):
            matrix = crop_matrix(crop_box(xyxy_from_xywh(box), padding, 1.0), (256, 256), 0.0, mirrored)
            crops.append(images.cut(image, matrix, (256, 256)))
    return np.stack(crops)


@pytest.fixture
def refused():
    """Expects an InputError of one line that begins with the file and holds the given words."""

    @contextmanager
    def about(source, *words):
        with pytest.raises(InputError) as error:
            yield
        text = str(error.value)
        assert text.startswith(f"{source}: ")
        assert "\n" not in text
        assert [word for word in words if word not in text] == [], text

    return about


@pytest.fixture
def full_disk():
    """A context in which no file can grow beyond a number of bytes, as on a disk that fills there."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def at(size):
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    return at


@pytest.fixture(scope="session")
def make_people():
    """A function that makes `count` persons of a skeleton on one image of 500 x 500 pixels, all joints labelled."""

    def make(count, skeleton=MPII16, **changes):
        from hevitpose.core.labels import ImageFile, LabelledPeople

        people = LabelledPeople(
            name="people",
            skeleton=skeleton,
            images=(ImageFile("none.png", None),),
            image_ids=(0,),
            image_index=np.zeros(count, dtype=np.int64),
            ids=np.arange(count),
            boxes=np.tile([0.0, 0, 500, 500], (count, 1)),
            keypoints=np.random.default_rng(0).uniform(0, 500, (count, skeleton.num_keypoints, 2)),
            visibility=np.full((count, skeleton.num_keypoints), 2, dtype=np.int8),
            head_sizes=np.full(count, 20.0),
            areas=np.full(count, np.nan),
        )
        return replace(people, **changes)

    return make


@pytest.fixture
def noise():
    """A function that makes frames which no codec can shorten much."""

    def make(count, size_wh=(64, 48)):
        return list(np.random.default_rng(0).integers(0, 256, (count, size_wh[1], size_wh[0], 3), dtype=np.uint8))

    return make


@pytest.fixture
def make_clip(tmp_path):
    """A function that writes frames (H, W, 3) as a clip of 25 frames a second, or at `times`, and returns its path.

    `turn` is its display rotation in degrees and whether it is mirrored; `sound` the codec of a track of 2 s, silent in
    the first.
    """
    av = pytest.importorskip("av")

    def make(frames, times=None, suffix=".mp4", codec="libx264", turn=None, sound=None, keyframe_every=12, name="clip"):
        path = tmp_path / f"{name}{suffix}"
        # The index in front, so that a truncated file can be read.
        with av.open(str(path), "w", options={"movflags": "faststart"} if suffix in (".mp4", ".mov") else {}) as clip:
            video = None
            if len(frames) or not sound:
                video = clip.add_stream(codec, 25, {"g": str(keyframe_every)})
                video.height, video.width = frames[0].shape[:2] if len(frames) else (48, 64)
                video.pix_fmt = "yuv420p"
                if times is not None:
                    video.time_base = video.codec_context.time_base = Fraction(1, 1000)
                if turn:
                    video.set_display_rotation(turn[0], turn[1])
            audio = clip.add_stream(sound, 44100 if sound == "adpcm_ms" else 48000) if sound else None
            clip.start_encoding()
            for number, image in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
                if times is not None:
                    frame.pts, frame.time_base = round(times[number] * 1000), Fraction(1, 1000)
                clip.mux(video.encode(frame))
            if audio:
                tone = np.sin(2 * np.pi * 440 * np.arange(96000) / 48000) * 20000
                tone[:48000] = 0
                samples = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], "s16", layout="mono")
                samples.sample_rate, samples.pts, samples.time_base = 48000, 0, Fraction(1, 48000)
                clip.mux(audio.encode(samples))
                clip.mux(audio.encode(None))
            if video:
                clip.mux(video.encode(None))
        return path

    return make
