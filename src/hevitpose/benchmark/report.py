"""The tables and the figure of `hevitpose benchmark`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from hevitpose.evaluation.results import ScoreRecord, find_score_records
from hevitpose.paper.tables import network_of
from hevitpose.view.plots import Bubble, accuracy_over_cost
from hevitpose.view.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
COLUMNS = {
    "network": "{title}",
    "runtime": "{runtime}",
    "bits": "{precision}",
    "batch": "{batch}",
    "threads": "{threads}",
    "p50 ms": "{p50_ms:.1f}",
    "p95 ms": "{p95_ms:.1f}",
    "images /s": "{images_per_second:.1f}",
    "MB": "{memory_mb:.0f}",
    "ratio": "{ratio:.2f}",
}


def case_table(rows: Sequence[Row]) -> Table:
    """One row per case; `ratio` is its time divided by the reference's."""
    return Table.of([{"ratio": None, **row} for row in rows], COLUMNS)


def pipeline_table(rows: Sequence[Row]) -> Table:
    """One row per number of people, with the milliseconds of each step."""
    steps = {name: f"{{ms[{name}]:.1f}}" for name in rows[0]["ms"]}
    shares = {"detector": "{detector_share:.0%}", "others": "{others_share:.0%}", "heatmaps": "{heatmaps_share:.1%}"}
    return Table.of(rows, {"people": "{people}"} | steps | {f"{n} / network": share for n, share in shares.items()})


def accuracy_over_ms(rows: Sequence[Row], accuracy: Path) -> "Figure | None":
    """Accuracy over each network's shortest time at the smallest batch; None if no score is known.

    Scores come from the JSON files of the folder `accuracy`, or from the file: those of runs of the network, or of an
    evaluation in a file that is named after the weights. The metric that most networks have is shown.
    """
    scores = find_score_records(accuracy)
    batch = min((row["batch"] for row in rows), default=1)
    fastest: dict[str, Row] = {}
    for row in sorted(rows, key=lambda each: each["p50_ms"]):
        if row["batch"] == batch and row["parameters"]:
            fastest.setdefault(row["model"], row)
    known = {model: [each for each in scores if _is_of(each, row)] for model, row in fastest.items()}
    kinds = [kind for own in known.values() for kind in dict.fromkeys((each.metric, each.data) for each in own)]
    if not kinds:
        return None
    metric, data = max(dict.fromkeys(kinds), key=kinds.count)
    bubbles = []
    for model, own in known.items():
        if values := [each.value for each in own if (each.metric, each.data) == (metric, data)]:
            row = fastest[model]
            bubbles.append(Bubble(row["title"], row["p50_ms"], fmean(values), row["parameters"] / 1e6))
    return accuracy_over_cost(
        bubbles, f"{metric} (%), {data}", f"milliseconds, batch {batch}, each in its best runtime"
    )


def _is_of(score: ScoreRecord, row: Row) -> bool:
    if not row["random"]:
        return Path(score.file).name.startswith(f"{row['model']}.")
    own = network_of(row["model"])
    return own is not None and network_of(score.network) == own
