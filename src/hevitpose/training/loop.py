"""The training loop."""

import copy
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
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
from hevitpose.core.model_config import BoxSizes, ModelConfig
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.data.box_sizes import measure_box_sizes
from hevitpose.data.crops import Crops, cut_people_at
from hevitpose.data.datasets import Dataset
from hevitpose.evaluation.evaluate import LabelledSet, labelled_set
from hevitpose.evaluation.predict import predict_in_label_boxes, predictions_in_labels
from hevitpose.evaluation.score import Evaluation, score
from hevitpose.inference.backends import TorchHeatmaps
from hevitpose.inference.network import Network
from hevitpose.io.lock import hold_folder
from hevitpose.io.provenance import provenance
from hevitpose.models import cpu
from hevitpose.training import checkpoint
from hevitpose.training.augment import generator
from hevitpose.training.batches import CACHE_MARGIN, Batch, CachedCrops, cut_for_training, make_batch
from hevitpose.training.checkpoint import RunPosition, State
from hevitpose.training.debug_step import FailedStep, save_failed_step
from hevitpose.training.ema import update_average
from hevitpose.training.fabric import (
    AUTO,
    Hardware,
    first_process_first,
    gather,
    is_first_process,
    make_fabric,
    share_buffers,
)
from hevitpose.training.init_weights import init_network
from hevitpose.training.optimizer import parameter_groups
from hevitpose.training.recipes import Recipe
from hevitpose.training.report import write_report
from hevitpose.training.run import CARD, CHECKPOINT, CROPS, FAILED_STEP, Epoch, RunData, RunWriter, sample_images
from hevitpose.training.targets import heatmap_loss

Size = tuple[int, int]
VALIDATION_BATCH = 32


@dataclass(frozen=True)
class TrainingRun:
    """What does not change during a run: `model` is the network as Fabric wraps it, `people` the training set."""

    recipe: Recipe
    hardware: Hardware
    people: LabelledPeople
    validation: Sequence[LabelledSet]
    folder: Path
    fabric: Fabric
    model: Any
    on_progress: OnProgress

    @property
    def steps(self) -> int:
        """Steps per epoch; batches differ by one person at most, so that nobody is left out and none is tiny."""
        return math.ceil(len(self.people) / self.recipe.batch_size)

    @cached_property
    def conditions(self) -> dict[str, str]:
        """What must be (`checkpoint.DATA`), or should be, the same when the run is resumed."""
        sets = (f"{each.people.name} by {each.metric}: {each.people.digest}" for each in self.validation)
        return {
            "training people": self.people.digest,
            "validation sets": ", ".join(sets),
            "precision": str(self.fabric.strategy.precision.precision),
            "micro_batch_size": str(self.hardware.micro_batch_size),
            "processes": str(self.fabric.world_size),
        }

    def config(self, size_hw: Size) -> ModelConfig:
        """The config of the run's weights."""
        recipe, skeleton = self.recipe, self.people.skeleton
        return ModelConfig(
            *(recipe.model, skeleton, size_hw, recipe.padding, recipe.codec, recipe.variant), box_sizes=self.box_sizes
        )

    @cached_property
    def box_sizes(self) -> BoxSizes | None:
        """How large the people are in their images."""
        return measure_box_sizes(self.people)


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    hardware: Hardware = AUTO,
    resume: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> Sequence[Epoch]:
    """Train `recipe` on `dataset`, write weights, log and report into `folder`, and return the log.

    Args:
        recipe: everything that decides what is computed.
        dataset: a set to train on, and sets to validate on.
        folder: the folder of the run, see `training.run`.
        hardware: where it is computed.
        resume: continue the run in `folder` from its last checkpoint, if there is one; a finished run is left as it is.
        on_progress: called after every step.

    Processes that torchrun started share every batch. Raises InputError if the data cannot be read or if the folder
    holds another run or another process uses it, and TrainingDiverged if a loss or gradient is not finite.

    >>> from hevitpose import Recipe, find_dataset
    >>> history = train(Recipe(epochs=20), find_dataset("my.toml"), Path("runs/my"))  # doctest: +SKIP
    """
    with hold_folder(folder) if is_first_process() else nullcontext():
        return _train(recipe, dataset, folder, hardware, resume, on_progress)


