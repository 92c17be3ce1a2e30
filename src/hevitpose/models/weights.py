"""Weights on disk: safetensors files, never pickled code."""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

from hevitpose.core.architecture import NetworkName, Variant
from hevitpose.core.errors import InputError
from hevitpose.core.model_config import KEY, ModelConfig, model_config_from_metadata
from hevitpose.io import atomic
from hevitpose.models.registry import build_network, title_of

HASH = "sha256"
MIN_ROUNDED_SIZE = 1024
"""Smaller tensors are not rounded: they hardly add to the size of a file."""
BUNDLED: dict[NetworkName, str] = {"t": "hevitpose_t_people16.safetensors"}
"""Weight files of the package that `pretrained=True` loads."""


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors, metadata and a hash of the tensors to one file, completely or not at all."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    atomic.write(path, serialize(content, {**metadata, HASH: digest(content)}))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file. Raises InputError where it is missing, unreadable or differs from its hash."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            metadata = file.metadata() or {}
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except (SafetensorError, OSError) as error:
        raise InputError(path, f"cannot be read as safetensors ({error})") from error
    if HASH in metadata and digest(tensors) != metadata[HASH]:
        raise InputError(path, "damaged: its tensors do not match its hash")
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
    """The network of a weight file, in float32 and in training mode, and its config. Raises InputError."""
    tensors, metadata = load(path)
    config = model_config_from_metadata(metadata, path)
    model = build_network(config.architecture, config.skeleton.num_keypoints, config.variant)
    load_into(model, tensors, str(path))
    return model, config


def load_pretrained(
    model: nn.Module,
    name: NetworkName,
    num_keypoints: int,
    options: Mapping[str, Any],
    pretrained: bool | str | PathLike[str],
) -> None:
    """Fill a network with the bundled weights of its name (`pretrained=True`) or with those of a file.

    Args:
        model: The network that `name`, `num_keypoints` and `options` build.
        name: Name of the network.
        num_keypoints: K, the number of its heatmaps.
        options: Arguments in which it differs from the network of that name, the fields of `Variant`.
        pretrained: True or the path of a .safetensors file.

    Raises InputError where the file is unusable, of another network or for another number of keypoints.
    """
    if pretrained is True and name not in BUNDLED:
        raise InputError(title_of(name), f"no weights are bundled (only those of {', '.join(map(title_of, BUNDLED))})")
    folder = Path(str(resources.files("hevitpose"))) / "weights"
    path = folder / BUNDLED[name] if isinstance(pretrained, bool) else Path(pretrained)
    tensors, metadata = load(path)
    config = model_config_from_metadata(metadata, path)
    theirs, ours = title_of(config.architecture, config.variant), title_of(name, Variant(**options))
    if theirs != ours:
        raise InputError(path, f"weights of {theirs}, not of {ours}")
    if config.skeleton.num_keypoints != num_keypoints:
        raise InputError(path, f"weights for {config.skeleton.num_keypoints} keypoints, not for {num_keypoints}")
    load_into(model, tensors, str(path))


