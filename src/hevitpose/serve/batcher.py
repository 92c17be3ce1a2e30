"""The one batcher of a service: requests that wait while others are predicted are predicted together."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from hevitpose.core.errors import InputError
from hevitpose.core.results import ImagePoses
from hevitpose.data.detections import meets_image
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.inputs import Frame
from hevitpose.io import images
from hevitpose.io.images import HeicError
from hevitpose.serve.metrics import Metrics
from hevitpose.serve.settings import PoseOptions, Refused

FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read; its other decoders see nothing that comes over the network."""
MAX_JPEG_SCANS = 100
"""A progressive JPEG has about ten; one of thousands takes minutes to decode."""
MAX_BATCH_MEGAPIXELS = 50
"""Decoded images that wait for others of their batch have no more than these, apart from the last."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Job:
    """The bytes of an image, what is asked, and who waits for it."""

    body: bytes
    options: PoseOptions
    answer: "asyncio.Future[ImagePoses | Refused]"


class Batcher:
    """Predicts the images of all requests in one thread, in the order in which they come.

    While a batch is predicted others gather; up to `batch_size` of these are the next one. Nobody waits for a batch to
    fill. The number of waiting jobs is bounded by who submits them.
    """

    def __init__(self, estimator: PoseEstimator, max_megapixels: float, metrics: Metrics) -> None:
        self.estimator, self.max_megapixels, self.metrics = estimator, max_megapixels, metrics
        self.waiting: asyncio.Queue[Job] = asyncio.Queue()

    async def submit(self, body: bytes, options: PoseOptions) -> ImagePoses:
        """The people of an image. Raises Refused where it cannot be read; a job whose caller is cancelled is left."""
        answer: asyncio.Future[ImagePoses | Refused] = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait(Job(body, options, answer))
        outcome = await answer
        if isinstance(outcome, Refused):
            raise Refused(outcome.status, outcome.reason)  # an exception in a variable of its frame stays in memory
        return outcome

    async def run(self) -> None:
        """Predict until cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "predict") as thread:
            while True:
                jobs = [await self.waiting.get()]
                while len(jobs) < self.estimator.keypoints.batch_size and not self.waiting.empty():
                    jobs.append(self.waiting.get_nowait())
                jobs = [job for job in jobs if not job.answer.done()]
                if jobs:
                    self.metrics.batches.observe(len(jobs))
                    await loop.run_in_executor(thread, self._predict, jobs, loop)

    def _predict(self, jobs: Sequence[Job], loop: asyncio.AbstractEventLoop) -> None:
        """Decode and predict the jobs, and answer each; runs in the thread."""
        batch: list[tuple[Job, Frame]] = []
        pixels = 0
        for job in jobs:
            try:
                frame = self._frame(job)
            except Exception as error:
                _answer(loop, job, error)
                continue
            batch.append((job, frame))
            pixels += frame.image.shape[0] * frame.image.shape[1]
            if pixels > MAX_BATCH_MEGAPIXELS * 1e6:
                self._predict_frames(batch, loop)
                batch, pixels = [], 0
        self._predict_frames(batch, loop)

    def _frame(self, job: Job) -> Frame:
        frame = Frame(decode(job.body, self.max_megapixels), detections=job.options.detections)
        if frame.detections is not None:
            height, width = frame.image.shape[:2]
            if not meets_image(frame.detections.boxes, (height, width)).all():
                raise Refused(422, f"boxes: one lies outside of the {width} x {height} pixels of the image")
        return frame

    def _predict_frames(self, batch: Sequence[tuple[Job, Frame]], loop: asyncio.AbstractEventLoop) -> None:
        """Predict the frames whose limits are equal together, so that each is answered as if it were alone."""
        groups: dict[tuple[float | None, int | None], list[tuple[Job, Frame]]] = {}
        for job, frame in batch:
            groups.setdefault((job.options.min_person_score, job.options.max_people), []).append((job, frame))
        for limits, members in groups.items():
            try:
                poses = list(self.estimator.with_limits(*limits).stream(frame for _, frame in members))
                for (job, _), (_, its) in zip(members, poses, strict=True):
                    _answer(loop, job, its)
            except Exception as error:
                if len(members) == 1:
                    _answer(loop, members[0][0], error)
                for member in members if len(members) > 1 else []:  # so that one does not spoil the others
                    self._predict_frames([member], loop)


@cache
def served_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow reads."""
    PILImage.init()
    images.reads_heic()
    return tuple(name for name in FORMATS if name in PILImage.OPEN)


def decode(body: bytes, max_megapixels: float) -> images.Image:
    """The image of a request. Raises Refused, whose reasons name nothing of this machine."""
    # In a JPEG's data every FF is followed by 00, so that this counts the starts of scans.
    if body.startswith(b"\xff\xd8") and body.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise Refused(422, "a JPEG of too many scans")
    try:
        return images.decode(body, max_megapixels=max_megapixels, formats=served_formats())
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, UnidentifiedImageError | HeicError):
            raise Refused(415, "not an image in a format that is read here") from None
        if isinstance(cause, PILImage.DecompressionBombError):
            raise Refused(413, f"an image of more than {max_megapixels:g} megapixels") from None
        raise Refused(422, "a broken image") from None


def _answer(loop: asyncio.AbstractEventLoop, job: Job, outcome: ImagePoses | Exception) -> None:
    """Wake who waits for the job. An exception's traceback holds the job and its batch, and must not be kept."""
    if isinstance(outcome, Refused):
        told: ImagePoses | Refused = Refused(outcome.status, outcome.reason)
    elif isinstance(outcome, Exception):
        logger.error("a request failed", exc_info=outcome)
        told = Refused(500, "internal error")
    else:
        told = outcome

    def tell() -> None:
        if not job.answer.done():  # somebody waits still
            job.answer.set_result(told)

    with suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(tell)
