"""How fast the two sides of training are: what makes batches, and what consumes them (images/s, HEViTPose-T).

    python benchmarks/training.py --output results/benchmark_training.json

Every row is measured in turn, round after round, so that a change of the machine's speed meets all of them. The rows
of "step" take one detour of `training/cpu.py` more each.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hevitpose.core.person import LabelledPeople, PictureFile
from hevitpose.core.skeleton import MPII16
from hevitpose.files import atomic
from hevitpose.files.provenance import provenance
from hevitpose.models.hevitpose import hevitpose_t
from hevitpose.training import cpu
from hevitpose.training.batches import Batch, CachedCrops, make_batch
from hevitpose.training.recipes import InputSize, Recipe
from hevitpose.training.targets import heatmap_loss

PERSONS, BATCH, ROUNDS, WARM_UP = 256, 32, 7, 4
BEST = "step: channels last, bfloat16, fast kernels"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 192, 256])
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        for keep_freed_memory in (False, True):  # which cannot be taken back: a process of its own
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                rows += pool.submit(measure, size, keep_freed_memory).result()
        for row in rows:
            if row["size"] == size:
                print(f"{size:4} {row['what']:65} {row['images_per_second']:8.1f} images/s", flush=True)
    if options.output:
        result = {"model": "hevitpose_t", "batch": BATCH, "rows": rows, "provenance": provenance()}
        atomic.write(options.output, json.dumps(result, indent=1) + "\n")


def measure(size: int, keep_freed_memory: bool) -> list[dict[str, Any]]:
    """The rows of one input size."""
    people, crops = made_up_people(size)
    recipe = Recipe(input_sizes=(InputSize(size, size),))
    chosen = np.random.default_rng(0).permutation(PERSONS)[:BATCH]
    batch = make_batch(people, crops, chosen, recipe, 0)
    runs: dict[str, Callable[[], None]] = {
        "input: warp, flip and targets": lambda: use(make_batch(people, crops, chosen, recipe, 0)),
        "step: NCHW, float32": stepper(batch, channels_last=False),
        "step: channels last, float32": stepper(batch),
        "step: channels last, bfloat16": stepper(batch, bfloat16=True),
        BEST: stepper(batch, bfloat16=True, detours=True),
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


def stepper(
    batch: Batch,
    channels_last: bool = True,
    bfloat16: bool = False,
    detours: bool = False,
) -> Callable[[], None]:
    """A function that does one step of training on this batch."""
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = hevitpose_t().train()
    model.to(memory_format=layout)  # type: ignore[call-overload]
    inputs = batch.inputs.contiguous(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        with cpu.FastKernels() if detours else nullcontext(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            heatmaps = model(inputs)
        torch.autograd.backward(heatmap_loss(heatmaps, batch.targets, batch.weights))
        optimizer.step()
        optimizer.zero_grad()

    return step


def use(_: object) -> None:
    """Let go of what was made."""


def made_up_people(size: int) -> tuple[LabelledPeople, CachedCrops]:
    """Persons with random joints in random crops: the input side costs the same whatever the picture shows."""
    random = np.random.default_rng(0)
    side = round(1.5 * size)
    keypoints = random.uniform(0.2, 0.8, (PERSONS, 16, 2)) * size
    people = LabelledPeople(
        name="made up",
        skeleton=MPII16,
        pictures=(PictureFile("none", Path()),),
        picture_ids=(0,),
        picture_of=np.zeros(PERSONS, dtype=np.int64),
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
