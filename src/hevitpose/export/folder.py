"""Export of a whole model: keypoint network, detector, and how scores are read, in one folder."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TypeVar

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.export.checked import WeightPrecision, images_of
from hevitpose.export.detector import export_detector
from hevitpose.inference.backends import OWN_DETECTOR_SCORE
from hevitpose.inference.detectors import letterbox
from hevitpose.inference.inputs import Source
from hevitpose.inference.model_folder import DETECTOR, MODEL, POSE, ModelFolder, read_model_folder
from hevitpose.inference.network import find_weights, is_model_folder
from hevitpose.io import atomic
from hevitpose.models.detector_weights import load_detector

Result = TypeVar("Result")


def export_folder(
    weights: str | PathLike[str],
    output: Path,
    images: Sequence[Source],
    write_pose: Callable[[Path], Result],
    precision: WeightPrecision = "float32",
) -> tuple[ModelFolder, Result]:
    """Write a model as a folder with pose.onnx, detector.onnx and model.json, which prediction needs no torch for.

    Args:
        weights: The folder of a run, or weights without a detector.
        output: The folder to write; other files in it stay.
        images: On which the detector's file is compared with torch.
        write_pose: Writes the keypoint network to a path.
        precision: Rounds large weights of the detector.

    Returns the new model, and what `write_pose` returned. Writes nothing where a file differs from torch: raises
    InputError.
    """
    source = (
        read_model_folder(Path(weights)) if is_model_folder(weights) else ModelFolder(find_weights(weights, "torch"))
    )
    if output.exists() and not output.is_dir():
        raise InputError(output, "is a file: name a folder, or a file that ends with .onnx")
    if output.exists() and output.resolve() == source.pose.parent.resolve():
        raise InputError(output, "must be another folder than the model's")
    atomic.refuse_unwritable(output)
    with tempfile.TemporaryDirectory() as name:
        draft = Path(name)
        result = write_pose(draft / POSE)
        model = ModelFolder(output / POSE, None, source.person_score)
        if source.detector:
            side = load_detector(source.detector)[1].side
            squares = np.stack([letterbox(image, (side, side))[0] for image in images_of(images)])
            export_detector(source.detector, draft / DETECTOR, squares, precision, OWN_DETECTOR_SCORE)
            model = replace(model, detector=output / DETECTOR)
        for file in (POSE, DETECTOR):
            if (draft / file).exists():
                atomic.write(output / file, (draft / file).read_bytes())
    atomic.write(output / MODEL, json.dumps(model.to_json(), indent=1) + "\n")
    return model, result
