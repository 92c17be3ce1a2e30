"""What runs a network: ONNX Runtime, OpenVINO or torch, each imported where it is used.

The objects here can be pickled (they open their file again), used after a fork, and called by several threads at once.
"""

import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.errors import DeviceError, InputError, MissingExtraError
from hevitpose.core.geometry import Floats
from hevitpose.core.model_config import DETECTOR_KEY, KEY

if TYPE_CHECKING:
    import onnxruntime
    import openvino
    import torch

Runtime = Literal["onnx", "openvino", "torch"]
OpenVINOPrecision = Literal["f32", "bf16"]
HeatmapFn = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""RGB crops (N, H, W, 3) to heatmaps (N, K, h, w)."""
KeypointFn = Callable[[NDArray[np.uint8]], tuple[Floats, Floats]]
"""RGB crops (N, H, W, 3) to joints (N, K, 2) in crop pixels and scores (N, K)."""
FRONTENDS = {".onnx": "onnx", ".xml": "ir", ".tflite": "tflite", ".pb": "tf"}
"""OpenVINO's readers, by suffix."""
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""ONNX Runtime's execution providers, by device."""
OWN_DETECTOR_SCORE = 0.1
"""With a detector of one's own, boxes below are left out; of the others the keypoints' scores decide, too."""


@dataclass(frozen=True)
class RuntimeOptions:
    """How a network is run.

    `runtime`: None takes the first that reads the file. `threads`: per call, None for all cores. `device`: "cpu", or
    "cuda", "coreml" and "directml" in ONNX Runtime, or any of torch's. `optimize_graph=False`: ONNX Runtime loads the
    file in a third of the time and needs half as long again per crop, which pays for an image or two.
    """

    runtime: Runtime | None = None
    threads: int | None = None
    device: str = "cpu"
    optimize_graph: bool = True

    def __post_init__(self) -> None:
        if self.runtime not in (None, "onnx", "openvino", "torch"):
            raise InputError(f"`runtime={self.runtime}`", "must be onnx, openvino or torch")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"`threads={self.threads}`", "must be 1 or more")


DEFAULT_OPTIONS = RuntimeOptions()


class Graph(ABC):
    """A file in a runtime: called with RGB crops (N, H, W, 3) and names of outputs, it gives these outputs.

    Subclasses open the file. The runtime's objects are opened again after pickling and in a forked process, whose
    threads they do not have.
    """

    def __init__(self, path: Path, options: RuntimeOptions = DEFAULT_OPTIONS) -> None:
        self.path, self.options = path, options
        self._process = os.getpid()
        self.metadata: Mapping[str, str] = self.open()

    def __call__(self, crops: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.float32]]:
        if self._process != os.getpid():
            self._process = os.getpid()
            self.open()
        return self.run(np.ascontiguousarray(crops), names)

    def __reduce__(self) -> tuple[type, tuple[Path, RuntimeOptions]]:
        return type(self), (self.path, self.options)

    def heatmaps(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The heatmaps of a keypoint network: a `HeatmapFn`."""
        return self(crops, ["heatmaps"])[0]

    def keypoints(self, crops: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """The keypoints that the graph of a keypoint network decodes itself: a `KeypointFn`."""
        joints, scores = self(crops, ["keypoints", "scores"])
        return joints.astype(np.float64), scores.astype(np.float64)

    @abstractmethod
    def open(self) -> Mapping[str, str]:
        """Load the file and return its metadata. Raises InputError."""

    @abstractmethod
    def run(self, crops: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """The named outputs. Raises InputError where the file, though it could be loaded, cannot be run."""


class OnnxGraph(Graph):
    """An ONNX file in ONNX Runtime, whose sessions may be called by many threads."""

    def open(self) -> Mapping[str, str]:
        self.session = onnx_session(self.path, self.options)
        self.input_name = self.session.get_inputs()[0].name
        return dict(self.session.get_modelmeta().custom_metadata_map)

    def feeds(self, crops: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The inputs by name."""
        return {self.input_name: crops}

    def run(self, crops: NDArray[Any], names: Sequence[str]) -> list[NDArray[np.float32]]:
        try:
            outputs: list[NDArray[np.float32]] = self.session.run(list(names), self.feeds(crops))
        except Exception as error:  # ONNX Runtime's errors have no public root
            raise InputError(self.path, f"cannot be run ({str(error).splitlines()[0]})") from error
        return outputs


class OpenVINOGraph(Graph):
    """An ONNX file or OpenVINO's .xml in OpenVINO, in float32; each thread has a request of its own."""

    def open(self) -> Mapping[str, str]:
        if self.options.device != "cpu":
            raise DeviceError(f"`device={self.options.device}`", "OpenVINO runs on the processor here")
        self.compiled, metadata = compile_openvino(self.path, self.options.threads)
        self.requests = threading.local()
        return metadata

    def run(self, crops: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.float32]]:
        if not hasattr(self.requests, "own"):
            self.requests.own = self.compiled.create_infer_request()
        try:
            outputs = self.requests.own.infer({0: crops})
        except Exception as error:  # nor have OpenVINO's
            raise InputError(self.path, f"cannot be run ({str(error).strip().splitlines()[-1]})") from error
        return [outputs[name].copy() for name in names]


