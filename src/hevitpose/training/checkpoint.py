"""The whole state of a run in one file, from which it continues as if it had never stopped."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hevitpose.core.errors import InputError
from hevitpose.models import weights
from hevitpose.training.recipes import Recipe, difference

FILE = "checkpoint.safetensors"
LOGGER = logging.getLogger(__name__)
DATA = ("training people", "validation sets")
"""Conditions of a run without which it would not be the same run."""


@dataclass
class RunPosition:
    """Where a run stands: `step` of `epoch`, the loss and the time of that epoch's steps, and one row an epoch done.

    `best` is the best score so far of the set that the run is judged by, reached in `best_epoch`.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class State:
    """Everything that a step changes. `averaged` is the moving average of the network, which is what ships."""

    network: nn.Module
    averaged: nn.Module
    optimizer: Optimizer
    progress: RunPosition


def save(path: Path, state: State, recipe: Recipe, conditions: Mapping[str, str]) -> None:
    """Write the checkpoint, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for prefix, module in (("model", state.network), ("averaged", state.averaged)):
        tensors |= {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in moments.items()}
    texts = {"progress": vars(state.progress), "recipe": recipe.as_json(), "conditions": dict(conditions)}
    weights.save(path, tensors, {name: json.dumps(text) for name, text in texts.items()})


def load(path: Path, state: State, recipe: Recipe, conditions: Mapping[str, str]) -> None:
    """Fill the state, and say on standard error what keeps the run from going on bit for bit.

    Raises InputError where the file is damaged or was made with another recipe or other data.
    """
    tensors, metadata = weights.load(path)
    if not {"progress", "recipe", "conditions"} <= metadata.keys():
        raise InputError(path, "is no checkpoint of a training run")
    if other := difference(json.loads(metadata["recipe"]), recipe):
        raise InputError(path, f"was made with {other}: resume with the same recipe")
    before = json.loads(metadata["conditions"])
    for name, value in conditions.items():
        if before.get(name) != value and name in DATA:
            raise InputError(path, f"was made with other {name}: resume with the same data")
        if before.get(name) != value:
            LOGGER.warning("%s: %s instead of %s, not the same to the last bit", name, value, before.get(name))
    for prefix, module in (("model", state.network), ("averaged", state.averaged)):
        weights.load_into(module, _below(tensors, prefix), str(path))
    parameters = [parameter for group in state.optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, "optimizer").items():
        index, _, key = name.partition(".")
        # Fused Adam walks parameter and moments alike, so that they must lie in memory alike (channels last).
        moment = torch.empty_like(parameters[int(index)]).copy_(tensor) if tensor.ndim else tensor
        moments.setdefault(int(index), {})[key] = moment
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    state.progress = RunPosition(**json.loads(metadata["progress"]))


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}
