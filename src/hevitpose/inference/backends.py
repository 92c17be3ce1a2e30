"""What runs a network: ONNX Runtime or torch, behind one signature. Torch is imported only where it is used."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.errors import InputError
from hevitpose.core.facts import Facts, facts_from_metadata

if TYPE_CHECKING:
    import torch

Backend = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""RGB crops (N, H, W, 3) to heatmaps (N, K, h, w)."""


def open_onnx(path: str | PathLike[str], threads: int | None = None) -> tuple[Backend, Facts]:
    """The network of an ONNX file that hevitpose exported. `threads`: within one call; all cores by default.

    Raises InputError where ONNX Runtime cannot load the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no public root
        raise InputError(path, f"cannot be loaded as a network ({str(error).splitlines()[0]})") from error
    name = session.get_inputs()[0].name

    def run(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        heatmaps: NDArray[np.float32] = session.run(None, {name: np.ascontiguousarray(crops)})[0]
        return heatmaps

    return run, facts_from_metadata(session.get_modelmeta().custom_metadata_map, path)


def open_torch(path: Path, threads: int | None = None, device: str = "cpu") -> tuple[Backend, Facts]:
    """The network of a safetensors file that hevitpose wrote, on `device`. Raises InputError."""
    import torch

    from hevitpose.models.weights import load_model

    if threads is not None:
        torch.set_num_threads(threads)
    model, facts = load_model(path)
    try:
        model = model.eval().to(device)
    except (RuntimeError, AssertionError) as error:  # AssertionError where torch was built without CUDA
        reason = str(error).splitlines()[0]
        raise InputError(f"--device {device}", f"there is none that can be used ({reason})") from error
    return torch_backend(model), facts


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
