"""The tables and the figure of `hevitpose benchmark`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from hevitpose.evaluation.results import ScoreRecord, find_score_records
from hevitpose.paper.tables import network_of
from hevitpose.view.plots import Bubble, accuracy_over_cost

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
FORM = {"runtime": "runtime", "precision": "bits", "batch": "batch", "threads": "threads"}
COLUMNS = {
    "p50_ms": ("p50 ms", ".1f"),
    "p95_ms": ("p95 ms", ".1f"),
    "images_per_second": ("images /s", ".1f"),
    "memory_mb": ("MB", ".0f"),
    "ratio": ("ratio", ".2f"),
}


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and lines: a form a line. `ratio` is the time in terms of the reference's."""
    lines = [
        [
            row["title"],
            *(str(row[name]) for name in FORM),
            *(_number(row.get(name), COLUMNS[name][1]) for name in COLUMNS),
        ]
        for row in rows
    ]
    return ["network", *FORM.values(), *(title for title, _ in COLUMNS.values())], lines


def pipeline_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and lines: a number of people a line, milliseconds of each step."""
    steps = list(rows[0]["ms"])
    lines = [
        [
            f"{row['people']}",
            *(f"{row['ms'][name]:.1f}" for name in steps),
            f"{row['others_share']:.0%}",
            f"{row['heatmaps_share']:.1%}",
        ]
        for row in rows
    ]
    return ["people", *steps, "others / network", "heatmaps / network"], lines


def accuracy_over_ms(rows: Sequence[Row], accuracy: Path) -> "Figure | None":
    """Accuracy over milliseconds of each network's fastest form at the smallest batch; None where no score is known.

    Scores are those in the JSON files of the folder, or in the one file: of runs of that network, or of an evaluation
    in a file that is named after the weights. The metric that most networks have is shown.
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


def missing(rows: Iterable[Row]) -> str:
    """What a figure would need."""
    names = ", ".join(dict.fromkeys(row["title"] for row in rows))
    return f"no figure: there is no score of {names}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
