"""Folders that training left, read again: without torch, so that runs can be compared anywhere."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hevitpose.core.errors import InputError
from hevitpose.io.json_files import read_json

RECIPE, DATA, LOG = "recipe.json", "data.json", "log.jsonl"


@dataclass(frozen=True)
class RunLog:
    """What a run was told (`recipe`), on what (`data`), and one row of `history` for each epoch so far."""

    folder: Path
    recipe: dict[str, Any]
    data: dict[str, Any]
    history: list[dict[str, Any]]

    @property
    def score(self) -> str | None:
        """The name of the score that decides which epoch is the best: that of the first validation set ("val AP")."""
        return next((name for name in self.history[0] if " " in name), None) if self.history else None

    @property
    def best(self) -> dict[str, Any] | None:
        """The row of the epoch with the best score, the first of equals."""
        name = self.score
        return max(self.history, key=lambda row: row[name]) if name else None

    @property
    def hours(self) -> float:
        """Spent in steps, without validation and the making of crops."""
        return sum(float(self.data["persons"] / row["images_per_second"]) for row in self.history) / 3600


def read_run(folder: Path) -> RunLog:
    """The run in this folder. Raises InputError where it holds none, or a damaged one."""
    if not (folder / RECIPE).is_file():
        raise InputError(folder, f"holds no run (there is no {RECIPE})")
    recipe, data = (_object(folder / name) for name in (RECIPE, DATA))
    log = folder / LOG
    try:
        history = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
        run = RunLog(folder, recipe, data, history)
        _ = run.best, run.hours, recipe["model"], recipe["epochs"], data["name"]  # so that what they need is there
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(log, f"is no log of a run ({type(error).__name__}: {error})") from error
    return run


def find_runs(folders: list[Path]) -> list[RunLog]:
    """The runs in these folders, each a run's own or one that holds several. Raises InputError where there is none."""
    runs = []
    for folder in folders:
        inside = [folder] if (folder / RECIPE).is_file() else sorted(file.parent for file in folder.glob(f"*/{RECIPE}"))
        if not inside:
            raise InputError(folder, "holds no run" if folder.is_dir() else "no such folder")
        runs += [read_run(each) for each in inside]
    return runs


def differences(runs: list[RunLog]) -> dict[str, list[Any]]:
    """The settings in which the runs differ, by name (`codec.sigma`), and each run's value; None where it has none."""
    settings = [_flat(run.recipe) | {"data": run.data.get("name")} for run in runs]
    names = dict.fromkeys(name for each in settings for name in each)
    values = {name: [each.get(name) for each in settings] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(path, "must hold a JSON object")
    return content


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
