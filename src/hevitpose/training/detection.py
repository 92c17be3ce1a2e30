"""Training of a detector, from top to bottom."""

import copy
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from hevitpose.core.errors import InputError, TrainingDiverged
from hevitpose.core.model_config import DETECTOR_KEY
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.inference.detectors import input_size, letterbox
from hevitpose.io.lock import hold_folder
from hevitpose.metrics.detection import DetectionScores, ImageBoxes, box_ap
from hevitpose.models import cpu, weights
from hevitpose.models.detector import SIDE_DIVISOR, Detector, DetectorConfig, decode
from hevitpose.models.detector_weights import DetectorFileConfig, save_detector
from hevitpose.models.input import normalize
from hevitpose.training.augment import color_jitter, generator
from hevitpose.training.detection_data import (
    STRETCHED_ASPECT,
    DetectionAugmentation,
    DetectionSet,
    as_objects,
    draw_example,
    stack,
)
from hevitpose.training.detection_targets import Objects, detection_loss
from hevitpose.training.ema import update_average as average
from hevitpose.training.fabric import Precision, gather, uses_bfloat16
from hevitpose.training.optimizer import load_tensors, parameter_groups, tensors_of
from hevitpose.training.run import write_table

LAST, BEST, LOG = "last.safetensors", "best.safetensors", "log.csv"


@dataclass(frozen=True)
class DetectorOptions:
    """How a detector is trained.

    `images_per_epoch`: an epoch shows so many, drawn without replacement (default: all).
    `sides`: input sizes, each with the share of the epochs after which the next one begins; the last is the size at
    which the detector is validated and used. `plain_epochs` at the end are without mosaics. `learning_rate` rises for
    `warmup` (a share of all steps) and falls to zero as a cosine does.
    """

    epochs: int = 12
    images_per_epoch: int | None = None
    batch_size: int = 32
    sides: tuple[tuple[int, float], ...] = ((320, 1.0),)
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warmup: float = 0.05
    grad_clip_norm: float = 10.0
    ema_decay: float = 0.998
    plain_epochs: int = 1
    augmentation: DetectionAugmentation = field(default_factory=DetectionAugmentation)
    config: DetectorConfig = field(default_factory=DetectorConfig)
    checkpoint_minutes: float = 5.0
    seed: int = 0

    def images(self, data: DetectionSet) -> int:
        """Images in an epoch."""
        return min(len(data), self.images_per_epoch or len(data))

    def steps(self, data: DetectionSet) -> int:
        """Steps in an epoch; the last batch may be smaller."""
        return math.ceil(self.images(data) / self.batch_size)

    def side(self, epoch: int) -> int:
        """The input size of an epoch."""
        return next((side for side, until in self.sides if epoch < round(until * self.epochs)), self.sides[-1][0])

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step of all."""
        warmup = max(1, round(self.warmup * steps))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        return self.learning_rate * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2


@dataclass
class RunPosition:
    """Where a run stands, and one row for each epoch done."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class State:
    """Everything that a step changes."""

    network: Detector
    averaged: Detector
    optimizer: torch.optim.AdamW
    position: RunPosition

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The networks by their names in a checkpoint."""
        return {"network": self.network, "averaged": self.averaged}


def train_detector(
    data: DetectionSet,
    validation: DetectionSet | None,
    folder: Path,
    options: DetectorOptions,
    init: Callable[[Detector], object] | None = None,
    resume: bool = False,
    precision: Precision = "auto",
    on_progress: OnProgress = ignore_progress,
) -> list[dict[str, Any]]:
    """Train on `data` and leave last.safetensors, best.safetensors and log.csv in `folder`; the log's rows.

    Best is the epoch of the highest AP50 + AP of the averaged weights on `validation`, the last one without it. `init`
    changes the network before the first step, as `weights.load_into` does. An interrupted run that is resumed ends
    bit-equal on the same machine. In bfloat16 ("auto": where that is faster), weights and loss stay in float32.

    Where torch.distributed is initialized, its processes share every batch: on a busy processor two of one thread are
    faster than one of two, which wait for each other in every layer. Raises InputError where the folder holds another
    run, another process uses it or the data do not suit the options, and TrainingDiverged if the loss is not finite.
    """
    if options.config.num_classes != len(data.class_names):
        names = ", ".join(data.class_names)
        raise InputError(folder, f"a detector of {options.config.num_classes} classes does not suit data of {names}")
    if wrong := [side for side, _ in options.sides if side % SIDE_DIVISOR]:
        raise InputError(folder, f"input size {wrong[0]} is not a multiple of {SIDE_DIVISOR}")
    if (folder / LAST).exists() and not resume:
        raise InputError(folder, "already holds a run: resume it, or choose another folder")
    file_config = DetectorFileConfig(options.config, options.sides[-1][0], data.class_names)
    bfloat16 = uses_bfloat16(precision, "cpu")
    with hold_folder(folder) if rank() == 0 else nullcontext():
        state = new_state(options)
        if (folder / LAST).exists():
            load_checkpoint(folder / LAST, state, options)
        elif init:
            init(state.network)
            state.averaged.load_state_dict(state.network.state_dict())
        cpu.keep_freed_memory()
        while state.position.epoch < options.epochs:
            train_epoch(data, state, options, folder, file_config, bfloat16, on_progress)
            scores = validate(state.averaged, validation, file_config.side) if validation else None
            end_epoch(state, options, options.images(data), scores, folder, file_config)
    return state.position.history


def new_state(options: DetectorOptions) -> State:
    """A network with random weights of the options' seed, its average and its optimizer before the first step."""
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        network = Detector(options.config)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    groups = parameter_groups(network, options.weight_decay)
    return State(network, averaged, torch.optim.AdamW(groups, lr=options.learning_rate, fused=True), RunPosition())


