"""Scores measured here, collected from a folder of results."""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hevitpose.io.json_files import read_json


@dataclass(frozen=True)
class ScoreRecord:
    """A network's score: `network` is its name or title, `data` the validation set, `file` counted from the folder.

    `flip_test` is False only where the file says so.
    """

    network: str
    metric: str
    value: float
    data: str
    file: str
    epochs: int | None = None
    flip_test: bool = True

    def __str__(self) -> str:
        trained = f", {self.epochs} epochs" if self.epochs else ""
        how = "" if self.flip_test else ", without flip test"
        return f"{self.value:.1f} {self.metric} on {self.data}{trained}{how} ({self.file})"


def find_score_records(folder: Path) -> list[ScoreRecord]:
    """Every score in the JSON files of `folder` and of the folders in it, or in one file; none where there is neither.

    Read are evaluations (`hevitpose evaluate --output`) and compared runs (one JSON object a run: `network`, `data`,
    `epochs`, `scores` by set and metric). Other files are left out. Raises InputError where a file is no JSON.
    """
    found: list[ScoreRecord] = []
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*.json")):
        content = read_json(path)
        if isinstance(content, dict) and isinstance(content.get("scores"), dict):
            found += _scores(content, (path.relative_to(folder) if path != folder else Path(path.name)).as_posix())
    return found


def _scores(content: dict[str, Any], file: str) -> list[ScoreRecord]:
    """Of one file, whichever of the two forms it has."""
    network = content.get("network") or content.get("architecture") or _shipped(content.get("model"))
    if not isinstance(network, str):
        return []
    data, epochs = str(content.get("data", "?")), content.get("epochs")
    epochs = epochs if isinstance(epochs, int) else None
    found = []
    for name, value in content["scores"].items():
        if "mean" in (inner := value if isinstance(value, dict) else {}):
            inner, where = {name: inner["mean"]}, data
        else:
            where = f"{name} of {data}"
        found += [
            ScoreRecord(network, metric, float(score), where, file, epochs, content.get("flip_test") is not False)
            for metric, score in inner.items()
            if isinstance(score, int | float)
        ]
    return found


def _shipped(model: object) -> str | None:
    """The network of weights that ship."""
    card = resources.files("hevitpose") / "weights" / f"{model}.json"
    title = json.loads(card.read_text(encoding="utf-8")).get("network") if card.is_file() else None
    return title if isinstance(title, str) else None
