"""`hevitpose figure`."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from hevitpose.cli.common import refuse_inputs
from hevitpose.core.extras import need
from hevitpose.paper.figures import cost_figure, figure_1, figure_4
from hevitpose.view.plots import output_files, write_figure

EXAMPLES = """
Examples:\n
  hevitpose figure 1\n
  hevitpose figure 1 --of runs --results results --output runs.png\n
  hevitpose figure 4 --output overlap.svg\n
  hevitpose figure cost --output out/cost
"""


def figure(
    which: Annotated[
        Literal["1", "4", "cost"],
        typer.Argument(
            help="Figure: 1 (accuracy over GFLOPs), 4 (pixel use of patch embeddings) or cost (GFLOPs over size).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="File to write (.png, .svg); both without a suffix.", show_default="out/figure_WHICH"),
    ] = None,
    of: Annotated[
        Literal["paper", "runs"],
        typer.Option(help="Source of figure 1: the paper's table 1, or runs of hevitpose compare."),
    ] = "paper",
    results: Annotated[Path, typer.Option(help="Folder of the runs for figure 1.")] = Path("results"),
) -> None:
    """Draw a figure of the paper, 3.35 inches wide, as PNG and SVG.

    Figure 4 counts paths from each pixel through table 4's embeddings.
    Figure cost counts six networks at six sizes, in about a minute.
    """
    need("train")
    files = output_files(output or Path("out") / f"figure_{which}")
    refuse_inputs(files, results.rglob("*.json") if of == "runs" else ())
    if which == "4":
        drawn = figure_4()
    elif which == "1" and of == "paper":
        drawn = figure_1()
    else:
        need("baselines")
        with Console(stderr=True).status("counting"):
            drawn = figure_1(results) if which == "1" else cost_figure()
    for file in files:
        write_figure(drawn, file)
        print(file)
