"""Weights on disk: safetensors, never pickled code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hevitpose.core.errors import InputError
from hevitpose.files import atomic


def save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and JSON `facts` about them as one file, whole or not at all."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"hevitpose": json.dumps(facts)}
    atomic.write_with(path, lambda temporary: save_file(content, temporary, metadata))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save` wrote. Raises InputError where the file is missing, broken or not ours."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get("hevitpose", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(path, f"cannot be read as safetensors ({error})") from error
    if not isinstance(facts, dict):
        raise InputError(path, "holds no facts about its weights: not written by hevitpose")
    return tensors, facts


def load_into(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Fill the model, in its own precision. Raises InputError where names or shapes differ, naming the first."""
    wanted = model.state_dict()
    for name in [*wanted, *tensors]:
        if name not in tensors or name not in wanted:
            raise InputError(source, f"{name} is {'missing' if name in wanted else 'unknown to this network'}")
        if tensors[name].shape != wanted[name].shape:
            raise InputError(source, f"{name} is {tuple(tensors[name].shape)}, expected {tuple(wanted[name].shape)}")
    model.load_state_dict({name: tensors[name].to(wanted[name].dtype) for name in wanted})


def half_precision(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors with floats stored as float16, for files that ship."""
    return {
        name: tensor.to(torch.float16) if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
