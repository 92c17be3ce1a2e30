"""The number of epochs that fit into a given time."""

import math
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.progress import ignore_progress
from hevitpose.data.datasets import Dataset
from hevitpose.training.batches import CachedCrops, cut_for_training, make_batch
from hevitpose.training.fabric import Hardware, gather, make_fabric
from hevitpose.training.loop import forward_backward, refuse_batch, set_up
from hevitpose.training.recipes import Recipe
from hevitpose.training.run import RECIPE, read_object

SECONDS = {"m": 60, "h": 3600, "d": 86400}
WARM_UP, MEASURED = 3, 4
RESERVE = 0.9
"""The share of the time for steps: reading, validation and checkpoints need the rest."""


def parse_budget(text: str, source: str) -> int | None:
    """The epochs of "3", None for a time such as "90m". Raises InputError, about `source`, for other text."""
    if not text.isdecimal():
        parse_time(text, source)
        return None
    if not int(text):
        raise InputError(source, "leaves no epoch")
    return int(text)


def parse_time(text: str, source: str) -> float:
    """Seconds of "90m", "8h" or "1.5d". Raises InputError, about `source`, for other text."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", text.strip())
    if not match or not float(match[1]):
        raise InputError(source, "is not of the form 90m, 8h or 1d")
    return float(match[1]) * SECONDS[match[2]]


def within_budget(
    recipe: Recipe,
    text: str,
    dataset: Dataset,
    folder: Path,
    hardware: Hardware,
    resume: bool,
    source: str,
    other_seconds: float = 0.0,
) -> Recipe:
    """The recipe with as many epochs as fit; a resumed run keeps its number of epochs.

    Args:
        recipe: the recipe, with any number of epochs.
        text: the time, such as "90m".
        dataset: the data set to train on.
        folder: the folder of the run.
        hardware: where it will be computed.
        resume: continue the run in `folder` if there is one.
        source: what errors are about.
        other_seconds: what else must fit into the time, such as the training of a detector.

    Raises InputError if not even one epoch fits.
    """
    seconds = parse_time(text, source)
    begun = folder / RECIPE
    if resume and begun.is_file():
        epochs = read_object(begun).get("epochs")
        if not isinstance(epochs, int):
            raise InputError(begun, "has no number of epochs")
        return replace(recipe, epochs=epochs)
    epoch = max(gather(seconds_of_an_epoch(recipe, dataset, folder, hardware)))
    epochs = int((RESERVE * seconds - other_seconds) / epoch)
    if epochs < 1:
        other = f", and the detector {other_seconds / 60:.0f}" if other_seconds else ""
        raise InputError(source, f"is too short: one epoch takes about {epoch / 60:.0f} minutes{other}")
    return replace(recipe, epochs=epochs)


def seconds_of_an_epoch(recipe: Recipe, dataset: Dataset, folder: Path, hardware: Hardware) -> float:
    """Measured on a few steps at each input size, averaged over the run's epochs. Leaves nothing behind."""
    if dataset.train is None:
        raise InputError(dataset.name, "has no [train] table")
    everybody = dataset.train.people
    few = everybody.subset(np.arange(min(recipe.batch_size, len(everybody))))
    fabric = make_fabric(hardware)
    refuse_batch(recipe, len(everybody), fabric.world_size, dataset.name)
    mine = np.arange(fabric.global_rank, len(few), fabric.world_size)
    run, state = set_up(recipe, hardware, few, [], folder, fabric, ignore_progress, True)
    times: dict[tuple[int, int], float] = {}
    sizes = list(dict.fromkeys(recipe.input_size(epoch) for epoch in range(recipe.epochs)))
    for size_hw, cut in cut_for_training(few, sizes, recipe.padding).items():
        crops = CachedCrops.of(cut, size_hw, fabric.device)
        for step in range(WARM_UP + MEASURED):
            if step == WARM_UP:
                started = time.perf_counter()
            forward_backward(run, make_batch(few, crops, mine, recipe, step)).item()
            state.optimizer.step()
            state.optimizer.zero_grad()
        times[size_hw] = (time.perf_counter() - started) / MEASURED
    steps = math.ceil(len(everybody) / recipe.batch_size)
    return steps * sum(times[recipe.input_size(epoch)] for epoch in range(recipe.epochs)) / recipe.epochs
