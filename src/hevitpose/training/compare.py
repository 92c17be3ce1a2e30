"""Training several networks by the same recipe, and the table and figures of their scores."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hevitpose.core.architecture import resolve_alias
from hevitpose.core.errors import InputError
from hevitpose.core.progress import OnProgress, ignore_progress
from hevitpose.data.datasets import Dataset
from hevitpose.evaluation.results import three_digits
from hevitpose.io.json_files import read_json
from hevitpose.models.registry import NETWORKS, refuse_variant
from hevitpose.training.budget import within_budget
from hevitpose.training.fabric import Hardware
from hevitpose.training.loop import train
from hevitpose.training.recipes import Recipe, with_network
from hevitpose.training.run import CARD, read_run, read_scores, write_json
from hevitpose.view.plots import Bubble, accuracy_over_cost, write_figure
from hevitpose.view.tables import MISSING, Table


@dataclass(frozen=True)
class Entry:
    """A run to do: `model` is the network with its settings, as `with_network` takes it."""

    model: str
    recipe: Recipe

    @property
    def name(self) -> str:
        """The name of the run's folder and of its JSON file."""
        return f"{self.model.replace(':', ',')}-seed{self.recipe.seed}"

    @property
    def title(self) -> str:
        """The network's name in the paper, and its settings."""
        return ", ".join([NETWORKS[self.recipe.model].title, *self.model.split(":")[1:]])


Result = Mapping[str, Any]
"""The result of a run, as its JSON file holds it."""


def entries(models: str, recipe: Recipe, seeds: Iterable[int]) -> list[Entry]:
    """The runs of `models`, "t,t:sigma=1,resnet50": all with the first seed, then all with the next.

    Raises InputError.
    """
    found = []
    for seed in seeds:
        for text in map(str.strip, models.split(",")):
            own = with_network(replace(recipe, seed=seed), text, f"`models={models}`")
            refuse_variant(own.model, own.variant)
            found.append(Entry(resolve_alias(text), own))
    names = [entry.name for entry in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError("`models`", f"{repeated[0].rpartition('-')[0]} is there twice")
    return found


def run_entry(
    entry: Entry,
    dataset: Dataset,
    out: Path,
    hardware: Hardware,
    base: str,
    time: str | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Result:
    """The result of one run, which is started, resumed, or found finished in `out`.

    `base` names the recipe that all runs have in common, `time` the time of the run ("8h") if its recipe does not say
    the epochs. Raises InputError, also if the run in `out` has another recipe or other data.
    """
    folder, recipe = out / entry.name, entry.recipe
    if time:
        recipe = within_budget(recipe, time, dataset, folder, hardware, True, f"`budget={time}`")
    train(recipe, dataset, folder, hardware, True, on_progress)
    people = {split.name: split.people.digest for split in (dataset.train, *dataset.validation) if split}
    result = result_of(entry, folder, base, people)
    write_json(out / f"{entry.name}.json", result)
    return result


def result_of(entry: Entry, folder: Path, base: str, people: Mapping[str, str]) -> Result:
    """The result of the finished run in `folder`: its cost at the last input size, speed, and the report's scores.

    `scores` are by validation set and name, `seconds` those of the steps.
    """
    run, card = read_run(folder), read_json(folder / CARD)
    seconds = 3600 * run.hours
    return {
        "network": entry.model,
        "title": entry.title,
        "recipe": base,
        "data": run.data.name,
        "epochs": len(run.history),
        "input_size": card["input_size"],
        "seconds": round(seconds, 1),
        "images_per_second": round(len(run.history) * run.data.persons / seconds, 1),
        "parameters": card["parameters"],
        "paper_operations": card["paper_operations"],
        "scores": {
            name: {metric: three_digits(each.mean) for metric, each in of.scores.items()}
            for name, of in read_scores(folder).items()
        },
        "seed": entry.recipe.seed,
        "device": run.data.device,
        "settings": run.recipe,
        "provenance": run.data.provenance,
        "people": people,
    }


def table(results: Sequence[Result]) -> Table:
    """A network per row, with mean and standard deviation over its seeds."""
    columns = _main_scores(results)
    header = ["network", "parameters (M)", "GFLOPs", "epochs", "images/s", "runs", *(f"{m}, {s}" for s, m in columns)]
    rows = []
    for runs in _by_network(results):
        first, epochs = runs[0], sorted({run["epochs"] for run in runs})
        row = [first["title"], f"{first['parameters'] / 1e6:.2f}", f"{first['paper_operations'] / 1e9:.2f}"]
        row += ["-".join(map(str, epochs)), f"{fmean(run['images_per_second'] for run in runs):.1f}", str(len(runs))]
        rows.append(row + [_spread(_values(runs, *column)) for column in columns])
    return Table(header, rows)


def markdown(results: Sequence[Result]) -> str:
    """The table, and below it what all runs have in common."""
    first = results[0]
    size = "x".join(map(str, first["input_size"]))
    common = (
        f"Trained from scratch on {first['data']} by the recipe {first['recipe']}; scores with flip test at {size}."
    )
    return f"{table(results).markdown()}\n\n{common}\n"


def draw(results: Sequence[Result], folder: Path) -> list[Path]:
    """Plot the main score of each validation set over GFLOPs as SET.png and SET.svg, and return the files."""
    files = []
    for name, metric in _main_scores(results):
        bubbles = [
            Bubble(runs[0]["title"], runs[0]["paper_operations"] / 1e9, fmean(values), runs[0]["parameters"] / 1e6)
            for runs in _by_network(results)
            if (values := _values(runs, name, metric))
        ]
        figure = accuracy_over_cost(bubbles, f"{metric} (%), {name}")
        for suffix in (".png", ".svg"):
            files.append(folder / f"{name}{suffix}")
            write_figure(figure, files[-1])
    return files


def _by_network(results: Sequence[Result]) -> list[list[Result]]:
    networks = dict.fromkeys(result["network"] for result in results)
    return [[result for result in results if result["network"] == network] for network in networks]


def _main_scores(results: Sequence[Result]) -> list[tuple[str, str]]:
    """(set, score) of each validation set."""
    return [(name, next(iter(scores))) for name, scores in results[0]["scores"].items()]


def _values(runs: Sequence[Result], name: str, metric: str) -> list[float]:
    return [value for run in runs if (value := run["scores"][name][metric]) is not None]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return MISSING
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")
