"""What every weight file says of itself, so that it can be used with nothing beside it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import get_args

from hevitpose.core.architecture import PLAIN, NetworkName, Variant, parse_variant
from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import EDGES, Codec
from hevitpose.core.skeleton import Skeleton

KEY = "hevitpose"
"""The entry of the metadata of an ONNX or safetensors file that holds the config as JSON."""
DETECTOR_KEY = "hevitpose.detector"
"""The entry that says, as JSON, how a detector is used; files of keypoint networks do not have it."""


@dataclass(frozen=True)
class BoxSizes:
    """How large people are in the images of a training set: a box's longer side divided by its image's.

    `low` and `high` are the 5th and the 95th percentile.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class ModelConfig:
    """Which network the weights are for (a `NetworkName`, and its variant), their keypoints, crops and heatmaps.

    `flip_test`: the file's graph averages with the mirrored crop itself. `box_sizes` are those of the training set,
    where they are known.
    """

    architecture: str
    skeleton: Skeleton
    input_size: tuple[int, int]
    padding: float
    codec: Codec = EDGES
    variant: Variant = PLAIN
    flip_test: bool = False
    box_sizes: BoxSizes | None = None

    def to_json(self) -> dict[str, object]:
        config = asdict(self)
        del config["variant"]
        if self.box_sizes is None:
            del config["box_sizes"]
        return config | ({"variant": str(self.variant)} if self.variant.options else {})


def model_config_from_metadata(metadata: Mapping[str, str], source: str | PathLike[str]) -> ModelConfig:
    """The config in a file's metadata. Raises InputError where they are not there or not whole."""
    try:
        config = json.loads(metadata[KEY])
        skeleton = config["skeleton"]
        height, width = config["input_size"]
        # A graph of another version runs as well, if it says how to crop and decode; only torch must know the network.
        known = config["architecture"] in get_args(NetworkName)
        return ModelConfig(
            str(config["architecture"]),
            Skeleton(
                skeleton["name"],
                tuple(skeleton["keypoints"]),
                tuple(skeleton["mirror"]),
                tuple((a, b) for a, b in skeleton["limbs"]),
                skeleton["sigmas"] and tuple(skeleton["sigmas"]),
                bool(skeleton.get("symmetric", False)),
            ),
            (int(height), int(width)),
            float(config["padding"]),
            Codec(**config["codec"]) if "codec" in config else EDGES,
            parse_variant(str(config.get("variant", "")), str(source)) if known else PLAIN,
            bool(config.get("flip_test", False)),
            BoxSizes(**config["box_sizes"]) if "box_sizes" in config else None,
        )
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(source, f"not weights of hevitpose (its metadata: {type(error).__name__} {error})") from error
