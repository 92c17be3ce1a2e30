"""A detector for the people of a data set, fine-tuned from the bundled one."""

import math
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.model_config import BoxSizes
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.core.sampling import evenly_spaced
from hevitpose.data.box_sizes import measure_box_sizes
from hevitpose.data.datasets import Dataset
from hevitpose.inference.network import PERSON_DETECTOR, weights_folder
from hevitpose.io import images
from hevitpose.io.lock import hold_folder
from hevitpose.models.detector import Detector
from hevitpose.models.detector_weights import DetectorFileConfig, load_detector
from hevitpose.training.detection import BEST, DetectorOptions, batches, is_finished, loss_of, train_detector
from hevitpose.training.detection_data import MAX_SIDE, Boxes, DetectionAugmentation, DetectionSet, shrink
from hevitpose.training.fabric import Precision, uses_bfloat16
from hevitpose.training.run import DETECTOR

SIDES = (192, 256, 320)
"""Input sides: the smaller the people in the images, the larger the input."""
MIN_OBJECT = 40
"""Pixels of the input: nearly all people are at least as large."""
MAX_IMAGES, MAX_VALIDATED = 4000, 300
"""Images in memory; of larger sets these many, evenly spaced."""
SHOWN = (1600, 12000)
"""The fewest and the most images that are shown in all, those of mosaics not counted."""
SHOWN_EACH = 16
"""How often each is shown between these bounds."""
FEW_IMAGES = 500


def detection_set(people: LabelledPeople, limit: int, on_progress: OnProgress = ignore_progress) -> DetectionSet:
    """The images and boxes of labelled people; crowds and people without keypoints are ignored regions.

    Sets without boxes have those around their keypoints, as everywhere. Of more than `limit` images these many are
    taken. Raises InputError where an image cannot be read.
    """
    chosen = evenly_spaced(len(people.images), limit)
    pixels, boxes = [], []
    for done, image_index in enumerate(chosen.tolist(), start=1):
        image = images.read(people.images[image_index])
        known = people.boxes[people.image_index == image_index]
        unknown = people.ignored.boxes[people.ignored.image_index == image_index]
        small = shrink(image, MAX_SIDE)
        scale = np.tile(np.array(small.shape[1::-1]) / image.shape[1::-1], 2)
        limits = np.tile(small.shape[1::-1], 2)
        xyxy = (np.concatenate([known, unknown]) * scale).clip(0, limits)
        ignored = np.arange(len(xyxy)) >= len(known)
        inside = (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)
        pixels.append(small)
        boxes.append(Boxes(xyxy[inside], np.zeros(int(inside.sum()), np.int64), ignored[inside]))
        on_progress(Progress(f"images of {people.name}", done, len(chosen)))
    return DetectionSet(pixels, boxes, np.zeros(len(pixels), dtype=np.bool_), (people.skeleton.name,))


def detector_options(count: int, sizes: BoxSizes | None, seed: int = 0) -> DetectorOptions:
    """How a detector is trained on `count` images with people of these `sizes`."""
    low = sizes.low if sizes else 0.0
    side = next((side for side in SIDES if low * side >= MIN_OBJECT), SIDES[-1])
    epochs = max(1, math.ceil(min(max(SHOWN_EACH * count, SHOWN[0]), SHOWN[1]) / count))
    few = count <= FEW_IMAGES
    return DetectorOptions(
        epochs=epochs,
        batch_size=min(8 if few else 16, count),
        sides=((side, 1.0),),
        learning_rate=1e-3,
        ema_decay=0.99 if few else 0.998,
        plain_epochs=max(1, epochs // 8),
        augmentation=DetectionAugmentation(scale=(0.7, 1.4)),
        config=replace(bundled_detector()[1].config, num_classes=1),
        seed=seed,
    )


@cache
def bundled_detector() -> tuple[Detector, DetectorFileConfig]:
    """The detector that the training begins with, read once."""
    return load_detector(weights_folder() / f"{PERSON_DETECTOR}.safetensors")


def init_from_bundled(network: Detector) -> None:
    """Fill the network with the bundled detector, whose one class takes the place of its own."""
    network.load_state_dict(bundled_detector()[0].state_dict())


def train_own_detector(
    dataset: Dataset,
    folder: Path,
    seed: int = 0,
    precision: Precision = "auto",
    on_progress: OnProgress = ignore_progress,
) -> Path:
    """Train the detector of the run in `folder`, or go on with its training; its best weights.

    An interrupted training ends with the same bits as one that was not. Raises InputError, also where another process
    uses the run, and TrainingDiverged.
    """
    if dataset.train is None:
        raise InputError(dataset.name, "has no [train] table")
    people, own = dataset.train.people, folder / DETECTOR
    with hold_folder(folder):
        options = detector_options(min(len(people.images), MAX_IMAGES), measure_box_sizes(people), seed)
        if not is_finished(own, options):  # asked before all images are decoded
            data = detection_set(people, MAX_IMAGES, on_progress)
            first = next((split.people for split in dataset.validation), None)
            validation = None if first is None else detection_set(first, MAX_VALIDATED, on_progress)
            train_detector(data, validation, own, options, init_from_bundled, True, precision, on_progress)
    return own / BEST


def detector_line(people: LabelledPeople, sizes: BoxSizes | None) -> str:
    """Its settings, with reasons, in one line."""
    count = min(len(people.images), MAX_IMAGES)
    options = detector_options(count, sizes)
    side, lower = options.sides[-1][0], sizes.low if sizes else 0.0
    return (
        f"detector {side} x {side}: boxes are {lower * side:.0f} pixels long there, or more; "
        f"batch {options.batch_size}, {options.epochs} epochs: {options.epochs * count:,} images are shown"
    )


def seconds_of_detector(people: LabelledPeople, sizes: BoxSizes | None, precision: Precision = "auto") -> float:
    """About how long its training takes, measured on two steps. Raises InputError."""
    count = min(len(people.images), MAX_IMAGES)
    options = detector_options(count, sizes)
    data = detection_set(people, options.batch_size)
    network, bfloat16 = Detector(options.config).train(), uses_bfloat16(precision, "cpu")
    times = []
    for _ in range(3):
        started = time.perf_counter()
        for pixels, _, objects in batches(data, replace(options, batch_size=len(data)), 0, 0):
            loss = loss_of(network, pixels.float(), objects, bfloat16)
            loss.backward()  # type: ignore[no-untyped-call]
        times.append((time.perf_counter() - started) / len(data))
    return min(times) * options.epochs * count