def train_epoch(
    data: DetectionSet,
    state: State,
    options: DetectorOptions,
    folder: Path,
    file_config: DetectorFileConfig,
    bfloat16: bool,
    on_progress: OnProgress,
) -> None:
    """The steps of this epoch that are not done yet."""
    position, network = state.position, state.network
    steps = options.steps(data)
    network.train()
    saved = time.monotonic()
    for images, colors, objects in batches(data, options, position.epoch, position.step):
        started = time.monotonic()
        total_step = position.epoch * steps + position.step
        for group in state.optimizer.param_groups:
            group["lr"] = options.rate(total_step, options.epochs * steps)
        loss = loss_of(network, color_jitter(images.float(), colors), objects, bfloat16)
        loss.backward()  # type: ignore[no-untyped-call]
        loss = average_over_processes(network, loss.detach())
        norm = nn.utils.clip_grad_norm_(network.parameters(), options.grad_clip_norm)
        if not math.isfinite(loss.item() + norm.item()):
            where = f"step {position.step + 1} of epoch {position.epoch + 1}"
            raise TrainingDiverged(folder, f"the loss is {loss.item()}, the gradient norm {norm.item()} at {where}")
        state.optimizer.step()
        state.optimizer.zero_grad()
        average(state.averaged, network, options.ema_decay, total_step)
        position.step, position.loss_sum = position.step + 1, position.loss_sum + loss.item()
        position.seconds += time.monotonic() - started
        if rank() == 0:
            stage = f"detector: epoch {position.epoch + 1}/{options.epochs}"
            mean_loss, share = position.loss_sum / position.step, (total_step + 1) / (options.epochs * steps)
            on_progress(Progress(stage, position.step, steps, mean_loss, share))
        if rank() == 0 and time.monotonic() - saved > 60 * options.checkpoint_minutes and position.step < steps:
            save_checkpoint(folder / LAST, state, options, file_config)
            saved = time.monotonic()


def loss_of(network: Detector, pixels: Tensor, objects: Objects, bfloat16: bool) -> Tensor:
    """The loss on a batch of float pixels (N, 3, S, S), in float32 whatever the network runs in."""
    with cpu.fast_kernels(pixels.device), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        centers, distances = network(normalize(pixels))
    return detection_loss(centers.float(), distances.float(), objects)


def batches(
    data: DetectionSet, options: DetectorOptions, epoch: int, first_step: int
) -> Iterator[tuple[Tensor, Tensor, Objects]]:
    """Pixels (N, 3, S, S) uint8, colors (N, 3) and objects of each step of an epoch; the next is made meanwhile."""
    order = generator(options.seed, 4, epoch).permutation(len(data))[: options.images(data)]
    augmentation = options.augmentation
    if epoch >= options.epochs - options.plain_epochs:
        augmentation = replace(augmentation, mosaic=0.0)

    def make(step: int) -> tuple[Tensor, Tensor, Objects]:
        together = order[step * options.batch_size : (step + 1) * options.batch_size]
        # The last batch may be too small for all: what is left over is then everybody's.
        indices = together[rank() :: processes()] if len(together) >= processes() else together
        side, final = options.side(epoch), options.sides[-1][0]
        examples = [draw_example(data, int(i), side, augmentation, options.seed, epoch, final) for i in indices]
        pixels, boxes, colors = zip(*examples, strict=True)
        return stack(list(pixels)), torch.from_numpy(np.stack(colors)).float(), as_objects(list(boxes))

    steps = range(first_step, options.steps(data))
    with ThreadPoolExecutor(1) as pool:
        upcoming = deque(pool.submit(make, step) for step in steps[:1])
        for step in steps:
            batch = upcoming.popleft().result()
            if step + 1 in steps:
                upcoming.append(pool.submit(make, step + 1))
            yield batch


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


