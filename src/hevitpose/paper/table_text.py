"""A table of the paper as text: a plain table, Markdown, JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hevitpose.paper.tables import PaperRow, PaperTable
from hevitpose.view.tables import Table

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
HERE = "score here, or the command that leads to one"


def as_table(paper: PaperTable, columns: Sequence[str] = ()) -> Table:
    """The printed cells with ours beside them, or only these columns; "?" stands for a cell that is illegible."""
    rows = [_cells(row) for row in paper.rows]
    columns = columns or list(rows[0])
    return Table(
        [HEADERS.get(name, name) for name in columns],
        [[_text(name, row[name]) for name in columns] for row in rows],
        "".join("l" if isinstance(rows[0][name], str) else "r" for name in columns),
    )


def halves(paper: PaperTable) -> tuple[Table, Table]:
    """The table in two parts for a narrow page: counts, then scores."""
    first, *names = _cells(paper.rows[0])
    counts = [name for name in names if name.removesuffix(" here") in COUNTS]
    return as_table(paper, [first, *counts]), as_table(paper, [first, *(n for n in names if n not in counts)])


def scores_or_command(row: PaperRow) -> str | None:
    """What was measured for the row's network, or the command that would; None if there is neither."""
    return "; ".join(map(str, row.runs)) or row.command


def markdown(paper: PaperTable) -> str:
    """The table with a column for scores or commands, and the notes below it."""
    table = as_table(paper)
    if paper.number != 2:
        last = ["; ".join(map(str, row.runs)) or f"`{row.command}`" for row in paper.rows]
        rows = [[*cells, more] for cells, more in zip(table.rows, last, strict=True)]
        table = Table([*table.header, HERE], rows, f"{table.alignment}l")
    return "\n".join([table.markdown(), "", *(f"- {note}" for note in paper.notes)])


def as_json(paper: PaperTable) -> dict[str, object]:
    """What is printed, counted and measured, unrounded; an illegible cell is None."""
    rows = [
        {
            "network": row.network,
            "paper": row.paper,
            "here": row.here(),
            "runs": [asdict(run) for run in row.runs],
            "command": row.command,
        }
        for row in paper.rows
    ]
    return {"table": paper.number, "title": paper.title, "rows": rows, "notes": paper.notes}


def _cells(row: PaperRow) -> dict[str, object]:
    here, cells = row.here(), {}
    for name, value in row.paper.items():
        cells[name] = value
        if name in here:
            cells[f"{name} here"] = here[name]
        if name == "gflops":
            cells["gmacs here"] = here["gmacs"]
    return cells


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
