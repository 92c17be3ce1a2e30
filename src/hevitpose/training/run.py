"""The folder of a training run: the names of its files, writing and reading them. Reading needs no torch."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.labels import ImageFile, LabelledPeople
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.sampling import evenly_spaced
from hevitpose.evaluation.results import evaluation_from_json
from hevitpose.evaluation.score import Evaluation
from hevitpose.inference.model_folder import BEST, LAST
from hevitpose.io import atomic, images
from hevitpose.io.images import Image
from hevitpose.io.json_files import read_json

if TYPE_CHECKING:
    from torch import nn

    from hevitpose.training.recipes import Recipe

RECIPE = "recipe.json"
DATA = "data.json"
LOG = "log.jsonl"
LOG_TABLE = "log.csv"
CURVE = "curve.png"
CHECKPOINT = "checkpoint.safetensors"
FAILED_STEP = "failed_step.safetensors"
SCORES = "scores.json"
KEYPOINTS = "keypoints.csv"
CARD = "card.json"
DETECTOR, END_TO_END = "detector", "end_to_end.json"
SAMPLES = 7
RUN_FILES = (RECIPE, DATA, LOG, LOG_TABLE, CURVE, CHECKPOINT, LAST, BEST, FAILED_STEP, SCORES, KEYPOINTS, CARD)
TENSORBOARD, CROPS = "tensorboard", "crops"

OLD_NAMES = {
    "largest_gradient": "grad_clip_norm",
    "rate_batch": "base_batch_size",
    "color": "color_jitter",
    "occlusion": "cutout",
}
"""Recipe settings of version 0.1, which are still read."""


def with_new_names(settings: Mapping[str, Any]) -> dict[str, object]:
    """A recipe's JSON with today's names of its settings.

    >>> with_new_names({"rate_batch": 64, "augmentation": {"color": 0.3}})
    {'base_batch_size': 64, 'augmentation': {'color_jitter': 0.3}}
    """
    return {
        OLD_NAMES.get(name, name): with_new_names(value) if isinstance(value, dict) else value
        for name, value in settings.items()
    }


@dataclass(frozen=True)
class Epoch:
    """A row of the log. `learning_rate` is that of the last step; `scores` have names such as "val AP"."""

    epoch: int
    size: str
    learning_rate: float
    loss: float
    images_per_second: float
    scores: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, int | float | str]:
        """The row as one flat JSON object.

        >>> Epoch(1, "64x64", 0.001, 0.5, 90.0, {"val AP": 12.5}).to_json()["val AP"]
        12.5
        """
        row: dict[str, int | float | str] = {k: v for k, v in vars(self).items() if k != "scores"}
        return row | dict(self.scores)


def epoch_from_json(row: Mapping[str, Any]) -> Epoch:
    """The row that `Epoch.to_json` gives, or one of version 0.1, which calls the learning rate "rate"."""
    rate = row["learning_rate"] if "learning_rate" in row else row["rate"]
    scores = {name: value for name, value in row.items() if " " in name}
    return Epoch(row["epoch"], row["size"], rate, row["loss"], row["images_per_second"], scores)


@dataclass(frozen=True)
class RunData:
    """What a run was trained on: name, terms of use and number of `persons` of the data set; the device.

    `samples` are a few images, of a validation set where there is one, as the fields of `ImageFile`: on them an
    exported file is compared with torch.
    """

    name: str
    persons: int
    terms: str = "unknown"
    device: str = "unknown"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    samples: Sequence[Mapping[str, str | None]] = ()


@dataclass(frozen=True)
class RunLog:
    """A run so far: its `recipe` as JSON, its `data`, and one row of `history` per epoch."""

    folder: Path
    recipe: Mapping[str, Any]
    data: RunData
    history: Sequence[Epoch]

    @property
    def score(self) -> str | None:
        """The name of the score that decides which epoch is the best: that of the first validation set ("val AP")."""
        return next(iter(self.history[0].scores), None) if self.history else None

    @property
    def best(self) -> Epoch | None:
        """The first epoch with the best score; None if nothing is scored."""
        name = self.score
        return max(self.history, key=lambda epoch: epoch.scores[name]) if name else None

    @property
    def hours(self) -> float:
        """Hours of training steps, without validation and cropping."""
        return sum(self.data.persons / epoch.images_per_second for epoch in self.history) / 3600


def read_run(folder: Path) -> RunLog:
    """The run in this folder. Raises InputError if there is none, or a damaged one."""
    if not (folder / RECIPE).is_file():
        raise InputError(folder, f"not a run (there is no {RECIPE})")
    recipe, data = (read_object(folder / name) for name in (RECIPE, DATA))
    log = folder / LOG
    try:
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        history = [epoch_from_json(json.loads(line)) for line in lines]
        run = RunLog(folder, with_new_names(recipe), RunData(**data), history)
        _ = run.best, run.hours, recipe["model"], recipe["epochs"]  # which fail on a damaged run
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(log, f"not the log of a run ({type(error).__name__}: {error})") from error
    return run


def read_scores(folder: Path) -> dict[str, Evaluation]:
    """The report's evaluations by validation set. Raises InputError."""
    path = folder / SCORES
    return {name: evaluation_from_json(content, path) for name, content in read_object(path).items()}


