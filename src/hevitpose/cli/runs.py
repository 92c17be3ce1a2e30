"""`hevitpose runs`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hevitpose.files.runs import RunLog, differences, find_runs

COLUMNS = ("run", "model", "data", "epochs", "input", "score", "best", "at epoch", "last", "hours")
EXAMPLES = """
Examples:\n
  hevitpose runs\n
  hevitpose runs runs/first runs/second
"""


def runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Runs, or folders that hold runs.", show_default="runs")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List training runs with their best scores, and the settings in which they differ."""
    found = find_runs(folders or [Path("runs")])
    rows = [summary(run) for run in found]
    different = differences(found)
    if as_json:
        print(json.dumps({"runs": rows, "differences": different}, indent=1))
        return
    print_table({name: [row[name] for row in rows] for name in COLUMNS})
    if different:
        print_table({"run": [str(run.folder) for run in found]} | different, "settings that differ")


def summary(run: RunLog) -> dict[str, object]:
    """The line of one run."""
    best, last = run.best or {}, run.history[-1] if run.history else {}
    name = run.score or ""
    return {
        "run": str(run.folder),
        "model": run.recipe["model"],
        "data": run.data["name"],
        "epochs": f"{len(run.history)}/{run.recipe['epochs']}",
        "input": last.get("size"),
        "score": name,
        "best": best.get(name),
        "at epoch": best.get("epoch"),
        "last": last.get(name),
        "loss": last.get("loss"),
        "hours": run.hours,
    }


def print_table(columns: dict[str, list[object]], title: str | None = None) -> None:
    """One row a run."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(_text(value) for value in row))
    Console().print(table)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
