"""What a run leaves behind."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from hevitpose.core.facts import Facts
from hevitpose.core.person import LabelledPeople
from hevitpose.files import atomic
from hevitpose.files.datasets import Dataset
from hevitpose.files.provenance import provenance
from hevitpose.models import weights
from hevitpose.training.checkpoint import Progress, State
from hevitpose.training.recipes import Recipe


class RunFolder:
    """recipe.json and data.json at the start; logs, curve, last and best weights after every epoch."""

    def __init__(
        self, folder: Path, recipe: Recipe, dataset: Dataset, people: LabelledPeople, progress: Progress, device: str
    ) -> None:
        self.folder = folder
        atomic.write(folder / "recipe.json", json.dumps(recipe.as_json(), indent=1) + "\n")
        facts = {"name": dataset.name, "terms": dataset.terms, "persons": len(people), "device": device}
        facts |= {"provenance": provenance()}
        atomic.write(folder / "data.json", json.dumps(facts, indent=1) + "\n")
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=progress.epoch + 1)

    def write(self, state: State, facts: Facts, improved: bool) -> None:
        """One row more, and the weights after it."""
        history, averaged = state.progress.history, state.averaged.state_dict()
        weights.save_model(self.folder / "last.safetensors", averaged, facts)
        if improved:
            weights.save_model(self.folder / "best.safetensors", averaged, facts)
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
