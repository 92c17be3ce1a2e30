"""All networks of the paper, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import nn

from hevitpose.core.architecture import PLAIN, NetworkName, Variant, network_spec
from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.models import hevitpose
from hevitpose.models.baselines import efficientvit, networks


@dataclass(frozen=True)
class Architecture:
    """A network: `build(num_keypoints, **options)` makes it with random weights.

    It maps normalised RGB (N, 3, H, W), H and W multiples of 32, to heatmaps (N, K, H/4, W/4) and ends in `head`, whose
    last layer is the 1 x 1 convolution to the K keypoints. `title` is the paper's name, `options` are the fields of
    `Variant` that it has. If `pretrained`, its backbone is timm's, and `build(num_keypoints, pretrained=True)` starts
    from ImageNet weights.
    """

    title: str
    build: Callable[..., nn.Module]
    options: tuple[str, ...] = ()
    pretrained: bool = False


ALL = tuple(Variant.__dataclass_fields__)
NETWORKS: dict[NetworkName, Architecture] = {
    "t": Architecture("HEViTPose-T", hevitpose.hevitpose_t, ALL),
    "s": Architecture("HEViTPose-S", hevitpose.hevitpose_s, ALL),
    "b": Architecture("HEViTPose-B", hevitpose.hevitpose_b, ALL),
    "shufflenet_v2": Architecture("ShuffleNetV2", networks.shufflenet_v2),
    "mobilenet_v2": Architecture("MobileNetV2", networks.mobilenet_v2, pretrained=True),
    "resnest50": Architecture("ResNeSt-50", networks.resnest50, pretrained=True),
    "resnet50": Architecture("ResNet-50", networks.resnet50, pretrained=True),
    "resnext50": Architecture("ResNeXt-50", networks.resnext50, pretrained=True),
    "hrnet_w32": Architecture("HRNet-W32", networks.hrnet_w32, pretrained=True),
    "pvt_s": Architecture("PVT-S", networks.pvt_s),
    "swin_s": Architecture("Swin-S", networks.swin_s, pretrained=True),
    "efficientvit_m4": Architecture("EfficientViT-M4", efficientvit.efficientvit_m4, ("embedding",)),
    "pvtv2_b2": Architecture("PVTv2-B2", networks.pvtv2_b2, pretrained=True),
    "vitpose_b": Architecture("ViTPose-B", networks.vitpose_b, pretrained=True),
}


def _entry(name: str) -> Architecture:
    entry = NETWORKS.get(cast("NetworkName", name))
    if entry is None:
        raise InputError(name, f"no such network (known: {', '.join(NETWORKS)})")
    return entry


def build_network(
    name: str, num_keypoints: int, variant: Variant = PLAIN, pretrained: bool | Path = False
) -> nn.Module:
    """The network with random weights; `pretrained` loads ImageNet weights, of timm or of a file, into its backbone.

    Raises InputError for a variant that it does not have and for weights that cannot be loaded, MissingExtraError
    without timm.

    >>> sum(p.numel() for p in build_network("t", 16).parameters())
    3209520
    """
    refuse_variant(name, variant)
    options = variant.options | ({"pretrained": pretrained} if pretrained else {})
    try:
        return _entry(name).build(num_keypoints, **options)
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise MissingExtraError("baselines", _entry(name).title) from error
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        source = pretrained if isinstance(pretrained, Path) else _entry(name).title
        raise InputError(source, f"weights cannot be loaded ({reason})") from error
    except ValueError as error:
        raise InputError(network_spec(name, variant), str(error)) from error


def refuse_variant(name: str, variant: Variant) -> None:
    """Raise InputError where the network does not have what the variant changes."""
    network = _entry(name)
    if set(variant.options) - set(network.options):
        own = f"has only {', '.join(network.options)}" if network.options else "has no variants"
        raise InputError(network_spec(name, variant), f"{network.title} {own}")


def title_of(name: str, variant: Variant = PLAIN) -> str:
    """The paper's name of the network and the settings in which the variant differs.

    >>> title_of("b", Variant(groups=(2, 2, 2)))
    'HEViTPose-B, groups=2-2-2'
    """
    return ", ".join(filter(None, (_entry(name).title, str(variant).replace(":", ", "))))
