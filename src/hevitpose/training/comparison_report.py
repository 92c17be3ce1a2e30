"""The table and the figures of runs that were compared (hevitpose compare)."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hevitpose.view.plots import Bubble, accuracy_over_cost, write_figure

Result = dict[str, Any]


def table(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a network a row, mean and standard deviation where it ran with several seeds."""
    columns = _scores(results)
    header = ["network", "parameters (M)", "GFLOPs", "epochs", "images/s", "runs", *(f"{m}, {s}" for s, m in columns)]
    rows = []
    for runs in _by_network(results):
        first = runs[0]
        rows.append(
            [
                first["title"],
                f"{first['parameters'] / 1e6:.2f}",
                f"{first['paper_operations'] / 1e9:.2f}",
                "-".join(str(n) for n in sorted({run["epochs"] for run in runs})),
                f"{fmean(run['images_per_second'] for run in runs):.1f}",
                str(len(runs)),
                *(_spread(_values(runs, *column)) for column in columns),
            ]
        )
    return header, rows


def markdown(results: Sequence[Result]) -> str:
    """The table, and below it what is the same for all."""
    header, rows = table(results)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    first = results[0]
    size = "x".join(map(str, first["input_size"]))
    same = f"Trained from scratch on {first['data']} by the recipe {first['recipe']}; scores with flip test at {size}."
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", same, ""])


def draw(results: Sequence[Result], folder: Path) -> list[Path]:
    """For each validation set SET.png and SET.svg: its main score over GFLOPs. Returns the files."""
    files = []
    for name, metric in _scores(results):
        bubbles = [
            Bubble(
                runs[0]["title"],
                runs[0]["paper_operations"] / 1e9,
                fmean(values),
                runs[0]["parameters"] / 1e6,
            )
            for runs in _by_network(results)
            if (values := _values(runs, name, metric))
        ]
        figure = accuracy_over_cost(bubbles, f"{metric} (%), {name}")
        for suffix in (".png", ".svg"):
            files.append(folder / f"{name}{suffix}")
            write_figure(figure, files[-1])
    return files


def _by_network(results: Sequence[Result]) -> list[list[Result]]:
    """The runs of each network, with all of its seeds."""
    networks = dict.fromkeys(result["network"] for result in results)
    return [[result for result in results if result["network"] == network] for network in networks]


def _scores(results: Sequence[Result]) -> list[tuple[str, str]]:
    """(set, metric) of each set's main score, which is its first."""
    return [(name, next(iter(scores))) for name, scores in results[0]["scores"].items()]


def _values(runs: Sequence[Result], name: str, metric: str) -> list[float]:
    """The scores of these runs, without those that a set is too small to give."""
    return [value for run in runs if (value := run["scores"][name][metric]) is not None]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")
