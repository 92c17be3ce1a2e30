"""Keeping a training step that diverged, and running it again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from hevitpose.core.architecture import parse_variant
from hevitpose.core.errors import InputError
from hevitpose.models import weights
from hevitpose.models.registry import build_network
from hevitpose.training.batches import Batch
from hevitpose.training.recipes import Recipe
from hevitpose.training.targets import heatmap_loss

MAX_LISTED = 3


@dataclass(frozen=True)
class FailedStep:
    """Which step it was: `step` of `epoch`, both from 1, its learning rate, and the images of its batch."""

    epoch: int
    step: int
    learning_rate: float
    images: Sequence[str]

    @property
    def summary(self) -> str:
        """The step, and the first of its images."""
        return f"step {self.step} of epoch {self.epoch}, learning rate {self.learning_rate:.3g}: {short(self.images)}"


def save_failed_step(path: Path, network: nn.Module, batch: Batch, recipe: Recipe, failed: FailedStep) -> None:
    """Write the batch and the weights before the step."""
    tensors = {f"batch.{name}": tensor for name, tensor in vars(batch).items()}
    tensors |= {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    weights.save(path, tensors, {"failed_step": json.dumps(asdict(failed) | {"recipe": recipe.as_json()})})


def debug_step(path: Path) -> list[str]:
    """Run the step of a file by `save_failed_step` again, in float32: one line for each finding.

    Names the inputs and weights that are not finite before the step, then the first module with such an output and the
    first parameter with such a gradient. Raises InputError for another file.
    """
    tensors, metadata = weights.load(path)
    if "failed_step" not in metadata:
        raise InputError(path, "not a failed step of a training run")
    content = json.loads(metadata["failed_step"])
    batch = Batch(*(tensors[f"batch.{name}"] for name in ("inputs", "targets", "weights")))
    variant = parse_variant(content["recipe"].get("variant") or "", str(path))
    network = build_network(content["recipe"]["model"], batch.targets.shape[1], variant)
    state = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    weights.load_into(network, state, str(path))
    given = vars(batch).items()
    lines = [f"{name}: {_count(tensor)} values are not finite" for name, tensor in given if _count(tensor)]
    broken = [name for name, tensor in state.items() if _count(tensor)]
    if broken:
        lines.append(f"{len(broken)} tensors of the network are not finite: {short(broken)}")

    found: list[str] = []
    for name, module in network.named_modules():

        def look(_module: nn.Module, _inputs: object, output: object, name: str = name) -> None:
            if isinstance(output, Tensor) and _count(output):  # modules of HRNet return lists of tensors
                found.append(name or "the network")

        module.register_forward_hook(look)
    loss = heatmap_loss(network.train()(batch.inputs), batch.targets, batch.weights)
    if found:
        lines.append(f"first output that is not finite: {found[0]}")
    torch.autograd.backward(loss)
    gradients = [name for name, p in network.named_parameters() if p.grad is not None and _count(p.grad)]
    if gradients:
        lines.append(f"{len(gradients)} gradients are not finite, in the backward pass last {gradients[0]}")
    rate = content["learning_rate"] if "learning_rate" in content else content["rate"]  # of version 0.1
    failed = FailedStep(content["epoch"], content["step"], rate, content.get("images") or content["files"])
    return [failed.summary, *lines, f"loss in float32: {loss.item()}"]


def _count(tensor: Tensor) -> int:
    return int((~torch.isfinite(tensor)).sum())


def short(names: Sequence[str]) -> str:
    """The first names, and the number of the others."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