def _train(
    recipe: Recipe, dataset: Dataset, folder: Path, hardware: Hardware, resume: bool, on_progress: OnProgress
) -> Sequence[Epoch]:
    """`train` in a folder that no other run uses."""
    state_file = folder / CHECKPOINT
    resumes = state_file.exists()
    if resumes and not resume:
        raise InputError(folder, "already holds a run: continue it with `resume=True`, or choose another folder")
    if dataset.train is None:
        raise InputError(dataset.name, "has no [train] table")
    people = dataset.train.people
    validation = [labelled_set(split) for split in dataset.validation if split.metric]
    if recipe.patience is not None and not validation:
        raise InputError("`patience`", "needs a validation set with a metric")
    processes = make_fabric(hardware)
    refuse_batch(recipe, len(people), processes.world_size, dataset.name)

    run, state = set_up(recipe, hardware, people, validation, folder, processes, on_progress, resumes)
    if resumes:
        checkpoint.load(state_file, state, recipe, run.conditions)
        if is_over(recipe, state.position) and (folder / CARD).exists():
            return state.position.history
    writer = start_writing(run, dataset, state.position.epoch) if processes.is_global_zero else None
    crops, validation_crops = cut_crops(run, state.position)
    save = checkpointer(run, state)
    cached: CachedCrops | None = None
    while not is_over(recipe, state.position):
        size_hw = recipe.input_size(state.position.epoch)
        if cached is None or size_hw != cached.size_hw:
            cached = CachedCrops.of(crops.pop(size_hw), size_hw, processes.device)
        train_epoch(run, state, cached, save)
        evaluations = validate(run, state.averaged, [of_set[size_hw] for of_set in validation_crops])
        is_best = end_epoch(run, state, evaluations)
        if writer:  # before the checkpoint: a run that is killed between the two repeats the epoch and writes the same
            writer.write(state.position.history, state.averaged, run.config(size_hw), is_best)
        save(True)
    if writer:
        writer.close()
        whole = processes.world_size == 1  # otherwise this process has the crops of its part alone
        write_report(folder, validation, validation_crops if whole else [], on_progress)
    return state.position.history


def is_over(recipe: Recipe, position: RunPosition) -> bool:
    """Whether all epochs are done, or the first set's score has not improved for `recipe.patience` epochs."""
    lost_patience = recipe.patience is not None and position.epoch - position.best_epoch >= recipe.patience
    return position.epoch >= recipe.epochs or lost_patience


def refuse_batch(recipe: Recipe, persons: int, processes: int, source: str) -> None:
    """Raise InputError, about `source`, if there are too few persons or if processes cannot share a batch."""
    if recipe.batch_size % processes:
        raise InputError(source, f"{processes} processes cannot share a batch of {recipe.batch_size}")
    if persons < 2 * processes:
        raise InputError(source, f"{persons} persons are too few to train on with {processes} processes")
    smallest = persons // math.ceil(persons / recipe.batch_size)
    if smallest < processes:  # a process without a person has no loss
        raise InputError(source, f"{processes} processes cannot share {persons} persons in batches of {smallest}")


def set_up(
    recipe: Recipe,
    hardware: Hardware,
    people: LabelledPeople,
    validation: Sequence[LabelledSet],
    folder: Path,
    fabric: Fabric,
    on_progress: OnProgress,
    resumes: bool,
) -> tuple[TrainingRun, State]:
    """A run and its state before the first step; with `resumes`, without the weights that the recipe names."""
    network = init_network(recipe, people.skeleton, fabric, None if resumes else folder)
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(parameter_groups(network, recipe.weight_decay), fused=True)
    model, _ = fabric.setup(network, optimizer)
    if hardware.compile:
        model.compile()
    run = TrainingRun(recipe, hardware, people, validation, folder, fabric, model, on_progress)
    return run, State(network, averaged.to(fabric.device), optimizer, RunPosition())


