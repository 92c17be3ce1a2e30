"""Networks that the paper compares with (tables 1 and 3); backbones are timm's where it has them.

Each follows MMPose 0.29, the paper's framework: the head takes what MMPose's backbone ends in.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hevitpose.models.baselines.pvt import PVT
from hevitpose.models.baselines.shufflenet import ShuffleNetV2
from hevitpose.models.hevitpose import check_sides, conv_bn, heatmap_head

Pretrained = bool | Path
"""Random weights (False), or timm's ImageNet weights: downloaded (True) or from a file."""


class Baseline(nn.Module):
    """A backbone and SimpleBaseline's head (Xiao et al., ECCV 2018): (N, 3, H, W) to (N, K, H/4, W/4).

    Args:
        backbone: Network without a classifier.
        channels: Channels that the backbone ends in.
        num_keypoints: K, the number of heatmaps.
        widths: Channels of the head's transposed convolutions.
        layout: Form of the backbone's output: maps (N, C, h, w), a list of one such map, maps with channels last, or
            tokens of 16 x 16 pixels.
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: int,
        num_keypoints: int,
        widths: tuple[int, ...] = (256, 256, 256),
        layout: Literal["maps", "list", "channels last", "tokens"] = "maps",
    ) -> None:
        super().__init__()
        self.backbone, self.layout = backbone, layout
        self.head = heatmap_head(channels, num_keypoints, widths)
        for module in self.head:
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.001)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised RGB (N, 3, H, W) to heatmaps (N, K, H/4, W/4)."""
        check_sides(images)
        features = self.backbone(images)
        match self.layout:
            case "list":
                (features,) = features
            case "channels last":
                features = features.permute(0, 3, 1, 2)
            case "tokens":
                height, width = images.shape[2:]
                features = features.transpose(1, 2).reshape(len(images), -1, height // 16, width // 16)
        heatmaps: Tensor = self.head(features)
        return heatmaps


def shufflenet_v2(num_keypoints: int = 16) -> Baseline:
    """ShuffleNetV2 1.0x: 7.55M parameters, 1.83 GFLOPs at 256 x 256 (table 1)."""
    return Baseline(ShuffleNetV2(), ShuffleNetV2.channels, num_keypoints)


def mobilenet_v2(num_keypoints: int = 16, pretrained: Pretrained = False) -> Baseline:
    """MobileNetV2 up to its last 1280 channels: 9.57M parameters, 2.12 GFLOPs at 256 x 256 (table 1)."""
    return Baseline(_from_timm("mobilenetv2_100", pretrained), 1280, num_keypoints)


def resnest50(num_keypoints: int = 16, pretrained: Pretrained = False) -> Baseline:
    """ResNeSt-50: 35.93M parameters, 8.97 GFLOPs at 256 x 256 (table 1)."""
    return Baseline(_from_timm("resnest50d", pretrained), 2048, num_keypoints)


def resnet50(num_keypoints: int = 16, pretrained: Pretrained = False) -> Baseline:
    """ResNet-50: 34.00M parameters, 7.28 GFLOPs at 256 x 256 (table 1)."""
    return Baseline(_from_timm("resnet50", pretrained), 2048, num_keypoints)


def resnext50(num_keypoints: int = 16, pretrained: Pretrained = False) -> Baseline:
    """ResNeXt-50 32x4d: 33.47M parameters, 7.48 GFLOPs at 256 x 256 (table 1)."""
    return Baseline(_from_timm("resnext50_32x4d", pretrained), 2048, num_keypoints)


def hrnet_w32(num_keypoints: int = 16, pretrained: Pretrained = False, separable_transitions: bool = False) -> Baseline:
    """HRNet-W32 with a head on its quarter-resolution branch: 28.54M parameters, 10.27 GFLOPs at 256 x 256.

    Table 1 prints 28.02M and 9.85, the cost with `separable_transitions`, where convolutions between stages are
    depthwise and 1 x 1, as in Lite-HRNet.
    """
    backbone = _from_timm("hrnet_w32", pretrained)
    # These widen and join the branches for the classifier only.
    backbone.incre_modules = backbone.downsamp_modules = backbone.final_layer = None
    backbone.global_pool = nn.Identity()
    last = backbone.stage4[-1]
    last.fuse_layers = last.fuse_layers[:1]
    if separable_transitions:
        for transition in (backbone.transition1, backbone.transition2, backbone.transition3):
            _separate_convolutions(transition)
    return Baseline(backbone, 32, num_keypoints, widths=(), layout="list")


def _separate_convolutions(part: nn.Module) -> None:
    for module in list(part.modules()):
        for name, conv in list(module.named_children()):
            if isinstance(conv, nn.Conv2d):
                inputs, outputs = conv.in_channels, conv.out_channels
                depthwise = conv_bn(inputs, inputs, 3, conv.stride[0], groups=inputs)
                setattr(module, name, nn.Sequential(*depthwise, nn.Conv2d(inputs, outputs, 1, bias=False)))


def pvt_s(num_keypoints: int = 16) -> Baseline:
    """PVT-S: 28.17M parameters, 5.47 GFLOPs at 256 x 256 (table 1)."""
    return Baseline(PVT(), PVT.widths[-1], num_keypoints)


def swin_s(num_keypoints: int = 16, pretrained: Pretrained = False) -> Baseline:
    """Swin-S with windows of 7: 54.09M parameters, 15.40 GFLOPs at 256 x 256 (table 1)."""
    # As in dense prediction, windows shift at every size; by default timm does not shift a map of a single window.
    options = {"dynamic_img_size": True, "always_partition": True}
    backbone = _from_timm("swin_small_patch4_window7_224", pretrained, **options)
    return Baseline(backbone, 768, num_keypoints, layout="channels last")


def pvtv2_b2(num_keypoints: int = 16, pretrained: Pretrained = False) -> Baseline:
    """PVTv2-B2: 29.05M parameters, 5.77 GFLOPs at 256 x 256 (table 1)."""
    return Baseline(_from_timm("pvt_v2_b2", pretrained), 512, num_keypoints)


def vitpose_b(num_keypoints: int = 16, pretrained: Pretrained = False) -> Baseline:
    """ViTPose-B, a plain ViT-B/16 without class token: 90.04M parameters, 23.80 GFLOPs at 256 x 256 (table 3)."""
    backbone = _from_timm("vit_base_patch16_224", pretrained, img_size=256, dynamic_img_size=True)
    backbone.cls_token, backbone.num_prefix_tokens = None, 0
    backbone.pos_embed = nn.Parameter(backbone.pos_embed.detach()[:, 1:].clone())
    return Baseline(backbone, 768, num_keypoints, widths=(256, 256), layout="tokens")


def _from_timm(name: str, pretrained: Pretrained, **options: Any) -> Any:
    """timm's network without its classifier and pooling."""
    overlay = {"file": str(pretrained)} if isinstance(pretrained, Path) else None
    return import_timm().create_model(
        name, pretrained=bool(pretrained), pretrained_cfg_overlay=overlay, num_classes=0, global_pool="", **options
    )


def import_timm() -> ModuleType:
    """The module timm, which imports torchvision.

    PyPI has torchvision for CUDA builds of torch only. With a CPU build its binary does not load, and its import fails
    at the shape functions of two operators that nothing here calls; with their schemas declared it succeeds.
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
