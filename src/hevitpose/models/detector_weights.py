"""A detector's weights on disk, with what they say of themselves."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from hevitpose.core.errors import InputError
from hevitpose.core.model_config import DETECTOR_KEY
from hevitpose.models import weights
from hevitpose.models.detector import Detector, DetectorConfig


@dataclass(frozen=True)
class DetectorFileConfig:
    """The network's sizes, the side of the square that it takes, and the names of its classes."""

    config: DetectorConfig
    side: int
    class_names: tuple[str, ...]


def save_detector(path: Path, tensors: Mapping[str, Tensor], file_config: DetectorFileConfig) -> None:
    """Write a detector's weights with what `load_detector` needs, `file_config` as JSON."""
    weights.save(path, tensors, {DETECTOR_KEY: json.dumps(asdict(file_config))})


def load_detector(path: Path) -> tuple[Detector, DetectorFileConfig]:
    """The network of a file of `save_detector`, or the average of a checkpoint, in float32. Raises InputError."""
    tensors, metadata = weights.load(path)
    if DETECTOR_KEY not in metadata:
        raise InputError(path, "does not hold a detector's weights")
    stored = json.loads(metadata[DETECTOR_KEY])
    sizes: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored["config"].items()}
    config = DetectorConfig(**sizes)
    network = Detector(config)
    averaged = {name.removeprefix("averaged."): t for name, t in tensors.items() if name.startswith("averaged.")}
    weights.load_into(network, averaged or tensors, str(path))
    return network.eval(), DetectorFileConfig(config, stored["side"], tuple(stored["class_names"]))
