"""The same training for several networks: which runs, and what came of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hevitpose.core.architecture import resolve_alias
from hevitpose.core.errors import InputError
from hevitpose.io.json_files import read_json
from hevitpose.models.registry import NETWORKS, refuse_variant
from hevitpose.training.recipes import Recipe, difference, with_network
from hevitpose.training.runs import read_run


@dataclass(frozen=True)
class Entry:
    """One run: `model` is the network with what is changed for it, as `with_network` takes it."""

    model: str
    recipe: Recipe

    @property
    def name(self) -> str:
        """Of the run's folder and of its file of results."""
        return f"{self.model.replace(':', ',')}-seed{self.recipe.seed}"

    @property
    def title(self) -> str:
        """The paper's name of the network, and what is changed."""
        return ", ".join([NETWORKS[self.recipe.model].title, *self.model.split(":")[1:]])


def entries(models: str, recipe: Recipe, seeds: Iterable[int]) -> list[Entry]:
    """The runs of `models`, "t,t:sigma=1,resnet50": all of the first seed, then of the next. Raises InputError."""
    found = []
    for seed in seeds:
        for text in models.split(","):
            own = with_network(replace(recipe, seed=seed), text.strip(), f"`models={text}`")
            refuse_variant(own.model, own.variant)
            found.append(Entry(resolve_alias(text.strip()), own))
    names = [entry.name for entry in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError("`models`", f"{twice[0].rpartition('-')[0]} is there twice")
    return found


def finished(file: Path, recipe: Recipe, data: str, people: Mapping[str, str]) -> dict[str, Any] | None:
    """The result in `file`, None where there is none. Raises InputError where it is of another recipe or other data.

    `people` are the digests of the sets' people by the set's name.
    """
    if not file.is_file():
        return None
    try:
        result: dict[str, Any] = read_json(file)
        theirs, settings = result["data"], result["settings"]
    except (LookupError, TypeError) as error:
        raise InputError(file, "is no result of a comparison") from error
    if theirs == data and result.get("people", people) != people:
        raise InputError(file, f"is of other people than those of {data} now: compare in another folder")
    if other := f"data = {theirs}, not {data}" if theirs != data else difference(settings, recipe):
        raise InputError(file, f"is of a run with {other}: compare in another folder")
    return result


def result_of(entry: Entry, folder: Path, base: str, people: Mapping[str, str]) -> dict[str, Any]:
    """What came of a finished run in `folder` by the recipe `base`: cost, speed and the scores that its report left.

    Parameters and operations are the card's, at the last input size; `seconds` are those of the steps.
    """
    run = read_run(folder)
    card, scores = (read_json(folder / name) for name in ("card.json", "scores.json"))
    seconds = 3600 * run.hours
    return {
        "network": entry.model,
        "title": entry.title,
        "recipe": base,
        "data": run.data["name"],
        "people": dict(people),
        "epochs": len(run.history),
        "input_size": card["input_size"],
        "seconds": round(seconds, 1),
        "images_per_second": round(len(run.history) * run.data["persons"] / seconds, 1),
        "parameters": card["parameters"],
        "paper_operations": card["paper_operations"],
        "scores": {
            name: {metric: values["mean"] for metric, values in of_set["scores"].items()}
            for name, of_set in scores.items()
        },
        "seed": entry.recipe.seed,
        "device": run.data["device"],
        "settings": run.recipe,
        "provenance": run.data["provenance"],
    }
