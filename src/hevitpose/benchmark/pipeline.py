"""Measure each step from an image's file to its drawing."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.core.results import ImagePoses
from hevitpose.data.crops import Crops
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.inputs import Frame
from hevitpose.io import images
from hevitpose.io.images import Image

Draw = Callable[[Image, ImagePoses], Image]
DETECTOR, NETWORK, HEATMAPS, ALL = "find people", "network", "heatmaps to joints", "all in one"
CROPS, MIN_ROUNDS = 40, 5
"""Crops that are measured for each number of people, and rounds at least."""


def measure_pipeline(
    estimator: PoseEstimator, photo: Path, people: Sequence[int], draw: Draw, on_progress: OnProgress = ignore_progress
) -> list[dict[str, object]]:
    """For each number of people, the milliseconds of each step and shares of the network's time.

    `detector_share`: of finding the people, once an image. `others_share`: of all other steps together.
    `heatmaps_share`: of decoding. Raises InputError.
    """
    rows = []
    for done, count in enumerate(people):
        on_progress(Progress(f"{count} people", done, len(people)))
        ms = pipeline_ms(estimator, photo, count, draw, max(MIN_ROUNDS, CROPS // count))
        others = sum(own for name, own in ms.items() if name not in (ALL, NETWORK, DETECTOR))
        shares = {"others_share": others / ms[NETWORK], "heatmaps_share": ms[HEATMAPS] / ms[NETWORK]}
        shares["detector_share"] = ms[DETECTOR] / ms[NETWORK]
        rows.append({"people": count, "ms": ms} | {name: round(share, 4) for name, share in shares.items()})
    return rows


def pipeline_ms(estimator: PoseEstimator, photo: Path, people: int, draw: Draw, rounds: int) -> dict[str, float]:
    """Median milliseconds of each step for an image with this many people, and of all steps in one call.

    The first person found in `photo` stands for all: their box is shifted across the image. Raises InputError if
    there is none.
    """
    image = images.read(photo)
    found = estimator(image).people
    if not found:
        raise InputError(photo, "no person was found")
    boxes = spread(found[0].box, people, image.shape[:2])
    return median_ms(steps(estimator, photo, boxes, draw), rounds)


def steps(estimator: PoseEstimator, photo: Path, boxes: Floats, draw: Draw) -> dict[str, Callable[[], object]]:
    """The steps by name, each with the results of those before it as its input."""
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

    def find_people(image: Image) -> object:
        return estimator.detector([Frame(image, str(photo))])

    def everything() -> Image:
        decoded = images.read(photo)
        find_people(decoded)
        return draw(decoded, estimator(decoded, boxes))

    return {
        "read image": lambda: images.read(photo),
        DETECTOR: lambda: find_people(image),
        "cut crops": cut,
        NETWORK: lambda: [run(pixels) for pixels in batches],
        HEATMAPS: find,
        "draw": lambda: draw(image, pose),
        ALL: everything,
    }


def median_ms(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each step, measured in turn for `rounds` rounds after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number:
                times[name].append(time.perf_counter() - start)
    return {name: round(1000 * statistics.median(own), 3) for name, own in times.items()}


def spread(box: Floats, count: int, size_hw: tuple[int, ...]) -> Floats:
    """`count` boxes (N, 4) of one size in even steps across the image; a single one stays where it is."""
    if count == 1:
        return box[None]
    size = box[2:] - box[:2]
    columns = int(np.ceil(np.sqrt(count)))
    rows, places = np.divmod(np.arange(count), columns)
    shares = np.stack([places, rows], axis=1) / (columns - 1)
    corners = geometry.image_box((size_hw[0], size_hw[1]))[:2] + np.maximum(size_hw[1::-1] - size, 0) * shares
    return np.concatenate([corners, corners + size], axis=1)
