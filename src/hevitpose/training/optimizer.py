"""The optimizer: its groups of parameters, and its tensors and those of the networks in a checkpoint."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hevitpose.models import weights

OPTIMIZER = "optimizer"


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for weight matrices and kernels only, none for norms and biases."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def tensors_of(modules: Mapping[str, nn.Module], optimizer: Optimizer) -> dict[str, Tensor]:
    """The tensors of modules, below their names, and of their optimizer."""
    tensors = {f"{part}.{name}": t for part, module in modules.items() for name, t in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}.{index}.{name}": tensor for name, tensor in moments.items()}
    return tensors


def load_tensors(
    tensors: Mapping[str, Tensor], modules: Mapping[str, nn.Module], optimizer: Optimizer, source: str
) -> None:
    """Fill modules and optimizer with what `tensors_of` gave. Raises InputError, about `source`."""
    for part, module in modules.items():
        weights.load_into(module, _below(tensors, part), source)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, OPTIMIZER).items():
        index, _, key = name.partition(".")
        # Fused Adam walks parameter and moments alike, so that they must lie in memory alike (channels last).
        moment = torch.empty_like(parameters[int(index)]).copy_(tensor) if tensor.ndim else tensor
        moments.setdefault(int(index), {})[key] = moment
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def _below(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): t for name, t in tensors.items() if name.startswith(f"{part}.")}
