"""`hevitpose runs`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hevitpose.training.run import RunLog, differences, find_runs
from hevitpose.view.tables import MISSING, Table

COLUMNS = {
    "run": "{run}",
    "model": "{model}",
    "data": "{data}",
    "epochs": "{epochs}",
    "input": "{input}",
    "score": "{score}",
    "best (epoch)": "{best:.4g} ({at epoch})",
    "last": "{last:.4g}",
    "hours": "{hours:.2g}",
}
ALIGNMENT = "lllrrlrrr"
WIDTH_OF_SETTINGS, WIDTH_OF_RUN = 28, 14
"""Approximate widths, in characters, of the first and of each other column of the table of settings."""
EXAMPLES = """
Examples:\n
  hevitpose runs\n
  hevitpose runs runs/first runs/second
"""


def runs(
    folders: Annotated[list[Path] | None, typer.Argument(help="Runs or folders of runs.", show_default="runs")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON.")] = False,
) -> None:
    """List training runs with their best scores and the settings that differ."""
    found = find_runs(folders or [Path("runs")])
    rows = [summary(run) for run in found]
    different = differences(found)
    if as_json:
        print(json.dumps({"runs": rows, "differences": different}, indent=1))
        return
    console = Console()
    console.print(run_table(rows).grid())
    together = max(1, (console.width - WIDTH_OF_SETTINGS) // WIDTH_OF_RUN)
    for start in range(0, len(found) if different else 0, together):
        shown = slice(start, start + together)
        values = [[name, *(_setting(name, v) for v in each[shown])] for name, each in different.items()]
        header = ["setting", *(str(run.folder) for run in found[shown])]
        console.print(Table(header, values, "l" * len(header)).grid())


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


def run_table(rows: list[dict[str, object]]) -> Table:
    """One row per run."""
    table = Table.of(rows, COLUMNS, ALIGNMENT)
    return Table(
        table.header, [[MISSING if cell == "- (-)" else cell for cell in row] for row in table.rows], ALIGNMENT
    )


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


def _setting(name: str, value: Any) -> str:
    if value is None:
        return MISSING
    if name == "input_sizes" and value:
        return sizes_text(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
