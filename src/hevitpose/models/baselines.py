"""Networks of the paper's comparison, from timm, under SimpleBaseline's head."""

import importlib
import sys
from itertools import pairwise
from types import ModuleType

import torch
from torch import Tensor, nn

from hevitpose.models.hevitpose import deconv_bn

HEAD_WIDTHS = (256, 256, 256)


class SimpleBaseline(nn.Module):
    """A backbone and three transposed convolutions (Xiao et al., ECCV 2018): (N, 3, H, W) to (N, K, H/4, W/4)."""

    def __init__(self, backbone: nn.Module, channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.backbone = backbone
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((channels, *HEAD_WIDTHS)):
            layers += [*deconv_bn(inputs, outputs), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Conv2d(HEAD_WIDTHS[-1], num_keypoints, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised RGB to heatmaps."""
        (features,) = self.backbone(pictures)
        heatmaps: Tensor = self.head(features)
        return heatmaps


def resnet50(num_keypoints: int = 16) -> SimpleBaseline:
    """ResNet-50: 34.00M parameters, 7.28 GFLOPs at 256 x 256 (table 1)."""
    return _from_timm("resnet50", num_keypoints)


def pvtv2_b2(num_keypoints: int = 16) -> SimpleBaseline:
    """PVTv2-B2: 29.05M parameters, 5.77 GFLOPs at 256 x 256 (table 1)."""
    return _from_timm("pvt_v2_b2", num_keypoints)


def _from_timm(name: str, num_keypoints: int) -> SimpleBaseline:
    backbone = import_timm().create_model(name, features_only=True, out_indices=(-1,))
    return SimpleBaseline(backbone, backbone.feature_info.channels()[0], num_keypoints)


def import_timm() -> ModuleType:
    """The module timm, which imports torchvision.

    torchvision is published for CUDA builds of torch only. Beside a CPU build its binary does not load, and its import
    then stops at shape functions of two operators that nothing here calls; with their schemas declared it goes on.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    return importlib.import_module("timm")