def start_writing(run: TrainingRun, dataset: Dataset, first_epoch: int) -> RunWriter:
    device = run.fabric.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    samples = sample_images(run.validation[0].people if run.validation else run.people)
    data = RunData(dataset.name, len(run.people), dataset.terms, name, provenance(), samples)
    return RunWriter(run.folder, run.recipe, data, first_epoch)


def cut_crops(run: TrainingRun, position: RunPosition) -> tuple[dict[Size, Crops], list[dict[Size, Crops]]]:
    """Crops at every size that is still to come: of the training set, and of this process's part of each other set."""
    if is_over(run.recipe, position):
        return {}, []
    recipe, rank, world = run.recipe, run.fabric.global_rank, run.fabric.world_size
    sizes = list(dict.fromkeys(recipe.input_size(epoch) for epoch in range(position.epoch, recipe.epochs)))
    with first_process_first():
        crops = cut_for_training(run.people, sizes, recipe.padding, crop_folder(run, sizes), run.on_progress)
    parts = [each.people.subset(np.arange(rank, len(each.people), world)) for each in run.validation]
    return crops, [cut_people_at(sizes, part, recipe.padding, run.on_progress) for part in parts]


def crop_folder(run: TrainingRun, sizes: Sequence[Size]) -> Path | None:
    """The folder for crops; None for memory."""
    if run.hardware.crops or not hasattr(os, "sysconf"):
        return run.hardware.crops
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    pixels = sum(height * width * CACHE_MARGIN**2 for height, width in sizes)
    needed = len(run.people) * 3 * pixels * run.fabric.world_size
    return run.folder / CROPS if needed > memory / 2 else None


def train_epoch(run: TrainingRun, state: State, crops: CachedCrops, save: Callable[[bool], None]) -> None:
    """Do the remaining steps of this epoch."""
    recipe, position, fabric = run.recipe, state.position, run.fabric
    batches = np.array_split(generator(recipe.seed, 1, position.epoch).permutation(len(run.people)), run.steps)
    run.model.train()
    for step in range(position.step, run.steps):
        started = time.monotonic()
        total_step = position.epoch * run.steps + step
        learning_rate = recipe.learning_rate_at(total_step, recipe.epochs * run.steps)
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate

        persons = np.array_split(batches[step], fabric.world_size)[fabric.global_rank]
        batch = make_batch(run.people, crops, persons, recipe, position.epoch)

        loss_tensor = forward_backward(run, batch)
        norm_tensor = nn.utils.clip_grad_norm_(state.network.parameters(), recipe.grad_clip_norm or math.inf)
        loss, grad_norm = torch.stack([loss_tensor, norm_tensor]).tolist()
        if not math.isfinite(loss + grad_norm):
            raise diverged(run, state, batch, persons, learning_rate, loss, grad_norm)
        state.optimizer.step()
        state.optimizer.zero_grad()
        update_average(state.averaged, state.network, recipe.ema_decay, total_step)

        position.step, position.loss_sum = step + 1, position.loss_sum + loss
        position.seconds += time.monotonic() - started
        if fabric.is_global_zero:
            run.on_progress(progress_of(run, position))
        save(False)


def forward_backward(run: TrainingRun, batch: Batch) -> Tensor:
    """The loss of the batch, micro-batch by micro-batch; gradients are added to those of the parameters."""
    parts = batch.split(run.hardware.micro_batch_size or len(batch.inputs))
    total = torch.zeros((), device=batch.inputs.device)
    for number, part in enumerate(parts, start=1):
        share = len(part.inputs) / len(batch.inputs)
        is_last = number == len(parts)
        with cpu.fast_kernels(run.fabric.device), run.fabric.no_backward_sync(run.model, enabled=not is_last):
            loss = share * heatmap_loss(run.model(part.inputs), part.targets, part.weights)
            run.fabric.backward(loss)
        total += loss.detach()
    return total


