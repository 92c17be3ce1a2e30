"""`hevitpose export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hevitpose.cli.common import need
from hevitpose.core.errors import InputError
from hevitpose.inference.network import find_weights

EXAMPLES = """
Examples:\n
  hevitpose export runs/train/last.safetensors --check photos/ --output mine.onnx\n
  hevitpose export hevitpose_t_people16 --check photos/ --output flipped.onnx --flip-test\n
  hevitpose export runs/train/last.safetensors --check photos/ --output mine.xml --format openvino
"""
SUFFIX = {"onnx": ".onnx", "openvino": ".xml"}


def export(
    weights: Annotated[str, typer.Argument(help="A .safetensors file of hevitpose, or a name that ships.")],
    output: Annotated[Path, typer.Option(help="The file to write: .onnx, or .xml (and .bin) with --format openvino.")],
    check: Annotated[list[Path], typer.Option(help="Pictures, or folders of them, on which to compare the two.")],
    format: Annotated[Literal["onnx", "openvino"], typer.Option(help="OpenVINO also runs ONNX files.")] = "onnx",
    flip_test: Annotated[
        bool, typer.Option("--flip-test", help="Average with the mirrored crop, inside the graph.")
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Round weights to float16: half the size. Weights that ship are so.")
    ] = False,
) -> None:
    """Write a network in the form in which it predicts: uint8 RGB crops (N, H, W, 3) in; keypoints (N, K, 2) in pixels
    of the crop, scores (N, K) and heatmaps out.

    The file is run on real pictures beside the original first, and not written when they differ.
    """
    need("export")
    if output.suffix != SUFFIX[format]:
        raise InputError(output, f"--format {format} writes files that end in {SUFFIX[format]}")
    if format == "openvino":
        need("openvino")
    import numpy as np

    from hevitpose.core import geometry
    from hevitpose.export.write import CHECKED_BATCHES
    from hevitpose.export.write import export as write_export
    from hevitpose.files import pictures
    from hevitpose.files.jobs import find_pictures
    from hevitpose.models.weights import load_model

    source = find_weights(weights, "torch")
    size_hw = load_model(source)[1].input_size
    crops = []
    for job in find_pictures(check).jobs:
        picture = pictures.read(job.path)
        box = geometry.crop_box(geometry.box_of_picture(picture.shape[:2]), 1.0, size_hw[1] / size_hw[0])
        crops.append(pictures.cut(picture, geometry.crop_matrix(box, size_hw), size_hw))
    while len(crops) < max(CHECKED_BATCHES):  # few pictures: their mirror images and then copies fill the batch
        crops += [crop[:, ::-1] for crop in crops]
    parity = write_export(source, output, np.stack(crops[: max(CHECKED_BATCHES)]), flip_test, half)
    print(
        f"{output}: {output.stat().st_size / 1e6:.2f} MB, heatmaps within {parity.heatmaps:.1e} of torch's, "
        f"{parity.joints} joints within {parity.joints_px:.4f} pixels"
    )
