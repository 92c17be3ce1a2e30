"""`hevitpose compare`."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hevitpose.cli.common import need, refuse_faults
from hevitpose.cli.progress import show_progress
from hevitpose.core.errors import InputError
from hevitpose.core.progress import OnProgress
from hevitpose.io import atomic

if TYPE_CHECKING:
    from hevitpose.data.datasets import Dataset
    from hevitpose.training.compare import Entry
    from hevitpose.training.fabric import Hardware

EXAMPLES = """
Examples:\n
  hevitpose compare --models t,mobilenet_v2,shufflenet_v2 --data people16 --root data/people16 --budget 3 --size 128\n
  hevitpose compare --models t,t:sigma=1,t:shared_weights=false --data my.toml --budget 5 --seeds 3\n
  hevitpose compare --models b,hrnet_w32,pvtv2_b2 --data my.toml --recipe mpii --budget 8h --out runs/large
"""


def compare(
    models: Annotated[
        str,
        typer.Option(
            help="Networks, each with what is changed for it: t,t:sigma=1,b:shared_weights=false (docs/training.md)."
        ),
    ],
    data: Annotated[str, typer.Option(help="Folder of labelled images, TOML file that describes it, or people16.")],
    budget: Annotated[str, typer.Option(help="For each run: so many epochs, or as many as fit into 30m or 8h.")],
    root: Annotated[Path | None, typer.Option(help="Folder of the data's files, if not that of the TOML file.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the runs, the table and the figures.")] = Path("runs/compare"),
    recipe: Annotated[str, typer.Option(help="Of all runs, as of hevitpose train, without a network.")] = "people16",
    size: Annotated[str | None, typer.Option(help="Input size instead of the recipe's, as of hevitpose train.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides first weights, order and augmentation.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each network, with this seed and the next ones.")] = 1,
    micro_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Persons in memory at a time; larger batches are accumulated.")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="The first GPU, else the processor.")
    ] = "auto",
    precision: Annotated[
        Literal["auto", "bf16", "fp32"], typer.Option(help="bfloat16 where the device multiplies it itself.")
    ] = "auto",
) -> None:
    """Train networks from scratch, each by the same recipe and for the same budget, and compare their scores.

    The same command again leaves out what is finished and goes on with what was interrupted.
    """
    need("train")
    from hevitpose.data.find import find_dataset
    from hevitpose.training import compare as comparison
    from hevitpose.training import recipes
    from hevitpose.training.budget import parse_budget
    from hevitpose.training.comparison_report import draw, markdown, table
    from hevitpose.training.fabric import Hardware

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("torchrun", "starts several processes: a comparison has one")
    if "/" in recipe:
        raise InputError(f"--recipe {recipe}", "names a network: those that are compared stand in --models")
    epochs = parse_budget(budget, f"--budget {budget}")
    base = recipes.make_recipe(recipe, None, size, epochs=epochs, batch_size=batch_size)
    entries = comparison.entries(models, base, range(seed, seed + seeds))
    dataset = find_dataset(data, root)
    refuse_faults([*filter(None, (dataset.train,)), *dataset.validation], data)
    if not any(split.metric for split in dataset.validation):
        raise InputError(data, "has no validation set with a metric to compare by")
    hardware = Hardware(device, precision, False, micro_batch_size, out / "crops")
    results, failed = [], 0
    for number, entry in enumerate(entries, start=1):
        print(f"{number} of {len(entries)}: {entry.title}, seed {entry.recipe.seed}", file=sys.stderr)
        try:
            with show_progress() as on_progress:
                results.append(run(entry, dataset, out, hardware, None if epochs else budget, recipe, on_progress))
        except InputError as error:  # the others are worth having without it
            failed += 1
            print(f"error: {entry.title}, seed {entry.recipe.seed}: {error}", file=sys.stderr)
    if results:
        atomic.write(out / "compare.json", json.dumps({"runs": results}, indent=1) + "\n")
        atomic.write(out / "compare.md", markdown(results))
        show(*table(results))
        print(f"{', '.join(map(str, draw(results, out)))}; hevitpose runs {out} lists the runs")
    sys.exit(1 if failed else 0)


def run(
    entry: "Entry",
    dataset: "Dataset",
    out: Path,
    hardware: "Hardware",
    time: str | None,
    recipe: str,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """The result of one run: begun, gone on with, or found finished. Raises InputError."""
    from hevitpose.training import compare as comparison
    from hevitpose.training.budget import within_budget
    from hevitpose.training.loop import train
    from hevitpose.training.report import write_report

    folder, file = out / entry.name, out / f"{entry.name}.json"
    own = entry.recipe
    if time:
        own = within_budget(own, time, dataset, folder, hardware, True, f"--budget {time}")
    splits = [split for split in (dataset.train, *dataset.validation) if split]
    people = {split.name: split.read().digest for split in splits}
    result = comparison.finished(file, own, dataset.name, people)
    if result is None:
        train(own, dataset, folder, hardware, True, on_progress)
        write_report(folder, dataset, on_progress)
        result = comparison.result_of(dataclasses.replace(entry, recipe=own), folder, recipe, people)
        atomic.write(file, json.dumps(result, indent=1) + "\n")
    return result


def show(header: list[str], rows: list[list[str]], tight: bool = False) -> None:
    """The table on the terminal; `tight`: of many columns."""
    grid = Table(box=None if tight else SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in header:
        first = name == header[0]
        grid.add_column(name, justify="left" if first else "right", no_wrap=first)
    for row in rows:
        grid.add_row(*row)
    Console().print(grid)
