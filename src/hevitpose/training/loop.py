"""Training, from top to bottom."""

import copy
import json
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.facts import Facts
from hevitpose.core.geometry import Floats
from hevitpose.core.person import LabelledPeople
from hevitpose.files import atomic
from hevitpose.files.crops import Crops, cut_people
from hevitpose.files.datasets import Dataset, Metric
from hevitpose.inference.backends import torch_backend
from hevitpose.inference.evaluation import evaluate
from hevitpose.models import weights
from hevitpose.training import checkpoint, cpu
from hevitpose.training.augment import draw_views, warp
from hevitpose.training.checkpoint import Progress
from hevitpose.training.recipes import Recipe
from hevitpose.training.run_folder import write_log
from hevitpose.training.targets import heatmap_loss, heatmap_targets

STRIDE = 4
"""Input pixels a heatmap cell."""
CACHE_MARGIN = 1.5
"""Cached crops show this much more than the padded box, for augmentation to move in, at the input's resolution."""

Report = Callable[[str, int, int, float, float], None]
"""Told what is done, how much of it, of how much, the loss so far, and the run's share of work that is done.

The last two are NaN where nothing is trained.
"""


@dataclass(frozen=True)
class Hardware:
    """Where and how fast, never what: "auto" takes the first accelerator, and bfloat16 where it is native."""

    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    checkpoint_minutes: float = 5.0


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    hardware: Hardware = Hardware(),
    resume: bool = False,
    report: Report = lambda *_: None,
) -> list[dict[str, Any]]:
    """Run `recipe` on `dataset`, leave everything in `folder`, and return its log: one row an epoch.

    With `resume`, a run in `folder` goes on where its last checkpoint stood. Raises InputError where the data cannot
    be read, the folder holds another run, or the loss is no longer a number.
    """
    state_file = folder / checkpoint.FILE
    if state_file.exists() and not resume:
        raise InputError(folder, "already holds a run: continue it with --resume, or choose another folder")
    if dataset.train is None:
        raise InputError(dataset.name, "has no [train] table")
    people = dataset.train.read()
    validation = [(split.read(), split.metric) for split in dataset.validation]
    steps = len(people) // recipe.batch_size
    if not steps:
        raise InputError(dataset.name, f"{len(people)} persons are fewer than one batch of {recipe.batch_size}")

    fabric = make_fabric(hardware)
    torch.manual_seed(recipe.seed)
    network = weights.BUILDERS[recipe.model](people.skeleton.num_keypoints)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).eval().requires_grad_(False).to(fabric.device)
    model, optimizer = fabric.setup(network, torch.optim.AdamW(parameter_groups(network, recipe), fused=True))
    if hardware.compile:
        model.compile()
    progress = checkpoint.load(state_file, network, averaged, optimizer, recipe) if state_file.exists() else Progress()

    atomic.write(folder / "recipe.json", json.dumps(recipe.as_json(), indent=1))
    board = SummaryWriter(str(folder / "tensorboard"), purge_step=progress.epoch + 1)
    saved = time.monotonic()
    size_hw, crops, validation_crops = None, None, []
    for epoch in range(progress.epoch, recipe.epochs):
        if crops is None or size_hw != recipe.input_size(epoch):
            size_hw = recipe.input_size(epoch)
            crops = CachedCrops.of(people, size_hw, recipe.padding, fabric.device, report)
            validation_crops = [cut_people(p, size_hw, recipe.padding, counting(report, p.name)) for p, _ in validation]
        order = permutation(len(people), recipe.seed, epoch)
        model.train()
        with fast_kernels(fabric):
            for step in range(progress.step, steps):
                started = time.monotonic()
                chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
                inputs, targets, joint_weights = make_batch(people, crops, chosen, size_hw, recipe, epoch)
                loss = heatmap_loss(model(inputs), targets, joint_weights)
                if not math.isfinite(value := loss.item()):
                    raise InputError(folder, f"the loss is {value} at step {step + 1} of epoch {epoch + 1}")
                fabric.backward(loss)
                for group in optimizer.param_groups:
                    group["lr"] = recipe.rate(epoch * steps + step, recipe.epochs * steps)
                optimizer.step()
                optimizer.zero_grad()
                checkpoint.average(averaged, network, recipe.ema_decay, epoch * steps + step)

                progress.step, progress.loss_sum = step + 1, progress.loss_sum + value
                progress.seconds += time.monotonic() - started
                work = recipe.work(epoch, (step + 1) / steps)
                report(f"epoch {epoch + 1}/{recipe.epochs}", step + 1, steps, progress.loss_sum / (step + 1), work)
                if time.monotonic() - saved > 60 * hardware.checkpoint_minutes:
                    checkpoint.save(state_file, network, averaged, optimizer, progress, recipe)
                    saved = time.monotonic()
        row = {
            "epoch": epoch + 1,
            "size": "x".join(map(str, size_hw)),
            "rate": recipe.rate((epoch + 1) * steps - 1, recipe.epochs * steps),
            "loss": progress.loss_sum / steps,
            "images_per_second": steps * recipe.batch_size / progress.seconds,
        } | validate(averaged, validation, validation_crops)
        progress = Progress(epoch + 1, history=[*progress.history, row])
        checkpoint.save(state_file, network, averaged, optimizer, progress, recipe)
        saved = time.monotonic()
        write_log(folder, board, progress.history)
    board.close()
    facts = Facts(recipe.model, people.skeleton, recipe.input_size(recipe.epochs - 1), recipe.padding, recipe.codec)
    weights.save_model(folder / "weights.safetensors", averaged.state_dict(), facts)
    return progress.history


