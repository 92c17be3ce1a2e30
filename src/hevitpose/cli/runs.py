"""`hevitpose runs`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hevitpose.training.run import RunLog, differences, find_runs

COLUMNS = ("run", "model", "data", "epochs", "input", "score", "best", "last", "hours")
NAMES = ("run", "data", "score")
"""Columns of text, which may be wrapped on a narrow terminal; numbers may not."""
WIDTH_OF_SETTINGS, WIDTH_OF_RUN = 28, 14
"""Approximate width of the first column and of a run's column in the table of settings, in characters."""
EXAMPLES = """
Examples:\n
  hevitpose runs\n
  hevitpose runs runs/first runs/second
"""


def runs(
    folders: Annotated[list[Path] | None, typer.Argument(help="Runs, or folders of runs.", show_default="runs")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List training runs with their best scores, and compare their settings."""
    found = find_runs(folders or [Path("runs")])
    rows = [summary(run) for run in found]
    different = differences(found)
    if as_json:
        print(json.dumps({"runs": rows, "differences": different}, indent=1))
        return
    print_runs(rows)
    if different:
        print_settings([str(run.folder) for run in found], different)


def summary(run: RunLog) -> dict[str, object]:
    """The row of one run."""
    best, last, name = run.best, run.history[-1] if run.history else None, run.score or ""
    return {
        "run": str(run.folder),
        "model": ":".join(filter(None, (run.recipe["model"], run.recipe.get("variant")))),
        "data": run.data.name,
        "epochs": f"{len(run.history)}/{run.recipe['epochs']}",
        "input": last and last.size,
        "score": name,
        "best": best and best.scores[name],
        "at epoch": best and best.epoch,
        "last": last and last.scores.get(name),
        "loss": last and last.loss,
        "hours": run.hours,
    }


def print_runs(rows: list[dict[str, object]]) -> None:
    """Print one row per run."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        table.add_column(name, overflow="fold", no_wrap=name not in NAMES)
    for row in rows:
        best = f"{_text(row['best'])} ({row['at epoch']})" if row["best"] is not None else "-"
        texts = {name: _text(row[name]) for name in COLUMNS} | {"best": best, "hours": f"{row['hours']:.2g}"}
        table.add_row(*texts.values())
    table.caption = "best (at epoch)"
    Console().print(table)


def print_settings(runs: list[str], settings: dict[str, list[Any]]) -> None:
    """Print one row per setting and one column per run, in as many tables as the width requires."""
    console = Console()
    together = max(1, (console.width - WIDTH_OF_SETTINGS) // WIDTH_OF_RUN)
    for start in range(0, len(runs), together):
        shown = slice(start, start + together)
        table = Table("setting", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for run in runs[shown]:
            table.add_column(run, overflow="fold")
        for name, values in settings.items():
            table.add_row(name, *(sizes_text(v) if name == "input_sizes" and v else _text(v) for v in values[shown]))
        console.print(table)


def sizes_text(sizes: list[dict[str, object]]) -> str:
    """Input sizes as `--size` takes them.

    >>> sizes_text([{"height": 128, "width": 128, "start": 0.0}, {"height": 256, "width": 192, "start": 0.5}])
    '128,256x192@0.5'
    """
    texts = []
    for size in sizes:
        height, width, start = size["height"], size["width"], size["start"]
        texts.append(f"{height}{f'x{width}' if width != height else ''}{f'@{start:g}' if start else ''}")
    return ",".join(texts)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
