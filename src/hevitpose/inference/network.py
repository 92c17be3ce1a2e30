"""A network ready to run, from a file or by the name of one that ships."""

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Literal

from hevitpose.core.errors import InputError
from hevitpose.core.keypoint_names import match_names
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.model_config import ModelConfig
from hevitpose.inference.backends import (
    Backend,
    KeypointFn,
    heatmap_fn,
    keypoint_fn,
    open_onnx,
    open_openvino,
    open_torch,
)

Runtime = Literal["onnx", "openvino", "torch"]
SUFFIXES: dict[Runtime, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "openvino": (".xml", ".onnx"),
    "torch": (".safetensors",),
}
"""Of the files that a runtime runs. A file that several run is run by the first of them unless told otherwise."""
DEFAULT = "hevitpose_t_fast_people16"
"""Of the weights that ship, those that are best at photos, and fastest (docs/results.md, "Boxes"); as ONNX only."""
TRAINABLE = "hevitpose_t_people16"
"""Of the weights that ship, those that torch runs, and that training and export begin with."""


@dataclass(frozen=True)
class Network:
    """The network of a weight file, and what the file says of itself; `decoded` where its graph decodes heatmaps."""

    name: str
    backend: Backend
    config: ModelConfig
    decoded: KeypointFn | None = None


def load_network(
    name: str | PathLike[str],
    runtime: Runtime | None = None,
    threads: int | None = None,
    device: str = "cpu",
    quick_start: bool = False,
) -> Network:
    """The network of a file (.onnx, .xml, .safetensors) or of a bundled name, which ONNX Runtime runs by default.

    `threads`: within one call, all cores by default; `device`: of torch; `quick_start`: of ONNX Runtime (`open_onnx`).
    Raises InputError where the file is missing, broken, of another runtime or not written by hevitpose, or where the
    runtime is not installed.
    """
    path = find_weights(name, runtime)
    match runtime or next(each for each, suffixes in SUFFIXES.items() if path.suffix in suffixes):
        case "onnx":
            run, config = open_onnx(path, threads, quick_start)
        case "openvino":
            run, config = open_openvino(path, threads)
        case "torch":
            return Network(path.stem, *open_torch(path, threads, device))
    return Network(path.stem, heatmap_fn(run), config, keypoint_fn(run))


def keypoints_of(network: Network, people: LabelledPeople) -> list[int]:
    """Where the people's keypoints are among the network's own, by name. Raises InputError where one is not."""
    keypoints = people.skeleton.keypoints
    rows = match_names(keypoints, network.config.skeleton.keypoints)
    if missing := [name for name, row in zip(keypoints, rows, strict=True) if row is None]:
        raise InputError(network.name, f"does not find {', '.join(missing)}, of the keypoints of {people.name}")
    return [row for row in rows if row is not None]


def find_weights(name: str | PathLike[str], runtime: Runtime | None = None) -> Path:
    """The weight file of this name or path; one that ships must be the one that its card names.

    Raises InputError where there is none, or not for that runtime, or where it is not that of the card.
    """
    path = Path(name)
    if any(path.suffix in suffixes for suffixes in SUFFIXES.values()):
        if runtime is not None and path.suffix not in SUFFIXES[runtime]:
            raise InputError(path, f"is not a file for the runtime {runtime} ({', '.join(SUFFIXES[runtime])})")
        if not path.is_file():
            raise InputError(path, "no such file")
        return path
    path = weights_folder() / f"{name}{SUFFIXES[runtime or 'onnx'][-1]}"
    if not path.is_file():
        if path.stem in bundled():
            others = ", ".join(bundled(path.suffix))
            raise InputError(name, f"ships as ONNX only, not for the runtime {runtime}; {others} ships for it")
        known = ", ".join(bundled())
        raise InputError(name, f"neither a weight file (.onnx, .xml, .safetensors) nor a name that ships ({known})")
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if hashlib.sha256(path.read_bytes()).hexdigest() != card["sha256"][path.name]:
        raise InputError(path, "is not the file that its card names: install hevitpose again")
    return path


def bundled(suffix: str = ".onnx") -> list[str]:
    """The names of the weights that ship in this form; as ONNX all do."""
    return sorted(file.stem for file in weights_folder().glob(f"*{suffix}"))


def weights_folder() -> Path:
    return Path(str(resources.files("hevitpose"))) / "weights"
