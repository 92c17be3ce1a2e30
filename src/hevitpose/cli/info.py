"""`hevitpose info`."""

import json
import re
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hevitpose.cli.common import need
from hevitpose.core.errors import InputError

EXAMPLES = """
Examples:\n
  hevitpose info b\n
  hevitpose info t --keypoints 17 --height 256 --width 192 --json\n
  hevitpose info b:groups=2-2-2
"""


def info(
    model: Annotated[str, typer.Argument(help="The network, as hevitpose train takes it: b, b-g222, t:heads=1-2-4.")],
    keypoints: Annotated[int, typer.Option(min=1, help="Number of keypoints.")] = 16,
    height: Annotated[int, typer.Option(min=32, help="Of the input.")] = 256,
    width: Annotated[int, typer.Option(min=32, help="Of the input.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a network's parameters and operations, part by part.

    Two countings: the paper's (MMPose's, which does not see attention's projections and products), and all
    multiply-accumulates.
    """
    need("train")
    from hevitpose.models.cost import cost, total
    from hevitpose.models.registry import build_network, title_of
    from hevitpose.training.recipes import Recipe, with_network

    recipe = with_network(Recipe(), model, model)
    title = title_of(recipe.model, recipe.variant)
    try:
        parts = cost(build_network(recipe.model, keypoints, recipe.variant), (height, width))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(title, str(error)) from error
    parts["total"] = total(parts)
    if as_json:
        print(json.dumps({name: asdict(part) for name, part in parts.items()}, indent=1))
        return
    table = Table(title=f"{title}, {keypoints} keypoints, input {height} x {width}")
    table.add_column("part")
    for column in ("parameters (M)", "GFLOPs, the paper's", "GMACs, all"):
        table.add_column(column, justify="right")
    for name, part in parts.items():
        figures = (part.parameters / 1e6, part.paper_operations / 1e9, part.multiply_accumulates / 1e9)
        row = [f"{figure:.2f}" if name == "total" else f"{figure:.4f}" for figure in figures]
        table.add_row(
            re.sub(r"stages\.(\d)", lambda m: f"stage {int(m[1]) + 1}", name),
            *row,
            style="bold" if name == "total" else None,
        )
    Console().print(table)
