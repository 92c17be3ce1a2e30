"""`hevitpose evaluate`."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hevitpose.cli.progress import training_progress
from hevitpose.core.errors import InputError
from hevitpose.files import atomic
from hevitpose.files.crops import cut_people
from hevitpose.files.datasets import Metric, find_split
from hevitpose.files.provenance import provenance
from hevitpose.inference.evaluation import evaluate_as_json
from hevitpose.inference.network import DEFAULT, Runtime, load_network

EXAMPLES = """
Examples:\n
  hevitpose evaluate --data mpii_val --root data/people16\n
  hevitpose evaluate --data my_val.json --metric pck --model runs/train/last.safetensors
"""


def evaluate(
    data: Annotated[str, typer.Option(help="Validation set (mpii_val, people16/lsp_val), or a COCO keypoint file.")],
    root: Annotated[Path | None, typer.Option(help="Folder of the data's files.")] = None,
    model: Annotated[str, typer.Option(help="Weights that ship, or a file (.onnx, .safetensors).")] = DEFAULT,
    runtime: Annotated[Runtime | None, typer.Option(help="ONNX Runtime unless the file says otherwise.")] = None,
    metric: Annotated[Metric | None, typer.Option(help="Instead of the set's own.")] = None,
    flip_test: Annotated[bool, typer.Option(help="Average with the mirrored picture.")] = True,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    device: Annotated[str, typer.Option(help="Of torch.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    output: Annotated[Path | None, typer.Option(help="Also write the JSON to this file.")] = None,
) -> None:
    """Measure a network on labelled people, in the boxes of their labels."""
    split = find_split(data, root)
    chosen = metric or split.metric
    if chosen is None:
        raise InputError(data, "its metric is not known: --metric pckh or --metric pck")
    people = split.read()
    network = load_network(model, runtime, device=device)
    if network.facts.skeleton.keypoints != people.skeleton.keypoints:
        raise InputError(data, f"has other keypoints than {network.name}")
    with training_progress() as report:
        crops = cut_people(
            people,
            network.facts.input_size,
            network.facts.padding,
            lambda done, of: report(people.name, done, of, math.nan, math.nan),
        )
    result = evaluate_as_json(network, people, crops, chosen, flip_test, batch_size) | {"provenance": provenance()}
    text = json.dumps(result, indent=1)
    if output:
        atomic.write(output, text + "\n")
    print(text) if as_json else print_scores(result)


def print_scores(result: dict[str, Any]) -> None:
    """The table of one evaluation."""
    flip = "with" if result["flip_test"] else "without"
    table = Table(title=f"{result['model']} on {result['data']}: {result['persons']} persons, {flip} flip test")
    table.add_column("keypoint")
    table.add_column("labelled", justify="right")
    for name in result["scores"]:
        table.add_column(name, justify="right")
    for keypoint, count in result["labelled"].items():
        values = [scores["per_keypoint"][keypoint] for scores in result["scores"].values()]
        table.add_row(keypoint, str(count), *("-" if v is None else f"{v:.2f}" for v in values))
    table.add_section()
    table.add_row("mean", "", *(f"{scores['mean']:.2f}" for scores in result["scores"].values()), style="bold")
    Console().print(table)
