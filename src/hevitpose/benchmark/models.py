"""Networks and files made ready for the runtimes that `hevitpose benchmark` measures them in."""

import json
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hevitpose.benchmark.timing import Precision
from hevitpose.core.errors import InputError
from hevitpose.core.model_config import ModelConfig
from hevitpose.inference.backends import FRONTENDS, Runtime
from hevitpose.inference.network import find_weights, list_models

SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class BenchmarkModel:
    """A network: `files` by runtime; `parameters` where they are known; `int8` where a file computes in 8 bits."""

    model: str
    title: str
    random: bool
    parameters: int | None
    files: Mapping[Runtime, Path]
    int8: bool = False


def prepare_model(text: str, runtimes: Iterable[Runtime], side: int, folder: Path) -> BenchmarkModel:
    """A network by name, with random weights, or a file, or weights that ship; what is missing is made in `folder`.

    A network, and a .safetensors file, is exported as it predicts for ONNX Runtime and OpenVINO. Raises InputError.
    """
    folder = Path(tempfile.mkdtemp(dir=folder))  # its own: every run calls its weights last.safetensors
    path = ready_file(text, runtimes)
    if path is not None:
        if not path.is_file():
            raise InputError(path, "no such file")
        able: list[Runtime] = ["openvino", "onnx"] if path.suffix == ".onnx" else ["openvino"]
        parameters = (
            None if text not in list_models() else json.loads(path.with_suffix(".json").read_text())["parameters"]
        )
        return BenchmarkModel(path.stem, path.stem, False, parameters, dict.fromkeys(able, path), is_int8(path))
    if Path(text).suffix == SAFETENSORS or text in list_models():
        weights = find_weights(text, "torch")
        return exported(weights.stem, weights.stem, weights, runtimes, folder, random=False)
    weights, title = random_weights(text, side, folder)
    return exported(text, title, weights, runtimes, folder, random=True)


def ready_file(text: str, runtimes: Iterable[Runtime]) -> Path | None:
    """The file that is measured without anything being made: a runtime's own, or that of weights that ship."""
    if text in list_models() and "torch" not in runtimes:
        return find_weights(text)
    return Path(text) if Path(text).suffix in FRONTENDS else None


def exported(
    model: str, title: str, weights: Path, runtimes: Iterable[Runtime], folder: Path, random: bool
) -> BenchmarkModel:
    """The weights for torch, and for the others an ONNX file with decoding inside."""
    from hevitpose.models.weights import load_model

    network, config = load_model(weights)
    files: dict[Runtime, Path] = {"torch": weights}
    if others := [runtime for runtime in runtimes if runtime != "torch"]:
        import onnx

        from hevitpose.export.fuse import fuse
        from hevitpose.export.onnx import to_onnx

        graph = folder / f"{weights.stem}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's exporter warns of itself
            onnx.save(to_onnx(fuse(network), config), graph)
        files |= dict.fromkeys(others, graph)
    return BenchmarkModel(model, title, random, sum(each.numel() for each in network.parameters()), files)


def random_weights(text: str, side: int, folder: Path) -> tuple[Path, str]:
    """A file of the network's random weights, always the same ones, and the network's title. Raises InputError."""
    import torch

    from hevitpose.core.skeleton import MPII16
    from hevitpose.models.registry import build_network, title_of
    from hevitpose.models.weights import save_model
    from hevitpose.training.recipes import Recipe, with_network

    recipe = with_network(Recipe(), text, f"`models={text}`")
    torch.manual_seed(0)
    model = build_network(recipe.model, MPII16.num_keypoints, recipe.variant)
    path = folder / f"{text.replace(':', ',')}{SAFETENSORS}"
    config = ModelConfig(recipe.model, MPII16, (side, side), 1.25, variant=recipe.variant)
    save_model(path, model.state_dict(), config)
    return path, title_of(recipe.model, recipe.variant)


def is_int8(path: Path) -> bool:
    """Whether the file's graph holds operations of quantised networks, in ONNX or in OpenVINO's form."""
    content = path.read_bytes()
    return b"QuantizeLinear" in content or b"FakeQuantize" in content


def unsupported_reason(runtime: Runtime, precision: Precision) -> str | None:
    """Why this machine cannot run that precision, else None."""
    if precision == "fp32":
        return None
    if runtime == "onnx":
        return "ONNX Runtime has no bfloat16 on processors"
    if runtime == "openvino":
        import openvino

        able = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    else:
        from hevitpose.models.cpu import supports_bfloat16

        able = supports_bfloat16()
    return None if able else "this processor does not multiply bfloat16 itself"