def load_into(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Fill the model, in its own precision, with tensors that may have the keys of version 0.1.

    Raises InputError where keys or shapes differ, naming the first.
    """
    wanted, tensors = model.state_dict(), rename_old_keys(tensors)
    for name in [*wanted, *tensors]:
        if name not in tensors or name not in wanted:
            raise InputError(source, f"{name} is {'missing' if name in wanted else 'unknown to this network'}")
        if tensors[name].shape != wanted[name].shape:
            raise InputError(source, f"{name} is {tuple(tensors[name].shape)}, expected {tuple(wanted[name].shape)}")
    model.load_state_dict({name: tensors[name].to(wanted[name].dtype) for name in wanted})


CONV_BN = {"0": "conv", "1": "norm"}
"""Old layer numbers and today's names, in this and the tables below."""
FEED_FORWARD = {"0": "expand.conv", "1": "expand.norm", "3": "project.conv", "4": "project.norm"}
BOTTLENECK = {
    "0": "expand.conv",
    "1": "expand.norm",
    "3": "depthwise.conv",
    "4": "depthwise.norm",
    "6": "squeeze_excite",
    "7": "project.conv",
    "8": "project.norm",
}
TWO_CONVS = {"0": "first.conv", "1": "first.norm", "3": "second.conv", "4": "second.norm"}
CONV_DECONV = {"0": "first.conv", "1": "first.norm", "2": "deconv", "3": "norm"}


def rename_old_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State-dict entries under today's keys: version 0.1 numbered the layers. Other keys stay as they are.

    >>> old = ("stages.0.0.0.1.branch.3.weight", "stages.1.0.1.6.squeeze.bias", "head.1.weight", "head.3.weight")
    >>> print(*rename_old_keys(dict.fromkeys(old, torch.zeros(1))), sep="\\n")
    stages.0.blocks.0.ffn0.branch.project.conv.weight
    stages.1.downsampling.bottleneck.squeeze_excite.squeeze.bias
    head.norm0.weight
    head.heatmaps.weight
    """
    embedding = CONV_DECONV if "embedding.2.weight" in tensors else CONV_BN
    embedding = TWO_CONVS if "embedding.4.weight" in tensors else embedding
    heads = [key.split(".")[1] for key in tensors if key.startswith("head.")]
    last = max((int(layer) for layer in heads if layer.isdecimal()), default=0)
    return {_new_key(key, embedding, last): tensor for key, tensor in tensors.items()}


def _new_key(key: str, embedding: Mapping[str, str], last: int) -> str:
    match key.split("."):
        case ["embedding", layer, tensor] if layer in embedding:
            return f"embedding.{embedding[layer]}.{tensor}"
        case ["head", layer, tensor] if layer.isdecimal():
            index, kind = divmod(int(layer), 3)
            name = "heatmaps" if int(layer) == last else f"{('deconv', 'norm', 'act')[kind]}{index}"
            return f"head.{name}.{tensor}"
        case ["stages", stage, unit, *rest] if stage.isdecimal() and unit.isdecimal():
            blocks_before = min(int(stage), 1)  # all stages but the first begin with downsampling
            name = f"blocks.{int(unit) - blocks_before}" if int(unit) >= blocks_before else "downsampling"
            return f"stages.{stage}.{name}.{'.'.join(_new_layer(rest))}"
    return key


def _new_layer(key: list[str]) -> list[str]:
    """Of a block or a downsampling unit."""
    match key:
        case ["0" | "2" as half, "0", "branch", layer, tensor]:
            return [f"dw{int(half) // 2}", "branch", CONV_BN.get(layer, layer), tensor]
        case ["0" | "2" as half, "1", "branch", layer, tensor]:
            return [f"ffn{int(half) // 2}", "branch", FEED_FORWARD.get(layer, layer), tensor]
        case ["1", "branch", "projection", "0", tensor]:
            return ["mixer", "branch", "projection", tensor]
        case ["1", "branch", "projection", "1" | "2" as layer, tensor]:
            return ["mixer", "branch", "projection", "conv" if layer == "1" else "norm", tensor]
        case ["1", "branch", "heads", head, part, layer, tensor]:
            return ["mixer", "branch", "heads", head, part, CONV_BN.get(layer, layer), tensor]
        case ["1", "branch", *rest]:
            return ["mixer", "branch", *rest]
        case ["1", layer, *rest] if layer in BOTTLENECK:
            return ["bottleneck", BOTTLENECK[layer], *rest]
    return key


@torch.no_grad()
def round_to_int8(model: nn.Module) -> None:
    """Round large weights of convolutions and projections to 255 evenly spaced values for each output channel."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if layer.weight.numel() < MIN_ROUNDED_SIZE:
                continue
            of_channels = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
            steps = of_channels.abs().flatten(1).amax(dim=1).view(-1, *[1] * (layer.weight.dim() - 1)) / 127
            steps[steps == 0] = 1
            of_channels.copy_((of_channels / steps).round() * steps)


def half_precision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, floats as float16, for bundled files."""
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
