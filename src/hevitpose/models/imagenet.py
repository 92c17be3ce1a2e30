"""ImageNet weights of EfficientViT (Liu et al., CVPR 2023), as timm publishes them.

HEViTPose-T, S and B share the widths, depths, sandwich halves and downsampling of EfficientViT-M0, M2 and M4. Patch
embedding, attention and head differ and stay initialized randomly. EfficientViT-M4 with the paper's head also keeps
its attention, except for the position biases of the last stage: at the 224 pixels of its training, a window there was
the whole 4 x 4 map.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from hevitpose.core.errors import InputError
from hevitpose.models.baselines.efficientvit import EfficientViTPose
from hevitpose.models.hevitpose import HEViTPose
from hevitpose.models.weights import load

TIMM_NAMES = (
    (r"downsampling\.(dw|ffn)([01])", lambda m: f"downsample.res{int(m[2]) + 1}.{('dw', 'ffn').index(m[1])}"),
    (r"downsampling\.bottleneck\.expand", "downsample.patchmerge.conv1"),
    (r"downsampling\.bottleneck\.depthwise", "downsample.patchmerge.conv2"),
    (r"downsampling\.bottleneck\.squeeze_excite\.squeeze", "downsample.patchmerge.se.fc1"),
    (r"downsampling\.bottleneck\.squeeze_excite\.excite", "downsample.patchmerge.se.fc2"),
    (r"downsampling\.bottleneck\.project", "downsample.patchmerge.conv3"),
    (r"mixer\.branch", "mixer.m.attn"),
    (r"heads\.(\d)\.query_key_value", r"qkvs.\1"),
    (r"heads\.(\d)\.query_convolution", r"dws.\1"),
    (r"projection", "proj.1"),
    (r"\bbiases", "attention_biases"),
    (r"\bbranch\b", "m"),
    (r"\bexpand\b", "pw1"),
    (r"\bproject\b", "pw2"),
    (r"\bnorm\b", "bn"),
)
"""What to replace in a name here to get timm's, in this order."""

BATCH_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def init_from_efficientvit(network: HEViTPose | EfficientViTPose, path: Path) -> tuple[str, ...]:
    """Fill the network from a safetensors file of timm's efficientvit_m0 (for T), m2 (S) or m4 (B), where it fits.

    Returns one line each on what was loaded, what stays random and what was not used. Raises InputError where the file
    is unreadable, of another kind or of another size; the network is then unchanged.
    """
    theirs, _ = load(path)
    ours = network.state_dict()
    names = {name: timm_name(name) for name in ours if _is_shared(name, network)}
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
        f"initialized randomly: {_summary({name: tensor for name, tensor in ours.items() if name not in names})}",
        f"not used of {path.name}: {_summary({name: t for name, t in theirs.items() if name not in used})}",
    )


def timm_name(name: str) -> str:
    """The name in timm's EfficientViT of a tensor here.

    >>> timm_name("stages.1.downsampling.ffn1.branch.project.norm.bias")
    'stages.1.downsample.res2.1.m.pw2.bn.bias'
    """
    for pattern, replacement in TIMM_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _is_shared(name: str, network: HEViTPose | EfficientViTPose) -> bool:
    """Whether EfficientViT has this tensor, too; counters of batches are not copied."""
    shared_mixer = isinstance(network, EfficientViTPose) or ".mixer." not in name
    return name.startswith("stages.") and shared_mixer and not name.endswith("num_batches_tracked")


def _summary(tensors: Mapping[str, Tensor]) -> str:
    """The number of parameters and the parts that they belong to."""
    parameters = {name: t for name, t in tensors.items() if name.rpartition(".")[2] not in BATCH_STATISTICS}
    parts = ", ".join(dict.fromkeys(_part(name) for name in parameters))
    return f"{sum(tensor.numel() for tensor in parameters.values()):,} parameters ({parts})"


def _part(name: str) -> str:
    first, *rest = name.split(".")
    if first != "stages":
        return first
    return f"{'attention of ' if 'mixer' in rest else ''}stage {int(rest[0]) + 1}"
