"""ShuffleNetV2 at width 1.0 (Ma et al., ECCV 2018, figure 3c and 3d, table 5), up to its last 1024 channels."""

import torch
from torch import Tensor, nn

from hevitpose.models.hevitpose import conv_bn


class Unit(nn.Module):
    """Convolutions over half of the channels, then a shuffle of both halves: (N, C, H, W) to (N, C, H, W).

    At stride 2 both halves come from all channels: (N, C, H, W) to (N, C', H/2, W/2).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half, given = outputs // 2, inputs if stride == 2 else inputs // 2
        self.stride = stride
        self.convolutions = nn.Sequential(
            *conv_bn(given, half, 1),
            nn.ReLU(),
            *conv_bn(half, half, 3, stride, groups=half),
            *conv_bn(half, half, 1),
            nn.ReLU(),
        )
        self.shortcut = (
            nn.Sequential(*conv_bn(inputs, inputs, 3, stride, groups=inputs), *conv_bn(inputs, half, 1), nn.ReLU())
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, passed = (x, x) if self.stride == 2 else x.chunk(2, dim=1)
        halves = torch.stack([self.shortcut(kept), self.convolutions(passed)], dim=2)  # N, C/2, 2, H, W
        return halves.flatten(1, 2)


class ShuffleNetV2(nn.Module):
    """(N, 3, H, W) to (N, 1024, H/32, W/32)."""

    channels = 1024

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(3, 24, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))
        units, width = [], 24
        for outputs, depth in ((116, 4), (232, 8), (464, 4)):
            units += [Unit(width, outputs, 2), *(Unit(outputs, outputs, 1) for _ in range(depth - 1))]
            width = outputs
        self.units = nn.Sequential(*units)
        self.last = nn.Sequential(*conv_bn(width, self.channels, 1), nn.ReLU())
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.last(self.units(self.stem(images)))
        return features
