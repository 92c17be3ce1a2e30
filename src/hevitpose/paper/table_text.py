"""A table of the paper as text: Markdown, CSV, JSON, or for the terminal."""

import csv
import io
import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from hevitpose.paper.tables import Row, Table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table as Grid

Format = Literal["md", "csv", "json"]
UNKNOWN = "?"
COUNTS = ("params", "gflops", "gmacs")
HEADERS = {
    "params": "params (M)",
    "params here": "params (M), here",
    "gflops": "GFLOPs",
    "gflops here": "GFLOPs, here",
    "gmacs here": "GMACs, here",
    "peow": "PEOW",
    "kernel_less_stride": "kernel - stride",
    "peow3": "PEOW 3",
    "hevitpose": "HEViTPose",
    "training_days": "days of training",
}
SHORT = {
    "params": "params",
    "params here": "here",
    "kernel_less_stride": "k - s",
    "gflops here": "here",
    "gmacs here": "GMACs",
    "shoulder": "sho.",
    "elbow": "elb.",
    "wrist": "wri.",
    "ankle": "ank.",
    "training_days": "days",
}
"""For the terminal."""
HERE = "score here, or the command that leads to one"


def text(table: Table, form: Format) -> str:
    """The table in one of the forms; a printed cell that is not known is null in JSON, else a question mark."""
    if form == "json":
        return json.dumps(as_json(table), indent=1)
    return _csv(table) if form == "csv" else _markdown(table)


def _markdown(table: Table) -> str:
    first = _flat(table.rows[0])
    header = [HEADERS.get(name, name) for name in first]
    rule = ["---" if isinstance(value, str) else "---:" for value in first.values()]
    lines = [[_text(name, value) for name, value in _flat(row).items()] for row in table.rows]
    if table.number != 2:
        header, rule = [*header, HERE], [*rule, "---"]
        lines = [
            [*line, "; ".join(map(str, row.runs)) or f"`{row.command}`"]
            for line, row in zip(lines, table.rows, strict=True)
        ]
    rows = [f"| {' | '.join(line)} |" for line in (header, rule, *lines)]
    return "\n".join([*rows, "", *(f"- {note}" for note in table.notes)])


def _csv(table: Table) -> str:
    out = io.StringIO()
    rows = [
        {name.replace(" ", "_"): _text(name, value) for name, value in _flat(row).items()}
        | {"scores_here": "; ".join(map(str, row.runs)), "command": row.command or ""}
        for row in table.rows
    ]
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def as_json(table: Table) -> dict[str, Any]:
    """What is printed, what was counted and what was measured, unrounded."""
    rows = [
        {
            "network": row.network,
            "paper": row.paper,
            "here": row.here(),
            "runs": [asdict(run) for run in row.runs],
            "command": row.command,
        }
        for row in table.rows
    ]
    return {"table": table.number, "title": table.title, "rows": rows, "notes": table.notes}


def show(table: Table, console: "Console") -> None:
    """Print the table, in two parts where it is too wide; then scores or commands of each row; then the notes."""
    names = list(_flat(table.rows[0]))
    grids: list[RenderableType] = [_grid(table, names)]
    if console.measure(grids[0], options=console.options.update(max_width=1000)).maximum > console.width:
        counts = [name for name in names if name.removesuffix(" here") in COUNTS]
        others = [name for name in names if name not in counts]
        grids = [_grid(table, others[:1] + counts), "", _grid(table, others)]
    print_plain = partial(console.print, highlight=False, markup=False)
    print_plain(table.title, style="bold")
    for grid in grids:
        print_plain(grid)
    if table.number != 2:
        print_plain("\nScores measured here, or the command that leads to one:")
        for row in {row.network: row for row in table.rows}.values():
            told = "; ".join(map(str, row.runs)) or row.command
            print_plain(f"  {row.network}: {told}", soft_wrap=True)  # so that commands can be copied
    print_plain("", *(f"- {note}" for note in table.notes), sep="\n")


def _grid(table: Table, names: list[str]) -> "Grid":
    from rich.table import Table as Grid

    rows = [_flat(row) for row in table.rows]
    grid = Grid(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for name in names:
        header = SHORT.get(name, HEADERS.get(name, name))
        grid.add_column(header, justify="left" if isinstance(rows[0][name], str) else "right", overflow="fold")
    for row in rows:
        grid.add_row(*(_text(name, row[name]) for name in names))
    return grid


def _flat(row: Row) -> dict[str, Any]:
    """The printed cells with ours beside them."""
    here, flat = row.here(), {}
    for name, value in row.paper.items():
        flat[name] = value
        if name in here:
            flat[f"{name} here"] = here[name]
        if name == "gflops":
            flat["gmacs here"] = here["gmacs"]
    return flat


def _text(name: str, value: Any) -> str:
    match value:
        case None:
            return UNKNOWN
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case float():
            return f"{value:.2f}" if name.removesuffix(" here") in COUNTS else f"{value:.1f}"
        case _:
            return str(value)
