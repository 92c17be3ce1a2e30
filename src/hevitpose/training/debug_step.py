"""What is kept of a step that went wrong, and how it is run again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hevitpose.core.architecture import parse_variant
from hevitpose.core.errors import InputError
from hevitpose.models import weights
from hevitpose.models.registry import build_network
from hevitpose.training.batches import Batch
from hevitpose.training.recipes import Recipe
from hevitpose.training.targets import heatmap_loss

FILE = "failed_step.safetensors"
MAX_LISTED = 3


def save_failed_step(path: Path, network: nn.Module, batch: Batch, recipe: Recipe, config: dict[str, Any]) -> None:
    """Write the batch and the weights that met it."""
    tensors = {f"batch.{name}": tensor for name, tensor in vars(batch).items()}
    tensors |= {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    weights.save(path, tensors, {"failed_step": json.dumps(config | {"recipe": recipe.as_json()})})


def debug_step(path: Path) -> list[str]:
    """Run the step of a file by `save_failed_step` again, in float32, and say where numbers stop being finite.

    The lines name what was not finite before the step, then the first module whose output, and the first parameter
    whose gradient, is not finite. Raises InputError where the file is not by `save_failed_step`.
    """
    tensors, metadata = weights.load(path)
    if "failed_step" not in metadata:
        raise InputError(path, "is no failed step of a training run")
    config = json.loads(metadata["failed_step"])
    batch = Batch(*(tensors[f"batch.{name}"] for name in ("inputs", "targets", "weights")))
    variant = parse_variant(config["recipe"].get("variant") or "", str(path))
    network = build_network(config["recipe"]["model"], batch.targets.shape[1], variant)
    state = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    weights.load_into(network, state, str(path))
    given = vars(batch).items()
    lines = [f"{name} holds {_count(tensor)} numbers that are not finite" for name, tensor in given if _count(tensor)]
    broken = [name for name, tensor in state.items() if _count(tensor)]
    if broken:
        lines.append(f"{len(broken)} tensors of the network hold numbers that are not finite: {short_list(broken)}")

    found: list[str] = []
    for name, module in network.named_modules():

        def look(_module: nn.Module, _given: Any, output: Any, name: str = name) -> None:
            if isinstance(output, Tensor) and _count(output):  # modules of HRNet return lists of tensors
                found.append(name or "the network")

        module.register_forward_hook(look)
    loss = heatmap_loss(network.train()(batch.inputs), batch.targets, batch.weights)
    if found:
        lines.append(f"the first output that is not finite is that of {found[0]}")
    torch.autograd.backward(loss)
    gradients = [name for name, p in network.named_parameters() if p.grad is not None and _count(p.grad)]
    if gradients:
        lines.append(f"gradients that are not finite: {len(gradients)}, the last one backwards {gradients[0]}")
    return [_described(config), *lines, f"the loss in float32 is {loss.item()}"]


def _described(config: dict[str, Any]) -> str:
    return f"step {config['step']} of epoch {config['epoch']}, rate {config['rate']:.3g}: {', '.join(config['files'])}"


def _count(tensor: Tensor) -> int:
    return int((~torch.isfinite(tensor)).sum())


def short_list(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
