"""Parameters and operations of a network, counted during a forward pass on shapes alone (the "meta" device).

Two counts stand side by side. The paper's is that of MMPose 0.29's `get_flops.py`, which sees only what is called as a
module and so misses the attention (its projections and both products). The full one has every multiply-accumulate.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """The cost of a part of a network: parameters, operations as the paper counts them, all multiply-accumulates."""

    parameters: int
    paper_operations: int
    multiply_accumulates: int


def cost(model: nn.Module, size_hw: tuple[int, int] = (256, 256)) -> dict[str, Cost]:
    """The cost of each child of the network, or of each member of a module list, for one input of `size_hw`.

    >>> from hevitpose.models.hevitpose import hevitpose_t
    >>> round(total(cost(hevitpose_t())).paper_operations / 1e9, 2)
    1.75
    """
    model = copy.deepcopy(model).to("meta").eval()
    parts = dict(_parts(model))
    operations = dict.fromkeys(parts, 0)
    unseen, convolutions = _named(model, IN_ATTENTION), _named(model, CONVOLUTIONS)
    handles = [
        module.register_forward_hook(_adder(operations, name, module in convolutions))
        for name, part in parts.items()
        for module in part.modules()
        if module not in unseen
    ]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, *size_hw, device="meta"))
    for handle in handles:
        handle.remove()
    flops = counter.get_flop_counts()
    return {
        name: Cost(
            sum(p.numel() for p in part.parameters()),
            operations[name],
            sum(flops.get(f"{type(model).__name__}.{name}", {}).values()) // 2,
        )
        for name, part in parts.items()
    }


def total(costs: dict[str, Cost]) -> Cost:
    """The cost of all parts together."""
    return Cost(*map(sum, zip(*map(astuple, costs.values()), strict=True)))


def _parts(model: nn.Module) -> list[tuple[str, nn.Module]]:
    parts: list[tuple[str, nn.Module]] = []
    for name, child in model.named_children():
        if isinstance(child, nn.ModuleList):
            parts += [(f"{name}.{i}", member) for i, member in enumerate(child)]
        else:
            parts.append((name, child))
    return parts


# By class name, which does not import timm.
IN_ATTENTION = {
    "hevitpose.models.hevitpose.GroupAttention": ("query", "key_value", "output"),
    "hevitpose.models.baselines.pvt.SpatialReductionAttention": ("query", "key_value", "output"),
    "timm.models.pvt_v2.Attention": ("q", "kv", "proj"),
}
"""Projections that the paper's framework does not call as modules, since it uses torch's own attention."""

CONVOLUTIONS = {
    "hevitpose.models.baselines.pvt.FeedForward": ("0", "2"),
    "timm.models.pvt_v2.MlpWithDepthwiseConv": ("fc1", "fc2"),
}
"""Linear layers that are 1 x 1 convolutions in the paper's framework, which counts their biases."""


def _named(part: nn.Module, names: Mapping[str, tuple[str, ...]]) -> set[nn.Module]:
    """The members of `part`'s modules that `names` lists by class."""
    return {
        module.get_submodule(name)
        for module in part.modules()
        for name in names.get(f"{type(module).__module__}.{type(module).__qualname__}", ())
    }


def _adder(operations: dict[str, int], name: str, with_bias: bool) -> Callable[[nn.Module, Any, Any], None]:
    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        operations[name] += _paper_operations(module, inputs[0], output)
        if with_bias:
            operations[name] += output.numel()

    return add


def _paper_operations(module: nn.Module, given: Tensor, output: Tensor) -> int:
    """Operations of one call of a module by the rules of mmcv's counter; 0 where it has no rule."""
    match module:
        case nn.Conv2d() | nn.ConvTranspose2d():
            # A transposed convolution is counted over the positions of its input.
            positions = given if isinstance(module, nn.ConvTranspose2d) else output
            bias = 0 if module.bias is None else output.numel()
            return module.weight.numel() * len(given) * prod(positions.shape[2:]) + bias
        case nn.Linear():
            return module.weight.numel() * (given.numel() // given.shape[-1])
        case nn.BatchNorm2d() | nn.LayerNorm():
            return 2 * output.numel()
        case nn.ReLU() | nn.ReLU6() | nn.Upsample():
            return output.numel()
        case nn.MaxPool2d() | nn.AvgPool2d() | nn.AdaptiveAvgPool2d():
            return given.numel()
        case _:
            return 0
