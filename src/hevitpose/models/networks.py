"""Every network of the paper, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from hevitpose.core.facts import NetworkName
from hevitpose.models import baselines, hevitpose


@dataclass(frozen=True)
class Network:
    """`title` is the paper's name; `build(num_keypoints)` makes the network with random weights.

    It takes normalised RGB (N, 3, H, W) to heatmaps (N, K, H/4, W/4).
    """

    title: str
    build: Callable[[int], nn.Module]


NETWORKS: dict[NetworkName, Network] = {
    "t": Network("HEViTPose-T", hevitpose.hevitpose_t),
    "s": Network("HEViTPose-S", hevitpose.hevitpose_s),
    "b": Network("HEViTPose-B", hevitpose.hevitpose_b),
    "resnet50": Network("ResNet-50", baselines.resnet50),
    "pvtv2_b2": Network("PVTv2-B2", baselines.pvtv2_b2),
}
