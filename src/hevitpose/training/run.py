"""What a run leaves behind."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from hevitpose.core.labels import LabelledPeople
from hevitpose.core.model_config import ModelConfig
from hevitpose.data.datasets import Dataset
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.models import weights
from hevitpose.training.checkpoint import RunPosition, State
from hevitpose.training.recipes import Recipe


class RunFolder:
    """recipe.json and data.json at the start; logs, curve, last and best weights after every epoch."""

    def __init__(
        self, folder: Path, recipe: Recipe, dataset: Dataset, people: LabelledPeople, progress: RunPosition, device: str
    ) -> None:
        self.folder = folder
        atomic.write(folder / "recipe.json", json.dumps(recipe.as_json(), indent=1) + "\n")
        config = {"name": dataset.name, "terms": dataset.terms, "persons": len(people), "device": device}
        config |= {"provenance": provenance()}
        atomic.write(folder / "data.json", json.dumps(config, indent=1) + "\n")
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=progress.epoch + 1)

    def write(self, state: State, config: ModelConfig, improved: bool) -> None:
        """One row more, and the weights after it."""
        history, averaged = state.progress.history, state.averaged.state_dict()
        weights.save_model(self.folder / "last.safetensors", averaged, config)
        if improved:
            weights.save_model(self.folder / "best.safetensors", averaged, config)
        for name, value in history[-1].items():
            if isinstance(value, float):
                self.board.add_scalar(name, value, history[-1]["epoch"])
        write_log(self.folder, history)
        draw_curve(history, self.folder / "curve.png")

    def close(self) -> None:
        """Flush what is not yet on disk."""
        self.board.close()


def write_log(folder: Path, history: list[dict[str, Any]]) -> None:
    """log.jsonl and log.csv: one row an epoch."""
    atomic.write(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in history))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    atomic.write(folder / "log.csv", text.getvalue())


def draw_curve(history: list[dict[str, Any]], path: Path) -> None:
    """Loss and validation scores over epochs as PNG."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    epochs = [row["epoch"] for row in history]
    left.plot(epochs, [row["loss"] for row in history], color="0.6", label="loss")
    left.set(xlabel="epoch", ylabel="loss (mean square error)", yscale="log")
    right = left.twinx()
    for name in (key for key in history[-1] if " " in key):
        rows = [row for row in history if row.get(name) is not None]
        right.plot([row["epoch"] for row in rows], [row[name] for row in rows], label=name)
    right.set(ylabel="score (%)", ylim=(0, 100))
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    atomic.write_with(path, lambda temporary: figure.savefig(temporary, dpi=130, format="png"))
