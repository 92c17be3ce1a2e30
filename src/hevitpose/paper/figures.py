"""The paper's figures of numbers, from paper.json, from networks counted now, or from runs of one's own."""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from hevitpose.core.architecture import PLAIN
from hevitpose.core.errors import InputError
from hevitpose.evaluation.results import find_score_records
from hevitpose.paper.patch_overlap import parse_layers, pixel_uses
from hevitpose.paper.tables import EMBEDDINGS, KEYS, SIDE, Count, count, network_by_title, network_of, read_paper
from hevitpose.view.plots import Bubble, accuracy_over_cost, cost_over_size, count_maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRIC = "PCKh@0.5"
COMPARED = "compare"
"""The folder of results that holds runs under the same conditions."""
KEYPOINTS = 16
"""MPII's."""
OVERLAP_SIDE = 40
"""Side of the image in figure 4, in pixels."""


def figure_1(results: Path | None = None, count: Count = count) -> "Figure":
    """Accuracy over GFLOPs of the paper's table 1, or of compared runs.

    The runs are those in the folder `results`, or in its subfolder `COMPARED`, with PCKh on the first set that has it.
    Raises InputError if there are none.
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
            cost = count(*network, KEYPOINTS, SIDE)
            accuracy = fmean(run.value for run in runs if run.network == text)
            bubbles.append(Bubble(_label(text), cost.paper_operations / 1e9, accuracy, cost.parameters / 1e6))
    return accuracy_over_cost(bubbles, f"{METRIC} (%), {runs[0].data}")


def figure_4() -> "Figure":
    """How often each patch embedding of table 4 reads each pixel of a square image."""
    printed = {row[1]: row[0] for row in read_paper()[KEYS[4]]["rows"]}
    maps = {}
    for text in EMBEDDINGS:
        layers = parse_layers(text)
        overlap = layers[0].overlap
        misprint = "" if printed[text] == overlap else f", printed as {printed[text]}"
        maps[f"{text}\nPEOW {overlap}{misprint}"] = pixel_uses(layers, OVERLAP_SIDE)
    return count_maps(maps, "pixels of the input; colour: how often each is used")


def cost_figure(count: Count = count) -> "Figure":
    """GFLOPs over the input side for six networks, by both countings; counting them takes a minute."""
    wanted = read_paper()["figure_cost"]
    sides: list[int] = wanted["input_sides"]
    costs = {
        title: [count(network_by_title(title), PLAIN, KEYPOINTS, side) for side in sides]
        for title in wanted["networks"]
    }
    curves = {
        "the paper's counting": {name: [c.paper_operations / 1e9 for c in row] for name, row in costs.items()},
        "all multiply-accumulates": {name: [c.multiply_accumulates / 1e9 for c in row] for name, row in costs.items()},
    }
    return cost_over_size(sides, curves)


def _label(text: str) -> str:
    """A network with the paper's name in place of ours."""
    from hevitpose.models.registry import NETWORKS

    titles = {str(name): network.title for name, network in NETWORKS.items()}
    name, *changes = text.split(":")
    return " ".join([titles.get(name, name), *changes])
