"""What runs a network: ONNX Runtime, OpenVINO or torch, behind one signature, each imported where it is used."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.errors import DeviceError, InputError, MissingExtraError
from hevitpose.core.geometry import Floats
from hevitpose.core.model_config import KEY, ModelConfig, model_config_from_metadata

if TYPE_CHECKING:
    import onnxruntime
    import openvino
    import torch

Backend = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""RGB crops (N, H, W, 3) to heatmaps (N, K, h, w)."""
KeypointFn = Callable[[NDArray[np.uint8]], tuple[Floats, Floats]]
"""RGB crops (N, H, W, 3) to joints (N, K, 2) in crop pixels and scores (N, K), which a file's graph finds itself."""
GraphFn = Callable[[NDArray[np.uint8], Sequence[str]], list[NDArray[np.float32]]]
"""RGB crops (N, H, W, 3) to the named outputs of a file: keypoints (N, K, 2), scores (N, K), heatmaps."""
OpenVINOPrecision = Literal["f32", "bf16"]
FRONTENDS = {".onnx": "onnx", ".xml": "ir", ".tflite": "tflite", ".pb": "tf"}
"""OpenVINO's readers, by suffix."""


def open_onnx(path: Path, threads: int | None = None, quick_start: bool = False) -> tuple[GraphFn, ModelConfig]:
    """What an ONNX file that hevitpose exported gives, by ONNX Runtime. Raises InputError.

    `threads`: within one call; all cores by default. With `quick_start` the graph is run as it is: loaded in a third
    of the time, it takes half as long again for a crop, which pays for a few of them.
    """
    run, metadata = load_onnx(path, threads, quick_start)
    return run, model_config_from_metadata(metadata, path)


def open_openvino(path: Path, threads: int | None = None) -> tuple[GraphFn, ModelConfig]:
    """What an ONNX file or OpenVINO's .xml that hevitpose exported gives, by OpenVINO. Raises InputError."""
    run, metadata = load_openvino(path, threads)
    return run, model_config_from_metadata(metadata, path)


def heatmap_fn(run: GraphFn) -> Backend:
    """The heatmaps alone."""
    return lambda crops: run(crops, ["heatmaps"])[0]


def keypoint_fn(run: GraphFn) -> KeypointFn:
    """What the graph itself makes of its heatmaps; it does so whether asked or not."""

    def decoded(crops: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        joints, scores = run(crops, ["keypoints", "scores"])
        return joints.astype(np.float64), scores.astype(np.float64)

    return decoded


def load_onnx(path: Path, threads: int | None = None, quick_start: bool = False) -> tuple[GraphFn, Mapping[str, str]]:
    """What ONNX Runtime makes of a file, and the file's metadata. Raises InputError where it cannot load it."""
    session = onnx_session(path, threads, quick_start)
    crops_name = session.get_inputs()[0].name

    def run(crops: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = session.run(names, {crops_name: np.ascontiguousarray(crops)})
        return outputs

    return run, session.get_modelmeta().custom_metadata_map


def onnx_session(path: Path, threads: int | None = None, quick_start: bool = False) -> "onnxruntime.InferenceSession":
    """A file in ONNX Runtime, on the processor. Raises InputError where it cannot load it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    if quick_start:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no public root
        raise InputError(path, f"cannot be loaded as a network ({str(error).splitlines()[0]})") from error


def load_openvino(path: Path, threads: int | None = None) -> tuple[GraphFn, Mapping[str, str]]:
    """What OpenVINO makes of a file, in float32, and the config in the file's metadata.

    Raises InputError where it cannot load it, or is not installed.
    """
    compiled, metadata = compile_openvino(path, threads)
    request = compiled.create_infer_request()

    def run(crops: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.float32]]:
        outputs = request.infer({0: np.ascontiguousarray(crops)})
        return [outputs[name].copy() for name in names]

    return run, metadata


def compile_openvino(
    path: Path, threads: int | None = None, precision: OpenVINOPrecision = "f32"
) -> tuple["openvino.CompiledModel", Mapping[str, str]]:
    """A file in OpenVINO, on the processor, and the config in its metadata.

    Raises InputError where it cannot load it, or is not installed.
    """
    try:
        import openvino
        from openvino.frontend import FrontEndManager
    except ImportError as error:
        raise MissingExtraError("openvino") from error
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = str(threads)
    try:
        frontend = FrontEndManager().load_by_framework(FRONTENDS[path.suffix])
        model = frontend.convert(frontend.load(str(path)))
        compiled = openvino.Core().compile_model(model, "CPU", settings)
    except Exception as error:  # OpenVINO's errors have no public root
        raise InputError(path, f"cannot be loaded as a network ({str(error).strip().splitlines()[-1]})") from error
    place = ["framework", KEY]  # where OpenVINO puts the metadata of an ONNX file
    return compiled, {KEY: model.get_rt_info(place).astype(str)} if model.has_rt_info(place) else {}


def open_torch(path: Path, threads: int | None = None, device: str = "cpu") -> tuple[Backend, ModelConfig]:
    """The network of a safetensors file that hevitpose wrote, on `device`. Raises InputError."""
    import torch

    from hevitpose.models.weights import load_model

    if threads is not None:
        torch.set_num_threads(threads)
    model, config = load_model(path)
    try:
        model = model.eval().to(device)
    except (RuntimeError, AssertionError) as error:  # AssertionError where torch was built without CUDA
        reason = str(error).splitlines()[0]
        raise DeviceError(f"`device={device}`", f"cannot be used ({reason})") from error
    return torch_backend(model), config


def torch_backend(model: "torch.nn.Module") -> Backend:
    """A torch network, in evaluation mode, on the device where it is."""
    import torch

    from hevitpose.models.input import normalize

    device = next(model.parameters()).device

    def run(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(crops)).to(device).permute(0, 3, 1, 2)
            heatmaps: NDArray[np.float32] = model(normalize(pixels)).float().cpu().numpy()
        return heatmaps

    return run
