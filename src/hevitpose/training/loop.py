"""Training, from top to bottom."""

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from hevitpose.core.errors import InputError, TrainingDiverged
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.data.crops import Crops, cut_people
from hevitpose.data.datasets import Dataset, Split
from hevitpose.evaluation.predict import predictions_in_labels
from hevitpose.evaluation.score import Evaluation, refuse_unmeasurable, score
from hevitpose.inference.backends import TorchHeatmaps
from hevitpose.inference.keypoints import KeypointPredictor
from hevitpose.inference.network import Network
from hevitpose.models import cpu
from hevitpose.training import checkpoint, debug_step, distributed
from hevitpose.training.batches import CACHE_MARGIN, Batch, CachedCrops, make_batch, permutation
from hevitpose.training.checkpoint import RunPosition, State
from hevitpose.training.ema import update_average
from hevitpose.training.fabric import AUTO, Hardware, make_fabric
from hevitpose.training.init_weights import init_network
from hevitpose.training.recipes import Recipe
from hevitpose.training.run import RunFolder
from hevitpose.training.targets import heatmap_loss


@dataclass(frozen=True)
class TrainingRun:
    """What a run does not change: `model` is the network as Fabric wraps it; `validation` sets and their crops."""

    recipe: Recipe
    hardware: Hardware
    people: LabelledPeople
    validation: list[tuple[Split, LabelledPeople]]
    folder: Path
    fabric: Fabric
    model: Any
    on_progress: OnProgress

    @property
    def steps(self) -> int:
        """Of an epoch; what does not fill a batch waits for the next epoch's order."""
        return len(self.people) // self.recipe.batch_size

    @cached_property
    def conditions(self) -> dict[str, str]:
        """What a run that goes on must find again beside its recipe (`checkpoint.DATA`), or should."""
        sets = (f"{split.name} by {split.metric}: {people.digest}" for split, people in self.validation)
        return {
            "training people": self.people.digest,
            "validation sets": ", ".join(sets),
            "precision": str(self.fabric.strategy.precision.precision),
            "persons at once": str(self.hardware.micro_batch_size),
            "processes": str(self.fabric.world_size),
        }


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    hardware: Hardware = AUTO,
    resume: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> list[dict[str, Any]]:
    """TrainingRun `recipe` on `dataset`, leave everything in `folder`, and return its log: one row an epoch.

    With `resume`, a run in `folder` goes on where its last checkpoint stood. Processes that torchrun started share
    every batch. Raises InputError where the data cannot be read, the folder holds another run, or a number of the
    training is no longer finite.
    """
    state_file = folder / checkpoint.FILE
    if state_file.exists() and not resume:
        raise InputError(folder, "already holds a run: continue it with `resume=True`, or choose another folder")
    if dataset.train is None:
        raise InputError(dataset.name, "has no [train] table")
    people = dataset.train.read()
    validation: list[tuple[Split, LabelledPeople]] = []
    for split in dataset.validation:
        if split.metric:  # others are neither read nor cut
            validation.append((split, split.read()))
            refuse_unmeasurable(validation[-1][1], split.metric)
    if recipe.patience is not None and not any(split.metric for split in dataset.validation):
        raise InputError("`patience`", "needs a validation set with a metric")
    fabric = make_fabric(hardware)
    refuse_batch(recipe, len(people), fabric.world_size, dataset.name)

    run, state = set_up(recipe, hardware, people, validation, folder, fabric, on_progress, state_file.exists())
    if state_file.exists():
        checkpoint.load(state_file, state, recipe, run.conditions)
    device = torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else fabric.device.type
    log = RunFolder(folder, recipe, dataset, people, state.progress, device) if fabric.is_global_zero else None
    save = saver(run, state)

    crops, validation_crops = None, []
    while state.progress.epoch < recipe.epochs and not patience_is_over(recipe, state.progress):
        size_hw = recipe.input_size(state.progress.epoch)
        if crops is None or size_hw != crops.size_hw:
            with distributed.first_process_first():
                crops = CachedCrops.of(
                    people, size_hw, recipe.padding, fabric.device, crop_folder(run, size_hw), on_progress
                )
            mine = [p.subset(np.arange(fabric.global_rank, len(p), fabric.world_size)) for _, p in validation]
            validation_crops = [cut_people(p, size_hw, recipe.padding, on_progress) for p in mine]
        train_epoch(run, state, crops, save)
        results = validate(run, state.averaged, validation_crops)
        improved = end_epoch(run, state, results)
        if log:  # before the checkpoint: a run that is killed between the two repeats the epoch and writes the same
            log.write(state, config_of(run, size_hw), improved)
        save(True)
    if log:
        log.close()
    return state.progress.history