def progress_of(run: TrainingRun, position: RunPosition) -> Progress:
    """Progress after a step: the mean loss of the epoch so far, and the share of the run that is done."""
    recipe, step = run.recipe, position.step
    run_share = recipe.work(position.epoch, step / run.steps)
    last = next(iter(position.history[-1].scores.items()), None) if position.history else None
    score = f"{last[0]} {last[1]:.1f}, best {position.best:.1f}" if last and position.best is not None else ""
    stage, loss = f"epoch {position.epoch + 1}/{recipe.epochs}", position.loss_sum / step
    return Progress(stage, step, run.steps, loss, run_share, score)


def validate(run: TrainingRun, averaged: nn.Module, crops: Sequence[Crops]) -> dict[str, Evaluation]:
    """The scores of the averaged weights on each validation set, without flip test.

    Every process predicts its part of the persons, from `crops` of them.
    """
    share_buffers(averaged)
    rank, world = run.fabric.global_rank, run.fabric.world_size
    evaluations = {}
    for labelled, cut in zip(run.validation, crops, strict=True):
        people = labelled.people
        part = people.subset(np.arange(rank, len(people), world))
        network = Network("averaged", TorchHeatmaps(averaged), run.config((cut.pixels.shape[1], cut.pixels.shape[2])))
        found = predict_in_label_boxes(network, part, cut, False, VALIDATION_BATCH)
        joints, scores = np.empty_like(people.keypoints), np.empty(people.visibility.shape)
        for process, (its_joints, its_scores) in enumerate(gather((found.joints, found.keypoint_scores))):
            joints[process::world], scores[process::world] = its_joints, its_scores
        evaluations[people.name] = score(people, predictions_in_labels(people, joints, scores), labelled.metric)
    return evaluations


def end_epoch(run: TrainingRun, state: State, evaluations: dict[str, Evaluation]) -> bool:
    """Log the epoch and move to the next; whether its score is the best so far."""
    position, recipe = state.position, run.recipe
    loss_sum = sum(gather(position.loss_sum)) / run.fabric.world_size
    row = Epoch(
        epoch=position.epoch + 1,
        size="x".join(map(str, recipe.input_size(position.epoch))),
        learning_rate=recipe.learning_rate_at((position.epoch + 1) * run.steps - 1, recipe.epochs * run.steps),
        loss=loss_sum / run.steps,
        images_per_second=len(run.people) / position.seconds,
        scores={f"{name} {evaluation.metric}": evaluation.main for name, evaluation in evaluations.items()},
    )
    first = next(iter(row.scores.values()), None)
    is_best = first is not None and (position.best is None or first > position.best)
    best, best_epoch = (first, row.epoch) if is_best else (position.best, position.best_epoch)
    state.position = RunPosition(row.epoch, best=best, best_epoch=best_epoch, history=[*position.history, row])
    return is_best


def checkpointer(run: TrainingRun, state: State) -> Callable[[bool], None]:
    """A function that writes the checkpoint, either now or if the last one is old enough."""
    last = time.monotonic()

    def save(now: bool) -> None:
        nonlocal last
        if run.fabric.is_global_zero and (now or time.monotonic() - last > 60 * run.hardware.checkpoint_minutes):
            checkpoint.save(run.folder / CHECKPOINT, state, run.recipe, run.conditions)
            last = time.monotonic()

    return save


def diverged(
    run: TrainingRun,
    state: State,
    batch: Batch,
    persons: NDArray[np.int64],
    learning_rate: float,
    loss: float,
    grad_norm: float,
) -> TrainingDiverged:
    """Keep the step for `hevitpose debug-step`, and return the error that names it."""
    file = run.folder / FAILED_STEP
    images = [run.people.images[i].name for i in run.people.image_index[persons]]
    failed = FailedStep(state.position.epoch + 1, state.position.step + 1, learning_rate, images)
    save_failed_step(file, state.network, batch, run.recipe, failed)
    what = f"the loss is {loss}, the gradient norm {grad_norm} at {failed.summary}"
    return TrainingDiverged(
        run.folder, f"{what}; the weights are those before this step. See: hevitpose debug-step {file}"
    )
