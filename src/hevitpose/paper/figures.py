"""What the paper's figures of numbers show: from paper.json, from what is counted now, from runs."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from hevitpose.core.architecture import NetworkName
from hevitpose.core.errors import InputError
from hevitpose.evaluation.results import find_score_records
from hevitpose.paper.patch_overlap import Convolution, parse_layers
from hevitpose.paper.printed import read_paper
from hevitpose.paper.tables import EMBEDDINGS, KEYS, Count, count, network_by_title, network_of
from hevitpose.view.plots import Bubble, Embedding, accuracy_over_cost, cost_over_size, overlap_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hevitpose.models.cost import Cost

METRIC = "PCKh@0.5"
COMPARED = "compare"
"""The folder of results that holds runs under the same conditions."""


def figure_1(results: Path | None = None, count: Count = count) -> "Figure":
    """Accuracy over GFLOPs: of the paper's table 1, or of the compared runs in the folder `results`, or its `COMPARED`.

    Those on the first set with PCKh. Raises InputError where there are none.
    """
    if results is None:
        rows = read_paper()[KEYS[1]]["rows"]
        printed = [Bubble(title, gflops, total, params) for title, params, gflops, *_, total in rows]
        return accuracy_over_cost(printed, f"{METRIC} (%), MPII test set")
    folder = results / COMPARED if (results / COMPARED).is_dir() else results
    runs = [each for each in find_score_records(folder) if each.metric == METRIC and network_of(each.network)]
    if not runs:
        raise InputError(folder, f"holds no runs with {METRIC} (hevitpose compare)")
    runs = [each for each in runs if each.data == runs[0].data]
    bubbles = []
    for text in dict.fromkeys(run.network for run in runs):
        if network := network_of(text):
            cost = count(*network, 16)
            accuracy = fmean(run.value for run in runs if run.network == text)
            bubbles.append(Bubble(_label(text), cost.paper_operations / 1e9, accuracy, cost.parameters / 1e6))
    return accuracy_over_cost(bubbles, f"{METRIC} (%), {runs[0].data}")


def figure_4(kernels: Sequence[str], strides: Sequence[str], paddings: Sequence[str], side: int) -> "Figure":
    """How often patch embeddings use each pixel of a square image: those of table 4 where no kernels are given.

    Each text is a number, or one a layer ("3,3"); a padding is half its kernel unless given. Raises InputError.
    """
    if not kernels:
        if strides or paddings:
            raise InputError("--kernel", "is needed with --stride and --padding")
        return overlap_maps([_printed_embedding(layers) for layers in EMBEDDINGS], side)
    if len(strides) != len(kernels) or len(paddings) not in (0, len(kernels)):
        raise InputError("--stride", f"give --stride, and --padding or none, once for each of {len(kernels)} --kernel")
    return overlap_maps(
        [
            _embedding(kernel, stride, paddings[n] if paddings else None)
            for n, (kernel, stride) in enumerate(zip(kernels, strides, strict=True))
        ],
        side,
    )


def cost_figure(counted: Callable[[NetworkName, int], "Cost"] | None = None) -> "Figure":
    """GFLOPs over the input's side for six networks, in both countings."""
    wanted = read_paper()["figure_cost"]
    sides: list[int] = wanted["input_sides"]
    costs = {
        title: [(counted or count_at)(network_by_title(title), side) for side in sides] for title in wanted["networks"]
    }
    return cost_over_size(
        sides,
        {
            "the paper's counting": {name: [c.paper_operations / 1e9 for c in row] for name, row in costs.items()},
            "all multiply-accumulates": {
                name: [c.multiply_accumulates / 1e9 for c in row] for name, row in costs.items()
            },
        },
    )


def count_at(name: NetworkName, side: int) -> "Cost":
    """Build the network and count it for an image of this side."""
    from hevitpose.models.cost import cost, total
    from hevitpose.models.registry import build_network

    return total(cost(build_network(name, 16), (side, side)))


def _label(text: str) -> str:
    """The paper's name instead of ours."""
    from hevitpose.models.registry import NETWORKS

    titles = {str(name): network.title for name, network in NETWORKS.items()}
    name, *changes = text.split(":")
    return " ".join([titles.get(name, name), *changes])


def _printed_embedding(text: str) -> Embedding:
    """Of a row of table 4, whose last is printed with another overlap than it has."""
    layers = parse_layers(text)
    table = read_paper()[KEYS[4]]
    printed = next(row[0] for row in table["rows"] if row[1] == text)
    told = "" if printed == layers[0].overlap else f", printed as {printed}"
    return Embedding(f"{text}\nPEOW {layers[0].overlap}{told}", layers)


def _embedding(kernel: str, stride: str, padding: str | None) -> Embedding:
    """From the texts of the command line."""
    kernels, strides = _numbers("--kernel", kernel), _numbers("--stride", stride)
    paddings = [k // 2 for k in kernels] if padding is None else _numbers("--padding", padding)
    if not len(kernels) == len(strides) == len(paddings):
        raise InputError(f"--kernel {kernel}", "has not as many layers as its --stride and --padding")
    try:
        layers = tuple(Convolution(*layer) for layer in zip(kernels, strides, paddings, strict=True))
    except ValueError as error:
        raise InputError(f"--kernel {kernel}", str(error)) from error
    overlaps = ", ".join(str(n) for n in dict.fromkeys(layer.overlap for layer in layers))
    return Embedding(f"{', '.join(map(str, layers))}\nPEOW {overlaps}", layers)


def _numbers(option: str, text: str) -> list[int]:
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise InputError(f"{option} {text}", "is no whole number, nor one for each layer (3,3)")
    return [int(number) for number in text.split(",")]
