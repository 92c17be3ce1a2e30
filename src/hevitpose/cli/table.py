"""`hevitpose table`."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from hevitpose.cli.common import refuse_inputs
from hevitpose.core.errors import InputError
from hevitpose.core.extras import need
from hevitpose.io import atomic
from hevitpose.paper.table_text import as_json, as_table, halves, markdown, scores_or_command
from hevitpose.paper.tables import PaperTable, paper_table

EXAMPLES = """
Examples:\n
  hevitpose table 1\n
  hevitpose table 5 --format md\n
  hevitpose table 3 --results my_results --output table3.json
"""


def table(
    number: Annotated[int, typer.Argument(min=1, max=6, help="Number of the paper's table.", show_default=False)],
    results: Annotated[
        Path, typer.Option(help="Folder of scores (hevitpose evaluate --output, hevitpose compare).")
    ] = Path("results"),
    format: Annotated[Literal["md", "json"] | None, typer.Option(help="Output format: Markdown or JSON.")] = None,
    output: Annotated[Path | None, typer.Option(help="File to write (.md, .json).")] = None,
) -> None:
    """Print a table of the paper beside our counts and scores, or the commands for them.

    "?" (null in JSON) marks cells that are illegible in print.
    Counting takes about a second per network.
    """
    refuse_inputs([output], results.rglob("*.json") if results.is_dir() else [])
    need("baselines" if number in (1, 3) else "train")
    form = format or (output and output.suffix[1:])
    if form not in (None, "md", "json"):
        raise InputError(output or "", "must end in .md or .json, or use `format`")
    with Console(stderr=True).status("counting"):
        contents = paper_table(number, results)
    if form is None:
        show(contents, Console())
        return
    text = markdown(contents) if form == "md" else json.dumps(as_json(contents), indent=1)
    if output:
        atomic.write(output, text + "\n")
    else:
        print(text)


def show(paper: PaperTable, console: Console) -> None:
    """Print the table, in two parts if it is too wide, then the scores or command of each row, then the notes."""
    print_plain = partial(console.print, highlight=False, markup=False)
    print_plain(paper.title, style="bold")
    whole = as_table(paper)
    needed = console.measure(whole.grid(), options=console.options.update(max_width=1000)).maximum
    for part in [whole] if needed <= console.width else halves(paper):
        console.print(part.grid(), "")
    if paper.number != 2:
        print_plain("Scores measured here, or the command that leads to one:")
        for row in {row.network: row for row in paper.rows}.values():
            print_plain(f"  {row.network}: {scores_or_command(row)}", soft_wrap=True)  # so that commands can be copied
    print_plain("", *(f"- {note}" for note in paper.notes), sep="\n")
