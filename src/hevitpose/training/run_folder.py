"""What a run leaves behind."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from hevitpose.files import atomic


def write_log(folder: Path, board: SummaryWriter, history: list[dict[str, Any]]) -> None:
    """log.jsonl, log.csv, TensorBoard and curve.png: one row an epoch."""
    for name, value in history[-1].items():
        if isinstance(value, float):
            board.add_scalar(name, value, history[-1]["epoch"])
    atomic.write(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in history))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    atomic.write(folder / "log.csv", text.getvalue())
    draw_curve(history, folder / "curve.png")


def draw_curve(history: list[dict[str, Any]], path: Path) -> None:
    """Loss and validation scores over epochs as PNG."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.subplots()
    epochs = [row["epoch"] for row in history]
    left.plot(epochs, [row["loss"] for row in history], color="0.6", label="loss")
    left.set(xlabel="epoch", ylabel="loss (mean square error)", yscale="log")
    right = left.twinx()
    for name in (key for key in history[-1] if "@" in key):
        rows = [row for row in history if row.get(name) is not None]
        right.plot([row["epoch"] for row in rows], [row[name] for row in rows], label=name)
    right.set(ylabel="score (%)", ylim=(0, 100))
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