def find_runs(folders: Sequence[Path]) -> list[RunLog]:
    """The runs in these folders, each a run or a folder of runs. Raises InputError for a folder without one."""
    runs = []
    for folder in folders:
        inside = [folder] if (folder / RECIPE).is_file() else sorted(file.parent for file in folder.glob(f"*/{RECIPE}"))
        if not inside:
            raise InputError(folder, "holds no run" if folder.is_dir() else "no such folder")
        runs += [read_run(each) for each in inside]
    return runs


def differences(runs: Sequence[RunLog]) -> dict[str, list[Any]]:
    """Each run's value of the settings that differ, by name (`codec.sigma`); None where a run has no such setting."""
    settings = [_flat(run.recipe) | {"data": run.data.name} for run in runs]
    names = dict.fromkeys(name for each in settings for name in each)
    values = {name: [each.get(name) for each in settings] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def read_object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(path, "must hold a JSON object")
    return content


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in table.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def sample_images(people: LabelledPeople) -> list[dict[str, str | None]]:
    """`RunData.samples` of a set: images with people, evenly spaced."""
    shown = np.unique(people.image_index)
    files = [people.images[index] for index in shown[evenly_spaced(len(shown), SAMPLES)]]
    return [{"name": file.name, "folder": str(file.folder.resolve()), "archive": file.archive} for file in files]


def read_samples(run: RunLog) -> list[Image]:
    """The run's sample images. Raises InputError where there are none, or where they have moved."""
    if not run.data.samples:
        raise InputError(run.folder, "names no images of its data: name some with `check`")
    try:
        files = [ImageFile(str(s["name"]), Path(str(s["folder"])), s["archive"]) for s in run.data.samples]
        return [images.read(file) for file in files]
    except InputError as error:
        raise InputError(error.source, f"{error.reason}: name images with `check`") from error


class RunWriter:
    """Writes recipe and data at the start; log, curve and weights after every epoch that follows `first_epoch`."""

    def __init__(self, folder: Path, recipe: "Recipe", data: RunData, first_epoch: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder = folder
        write_json(folder / RECIPE, recipe.as_json())
        write_json(folder / DATA, asdict(data))
        self.board = SummaryWriter(str(folder / TENSORBOARD), purge_step=first_epoch + 1)

    def write(self, history: Sequence[Epoch], averaged: "nn.Module", config: ModelConfig, is_best: bool) -> None:
        """Add the last epoch of `history` and the weights after it."""
        from hevitpose.models.weights import save_model

        for name in (LAST, BEST) if is_best else (LAST,):
            save_model(self.folder / name, averaged.state_dict(), config)
        for name, value in history[-1].to_json().items():
            if isinstance(value, float):
                self.board.add_scalar(name, value, history[-1].epoch)
        write_log(self.folder, history)
        draw_curve(history, self.folder / CURVE)

    def close(self) -> None:
        """Flush what is not on disk yet."""
        self.board.close()


def write_json(path: Path, content: object) -> None:
    """Write a JSON file, complete or not at all."""
    atomic.write(path, json.dumps(content, indent=1) + "\n")


def write_log(folder: Path, history: Sequence[Epoch]) -> None:
    """Write the log as JSON lines and as CSV, one row per epoch."""
    rows = [epoch.to_json() for epoch in history]
    atomic.write(folder / LOG, "".join(json.dumps(row) + "\n" for row in rows))
    write_table(folder / LOG_TABLE, rows)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, with the names of the last one's entries as header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic.write(path, text.getvalue())


def draw_curve(history: Sequence[Epoch], path: Path) -> None:
    """Plot loss and validation scores over epochs as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    left.plot([epoch.epoch for epoch in history], [epoch.loss for epoch in history], color="0.6", label="loss")
    left.set(xlabel="epoch", ylabel="loss (mean square error)", yscale="log")
    right = left.twinx()
    for name in history[-1].scores:
        scored = [epoch for epoch in history if name in epoch.scores]
        right.plot([epoch.epoch for epoch in scored], [epoch.scores[name] for epoch in scored], label=name)
    right.set(ylabel="score (%)", ylim=(0, 100))
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    atomic.write_with(path, lambda temporary: figure.savefig(temporary, dpi=130, format="png"))
