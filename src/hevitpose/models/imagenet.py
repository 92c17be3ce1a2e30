"""Beginning with what EfficientViT has learned on ImageNet (Liu et al., CVPR 2023; weights as timm publishes them).

HEViTPose-T, S and B have the widths, depths, sandwich halves and downsampling of EfficientViT-M0, M2 and M4. Patch
embedding, attention and head differ and begin anew. EfficientViT-M4 under the paper's head keeps its attention too, but
for the position biases of the last stage: at the 224 pixels of its training a window there was the whole map, 4 x 4.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from hevitpose.core.errors import InputError
from hevitpose.models.baselines.efficientvit import KERNELS, EfficientViTPose
from hevitpose.models.hevitpose import HEViTPose
from hevitpose.models.weights import load

# Names of layers here and in timm's network.
CONV_BN = {"0": "conv", "1": "bn"}
FEED_FORWARD = {"0": "pw1.conv", "1": "pw1.bn", "3": "pw2.conv", "4": "pw2.bn"}
BOTTLENECK = {
    "0": "conv1.conv",
    "1": "conv1.bn",
    "3": "conv2.conv",
    "4": "conv2.bn",
    "6.squeeze": "se.fc1",
    "6.excite": "se.fc2",
    "7": "conv3.conv",
    "8": "conv3.bn",
}
ATTENTION = {
    "projection.1": "proj.1.conv",
    "projection.2": "proj.1.bn",
    **{
        f"heads.{h}.query_key_value.{ours}": f"qkvs.{h}.{o}" for h in range(len(KERNELS)) for ours, o in CONV_BN.items()
    },
    **{
        f"heads.{h}.query_convolution.{ours}": f"dws.{h}.{o}"
        for h in range(len(KERNELS))
        for ours, o in CONV_BN.items()
    },
}

BATCH_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def init_from_efficientvit(network: HEViTPose | EfficientViTPose, path: Path) -> tuple[str, ...]:
    """Fill the network with what fits of a safetensors file of timm's efficientvit_m0 (T), m2 (S) or m4 (B).

    Returns what was loaded, what begins anew and what was not used, one line each. Raises InputError where the file is
    unreadable, of another kind or of another size; the network is then as it was.
    """
    theirs, _ = load(path)
    ours = network.state_dict()
    names = dict(_tensors(network))
    for name in [name for name in names if name.endswith(".biases")]:
        if names[name] in theirs and theirs[names[name]].shape != ours[name].shape:
            del names[name]
    for name, other in names.items():
        if other not in theirs:
            raise InputError(path, f"{other} is missing: not weights of timm's EfficientViT")
        if theirs[other].shape != ours[name].shape:
            shapes = f"{tuple(theirs[other].shape)}, expected {tuple(ours[name].shape)}"
            raise InputError(path, f"{other} is {shapes}: weights of an EfficientViT of another size")
    with torch.no_grad():
        for name, other in names.items():
            ours[name].copy_(theirs[other])
    used = set(names.values())
    return (
        f"loaded: {_summary({name: ours[name] for name in names})}",
        f"begins anew: {_summary({name: tensor for name, tensor in ours.items() if name not in names})}",
        f"not used of {path.name}: {_summary({name: t for name, t in theirs.items() if name not in used})}",
    )


def _tensors(network: HEViTPose | EfficientViTPose) -> Iterator[tuple[str, str]]:
    """Names of tensors here and in timm's network."""
    parts = list(_parts(network))
    layers = {f"{ours}.{layer}": f"{theirs}.{other}" for ours, theirs, names in parts for layer, other in names.items()}
    for name in network.state_dict():
        layer, _, tensor = name.rpartition(".")
        if layer in layers and tensor != "num_batches_tracked":
            yield name, f"{layers[layer]}.{tensor}"
    for ours, theirs, names in parts:
        if names is ATTENTION:
            yield f"{ours}.biases", f"{theirs}.attention_biases"


def _parts(network: HEViTPose | EfficientViTPose) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Names of parts here and in timm's network, and the names of their layers."""
    for i, blocks in enumerate(network.stages):
        stage, theirs = f"stages.{i}", f"stages.{i}.downsample"
        first = min(i, 1)  # every stage but the first begins with downsampling
        if first:
            yield from _sandwich_half(f"{stage}.0.0", f"{theirs}.res1.0", f"{theirs}.res1.1")
            yield f"{stage}.0.1", f"{theirs}.patchmerge", BOTTLENECK
            yield from _sandwich_half(f"{stage}.0.2", f"{theirs}.res2.0", f"{theirs}.res2.1")
        for k in range(first, len(cast("nn.Sequential", blocks))):
            block, theirs = f"{stage}.{k}", f"{stage}.blocks.{k - first}"
            yield from _sandwich_half(f"{block}.0", f"{theirs}.dw0", f"{theirs}.ffn0")
            if isinstance(network, EfficientViTPose):
                yield f"{block}.1.branch", f"{theirs}.mixer.m.attn", ATTENTION
            yield from _sandwich_half(f"{block}.2", f"{theirs}.dw1", f"{theirs}.ffn1")


def _sandwich_half(ours: str, depthwise: str, feed_forward: str) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    yield f"{ours}.0.branch", f"{depthwise}.m", CONV_BN
    yield f"{ours}.1.branch", f"{feed_forward}.m", FEED_FORWARD


def _summary(tensors: Mapping[str, Tensor]) -> str:
    """How many parameters, and of which parts."""
    parameters = {name: t for name, t in tensors.items() if name.rpartition(".")[2] not in BATCH_STATISTICS}
    parts = ", ".join(dict.fromkeys(_part(name) for name in parameters))
    return f"{sum(tensor.numel() for tensor in parameters.values()):,} parameters ({parts})"


def _part(name: str) -> str:
    first, *rest = name.split(".")
    if first != "stages":
        return first
    attention = rest[2:4] == ["1", "branch"] or "mixer" in rest
    return f"{'attention of ' if attention else ''}stage {int(rest[0]) + 1}"
