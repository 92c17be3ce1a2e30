"""A network ready to run, from a file or by the name of one that ships."""

from dataclasses import dataclass
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Literal

from hevitpose.core.errors import InputError
from hevitpose.core.facts import Facts
from hevitpose.inference.backends import Backend, open_onnx, open_torch

Runtime = Literal["onnx", "torch"]
SUFFIXES: dict[Runtime, str] = {"onnx": ".onnx", "torch": ".safetensors"}
DEFAULT = "hevitpose_t_people16"


@dataclass(frozen=True)
class Network:
    """The network of a weight file, and what the file says of itself."""

    name: str
    backend: Backend
    facts: Facts


def load_network(
    name: str | PathLike[str], runtime: Runtime | None = None, threads: int | None = None, device: str = "cpu"
) -> Network:
    """The network of a file (.onnx, .safetensors) or of a shipped name, which ONNX Runtime runs unless told otherwise.

    `threads`: within one call, all cores by default; `device`: of torch. Raises InputError where the file is missing,
    broken, of another runtime or not written by hevitpose.
    """
    path = find_weights(name, runtime)
    backend, facts = open_onnx(path, threads) if path.suffix == ".onnx" else open_torch(path, threads, device)
    return Network(path.stem, backend, facts)


def find_weights(name: str | PathLike[str], runtime: Runtime | None = None) -> Path:
    """The weight file of this name or path. Raises InputError where there is none, or not for that runtime."""
    path = Path(name)
    if path.suffix in SUFFIXES.values():
        if runtime is not None and SUFFIXES[runtime] != path.suffix:
            raise InputError(path, f"is not a file for the runtime {runtime} ({SUFFIXES[runtime]})")
        if not path.is_file():
            raise InputError(path, "no such file")
        return path
    folder = Path(str(resources.files("hevitpose"))) / "weights"
    path = folder / f"{name}{SUFFIXES[runtime or 'onnx']}"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.onnx")))
        raise InputError(name, f"neither a weight file (.onnx, .safetensors) nor a name that ships ({known})")
    return path
