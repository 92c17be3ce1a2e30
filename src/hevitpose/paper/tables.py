"""The paper's tables, row by row: what is printed, what is counted now, and what was measured here."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hevitpose.core.architecture import PLAIN, NetworkName, PatchEmbedding, Stages, Variant, network_spec, parse_network
from hevitpose.core.errors import InputError
from hevitpose.evaluation.results import ScoreRecord, find_score_records
from hevitpose.paper.patch_overlap import parse_layers

if TYPE_CHECKING:
    from hevitpose.models.cost import Cost

SIDE = 256
"""Side of the images for which the tables count operations."""
Count = Callable[[NetworkName, Variant, int, int], "Cost"]
"""The cost of a network, its variant and number of keypoints for one square image of this side."""
Cells = dict[str, Any]
PrintedRow = tuple[NetworkName, Variant, Cells]
"""A row as the paper has it: its network, and its cells by column."""

EMBEDDINGS: dict[str, PatchEmbedding] = {
    "conv(3,2), conv(3,2)": "conv3-conv3",
    "conv(7,4)": "conv7",
    "conv(15,8), deconv(4,2)": "conv15-deconv4",
    "conv(7,2), conv(7,2)": "conv7-conv7",
}
KEYS = {
    1: "table1_mpii_test_pckh50",
    2: "table2_family",
    3: "table3_coco_test_dev2017",
    4: "table4_peow_mpii_val",
    5: "table5_groups_mpii_val",
    6: "table6_ablation_mpii_val",
}
TITLES = {
    1: "Table 1: MPII, test set, PCKh@0.5",
    2: "Table 2, corrected: widths C, depths L, groups G, reductions R and heads of the three stages",
    3: "Table 3: COCO test-dev2017",
    4: "Table 4: overlap of the patch embedding (PEOW), EfficientViT-M4, MPII validation set, PCKh@0.5",
    5: "Table 5: groups, reductions and heads of HEViTPose-B, MPII validation set, PCKh@0.5",
    6: "Table 6: ablation, MPII validation set, PCKh@0.5",
}
OF_B = {"groups": [4, 4, 4], "reductions": [8, 4, 2], "heads": [2, 4, 8]}
ODDITIES = {1: ("Table 1", "HRNet"), 2: ("Heads",), 3: ("ViTPose",), 4: ("Table 4",), 6: ("Table 6",)}
"""First words of those notes on oddities in print that belong to a table."""
COUNTINGS = (
    "All counts are for 256 x 256. GFLOPs: the paper's counting, which does not see attention's projections and "
    "products; GMACs: every multiply-accumulate."
)


@cache
def read_paper() -> dict[str, Any]:
    """paper.json: every number of the paper's tables (None if illegible) and notes on misprints."""
    return dict(json.loads((resources.files("hevitpose") / "paper" / "paper.json").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class PaperRow:
    """A row: `paper` holds the printed cells (None if illegible), `cost` what is counted now.

    `runs` are scores of this network in the table's metric, on other data than the paper's unless they say so;
    `command` trains the network by the paper's recipe.
    """

    network: str
    paper: Cells
    cost: "Cost"
    runs: tuple[ScoreRecord, ...]
    command: str | None

    def here(self) -> dict[str, float]:
        """What is counted now, in the paper's units."""
        return {
            "params": self.cost.parameters / 1e6,
            "gflops": self.cost.paper_operations / 1e9,
            "gmacs": self.cost.multiply_accumulates / 1e9,
        }


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper and notes on it."""

    number: int
    title: str
    rows: tuple[PaperRow, ...]
    notes: tuple[str, ...]


def count(name: NetworkName, variant: Variant, keypoints: int, side: int) -> "Cost":
    """The cost of a network, counted on its modules."""
    import torch

    from hevitpose.models.cost import cost, total
    from hevitpose.models.registry import build_network

    with torch.device("meta"):  # shapes are enough
        model = build_network(name, keypoints, variant)
    return total(cost(model, (side, side)))


def paper_table(number: int, results: Path | None, count: Count = count) -> PaperTable:
    """Table 1 to 6, with scores from the folder `results` if given; `count` gives the cost of a network.

    Raises InputError if a file of results is damaged.
    """
    keypoints, metric, data = (17, "AP", "coco") if number == 3 else (16, "PCKh@0.5", "mpii")
    found = find_score_records(results) if results else []
    of_rows = [each for each in found if each.metric == metric and not changes_recipe(each.network)]
    measured = [(each, network_of(each.network)) for each in of_rows]
    counted: dict[str, Cost] = {}
    rows = []
    for name, variant, cells in _printed(number):
        text = network_spec(name, variant)
        if text not in counted:
            counted[text] = count(name, variant, keypoints, SIDE)
        runs = tuple(each for each, network in measured if network == (name, variant))
        command = None if number == 2 else f"hevitpose train --recipe {data}/{text} --data {data}.toml"
        rows.append(PaperRow(text, cells, counted[text], runs, command))
    notes = (COUNTINGS, *_differences(rows), *_notes(number), *(_claims(rows) if number == 1 else ()))
    return PaperTable(number, TITLES[number], tuple(rows), notes)


def _printed(number: int) -> Iterator[PrintedRow]:
    """The rows of a table."""
    table = read_paper()[KEYS[number]]
    if number == 2:
        of_title = {cells["method"]: cells for _, _, cells in _printed(1)}
        for letter, family in table["corrected"].items():
            title = f"HEViTPose-{letter}"
            cost = {name: of_title[title][name] for name in ("params", "gflops")}
            yield network_by_title(title), PLAIN, {"method": title} | family | cost
        return
    for row in table["rows"]:
        cells = dict(zip(table["columns"], row, strict=True))
        if number == 4:  # its last row is printed with a wrong overlap
            cells = {"peow": cells["peow"], "kernel_less_stride": parse_layers(cells["layers"])[0].overlap} | cells
        yield *_network(number, cells), cells


def _network(number: int, cells: Cells) -> tuple[NetworkName, Variant]:
    """The network of a row, named as in the other tables where it appears there too."""
    if number == 4:
        return _efficientvit(EMBEDDINGS[cells["layers"]])
    if number == 5:
        return "b", Variant(_changed("groups", cells), _changed("reductions", cells), _changed("heads", cells))
    if number == 6:
        return ("b", PLAIN) if cells["hevitpose"] else _efficientvit("conv7" if cells["peow3"] else "conv3-conv3")
    return network_by_title(cells["method"]), PLAIN


def _efficientvit(embedding: PatchEmbedding) -> tuple[NetworkName, Variant]:
    return "efficientvit_m4", PLAIN if embedding == "conv3-conv3" else Variant(embedding=embedding)


def _changed(name: str, cells: Cells) -> Stages | None:
    """A row's numbers for the three stages; None if they are those of HEViTPose-B."""
    first, second, third = cells[name]
    return None if cells[name] == OF_B[name] else (first, second, third)


def network_by_title(title: str) -> NetworkName:
    """The network of a title in the paper."""
    from hevitpose.models.registry import NETWORKS

    return next(name for name, network in NETWORKS.items() if network.title == title)


def network_of(text: str) -> tuple[NetworkName, Variant] | None:
    """The network that a file of results names, by our name and variant or by the paper's title; None if unknown.

    Settings of the recipe, as in "t:sigma=1", are ignored.
    """
    from hevitpose.models.registry import NETWORKS

    names: dict[str, str] = {network.title: name for name, network in NETWORKS.items()}
    name, *settings = text.split(":")
    of_network = [setting for setting in settings if not _of_recipe(setting)]
    try:
        return parse_network(":".join([names.get(name, name), *of_network]), text)[:2]
    except InputError:
        return None


def changes_recipe(text: str) -> bool:
    """Whether a network's name changes the recipe too, as "t:sigma=1" does; such scores belong to no row."""
    return any(map(_of_recipe, text.split(":")[1:]))


def _of_recipe(setting: str) -> bool:
    return setting.partition("=")[0] not in vars(PLAIN)


def _differences(rows: list[PaperRow]) -> list[str]:
    """A line for each printed count that differs from ours."""
    lines = [
        f"{row.network}: {row.here()[name]:.2f} {unit} here, {row.paper[name]} in print."
        for row in rows
        for name, unit in (("params", "M parameters"), ("gflops", "GFLOPs"))
        if f"{row.here()[name]:.2f}" != f"{row.paper[name]:.2f}"
    ]
    return list(dict.fromkeys(lines))


def _notes(number: int) -> list[str]:
    """What paper.json notes on the table."""
    paper = read_paper()
    note = paper[KEYS[number]].get("note")
    return [*([note] if note else []), *(o for o in paper["oddities"] if o.startswith(ODDITIES.get(number, ("\0",))))]


def _claims(rows: list[PaperRow]) -> list[str]:
    """The paper's claims about pairs of rows, and what the counts give."""
    of_method = {row.paper["method"]: row for row in rows}
    lines = []
    for pair, claim in read_paper()[KEYS[1]]["claims"].items():
        letter, other = pair.split(" against ")
        ours, theirs = of_method[f"HEViTPose-{letter}"].here(), of_method[other].here()
        changes = {name: f"{100 * (ours[name] / theirs[name] - 1):+.1f}%" for name in ("params", "gflops")}
        printed = ", ".join(f"{name} {value}" for name, value in claim.items())
        counted = ", ".join(f"{name} {value}" for name, value in changes.items())
        lines.append(f"The paper's claim, {pair}: {printed}. Counted here: {counted}.")
    return lines