@torch.no_grad()
def average_over_processes(network: nn.Module, loss: Tensor) -> Tensor:
    """Make gradients and statistics of batch norms the means of all processes' own; the mean loss."""
    if processes() == 1:
        return loss
    buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    tensors = [*(p.grad for p in network.parameters() if p.grad is not None), *buffers]
    flat = torch.cat([loss.view(1), *(tensor.flatten() for tensor in tensors)])
    dist.all_reduce(flat)
    flat /= processes()
    mean, *parts = torch.split(flat, [1, *(tensor.numel() for tensor in tensors)])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
    return mean[0]


@torch.inference_mode()
def predict(
    network: Detector, data: DetectionSet, side: int, first: int = 0, step: int = 1, batch_size: int = 16
) -> list[ImageBoxes]:
    """Labels and detections of each (`step`-th) image, in its pixels; images of unknown shape are shown as 4 : 3."""
    network.eval()
    indices = range(first, len(data), step)
    aspects = {
        i: STRETCHED_ASPECT if data.stretched[i] else data.images[i].shape[1] / data.images[i].shape[0] for i in indices
    }
    by_size: dict[tuple[int, int], list[int]] = {}
    for i, aspect in aspects.items():
        by_size.setdefault(input_size(aspect, side, SIDE_DIVISOR), []).append(i)
    results = {}
    for size, alike in by_size.items():
        for start in range(0, len(alike), batch_size):
            some = alike[start : start + batch_size]
            inputs, scales = zip(*(letterbox(data.images[i], size, aspects[i]) for i in some), strict=True)
            boxes, scores, _ = decode(*network(normalize(stack(list(inputs)))))
            for row, i in enumerate(some):
                labels, seen = data.boxes[i], scores[row].numpy() > 0
                detected = boxes[row].double().numpy()[seen] / np.tile(scales[row], 2)
                results[i] = ImageBoxes(labels.xyxy, labels.ignored, detected, scores[row].double().numpy()[seen])
    return [results[i] for i in indices]


def validate(network: Detector, data: DetectionSet, side: int) -> DetectionScores:
    """Box AP of all classes together; processes share the images."""
    parts = gather(predict(network, data, side, rank(), processes()))
    return box_ap([image for part in parts for image in part])


def end_epoch(
    state: State,
    options: DetectorOptions,
    images: int,
    scores: DetectionScores | None,
    folder: Path,
    file_config: DetectorFileConfig,
) -> None:
    """Write the epoch into the log and the weights, and begin the next."""
    position = state.position
    row: dict[str, Any] = {
        "epoch": position.epoch + 1,
        "side": options.side(position.epoch),
        "loss": position.loss_sum / max(1, position.step),
        "images_per_second": images / max(position.seconds, 1e-9),
    }
    if scores:
        row |= {"AP50": scores.ap50, "AP": scores.ap}
    score = scores.ap50 + scores.ap if scores else float(position.epoch)
    improved = not score <= position.best  # NaN, where nothing is labelled, is an improvement
    history = [*position.history, row]
    state.position = RunPosition(position.epoch + 1, best=score if improved else position.best, history=history)
    if rank() > 0:
        return
    write_table(folder / LOG, history)
    if improved:
        save_detector(folder / BEST, state.averaged.state_dict(), file_config)
    save_checkpoint(folder / LAST, state, options, file_config)


def save_checkpoint(path: Path, state: State, options: DetectorOptions, file_config: DetectorFileConfig) -> None:
    """Write the whole state of a run, or nothing."""
    tensors = tensors_of(state.modules, state.optimizer)
    texts = {DETECTOR_KEY: asdict(file_config), "progress": vars(state.position), "options": asdict(options)}
    weights.save(path, tensors, {name: json.dumps(text) for name, text in texts.items()})


def load_checkpoint(path: Path, state: State, options: DetectorOptions) -> None:
    """Fill the state. Raises InputError where the file is not a checkpoint or was made with other options."""
    tensors, metadata = weights.load(path)
    state.position = _position(path, metadata, options)
    load_tensors(tensors, state.modules, state.optimizer, str(path))


def is_finished(folder: Path, options: DetectorOptions) -> bool:
    """Whether the training in this folder has done all epochs. Raises InputError where it has other options."""
    path = folder / LAST
    return path.exists() and _position(path, weights.load(path)[1], options).epoch >= options.epochs


def _position(path: Path, metadata: Mapping[str, str], options: DetectorOptions) -> RunPosition:
    if not {"progress", "options"} <= metadata.keys():
        raise InputError(path, "is not a checkpoint of a detector's training")
    stored, own = json.loads(metadata["options"]), json.loads(json.dumps(asdict(options)))
    if changed := [name for name in own if name != "checkpoint_minutes" and stored.get(name) != own[name]]:
        raise InputError(path, f"was made with another value of {changed[0]}: resume with the same options")
    return RunPosition(**json.loads(metadata["progress"]))
