"""The card that stands beside weights: where they come from and what they may be used for."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hevitpose.models.cost import cost, total
from hevitpose.models.registry import title_of
from hevitpose.models.weights import load_model
from hevitpose.training.runs import RunLog


def card(run: RunLog, weights: Path, scores: Mapping[str, Any]) -> dict[str, Any]:
    """The card of the best weights of a run, or of the last where nothing was scored.

    `scores` by the name of the validation set. Raises InputError.
    """
    model, config = load_model(weights)
    whole = total(cost(model, config.input_size))
    origin, epoch = run.data["provenance"], (run.best or {"epoch": len(run.history)})["epoch"]
    return {
        "name": weights.stem,
        "network": title_of(config.architecture, config.variant),
        "parameters": whole.parameters,
        "paper_operations": whole.paper_operations,
        "input_size": config.input_size,
        "codec": asdict(config.codec),
        "keypoints": config.skeleton.keypoints,
        "data": f"{run.data['name']}: {run.data['persons']} persons",
        "terms": run.data["terms"],
        "recipe": run.recipe,
        "epoch": epoch,
        "steps": epoch * (run.data["persons"] // run.recipe["batch_size"]),
        "seed": run.recipe["seed"],
        "commit": origin["commit"],
        "versions": origin["versions"],
        "device": run.data["device"],
        "machine": f"{origin['cores']} cores of {origin['processor']}",
        "hours": round(run.hours, 1),
        "scores": {"protocol": "boxes of the labels, flip test"} | dict(scores),
    }