class TorchDetector(Graph):
    """A detector's .safetensors in torch, with the outputs and the metadata of its ONNX file."""

    def open(self) -> Mapping[str, str]:
        from hevitpose.models.detector import SIDE_DIVISOR
        from hevitpose.models.detector_weights import load_detector

        model, config = load_detector(self.path)
        self.model = to_device(model, self.options.device)
        said = {
            "input_size": [config.side, config.side],
            "input_multiple": SIDE_DIVISOR,
            "min_score": OWN_DETECTOR_SCORE,
        }
        return {DETECTOR_KEY: json.dumps(said)}

    def run(self, crops: NDArray[np.uint8], names: Sequence[str]) -> list[NDArray[np.float32]]:
        import torch

        from hevitpose.models.detector import decode
        from hevitpose.models.input import normalize

        with torch.inference_mode():
            pixels = torch.from_numpy(crops).to(self.options.device).permute(0, 3, 1, 2)
            found = decode(*self.model(normalize(pixels)))
        outputs = dict(zip(("boxes", "scores", "classes"), found, strict=True))
        return [outputs[name].cpu().numpy() for name in names]


class TorchHeatmaps:
    """A torch network in evaluation mode, on the device where it is: a `HeatmapFn`."""

    def __init__(self, model: "torch.nn.Module") -> None:
        self.model = model

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        import torch

        from hevitpose.models.input import normalize

        device = next(self.model.parameters()).device
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(crops)).to(device).permute(0, 3, 1, 2)
            heatmaps: NDArray[np.float32] = self.model(normalize(pixels)).float().cpu().numpy()
        return heatmaps


def to_device(model: "torch.nn.Module", device: str) -> "torch.nn.Module":
    """The network in evaluation mode on one of torch's devices. Raises DeviceError."""
    try:
        return model.eval().to(device)
    except (RuntimeError, AssertionError) as error:  # AssertionError where torch was built without CUDA
        raise DeviceError(f"`device={device}`", f"cannot be used ({str(error).splitlines()[0]})") from error


def onnx_session(path: Path, options: RuntimeOptions = DEFAULT_OPTIONS) -> "onnxruntime.InferenceSession":
    """A file in ONNX Runtime. Raises InputError where it cannot be loaded, DeviceError where the device is absent."""
    import onnxruntime

    provider = PROVIDERS.get(options.device)
    if provider not in onnxruntime.get_available_providers():
        known = [device for device, name in PROVIDERS.items() if name in onnxruntime.get_available_providers()]
        raise DeviceError(f"`device={options.device}`", f"this ONNX Runtime has {', '.join(known)}")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    if options.threads is not None:
        settings.intra_op_num_threads = options.threads
    # Threads that spin between calls take the cores from the other network and from decoding: photos and clips take a
    # third less time without, though a network called alone in a row takes a quarter more.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not options.optimize_graph:
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        # Its fallback would print what is wrong and try the same again.
        return onnxruntime.InferenceSession(path, settings, providers=[provider], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors have no public root
        raise InputError(path, f"cannot be loaded as a network ({str(error).splitlines()[0]})") from error


def compile_openvino(
    path: Path, threads: int | None = None, precision: OpenVINOPrecision = "f32"
) -> tuple["openvino.CompiledModel", Mapping[str, str]]:
    """A file in OpenVINO, on the processor, and its config as metadata. Raises InputError or MissingExtraError."""
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
