"""What each step from an image's file to its drawing takes."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.results import ImagePoses
from hevitpose.data.crops import Crops
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.io import images
from hevitpose.io.images import Image

Draw = Callable[[Image, ImagePoses], Image]
NETWORK, HEATMAPS, ALL = "network", "heatmaps to joints", "all in one"


def pipeline_ms(estimator: PoseEstimator, photo: Path, people: int, draw: Draw, rounds: int) -> dict[str, float]:
    """Median milliseconds of each step for an image with so many people, and of all in one.

    The one person found in `photo` stands for all: their box is shifted across the image. Raises InputError where
    nobody is found.
    """
    image = images.read(photo)
    found = estimator(image).people
    if not found:
        raise InputError(photo, "shows nobody whose box could be taken")
    boxes = spread(found[0].box, people, image.shape[:2])
    return median_ms(steps(estimator, photo, boxes, draw), rounds)


def command_s(photo: Path, runs: int) -> float:
    """Median seconds from the start of `hevitpose predict PHOTO` to its end, after one run that warms the disk."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hevitpose", "predict", str(photo), "--output", folder]
        for _ in range(runs + 1):
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - begin)
    return round(statistics.median(seconds[1:]), 3)


def steps(estimator: PoseEstimator, photo: Path, boxes: Floats, draw: Draw) -> dict[str, Callable[[], object]]:
    """The steps, each with what those before it gave; joints that the graph decodes are only moved into the image."""
    network, config, batch = estimator.network, estimator.network.config, estimator.keypoints.batch_size
    image = images.read(photo)
    pose = estimator(image, boxes)

    def cut() -> Crops:
        padded = geometry.crop_box(boxes, estimator.keypoints.padding, config.input_size[1] / config.input_size[0])
        matrices = geometry.crop_matrix(padded, config.input_size)
        return Crops(np.stack([images.cut(image, matrix, config.input_size) for matrix in matrices]), matrices)

    crops = cut()
    back = geometry.inverse(crops.matrices)
    batches = [crops.pixels[start : start + batch] for start in range(0, len(boxes), batch)]
    run = network.keypoint_fn or network.heatmap_fn
    answers = [run(pixels) for pixels in batches]

    def find() -> Floats:
        if network.keypoint_fn:
            in_crop = np.concatenate([joints for joints, _ in answers])
        else:
            in_crop = config.codec.decode(np.concatenate(answers), config.input_size)[0]
        return geometry.transform(back, in_crop)

    return {
        "read image": lambda: images.read(photo),
        "cut crops": cut,
        NETWORK: lambda: [run(pixels) for pixels in batches],
        HEATMAPS: find,
        "draw": lambda: draw(image, pose),
        ALL: lambda: draw(images.read(photo), estimator(photo, boxes)),
    }


def median_ms(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each step, all in turn, round after round, after one round to get warm."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            if number:
                times[name].append(time.perf_counter() - begin)
    return {name: round(1000 * statistics.median(own), 3) for name, own in times.items()}


def spread(box: Floats, count: int, size_hw: tuple[int, ...]) -> Floats:
    """`count` boxes (N, 4) of the size of an image's one box, in even steps across the image; one alone stays."""
    if count == 1:
        return box[None]
    size = box[2:] - box[:2]
    columns = int(np.ceil(np.sqrt(count)))
    rows, places = np.divmod(np.arange(count), columns)
    shares = np.stack([places, rows], axis=1) / (columns - 1)
    corners = geometry.image_box((size_hw[0], size_hw[1]))[:2] + np.maximum(size_hw[1::-1] - size, 0) * shares
    return np.concatenate([corners, corners + size], axis=1)