def make_fabric(hardware: Hardware) -> Fabric:
    """Device and precision; "auto" precision is bfloat16 with float32 weights where the device multiplies it itself."""
    fabric = Fabric(accelerator=hardware.device, devices=1, precision="32-true")
    native = cpu.supports_bfloat16() if fabric.device.type == "cpu" else fabric.device.type == "cuda"
    if hardware.precision == "bf16" or (hardware.precision == "auto" and native):
        fabric = Fabric(accelerator=hardware.device, devices=1, precision="bf16-mixed")
    if fabric.device.type == "cpu":
        cpu.keep_freed_memory()
    return fabric


def fast_kernels(fabric: Fabric) -> AbstractContextManager[object]:
    """The detours that pay on this device."""
    return cpu.FastKernels() if fabric.device.type == "cpu" else nullcontext()


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Weight decay for weight matrices and kernels only, none for norms and biases."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]


def permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of this epoch, whatever ran before it."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 1, epoch, 0])).permutation(count)


@dataclass(frozen=True)
class CachedCrops:
    """Every person's crop `pixels` (N, h, w, 3) on the device, and `matrices` (N, 2, 3) from picture to crop."""

    pixels: Tensor
    matrices: Floats

    @classmethod
    def of(
        cls, people: LabelledPeople, size_hw: tuple[int, int], padding: float, device: torch.device, report: Report
    ) -> "CachedCrops":
        """Cut all persons for inputs of `size_hw`."""
        cached_hw = (round(size_hw[0] * CACHE_MARGIN), round(size_hw[1] * CACHE_MARGIN))
        crops = cut_people(people, cached_hw, padding * CACHE_MARGIN, counting(report, people.name))
        return cls(torch.from_numpy(crops.pixels).to(device), crops.matrices)


def make_batch(
    people: LabelledPeople,
    crops: CachedCrops,
    chosen: NDArray[np.int64],
    size_hw: tuple[int, int],
    recipe: Recipe,
    epoch: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Network input (N, 3, H, W), target heatmaps (N, K, H/4, W/4) and joint weights (N, K) of the persons `chosen`."""
    device = crops.pixels.device
    views = draw_views(people, chosen, size_hw, recipe.padding, recipe.augmentation, recipe.seed, epoch)
    to_crop = geometry.compose(crops.matrices[chosen], geometry.inverse(views.matrices))
    pixels = crops.pixels[torch.from_numpy(chosen).to(device)]
    inputs = warp(pixels, torch.from_numpy(to_crop).float().to(device), size_hw)
    heatmap_hw = (size_hw[0] // STRIDE, size_hw[1] // STRIDE)
    cells = torch.from_numpy(recipe.codec.cells(views.joints, size_hw, heatmap_hw)).float().to(device)
    labelled = torch.from_numpy(views.labelled).to(device)
    targets, joint_weights = heatmap_targets(cells, labelled, heatmap_hw, recipe.codec.sigma)
    return inputs, targets, joint_weights


def validate(
    averaged: nn.Module, validation: list[tuple[LabelledPeople, Metric | None]], crops: list[Crops]
) -> dict[str, float]:
    """The averaged weights' score on each validation set that names a metric, without flip test."""
    scores = {}
    for (people, metric), cut in zip(validation, crops, strict=True):
        if metric is not None:
            result = evaluate(torch_backend(averaged), people, cut, metric, flip_test=False)
            scores[f"{people.name} {result.metric}"] = result.main
    return scores


def counting(report: Report, name: str) -> Callable[[int, int], None]:
    """Progress of cutting crops as a `Report`."""
    return lambda done, of: report(f"crops of {name}", done, of, math.nan, math.nan)
