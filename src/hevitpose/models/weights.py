"""Weights on disk: safetensors, never pickled code."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

from hevitpose.core.errors import InputError
from hevitpose.core.model_config import KEY, ModelConfig, model_config_from_metadata
from hevitpose.io import atomic
from hevitpose.models.registry import build_network

HASH = "sha256"
MIN_ROUNDED_SIZE = 1024
"""Tensors of fewer numbers are not rounded: they weigh nothing."""


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors, texts about them and a hash of the tensors as one file, whole or not at all."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    atomic.write(path, serialize(content, {**metadata, HASH: digest(content)}))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What `save` wrote. Raises InputError where the file is missing, broken or not as it was written."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file is no mapping
            metadata = file.metadata() or {}
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except (SafetensorError, OSError) as error:
        raise InputError(path, f"cannot be read as safetensors ({error})") from error
    if HASH in metadata and digest(tensors) != metadata[HASH]:
        raise InputError(path, "its tensors are not those that were written: the file is damaged")
    return tensors, metadata


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names and bytes of the tensors."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(tensors[name].contiguous().flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()


def save_model(path: Path, tensors: Mapping[str, Tensor], config: ModelConfig) -> None:
    """Write a network's weights with the config that `load_model` and prediction need."""
    save(path, tensors, {KEY: json.dumps(config.to_json())})


def load_model(path: Path) -> tuple[nn.Module, ModelConfig]:
    """The network of a file that `save_model` wrote, in float32. Raises InputError."""
    tensors, metadata = load(path)
    config = model_config_from_metadata(metadata, path)
    model = build_network(config.architecture, config.skeleton.num_keypoints, config.variant)
    load_into(model, tensors, str(path))
    return model, config


def load_into(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Fill the model, in its own precision. Raises InputError where names or shapes differ, naming the first."""
    wanted = model.state_dict()
    for name in [*wanted, *tensors]:
        if name not in tensors or name not in wanted:
            raise InputError(source, f"{name} is {'missing' if name in wanted else 'unknown to this network'}")
        if tensors[name].shape != wanted[name].shape:
            raise InputError(source, f"{name} is {tuple(tensors[name].shape)}, expected {tuple(wanted[name].shape)}")
    model.load_state_dict({name: tensors[name].to(wanted[name].dtype) for name in wanted})


@torch.no_grad()
def round_to_int8(model: nn.Module) -> None:
    """Round large weights of convolutions and projections to 255 evenly spaced numbers for each output channel."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if layer.weight.numel() < MIN_ROUNDED_SIZE:
                continue
            of_channels = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
            steps = of_channels.abs().flatten(1).amax(dim=1).view(-1, *[1] * (layer.weight.dim() - 1)) / 127
            steps[steps == 0] = 1
            of_channels.copy_((of_channels / steps).round() * steps)


def half_precision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with floats stored as float16, for files that ship."""
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
