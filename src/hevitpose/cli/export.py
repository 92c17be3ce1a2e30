"""`hevitpose export`."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from hevitpose.cli.common import need
from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.skeleton import NOT_FLIPPED, Skeleton
from hevitpose.data.find import find_split, find_splits
from hevitpose.evaluation.score import refuse_unmeasurable
from hevitpose.inference.inputs import find_inputs
from hevitpose.inference.network import find_weights
from hevitpose.io import images
from hevitpose.metrics.names import Metric

EXAMPLES = """
Examples:\n
  hevitpose export runs/train/last.safetensors --check photos/ --output mine.onnx --round int8\n
  hevitpose export hevitpose_t_people16 --check photos/ --output flipped.onnx --flip-test\n
  hevitpose export runs/train/last.safetensors --check photos/ --output mine.xml --format openvino\n
  hevitpose export hevitpose_t_people16 --check photos/ --output t_int8.onnx --int8\n
  .   --calibrate people16 --score lsp_val --root data/people16
"""
MAX_LOSS = 0.5
SUFFIX = {"onnx": ".onnx", "openvino": ".xml"}


def export(
    weights: Annotated[str, typer.Argument(help="A .safetensors file of hevitpose, or a name that ships.")],
    output: Annotated[Path, typer.Option(help="The file to write: .onnx, or .xml (and .bin) with --format openvino.")],
    check: Annotated[list[Path], typer.Option(help="Images, or folders of them, on which to compare the two.")],
    format: Annotated[Literal["onnx", "openvino"], typer.Option(help="OpenVINO also runs ONNX files.")] = "onnx",
    flip_test: Annotated[
        bool, typer.Option("--flip-test", help="Average with the mirrored crop, inside the graph.")
    ] = False,
    round: Annotated[
        Literal["float16", "int8"] | None,
        typer.Option(help="Round weights, to a half or a quarter of the size, and compute in float32; docs/int8.md."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Dense convolutions in 8 bits, where the score allows it.")
    ] = False,
    calibrate: Annotated[
        str | None,
        typer.Option(help="For --int8: people whose crops give the ranges of values (a data set, or a file)."),
    ] = None,
    score: Annotated[
        str | None, typer.Option(help="For --int8: validation set for the score in float and in 8 bits.")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option(help="For --int8: points of the score that may be lost.", show_default=str(MAX_LOSS))
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data's files.")] = None,
) -> None:
    """Write a network in the form in which it predicts: uint8 RGB crops (N, H, W, 3) in; keypoints (N, K, 2) in pixels
    of the crop, scores (N, K) and heatmaps out.

    The file is run on real images beside the original first, its weights rounded alike, and not written when they
    differ. With --int8 it is scored beside the original, and not written when it loses more than --max-loss.
    """
    need("export")
    if output.suffix != SUFFIX[format]:
        raise InputError(output, f"--format {format} writes files that end in {SUFFIX[format]}")
    if format == "openvino":
        need("openvino")
    from hevitpose.export.checked import export as write_export
    from hevitpose.models.weights import load_model

    source = find_weights(weights, "torch")
    for option, given in (("--calibrate", calibrate), ("--score", score), ("--max-loss", max_loss)):
        if given is not None and not int8:
            raise InputError(option, "is for --int8")
    if int8 and round:
        raise InputError("--round", "is not for --int8")
    config = load_model(source)[1]
    if flip_test and not config.skeleton.flips:
        raise InputError("--flip-test", NOT_FLIPPED)
    if int8:
        people = people_for_int8(calibrate, score, root, config.skeleton, weights)
    crops = crops_of(check, config.input_size)
    if int8:
        from hevitpose.export.quantize import export_int8

        cost = export_int8(source, output, crops, *people, MAX_LOSS if max_loss is None else max_loss, flip_test)
        print(
            f"{output}: {megabytes(output):.2f} MB, {cost.metric} on {cost.data} ({cost.persons} persons) "
            f"{cost.int8_score:.2f} in 8 bits, {cost.float_score:.2f} in float; heatmaps differ from torch's by "
            f"{cost.difference.mean_heatmaps:.4f} in the mean, {cost.difference.joints} joints by "
            f"{cost.difference.mean_joints_px:.2f} pixels"
        )
        return
    alike = f" in {round}" if round else ""
    parity = write_export(source, output, crops, flip_test, round)
    print(
        f"{output}: {megabytes(output):.2f} MB, heatmaps within {parity.heatmaps:.1e} of torch's{alike}, "
        f"{parity.joints} joints within {parity.joints_px:.4f} pixels"
    )


def megabytes(written: Path) -> float:
    """Of the file, and of the weights beside it where it is OpenVINO's."""
    files = {written, written.with_suffix(".bin") if written.suffix == ".xml" else written}
    return sum(file.stat().st_size for file in files) / 1e6


def crops_of(check: list[Path], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Seven crops of whole images."""
    from hevitpose.export.checked import CHECKED_BATCHES

    crops = []
    for job in find_inputs(check).inputs[: max(CHECKED_BATCHES)]:
        image = images.read(job.path)
        box = geometry.crop_box(geometry.image_box(image.shape[:2]), 1.0, size_hw[1] / size_hw[0])
        crops.append(images.cut(image, geometry.crop_matrix(box, size_hw), size_hw))
    while len(crops) < max(CHECKED_BATCHES):  # few images: their mirror images and then copies fill the batch
        crops += [crop[:, ::-1] for crop in crops]
    return np.stack(crops[: max(CHECKED_BATCHES)])


def people_for_int8(
    calibrate: str | None, score: str | None, root: Path | None, skeleton: Skeleton, weights: str
) -> tuple[LabelledPeople, LabelledPeople, Metric]:
    """Those who give the ranges of values, those who are scored, and how. Raises InputError."""
    if calibrate is None or score is None:
        raise InputError("--int8", "needs people for the ranges of values and for the score: --calibrate, --score")
    split = find_split(score, root)
    people = split.read()
    metric = split.metric or "pck_box"
    if people.skeleton.keypoints != skeleton.keypoints:
        raise InputError(score, f"has other keypoints than {weights}")
    refuse_unmeasurable(people, metric)
    return find_splits(calibrate, root)[0].read(), people, metric
