"""From a weight file to one that prediction runs without torch, written only where both give the same."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from hevitpose.core.errors import InputError
from hevitpose.core.model_config import ModelConfig
from hevitpose.export.fuse import fuse
from hevitpose.export.onnx import OUTPUTS, add_metadata, to_onnx
from hevitpose.inference.backends import Graph, HeatmapFn, OnnxGraph, OpenVINOGraph, TorchHeatmaps
from hevitpose.io import atomic
from hevitpose.models.weights import half_precision, load_into, load_model, round_to_int8

MAX_DIFFERENCE, MAX_JOINT_DIFFERENCE = 1e-4, 0.05
"""Heatmaps (about 0 to 1) of the file and of torch, and joints in pixels of the crop, may differ by this."""
MIN_JOINT_SCORE = 0.1
"""Joints of a lower score are not compared: in a flat heatmap the peak may lie anywhere."""
CHECKED_BATCHES = (1, 2, 7)
Rounding = Literal["float16", "int8"]
PARITY = "hevitpose.parity"


@dataclass(frozen=True)
class Parity:
    """The largest and the mean differences between a file and torch, on crops of which torch saw so many `joints`."""

    heatmaps: float
    joints_px: float
    joints: int
    mean_heatmaps: float
    mean_joints_px: float


def export(
    weights: Path, path: Path, crops: NDArray[np.uint8], flip_test: bool = False, rounded: Rounding | None = None
) -> Parity:
    """Write the network of a safetensors file as `path`: ONNX, or OpenVINO's form where it ends in .xml.

    `crops` (7 or more, H, W, 3) are real ones; batches of 1, 2 and 7 of them are compared. With `flip_test` the graph
    averages with the mirrored crop. Weights are `rounded` first where that is wanted; rounded ones are stored as such,
    which loses nothing more. Raises InputError, and writes nothing, where heatmaps differ from those of torch, with
    weights rounded alike, by more than 1e-4 or joints by more than 0.05 pixels.
    """
    model, config = load_model(weights)
    if rounded == "int8":
        round_to_int8(model)
    elif rounded == "float16":
        load_into(model, half_precision(model.state_dict()), str(weights))
    config = replace(config, flip_test=flip_test)
    return write_checked(to_onnx(fuse(model), config), path, reference(model.eval(), config), config, crops)


def reference(model: nn.Module, config: ModelConfig) -> HeatmapFn:
    """The network as torch runs it, with the flip test where the config say so."""
    run = TorchHeatmaps(model)

    def run_both(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        both = config.codec.flip_average(run(crops), run(crops[:, :, ::-1]), config.skeleton.mirror)
        return both.astype(np.float32)

    return run_both if config.flip_test else run


def write_checked(
    proto: onnx.ModelProto, path: Path, expected: HeatmapFn, config: ModelConfig, crops: NDArray[np.uint8]
) -> Parity:
    """Write a graph that does what `expected` does, with its parity in its metadata. Raises InputError."""
    write, load = writer(path), loader(path)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, path.name)
        write(proto, draft)
        parity = compare(load(draft), expected, config, crops)
        if not (parity.heatmaps <= MAX_DIFFERENCE and parity.joints_px <= MAX_JOINT_DIFFERENCE):
            differences = f"heatmaps differ by {parity.heatmaps:.1e}, joints by {parity.joints_px:.2f} pixels"
            raise InputError(path, f"not written: {differences} from torch's")
        add_metadata(proto, PARITY, json.dumps(asdict(parity)))
        write(proto, draft)
        publish(Path(folder), path)
    return parity


def writer(path: Path) -> Callable[[onnx.ModelProto, Path], None]:
    """What writes a graph in the form that the path's suffix says."""
    return write_openvino if path.suffix == ".xml" else onnx.save


def loader(path: Path) -> Callable[[Path], Graph]:
    """What loads such a file."""
    return OpenVINOGraph if path.suffix == ".xml" else OnnxGraph


def publish(folder: Path, path: Path) -> None:
    """Put the files of a folder beside `path`."""
    for file in sorted(folder.iterdir()):
        atomic.write(path.with_name(file.name), file.read_bytes())


def compare(run: Graph, expected: HeatmapFn, config: ModelConfig, crops: NDArray[np.uint8]) -> Parity:
    """How far a file is from what is expected of it, in batches of 1, 2 and 7."""
    heatmap_errors: list[NDArray[np.float32]] = []
    joint_errors: list[NDArray[np.float64]] = []
    for count in CHECKED_BATCHES:
        keypoints, _, heatmaps = run(crops[:count], OUTPUTS)
        their_heatmaps = expected(crops[:count])
        their_joints, their_scores = config.codec.decode(their_heatmaps, crops.shape[1:3])
        heatmap_errors.append(abs(heatmaps - their_heatmaps).ravel())
        joint_errors.append(abs(keypoints - their_joints)[their_scores >= MIN_JOINT_SCORE].max(axis=-1))
    of_heatmaps, of_joints = np.concatenate(heatmap_errors), np.concatenate(joint_errors)
    joints = joint_errors[-1].size
    means = float(of_heatmaps.mean()), float(of_joints.mean()) if joints else 0.0
    return Parity(float(of_heatmaps.max()), float(of_joints.max(initial=0.0)), joints, *means)


def write_openvino(proto: onnx.ModelProto, path: Path) -> None:
    """The graph as OpenVINO's .xml, with its weights in a .bin beside it."""
    import openvino

    model = openvino.Core().read_model(proto.SerializeToString(), b"")
    openvino.save_model(model, path, compress_to_fp16=False)
