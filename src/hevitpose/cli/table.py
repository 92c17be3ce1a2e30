"""`hevitpose table`."""

from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console

from hevitpose.cli.common import need
from hevitpose.core.errors import InputError
from hevitpose.io import atomic
from hevitpose.paper.table_text import Format, show, text
from hevitpose.paper.tables import paper_table

EXAMPLES = """
Examples:\n
  hevitpose table 1\n
  hevitpose table 5 --format md\n
  hevitpose table 3 --results my_results --output table3.csv
"""


def table(
    number: Annotated[int, typer.Argument(min=1, max=6, help="Of the paper's table.", show_default=False)],
    results: Annotated[
        Path, typer.Option(help="Folder of results (hevitpose evaluate --output, hevitpose compare).")
    ] = Path("results"),
    format: Annotated[Format | None, typer.Option(help="Instead of a table for the terminal.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file; its suffix (.md, .csv, .json) is the format.")
    ] = None,
) -> None:
    """Print a table of the paper: its figures, ours counted now, and scores measured here or the command for them.

    A cell that is not legible in print is a question mark (null in JSON). Counting takes about a second a network.
    """
    need("baselines" if number in (1, 3) else "train")
    form = format
    if output and form is None:
        suffix = output.suffix[1:]
        form = next((name for name in get_args(Format) if name == suffix), None)
        if form is None:
            known = ", ".join(f".{name}" for name in get_args(Format))
            raise InputError(output, f"must end in {known}, or --format be given")
    with Console(stderr=True).status("counting"):
        contents = paper_table(number, results)
    if form is None:
        show(contents, Console())
    elif output:
        atomic.write(output, text(contents, form) + "\n")
    else:
        print(text(contents, form))
