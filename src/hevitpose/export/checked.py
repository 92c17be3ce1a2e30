"""Export of a weight file to ONNX, written only if the file agrees with torch on real images."""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import NOT_FLIPPED
from hevitpose.export.fuse import fuse
from hevitpose.export.onnx import OUTPUTS, add_metadata, to_onnx
from hevitpose.inference.backends import Graph, HeatmapFn, OnnxGraph, TorchHeatmaps
from hevitpose.inference.inputs import Source, as_frame, find_inputs
from hevitpose.inference.network import find_weights
from hevitpose.io import atomic
from hevitpose.io.images import Image, cut
from hevitpose.models.weights import half_precision, load_model, round_to_int8

MAX_DIFFERENCE, MAX_JOINT_DIFFERENCE = 1e-4, 0.05
"""Largest permitted difference from torch of heatmaps (about 0 to 1) and of joints, in pixels of the crop."""
MIN_JOINT_SCORE = 0.1
"""Joints of a lower score are not compared: in a flat heatmap the peak may lie anywhere."""
CHECKED_BATCHES = (1, 2, 7)
WeightPrecision = Literal["float32", "float16", "int8"]
"""How large weights are stored; all are computed with in float32."""
PARITY = "hevitpose.parity"


@dataclass(frozen=True)
class Parity:
    """Largest and mean differences between a file and torch, over all heatmaps and `joints` joints."""

    heatmaps: float
    joints_px: float
    joints: int
    mean_heatmaps: float
    mean_joints_px: float


def export_onnx(
    weights: str | PathLike[str],
    output: str | PathLike[str],
    *,
    images: Iterable[Source],
    flip_test: bool = False,
    precision: WeightPrecision = "float32",
) -> Parity:
    """Write a network as an ONNX file that ONNX Runtime and OpenVINO run.

    Its input is RGB crops (N, H, W, 3) of uint8; its outputs are keypoints (N, K, 2) in pixels of the crop, scores
    (N, K) and heatmaps (N, K, H/4, W/4).

    Args:
        weights: A .safetensors file, or the name of bundled weights.
        output: The .onnx file to write.
        images: Images, or folders of them, on which the file is compared with torch, in batches of 1, 2 and 7.
        flip_test: Average with the mirrored crop, inside the graph.
        precision: Round large weights to float16 or to 8 bits, and store them so. The file is then compared with torch
            with weights rounded alike.

    Returns the differences from torch, which are in the file's metadata too. Raises InputError, and writes nothing,
    where heatmaps differ by more than 1e-4 or joints by more than 0.05 pixels, or where the weights or images are
    unusable.

        export_onnx("runs/mine/best.safetensors", "mine.onnx", images=["photos/"], precision="int8")
    """
    path = onnx_path(output)
    model, config = load_model(find_weights(weights, "torch"))
    round_weights(model, precision)
    config = with_flip_test(config, flip_test)
    crops = crops_of(images, config.input_size)
    return write_checked(to_onnx(fuse(model), config), path, reference(model.eval(), config), config, crops)


def round_weights(model: nn.Module, precision: WeightPrecision) -> None:
    """Round the weights in place to what a file of this precision stores."""
    if precision == "int8":
        round_to_int8(model)
    elif precision == "float16":
        model.load_state_dict(half_precision(model.state_dict()))


def onnx_path(output: str | PathLike[str]) -> Path:
    """The path of a file to write. Raises InputError where it does not end in .onnx."""
    path = Path(output)
    if path.suffix != ".onnx":
        raise InputError(path, "must end in .onnx, which OpenVINO reads, too")
    return path


def with_flip_test(config: ModelConfig, flip_test: bool) -> ModelConfig:
    """The config of a graph with or without the flip test. Raises InputError where keypoints have no mirror pairs."""
    if flip_test and not config.skeleton.flips:
        raise InputError("`flip_test`", NOT_FLIPPED)
    return replace(config, flip_test=flip_test)


def crops_of(sources: Iterable[Source], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Seven crops (7, H, W, 3) of whole images; fewer images are repeated, mirrored. Raises InputError."""
    wanted = max(CHECKED_BATCHES)
    crops = []
    for image in images_of(sources):
        box = geometry.crop_box(geometry.image_box(image.shape[:2]), 1.0, size_hw[1] / size_hw[0])
        crops.append(cut(image, geometry.crop_matrix(box, size_hw), size_hw))
    while len(crops) < wanted:
        crops += [crop[:, ::-1] for crop in crops]
    return np.stack(crops[:wanted])


def images_of(sources: Iterable[Source]) -> list[Image]:
    """The first seven images. Raises InputError where there is none."""
    found = [as_frame(source).image for source in islice(_files_and_images(sources), max(CHECKED_BATCHES))]
    if not found:
        raise InputError("`images`", "needs at least one image")
    return found


def _files_and_images(sources: Iterable[Source]) -> Iterable[Source]:
    """The sources, folders replaced by the images in them."""
    for source in sources:
        if isinstance(source, str | PathLike):
            yield from (each.path for each in find_inputs([Path(source)]).inputs)
        else:
            yield source


def reference(model: nn.Module, config: ModelConfig) -> HeatmapFn:
    """The network as torch runs it, with the flip test where the config says so."""
    run = TorchHeatmaps(model)

    def run_both(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        both = config.codec.flip_average(run(crops), run(crops[:, :, ::-1]), config.skeleton.mirror)
        return both.astype(np.float32)

    return run_both if config.flip_test else run


def write_checked(
    proto: onnx.ModelProto, path: Path, expected: HeatmapFn, config: ModelConfig, crops: NDArray[np.uint8]
) -> Parity:
    """Write a graph that agrees with `expected`, with its parity in its metadata. Raises InputError otherwise."""
    parity = compare(opened(proto), expected, config, crops)
    if not (parity.heatmaps <= MAX_DIFFERENCE and parity.joints_px <= MAX_JOINT_DIFFERENCE):
        differences = f"heatmaps differ by {parity.heatmaps:.1e}, joints by {parity.joints_px:.2f} pixels"
        raise InputError(path, f"not written: {differences} from torch's")
    add_metadata(proto, PARITY, json.dumps(asdict(parity)))
    atomic.write(path, proto.SerializeToString())
    return parity


def opened(proto: onnx.ModelProto) -> Graph:
    """The graph in ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "draft.onnx")
        atomic.write(draft, proto.SerializeToString())
        return OnnxGraph(draft)


def compare(run: Graph, expected: HeatmapFn, config: ModelConfig, crops: NDArray[np.uint8]) -> Parity:
    """Differences of a file's outputs from what is expected, in batches of 1, 2 and 7 crops (N, H, W, 3)."""
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
