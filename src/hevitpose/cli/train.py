"""`hevitpose train`."""

import dataclasses
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hevitpose.cli.common import need
from hevitpose.core.errors import InputError
from hevitpose.core.facts import NetworkName
from hevitpose.files.check import Fault, check_sets

EXAMPLES = """
Examples:\n
  hevitpose train --model t --data people16 --root data/people16 --epochs 20\n
  hevitpose train --data people16 --recipe people16 --out runs/people16 --resume\n
  hevitpose train --data mice/ --epochs 60 --size 128,192@0.5,256@0.8\n
  hevitpose train --data my.toml --weights hevitpose_t_people16 --time-budget 90m
"""


def train(
    data: Annotated[str, typer.Option(help="Folder of labelled pictures, TOML file that describes it, or people16.")],
    model: Annotated[NetworkName, typer.Option(help="The network.")] = "t",
    recipe: Annotated[
        Literal["paper", "paper-coco", "people16"],
        typer.Option(help="The paper's for MPII or for COCO, or that of the shipped weights."),
    ] = "paper",
    root: Annotated[Path | None, typer.Option(help="Folder of the data's files, if not that of the TOML file.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, weights, log and curve.")] = Path("runs/train"),
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate instead of the recipe's.")] = None,
    size: Annotated[
        str | None, typer.Option(help="Input size: 256, 256x192 (height x width), or in turn 128,192@0.5,256@0.8.")
    ] = None,
    codec: Annotated[
        Literal["edges", "msra", "dark", "udp"] | None,
        typer.Option(help="How joints stand in heatmaps (docs/coordinates.md)."),
    ] = None,
    sigma: Annotated[float | None, typer.Option(help="Of a joint's Gaussian, in heatmap cells.")] = None,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Persons in memory at a time; larger batches are accumulated.")
    ] = None,
    crops: Annotated[
        Path | None, typer.Option(help="Folder that keeps the cut people on disk: for sets larger than memory.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after so many epochs without a better score of the first validation set."),
    ] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="As many epochs as fit into 90m or 8h, measured first; instead of --epochs.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Begin with trained weights, a file (.safetensors) or hevitpose_t_people16."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides first weights, order and augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, bf16 or fp32.")] = "auto",
    compile: Annotated[bool, typer.Option(help="Compile the network first (torch.compile).")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out, if it has begun.")] = False,
) -> None:
    """Train a network on labelled people."""
    need("train")
    from hevitpose.cli.progress import training_progress
    from hevitpose.core.heatmap import CODECS
    from hevitpose.files.datasets import find_dataset
    from hevitpose.training import recipes
    from hevitpose.training.budget import within_budget
    from hevitpose.training.loop import Hardware
    from hevitpose.training.loop import train as run
    from hevitpose.view.run_report import write_report

    named = {"paper": recipes.Recipe, "paper-coco": recipes.paper_coco, "people16": recipes.people16}
    sizes = size and recipes.parse_sizes(size)
    changes: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "learning_rate": rate, "input_sizes": sizes}
    changes |= {"patience": patience, "weights": weights}
    chosen = dataclasses.replace(named[recipe](), model=model, seed=seed, **_given(changes))
    base = CODECS[codec] if codec else chosen.codec
    chosen = dataclasses.replace(chosen, codec=dataclasses.replace(base, sigma=sigma or chosen.codec.sigma))
    hardware = Hardware(device, precision, compile, at_once, crops)
    dataset = find_dataset(data, root)
    if not _rank():
        refuse_faults(check_sets([*filter(None, (dataset.train,)), *dataset.validation]), data)
        if not dataset.validation:
            print("no validation set: nothing will be scored", file=sys.stderr)
    if time_budget is not None:
        chosen = within_budget(chosen, time_budget, dataset, out, hardware, resume)
    with training_progress() as report:
        history = run(chosen, dataset, out, hardware, resume, report)
        if _rank():
            return
        scores = write_report(out, dataset, report)
    print(*(f"{name}: {value}" for name, value in history[-1].items()), sep="\n")
    for name, of_set in scores.items():
        metric = of_set["metric"]
        print(f"best weights, flip test, {name} {metric}: {of_set['scores'][metric]['mean']}")
    print(f"everything is in {out} (docs/training.md)")


def refuse_faults(faults: list[Fault], data: str) -> None:
    """A line on standard error about the warnings. Raises InputError about the first error."""
    errors = [fault for fault in faults if fault.level == "error"]
    more = f"hevitpose data check {data}"
    if errors:
        rest = f" ({len(errors) - 1} more errors: {more})" if len(errors) > 1 else ""
        raise InputError(errors[0].file, f"{errors[0].reason}{rest}")
    counts = Counter(fault.kind for fault in faults)
    found = ", ".join(f"{count} x {kind}" for kind, count in counts.most_common()) or "no faults"
    print(f"data check: {found}{f' ({more})' if counts else ''}", file=sys.stderr)


def _rank() -> int:
    """Of the processes of torchrun only the first one, 0, speaks."""
    return int(os.environ.get("RANK", "0"))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
