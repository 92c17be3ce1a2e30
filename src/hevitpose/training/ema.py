"""The moving average of the weights, which is saved and evaluated."""

import torch
from torch import nn


def update_average(averaged: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """One step of the exponential moving average of weights and batch statistics, faster in the first steps."""
    keep = min(decay, (1 + step) / (10 + step))
    into, of = averaged.state_dict(), model.state_dict()
    floats = [name for name in into if into[name].is_floating_point()]
    torch._foreach_lerp_([into[n] for n in floats], [of[n] for n in floats], 1 - keep)
    for name in into.keys() - floats:
        into[name].copy_(of[name])
