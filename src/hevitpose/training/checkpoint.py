"""The whole state of a run in one file, from which it continues as if it had never stopped."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from hevitpose.core.errors import InputError
from hevitpose.inference.model_folder import LAST
from hevitpose.models import weights
from hevitpose.training.optimizer import load_tensors, tensors_of
from hevitpose.training.recipes import Recipe, difference
from hevitpose.training.run import Epoch, epoch_from_json

LOGGER = logging.getLogger(__name__)
DATA = ("training people", "validation sets")
"""Conditions without which it would not be the same run."""
OLD_CONDITIONS = {"persons at once": "micro_batch_size"}
"""Names of conditions in version 0.1, which are still read."""


@dataclass
class RunPosition:
    """How far a run is: `step` of `epoch`, loss and seconds of that epoch's steps, and a row per finished epoch.

    `best` is the best score of the first validation set so far, reached in `best_epoch`.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    history: list[Epoch] = field(default_factory=list)


@dataclass
class State:
    """Everything that a step changes. `averaged` is the moving average of the network, which is what is saved."""

    network: nn.Module
    averaged: nn.Module
    optimizer: Optimizer
    position: RunPosition

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The networks by their names in a checkpoint."""
        return {"model": self.network, "averaged": self.averaged}


def save(path: Path, state: State, recipe: Recipe, conditions: Mapping[str, str]) -> None:
    """Write the checkpoint, complete or not at all."""
    position = vars(state.position) | {"history": [epoch.to_json() for epoch in state.position.history]}
    texts = {"progress": position, "recipe": recipe.as_json(), "conditions": dict(conditions)}
    weights.save(
        path, tensors_of(state.modules, state.optimizer), {name: json.dumps(text) for name, text in texts.items()}
    )


def load(path: Path, state: State, recipe: Recipe, conditions: Mapping[str, str]) -> None:
    """Fill the state; log what keeps the run from continuing bit for bit.

    Raises InputError if the file is damaged, or was made with another recipe or other data.
    """
    tensors, metadata = weights.load(path)
    if not {"progress", "recipe", "conditions"} <= metadata.keys():
        raise InputError(path, "not a checkpoint of a training run")
    if other := difference(json.loads(metadata["recipe"]), recipe):
        more = f"resume with the same recipe, or start another run from its weights: `weights={path.with_name(LAST)}`"
        raise InputError(path, f"was made with {other}: {more}")
    before = {OLD_CONDITIONS.get(name, name): value for name, value in json.loads(metadata["conditions"]).items()}
    for name, value in conditions.items():
        if before.get(name) != value and name in DATA:
            raise InputError(path, f"was made with other {name}: resume with the same data")
        if before.get(name) != value:
            LOGGER.warning("%s: %s instead of %s, not the same to the last bit", name, value, before.get(name))
    load_tensors(tensors, state.modules, state.optimizer, str(path))
    position = json.loads(metadata["progress"])
    state.position = RunPosition(**position | {"history": [epoch_from_json(row) for row in position["history"]]})
