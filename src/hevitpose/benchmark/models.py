"""Prepare networks and files for the runtimes in which `hevitpose benchmark` measures them."""

import json
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hevitpose.benchmark.timing import Precision
from hevitpose.core.architecture import parse_network
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import BOX_PADDING
from hevitpose.core.model_config import ModelConfig
from hevitpose.inference.backends import FRONTENDS, Runtime
from hevitpose.inference.model_folder import read_model_folder
from hevitpose.inference.network import find_weights, is_model_folder, list_models

SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class BenchmarkModel:
    """A network's files by runtime.

    `random`: the weights are random. `parameters`: their number, if known. `int8`: the file computes in 8 bits.
    """

    model: str
    title: str
    random: bool
    parameters: int | None
    files: Mapping[Runtime, Path]
    int8: bool = False


def prepare_model(text: str, runtimes: Iterable[Runtime], side: int, folder: Path) -> BenchmarkModel:
    """A network by name (with random weights), a weight file, a model's folder, or bundled weights, ready to measure.

    Networks and .safetensors files are exported to `folder` for ONNX Runtime and OpenVINO. Raises InputError.
    """
    path = ready_file(text, runtimes)
    if path is not None:
        if not path.is_file():
            raise InputError(path, "no such file")
        able: list[Runtime] = ["openvino", "onnx"] if path.suffix == ".onnx" else ["openvino"]
        card = path.with_suffix(".json")
        parameters = json.loads(card.read_text("utf-8"))["parameters"] if text in list_models() else None
        name = Path(text).resolve().name if is_model_folder(text) else path.stem
        return BenchmarkModel(name, name, False, parameters, dict.fromkeys(able, path), is_int8(path))
    folder = Path(tempfile.mkdtemp(dir=folder))  # its own, because every run calls its weights last.safetensors
    if Path(text).suffix == SAFETENSORS or text in list_models() or is_model_folder(text):
        weights = find_weights(text, "torch")
        name = Path(text).resolve().name if is_model_folder(text) else weights.stem
        return exported(name, name, weights, runtimes, folder, random=False)
    weights, title = random_weights(text, side, folder)
    return exported(text, title, weights, runtimes, folder, random=True)


def ready_file(text: str, runtimes: Iterable[Runtime]) -> Path | None:
    """The file that can be measured as it is, in a runtime's format: named, exported or bundled; else None."""
    if text in list_models() and "torch" not in runtimes:
        return find_weights(text)
    path = read_model_folder(Path(text)).pose if is_model_folder(text) else Path(text)
    return path if path.suffix in FRONTENDS else None


def exported(
    model: str, title: str, weights: Path, runtimes: Iterable[Runtime], folder: Path, random: bool
) -> BenchmarkModel:
    """The weights for torch, and an ONNX file that decodes its heatmaps for the other runtimes."""
    from hevitpose.models.weights import load_model

    network, config = load_model(weights)
    files: dict[Runtime, Path] = {"torch": weights}
    if others := [runtime for runtime in runtimes if runtime != "torch"]:
        import onnx

        from hevitpose.export.fuse import fuse
        from hevitpose.export.onnx import to_onnx

        graph = folder / f"{weights.stem}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's exporter warns about its own code
            onnx.save(to_onnx(fuse(network), config), graph)
        files |= dict.fromkeys(others, graph)
    return BenchmarkModel(model, title, random, sum(each.numel() for each in network.parameters()), files)


def random_weights(text: str, side: int, folder: Path) -> tuple[Path, str]:
    """A file of random weights, the same in every run, and the network's title. Raises InputError."""
    import torch

    from hevitpose.core.skeleton import MPII16
    from hevitpose.models.registry import build_network, title_of
    from hevitpose.models.weights import save_model

    name, variant, _ = parse_network(text, f"`models={text}`")
    torch.manual_seed(0)
    model = build_network(name, MPII16.num_keypoints, variant)
    path = folder / f"{text.replace(':', ',')}{SAFETENSORS}"
    save_model(path, model.state_dict(), ModelConfig(name, MPII16, (side, side), BOX_PADDING, variant=variant))
    return path, title_of(name, variant)


def is_int8(path: Path) -> bool:
    """Whether the file's graph holds quantised operations, as ONNX or OpenVINO name them."""
    content = path.read_bytes()
    return b"QuantizeLinear" in content or b"FakeQuantize" in content


def unsupported_reason(runtime: Runtime, precision: Precision) -> str | None:
    """Why this machine cannot run the precision; None if it can."""
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
