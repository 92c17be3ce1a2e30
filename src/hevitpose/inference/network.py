"""A network ready to run, from a file or by the name of bundled weights."""

import hashlib
import json
from dataclasses import dataclass, replace
from importlib import resources
from os import PathLike, fspath
from pathlib import Path
from typing import Literal

from hevitpose.core.errors import InputError
from hevitpose.core.keypoint_names import require_names
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.model_config import ModelConfig, model_config_from_metadata
from hevitpose.inference.backends import (
    DEFAULT_OPTIONS,
    Graph,
    HeatmapFn,
    KeypointFn,
    OnnxGraph,
    OpenVINOGraph,
    Runtime,
    RuntimeOptions,
    TorchHeatmaps,
    to_device,
)
from hevitpose.inference.model_folder import ModelFolder, read_model_folder

SUFFIXES: dict[Runtime, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "openvino": (".xml", ".onnx"),
    "torch": (".safetensors",),
}
"""The files that a runtime reads. The first runtime that reads a file runs it unless another one is asked for."""
DEFAULT = "hevitpose_t_fast_people21"
"""The bundled weights that are best on photos, and fastest (docs/models.md)."""
PERSON_DETECTOR = "person_detector"
"""The bundled detector."""
PAPER_T = "hevitpose_t_people16"
"""The bundled weights of the paper's T."""

Precision = Literal["float32", "int8"]
IN_INT8 = "_int8"
"""Ends the file name of a bundled network that computes its dense convolutions in 8 bits."""


@dataclass(frozen=True)
class Network:
    """A network and the config of its weight file.

    `keypoint_fn` where its graph decodes heatmaps itself; `folder` where its file lies in the folder of a model.
    """

    name: str
    heatmap_fn: HeatmapFn
    config: ModelConfig
    keypoint_fn: KeypointFn | None = None
    folder: ModelFolder | None = None


def load_network(name: str | PathLike[str], options: RuntimeOptions = DEFAULT_OPTIONS) -> Network:
    """The network of a file (.onnx, .xml, .safetensors), of a model's folder (a training run, or an exported model) or
    of bundled weights, which ONNX Runtime runs by default.

    Raises InputError where the file is missing, broken, of another runtime or not written by hevitpose, DeviceError and
    MissingExtraError where device or runtime are missing.
    """
    if not fspath(name):
        raise InputError("model", "has an empty name")
    if is_model_folder(name):
        folder = read_model_folder(Path(name))
        return replace(load_network(folder.pose, options), name=Path(name).resolve().name, folder=folder)
    path = find_weights(name, options.runtime)
    runtime = options.runtime or next(each for each, suffixes in SUFFIXES.items() if path.suffix in suffixes)
    if runtime == "torch":
        return _load_torch(path, options)
    graph: Graph = OnnxGraph(path, options) if runtime == "onnx" else OpenVINOGraph(path, options)
    return Network(path.stem, graph.heatmaps, model_config_from_metadata(graph.metadata, path), graph.keypoints)


def _load_torch(path: Path, options: RuntimeOptions) -> Network:
    import torch

    from hevitpose.models.weights import load_model

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    model, config = load_model(path)
    return Network(path.stem, TorchHeatmaps(to_device(model, options.device)), config)


def keypoints_of(network: Network, people: LabelledPeople) -> list[int]:
    """The index in the network's output of each of the people's keypoints. Raises InputError where one is missing."""
    return require_names(people.skeleton.keypoints, network.config.skeleton.keypoints, people.name, network.name)


def find_weights(name: str | PathLike[str], runtime: Runtime | None = None) -> Path:
    """The weight file of this name or path, or in this model's folder; bundled files must be those of their card.

    Raises InputError where there is none, where the runtime does not read it, or where a bundled file was changed.
    """
    path = read_model_folder(Path(name)).pose if is_model_folder(name) else Path(name)
    if any(path.suffix in suffixes for suffixes in SUFFIXES.values()):
        if runtime is not None and path.suffix not in SUFFIXES[runtime]:
            raise InputError(path, f"{runtime} does not read this file ({', '.join(SUFFIXES[runtime])})")
        if not path.is_file():
            raise InputError(path, "no such file")
        return path
    path = weights_folder() / f"{name}{SUFFIXES[runtime or 'onnx'][-1]}"
    if not path.is_file():
        if path.with_suffix(".onnx").is_file():
            others = ", ".join(list_models(path.suffix))
            raise InputError(name, f"is bundled as ONNX only, which {runtime} does not read; it reads {others}")
        known = ", ".join(list_models())
        kinds = "neither a weight file (.onnx, .xml, .safetensors) nor a model's folder"
        raise InputError(name, f"{kinds} nor bundled weights ({known})")
    card = json.loads(path.with_name(f"{path.stem.removesuffix(IN_INT8)}.json").read_text(encoding="utf-8"))
    if hashlib.sha256(path.read_bytes()).hexdigest() != card["sha256"][path.name]:
        raise InputError(path, "is not the file that its card names: install hevitpose again")
    return path


def in_precision(name: str | PathLike[str], precision: Precision) -> str | PathLike[str]:
    """The name of a model's form of this precision. Raises InputError where it is not bundled in 8 bits.

    >>> in_precision("hevitpose_t_fast_people21", "int8")
    'hevitpose_t_fast_people21_int8'
    """
    if precision == "float32":
        return name
    if precision != "int8":
        raise InputError(f"`precision={precision}`", "must be float32 or int8")
    if not (weights_folder() / f"{name}{IN_INT8}.onnx").is_file():
        raise InputError(name, "has no 8-bit form here: export one, and name its file")
    return f"{name}{IN_INT8}"


def is_model_folder(name: str | PathLike[str]) -> bool:
    """Whether this is a folder, and not the name of bundled weights."""
    return Path(name).is_dir() and str(name) not in list_models()


def weights_id(name: str | PathLike[str]) -> str:
    """Name and hash of a weight file, or the name alone where it is none. Raises InputError."""
    path = find_weights(name)
    return f"{path.stem} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def list_models(suffix: str = ".onnx") -> list[str]:
    """The names of the bundled keypoint networks that have a file of this form; all have ONNX.

    >>> list_models()
    ['hevitpose_t_fast_people21', 'hevitpose_t_people16']
    """
    stems = (file.stem for file in weights_folder().glob(f"*{suffix}"))
    return sorted(stem for stem in stems if stem != PERSON_DETECTOR and not stem.endswith(IN_INT8))


def weights_folder() -> Path:
    """The folder of the bundled weights."""
    return Path(str(resources.files("hevitpose"))) / "weights"
