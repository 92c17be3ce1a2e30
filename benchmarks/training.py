"""How fast the two sides of training are: what makes batches, and what consumes them (images/s).

    python benchmarks/training.py --output results/benchmark_training.json

Every row is measured in turn, round after round, so that a change of the machine's speed meets all of them. The rows
of "step" are HEViTPose-T, each with one more optimisation of `models/cpu.py`; networks are compared with all.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hevitpose.core import geometry
from hevitpose.core.labels import ImageFile, LabelledPeople
from hevitpose.core.skeleton import MPII16
from hevitpose.io import atomic, images
from hevitpose.io.provenance import provenance
from hevitpose.models import cpu
from hevitpose.models.baselines.networks import pvtv2_b2, resnet50
from hevitpose.models.hevitpose import hevitpose_b, hevitpose_t
from hevitpose.training.augment import geometric_augmentation, warp
from hevitpose.training.batches import Batch, CachedCrops, make_batch
from hevitpose.training.recipes import InputSize, Recipe
from hevitpose.training.targets import heatmap_loss, heatmap_targets

PERSONS, BATCH, ROUNDS, WARM_UP = 256, 32, 7, 4
BEST = "step: channels last, bfloat16, fast kernels"
PHOTO = Path(__file__).parents[1] / "examples" / "skier.jpg"
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "HEViTPose-T": hevitpose_t,
    "HEViTPose-B": hevitpose_b,
    "ResNet-50": resnet50,
    "PVTv2-B2": pvtv2_b2,
}
NETWORK_BATCH = 16  # of the largest, at 256 x 256, in a few GB
PARTS = ("forward", "backward", "optimizer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 192, 256])
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        for keep_freed_memory in (False, True):  # which cannot be taken back: a process of its own
            rows += in_own_process(measure, size, keep_freed_memory)
        for row in rows:
            if row["size"] == size:
                print(f"{size:4} {row['what']:65} {row['images_per_second']:8.1f} images/s", flush=True)
    networks = in_own_process(measure_networks, max(options.sizes))
    for network in networks:
        print(*(f"{name} {value}" for name, value in network.items()), sep=", ")
    if options.output:
        result = {"batch": BATCH, "rows": rows, "network_batch": NETWORK_BATCH, "networks": networks}
        atomic.write(options.output, json.dumps(result | {"provenance": provenance()}, indent=1) + "\n")


def in_own_process(function: Callable[..., list[dict[str, Any]]], *arguments: Any) -> list[dict[str, Any]]:
    """What the function returns in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure(size: int, keep_freed_memory: bool) -> list[dict[str, Any]]:
    """The rows of one input size."""
    people, crops = made_up_people(size)
    recipe = Recipe(input_sizes=(InputSize(size, size),))
    chosen = np.random.default_rng(0).permutation(PERSONS)[:BATCH]
    batch = make_batch(people, crops, chosen, recipe, 0)
    runs: dict[str, Callable[[], object]] = {
        "input, once a run: decode and cut a photo of 640 x 425": lambda: cut_photo(size),
        "input: warp": warper(people, crops, chosen, recipe),
        "input: targets": lambda: heatmap_targets(
            torch.full((BATCH, 16, 2), size / 8.0), torch.ones(BATCH, 16, dtype=torch.bool), (size // 4, size // 4), 2
        ),
        "input: all of a batch": lambda: make_batch(people, crops, chosen, recipe, 0),
        "step: NCHW, float32": stepper(batch, channels_last=False),
        "step: channels last, float32": stepper(batch),
        "step: channels last, bfloat16": stepper(batch, bfloat16=True),
        BEST: stepper(batch, bfloat16=True, optimised=True),
    }
    if keep_freed_memory:
        cpu.keep_freed_memory()
        runs = {f"{BEST}, freed memory kept": runs[BEST]}
    seconds: dict[str, list[float]] = {what: [] for what in runs}
    for turn in range(ROUNDS + WARM_UP):
        for what, run in runs.items():
            started = time.perf_counter()
            run()
            if turn >= WARM_UP:
                seconds[what].append(time.perf_counter() - started)
    return [
        {"size": size, "what": what, "images_per_second": round(BATCH / statistics.median(times), 1)}
        for what, times in seconds.items()
    ]


def measure_networks(size: int) -> list[dict[str, Any]]:
    """Images/s of each part of a step, and of the whole, for networks side by side, with every optimisation."""
    cpu.keep_freed_memory()
    people, crops = made_up_people(size)
    recipe = Recipe(input_sizes=(InputSize(size, size),))
    batch = make_batch(people, crops, np.arange(NETWORK_BATCH), recipe, 0)
    steps = {name: timed_step(build(), batch) for name, build in NETWORKS.items()}
    seconds: dict[str, list[tuple[float, ...]]] = {name: [] for name in steps}
    for turn in range(ROUNDS + WARM_UP):
        for name, step in steps.items():
            times = step()
            if turn >= WARM_UP:
                seconds[name].append(times)
    rows = []
    for name, of_parts in seconds.items():
        medians = [statistics.median(times) for times in zip(*of_parts, strict=True)]
        row: dict[str, Any] = {"network": name, "size": size}
        row |= {part: round(NETWORK_BATCH / median, 1) for part, median in zip(PARTS, medians, strict=True)}
        rows.append(row | {"step": round(NETWORK_BATCH / sum(medians), 1)})
    return rows


def timed_step(model: nn.Module, batch: Batch) -> Callable[[], tuple[float, ...]]:
    """A function that does one step of training and returns the seconds of its `PARTS`."""
    model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = batch.inputs.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> tuple[float, ...]:
        marks = [time.perf_counter()]
        with cpu.FastKernels(), torch.autocast("cpu", torch.bfloat16, enabled=cpu.supports_bfloat16()):
            heatmaps = model(inputs)
        marks.append(time.perf_counter())
        torch.autograd.backward(heatmap_loss(heatmaps, batch.targets, batch.weights))
        marks.append(time.perf_counter())
        optimizer.step()
        optimizer.zero_grad()
        marks.append(time.perf_counter())
        return tuple(after - before for before, after in pairwise(marks))

    return step


def cut_photo(size: int) -> None:
    """Read a photo and cut a crop for the cache, once for each person of a batch, as `cut_people` does on one core."""
    matrix = geometry.crop_matrix([[200.0, 20, 500, 370]], (round(1.5 * size), round(1.5 * size)))[0]
    for _ in range(BATCH):
        images.cut(images.read(PHOTO), matrix, (round(1.5 * size), round(1.5 * size)))


def warper(people: LabelledPeople, crops: CachedCrops, chosen: NDArray[np.int64], recipe: Recipe) -> Callable[[], Any]:
    """A function that warps a batch whose views are drawn already."""
    views = geometric_augmentation(people, chosen, crops.size_hw, recipe.padding, recipe.augmentation, 0, 0)
    to_crop = geometry.compose(crops.matrices[chosen], geometry.inverse(views.matrices))
    matrices = torch.from_numpy(to_crop).float()
    return lambda: warp(crops.pixels[torch.from_numpy(chosen)], matrices, crops.size_hw)


def stepper(
    batch: Batch,
    channels_last: bool = True,
    bfloat16: bool = False,
    optimised: bool = False,
) -> Callable[[], None]:
    """A function that does one step of training on this batch."""
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = hevitpose_t().train()
    model.to(memory_format=layout)  # type: ignore[call-overload]
    inputs = batch.inputs.contiguous(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        with cpu.FastKernels() if optimised else nullcontext(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            heatmaps = model(inputs)
        torch.autograd.backward(heatmap_loss(heatmaps, batch.targets, batch.weights))
        optimizer.step()
        optimizer.zero_grad()

    return step


def made_up_people(size: int) -> tuple[LabelledPeople, CachedCrops]:
    """Persons with random joints in random crops: the input side costs the same whatever the image shows."""
    random = np.random.default_rng(0)
    side = round(1.5 * size)
    keypoints = random.uniform(0.2, 0.8, (PERSONS, 16, 2)) * size
    people = LabelledPeople(
        name="made up",
        skeleton=MPII16,
        images=(ImageFile("none", Path()),),
        image_ids=(0,),
        image_index=np.zeros(PERSONS, dtype=np.int64),
        ids=np.arange(PERSONS),
        boxes=np.tile([0.0, 0, size / 1.25, size / 1.25], (PERSONS, 1)),
        keypoints=keypoints,
        visibility=np.full((PERSONS, 16), 2, dtype=np.int8),
        head_sizes=np.full(PERSONS, np.nan),
        areas=np.full(PERSONS, np.nan),
    )
    pixels = torch.from_numpy(random.integers(0, 256, (PERSONS, side, side, 3), dtype=np.uint8))
    shift = (side - size / 1.25) / 2
    return people, CachedCrops(
        pixels, np.tile([[1.0, 0, shift], [0, 1, shift]], (PERSONS, 1, 1)), (size, size), torch.device("cpu")
    )


if __name__ == "__main__":
    main()