def refuse_batch(recipe: Recipe, persons: int, processes: int, source: str) -> None:
    """Raise InputError, about `source`, where persons do not fill a batch, or processes cannot share one."""
    if recipe.batch_size % processes:
        raise InputError(source, f"{processes} processes do not share one batch of {recipe.batch_size}")
    if persons < recipe.batch_size:
        raise InputError(source, f"{persons} persons are fewer than one batch of {recipe.batch_size}")


def set_up(
    recipe: Recipe,
    hardware: Hardware,
    people: LabelledPeople,
    validation: list[tuple[Split, LabelledPeople]],
    folder: Path,
    fabric: Fabric,
    on_progress: OnProgress,
    resumes: bool,
) -> tuple[TrainingRun, State]:
    """A run before its first step; one that resumes needs none of the weights that its recipe names."""
    network = init_network(recipe, people.skeleton, fabric, None if resumes else folder)
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(parameter_groups(network, recipe), fused=True)
    model, _ = fabric.setup(network, optimizer)
    if hardware.compile:
        model.compile()
    run = TrainingRun(recipe, hardware, people, validation, folder, fabric, model, on_progress)
    return run, State(network, averaged.to(fabric.device), optimizer, RunPosition())


def train_epoch(run: TrainingRun, state: State, crops: CachedCrops, save: Callable[[bool], None]) -> None:
    """The steps of this epoch that are not done yet."""
    recipe, progress, fabric = run.recipe, state.progress, run.fabric
    order = permutation(len(run.people), recipe.seed, progress.epoch)
    run.model.train()
    for step in range(progress.step, run.steps):
        started = time.monotonic()
        together = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        mine = together[fabric.global_rank :: fabric.world_size]
        batch = make_batch(run.people, crops, mine, recipe, progress.epoch)
        total_step = progress.epoch * run.steps + step
        rate = recipe.rate(total_step, recipe.epochs * run.steps)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        loss = forward_backward(run, batch)
        norm = nn.utils.clip_grad_norm_(state.network.parameters(), recipe.grad_clip_norm or math.inf)
        value, length = torch.stack([loss, norm]).tolist()
        if not math.isfinite(value + length):
            raise not_finite(run, state, batch, mine, rate, f"the loss is {value}, the gradient's norm {length}")
        state.optimizer.step()
        state.optimizer.zero_grad()
        update_average(state.averaged, state.network, recipe.ema_decay, total_step)

        progress.step, progress.loss_sum = step + 1, progress.loss_sum + value
        progress.seconds += time.monotonic() - started
        if fabric.is_global_zero:
            name, work = (
                f"epoch {progress.epoch + 1}/{recipe.epochs}",
                recipe.work(progress.epoch, (step + 1) / run.steps),
            )
            run.on_progress(Progress(name, step + 1, run.steps, progress.loss_sum / (step + 1), work))
        save(False)


def forward_backward(run: TrainingRun, batch: Batch) -> Tensor:
    """The loss of the batch; its gradients are added to those of the parameters."""
    parts = batch.parts(run.hardware.micro_batch_size or len(batch.inputs))
    total = torch.zeros((), device=batch.inputs.device)
    for number, part in enumerate(parts, start=1):
        share = len(part.inputs) / len(batch.inputs)
        last = number == len(parts)
        with cpu.fast_kernels(run.fabric.device), run.fabric.no_backward_sync(run.model, enabled=not last):
            loss = share * heatmap_loss(run.model(part.inputs), part.targets, part.weights)
            run.fabric.backward(loss)
        total += loss.detach()
    return total


