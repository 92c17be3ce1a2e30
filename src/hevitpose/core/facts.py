"""What every weight file says of itself, so that it can be used with nothing beside it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any, Literal, get_args

from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import EDGES, Codec
from hevitpose.core.skeleton import Skeleton
from hevitpose.core.variant import PLAIN, Variant, parse_variant

KEY = "hevitpose"
"""The entry of the metadata of an ONNX or safetensors file that holds the facts as JSON."""

NetworkName = Literal[
    "t",
    "s",
    "b",
    "shufflenet_v2",
    "mobilenet_v2",
    "resnest50",
    "resnet50",
    "resnext50",
    "hrnet_w32",
    "pvt_s",
    "swin_s",
    "efficientvit_m4",
    "pvtv2_b2",
    "vitpose_b",
]
"""The networks that can be trained, by the names that commands and files know them by (models/networks.py)."""


@dataclass(frozen=True)
class Facts:
    """Which network the weights are for (a `NetworkName`, and its variant), their keypoints, crops and heatmaps.

    `flip_test`: the file's graph averages with the mirrored crop itself.
    """

    architecture: NetworkName
    skeleton: Skeleton
    input_size: tuple[int, int]
    padding: float
    codec: Codec = EDGES
    variant: Variant = PLAIN
    flip_test: bool = False

    def to_json(self) -> dict[str, Any]:
        facts = asdict(self)
        del facts["variant"]
        return facts | ({"variant": str(self.variant)} if self.variant.options else {})


def facts_from_metadata(metadata: Mapping[str, str], source: str | PathLike[str]) -> Facts:
    """The facts in a file's metadata. Raises InputError where they are not there or not whole."""
    try:
        facts = json.loads(metadata[KEY])
        skeleton = facts["skeleton"]
        height, width = facts["input_size"]
        if facts["architecture"] not in get_args(NetworkName):
            raise InputError(source, f"weights of an unknown network {facts['architecture']!r}")
        return Facts(
            facts["architecture"],
            Skeleton(
                skeleton["name"],
                tuple(skeleton["keypoints"]),
                tuple(skeleton["mirror"]),
                tuple((a, b) for a, b in skeleton["limbs"]),
                skeleton["sigmas"] and tuple(skeleton["sigmas"]),
                bool(skeleton.get("symmetric", False)),
            ),
            (int(height), int(width)),
            float(facts["padding"]),
            Codec(**facts["codec"]) if "codec" in facts else EDGES,
            parse_variant(str(facts.get("variant", "")), str(source)),
            bool(facts.get("flip_test", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(source, f"not weights of hevitpose (its metadata: {type(error).__name__} {error})") from error
