"""`hevitpose export`."""

from pathlib import Path
from typing import Annotated

import typer

from hevitpose.cli.common import need
from hevitpose.inference.network import find_weights

EXAMPLES = """
Examples:\n
  hevitpose export runs/train/last.safetensors --check photos/ --output mine.onnx
"""


def export(
    weights: Annotated[str, typer.Argument(help="A .safetensors file of hevitpose, or a name that ships.")],
    output: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    check: Annotated[list[Path], typer.Option(help="Pictures, or folders of them, on which to compare the two.")],
) -> None:
    """Write a network as one ONNX file: uint8 RGB crops (N, H, W, 3) in, heatmaps out.

    The file is run on real pictures beside the original first, and not written when their heatmaps differ.
    """
    need("export")
    import numpy as np

    from hevitpose.core import geometry
    from hevitpose.export.onnx import CHECKED_BATCHES, export_onnx
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
    difference = export_onnx(source, output, np.stack(crops[: max(CHECKED_BATCHES)]))
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB, heatmaps within {difference:.1e} of torch's")