def validate(run: TrainingRun, averaged: nn.Module, crops: list[Crops]) -> dict[str, Evaluation]:
    """The averaged weights' scores on each validation set that names a metric, without flip test.

    Every process predicts its share of the persons, of which it has the `crops`.
    """
    world, results = run.fabric.world_size, {}
    for (split, people), cut in zip(run.validation, crops, strict=True):
        if split.metric is not None:
            network = Network("averaged", TorchHeatmaps(averaged), config_of(run, cut.pixels.shape[1:3]))
            part = KeypointPredictor(network, batch_size=32).in_crops(cut.pixels, cut.matrices)
            joints, scores = np.empty_like(people.keypoints), np.empty(people.visibility.shape)
            for process, (some, their_scores) in enumerate(distributed.gathered(part)):
                if len(some):  # a process may have nobody
                    joints[process::world], scores[process::world] = some, their_scores
            results[split.name] = score(people, predictions_in_labels(people, joints, scores), split.metric)
    return results


def end_epoch(run: TrainingRun, state: State, results: dict[str, Evaluation]) -> bool:
    """Write the epoch into the history and init_network the next; whether its score is the best so far."""
    progress, recipe = state.progress, run.recipe
    loss_sum = sum(distributed.gathered(progress.loss_sum)) / run.fabric.world_size
    row = {
        "epoch": progress.epoch + 1,
        "size": "x".join(map(str, recipe.input_size(progress.epoch))),
        "rate": recipe.rate((progress.epoch + 1) * run.steps - 1, recipe.epochs * run.steps),
        "loss": loss_sum / run.steps,
        "images_per_second": run.steps * recipe.batch_size / progress.seconds,
    } | {f"{name} {result.metric}": result.main for name, result in results.items()}
    first = next(iter(results.values())).main if results else None
    improved = first is not None and (progress.best is None or first > progress.best)
    best, best_epoch = (first, progress.epoch + 1) if improved else (progress.best, progress.best_epoch)
    state.progress = RunPosition(progress.epoch + 1, best=best, best_epoch=best_epoch, history=[*progress.history, row])
    return improved


def crop_folder(run: TrainingRun, size_hw: tuple[int, int]) -> Path | None:
    """Where crops go that shall not be in memory."""
    if run.hardware.crops or not hasattr(os, "sysconf"):
        return run.hardware.crops
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = len(run.people) * 3 * size_hw[0] * size_hw[1] * CACHE_MARGIN**2 * run.fabric.world_size
    return run.folder / "crops" if needed > memory / 2 else None


def patience_is_over(recipe: Recipe, progress: RunPosition) -> bool:
    """Whether the first validation set's score has not improved for `recipe.patience` epochs."""
    return recipe.patience is not None and progress.epoch - progress.best_epoch >= recipe.patience


def saver(run: TrainingRun, state: State) -> Callable[[bool], None]:
    """A function that writes the checkpoint: now, or where the last one is old enough."""
    last = time.monotonic()

    def save(now: bool) -> None:
        nonlocal last
        if run.fabric.is_global_zero and (now or time.monotonic() - last > 60 * run.hardware.checkpoint_minutes):
            checkpoint.save(run.folder / checkpoint.FILE, state, run.recipe, run.conditions)
            last = time.monotonic()

    return save


def not_finite(
    run: TrainingRun, state: State, batch: Batch, mine: NDArray[np.int64], rate: float, what: str
) -> TrainingDiverged:
    """Keep the step for `hevitpose debug-step`, and the error that names it."""
    file = run.folder / debug_step.FILE
    files = [run.people.images[i].name for i in run.people.image_index[mine]]
    config = {"epoch": state.progress.epoch + 1, "step": state.progress.step + 1, "rate": rate, "files": files}
    debug_step.save_failed_step(file, state.network, batch, run.recipe, config)
    where = f"step {config['step']} of epoch {config['epoch']} at a rate of {rate:.3g} ({debug_step.short_list(files)})"
    return TrainingDiverged(
        run.folder, f"{what} at {where}; no weight was changed by it. See: hevitpose debug-step {file}"
    )


def config_of(run: TrainingRun, size_hw: tuple[int, int]) -> ModelConfig:
    """What the weights of this run say of themselves."""
    recipe = run.recipe
    return ModelConfig(recipe.model, run.people.skeleton, size_hw, recipe.padding, recipe.codec, recipe.variant)


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Weight decay for weight matrices and kernels only, none for norms and biases."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
