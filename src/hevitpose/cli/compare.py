"""`hevitpose compare`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hevitpose.cli.common import Device, MicroBatchSize, Precision, Root, refuse_faults, refuse_inputs
from hevitpose.cli.options import with_options
from hevitpose.cli.progress import show_progress
from hevitpose.core.errors import InputError
from hevitpose.core.extras import need
from hevitpose.io import atomic

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
            help="Networks, with changes after colons: t,t:sigma=1,b:shared_weights=false (docs/training.md)."
        ),
    ],
    data: Annotated[str, typer.Option(help="Train on this data: folder of labelled images, TOML file or people16.")],
    budget: Annotated[str, typer.Option(help="Epochs (20) or time (30m, 8h) of each run.")],
    root: Root = None,
    out: Annotated[Path, typer.Option(help="Folder for runs, table and figures.")] = Path("runs/compare"),
    recipe: Annotated[
        str, typer.Option(help="Recipe of all runs, as in hevitpose train but without a network.")
    ] = "people16",
    size: Annotated[str | None, typer.Option(help="Input size, as in hevitpose train (default: the recipe's).")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Batch size (default: the recipe's).")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of initial weights, sample order and augmentation.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each network, with consecutive seeds.")] = 1,
    micro_batch_size: MicroBatchSize = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Train networks from scratch with the same recipe and budget, and compare their scores.

    Repeat the command to continue after an interruption; finished runs are kept.
    """
    need("train")
    from hevitpose.data.find import find_dataset
    from hevitpose.training.budget import parse_budget
    from hevitpose.training.compare import draw, markdown, run_entry, table
    from hevitpose.training.compare import entries as entries_of
    from hevitpose.training.fabric import Hardware
    from hevitpose.training.recipes import make_recipe
    from hevitpose.training.run import write_json

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("torchrun", "cannot start a comparison, which runs in one process")
    if "/" in recipe:
        raise InputError(f"`recipe={recipe}`", "names a network: networks are named in `models`")
    epochs = parse_budget(budget, f"`budget={budget}`")
    base = make_recipe(recipe, None, size, epochs=epochs, batch_size=batch_size)
    entries = entries_of(models, base, range(seed, seed + seeds))
    dataset = find_dataset(data, root)
    splits = [*filter(None, (dataset.train,)), *dataset.validation]
    refuse_inputs((out / name for name in ("compare.json", "compare.md")), [data], splits)
    refuse_faults(splits, data)
    if not any(split.metric for split in dataset.validation):
        raise InputError(data, "has no validation set with a metric")
    hardware = Hardware(device, precision, False, micro_batch_size, out / "crops")
    results, failed = [], 0
    for number, entry in enumerate(entries, start=1):
        print(f"{number} of {len(entries)}: {entry.title}, seed {entry.recipe.seed}", file=sys.stderr)
        try:
            with show_progress() as on_progress:
                time = None if epochs else budget
                results.append(run_entry(entry, dataset, out, hardware, recipe, time, on_progress))
        except InputError as error:  # the other runs do not need it
            failed += 1
            print(f"error: {entry.title}, seed {entry.recipe.seed}: {with_options(str(error))}", file=sys.stderr)
    if results:
        write_json(out / "compare.json", {"runs": results})
        atomic.write(out / "compare.md", markdown(results))
        Console().print(table(results).grid())
        print(f"{', '.join(map(str, draw(results, out)))}; hevitpose runs {out} lists the runs")
    sys.exit(1 if failed else 0)
