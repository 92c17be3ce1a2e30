"""`hevitpose export`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hevitpose.cli.common import Root, refuse_inputs, splits_of
from hevitpose.core.errors import InputError
from hevitpose.core.extras import need
from hevitpose.core.keypoint_names import require_names
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.skeleton import Skeleton
from hevitpose.data.find import find_split, find_splits
from hevitpose.evaluation.score import refuse_unmeasurable
from hevitpose.inference.inputs import Source
from hevitpose.inference.network import find_weights, is_model_folder
from hevitpose.metrics.names import Metric

if TYPE_CHECKING:
    from hevitpose.export.checked import WeightPrecision

EXAMPLES = """
Examples:\n
  hevitpose export runs/mine --output mine/\n
  hevitpose export runs/train/last.safetensors --check photos/ --output mine.onnx --precision int8\n
  hevitpose export hevitpose_t_fast_people21 --check photos/ --output flipped.onnx --flip-test\n
  hevitpose export hevitpose_t_fast_people21 --check photos/ --output t_int8.onnx --int8\n
  .   --calibrate people16 --score lsp_val --root data/people16
"""
MAX_LOSS = 0.5


def export(
    weights: Annotated[str, typer.Argument(help="Weights: a run's folder, .safetensors file or bundled weights.")],
    output: Annotated[
        Path, typer.Option(help="File to write (.onnx), or folder for the keypoint network and its detector.")
    ],
    check: Annotated[
        list[Path] | None,
        typer.Option(help="Images to compare the file with torch on (default: the run's).", show_default=False),
    ] = None,
    flip_test: Annotated[
        bool, typer.Option("--flip-test", help="Average with the mirrored crop inside the graph.")
    ] = False,
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(
            help="Precision of the stored weights (float16: half the size, int8: a quarter); computation is in float32."
        ),
    ] = "float32",
    int8: Annotated[
        bool, typer.Option("--int8", help="Compute dense convolutions in 8 bits if the score allows (docs/export.md).")
    ] = False,
    calibrate: Annotated[
        str | None, typer.Option(help="Data set or label file for the activation ranges of --int8.")
    ] = None,
    score: Annotated[str | None, typer.Option(help="Validation set to score float and --int8 on.")] = None,
    max_loss: Annotated[
        float | None, typer.Option(help="Points of score that --int8 may lose.", show_default=str(MAX_LOSS))
    ] = None,
    root: Root = None,
) -> None:
    """Export a model to ONNX, for prediction without torch.

    Input: uint8 RGB crops (N, H, W, 3).
    Output: keypoints (N, K, 2) in crop pixels, scores (N, K), heatmaps.
    A folder gets pose.onnx, detector.onnx and model.json, for predict --model.

    The file is written only if it agrees with torch on real images.
    With --int8 it must also score within --max-loss of the float network.
    """
    need("export")
    files = (find_weights(weights, "torch"), calibrate, score, *(check or []))
    refuse_inputs([output], files, splits_of((calibrate, score), root))
    images = check or samples_of(weights)
    for option, given in (("--calibrate", calibrate), ("--score", score), ("--max-loss", max_loss)):
        if given is not None and not int8:
            raise InputError(option, "is for --int8")
    if int8 and precision != "float32":
        raise InputError("--precision", "is not for --int8")

    def write(path: Path) -> str:
        if int8:
            loss = MAX_LOSS if max_loss is None else max_loss
            return write_int8(weights, path, images, flip_test, calibrate, score, loss, root)
        return write_checked(weights, path, images, flip_test, precision)

    if output.suffix == ".onnx":
        print(f"{output}: {write(output)}")
        return
    from hevitpose.export.folder import export_folder

    model, line = export_folder(weights, output, images, write, precision)
    print(f"{model.pose}: {line}")
    if model.detector:
        print(f"{model.detector}: {model.detector.stat().st_size / 1e6:.2f} MB, boxes and scores are torch's")
    print(f"next: hevitpose predict --model {shlex.quote(str(output))} --draw IMAGES")


def samples_of(weights: str) -> list[Source]:
    """The sample images of a run. Raises InputError where the weights are not a run's folder, or they have moved."""
    from hevitpose.training.run import read_run, read_samples

    if not is_model_folder(weights):
        raise InputError("`check`", "name images to compare the file with torch on")
    return list(read_samples(read_run(Path(weights))))


def write_checked(
    weights: str, path: Path, images: Sequence[Source], flip_test: bool, precision: "WeightPrecision"
) -> str:
    """Write the network, and say how far it differs from torch."""
    from hevitpose.export.checked import export_onnx

    parity = export_onnx(weights, path, images=images, flip_test=flip_test, precision=precision)
    alike = f" with weights in {precision}" if precision != "float32" else ""
    return (
        f"{path.stat().st_size / 1e6:.2f} MB, heatmaps within {parity.heatmaps:.1e} of torch's{alike}, "
        f"{parity.joints} joints within {parity.joints_px:.4f} pixels"
    )


def write_int8(
    weights: str,
    output: Path,
    images: Sequence[Source],
    flip_test: bool,
    calibrate: str | None,
    score: str | None,
    max_loss: float,
    root: Path | None,
) -> str:
    """Export with convolutions in 8 bits, and say what that costs; arguments as the command's."""
    if calibrate is None or score is None:
        raise InputError("--int8", "needs people for the ranges of values and for the score: --calibrate, --score")
    from hevitpose.export.quantize import export_int8
    from hevitpose.models.weights import load_model

    skeleton = load_model(find_weights(weights, "torch"))[1].skeleton
    labelled, metric = scored_people(score, root, skeleton, weights)
    cost = export_int8(
        weights,
        output,
        images=images,
        calibration=next(iter(find_splits(calibrate, root).values())).read(),
        labelled=labelled,
        metric=metric,
        max_loss=max_loss,
        flip_test=flip_test,
    )
    return (
        f"{output.stat().st_size / 1e6:.2f} MB, {cost.metric} on {cost.data} ({cost.persons} persons) "
        f"{cost.int8_score:.2f} in 8 bits, {cost.float_score:.2f} in float; heatmaps differ from torch's by "
        f"{cost.difference.mean_heatmaps:.4f} in the mean, {cost.difference.joints} joints by "
        f"{cost.difference.mean_joints_px:.2f} pixels"
    )


def scored_people(data: str, root: Path | None, skeleton: Skeleton, weights: str) -> tuple[LabelledPeople, Metric]:
    """The people of a validation set, and the metric. Raises InputError where the weights lack their keypoints."""
    split = find_split(data, root)
    people, metric = split.read(), split.metric or "pck_box"
    require_names(people.skeleton.keypoints, skeleton.keypoints, data, weights)
    refuse_unmeasurable(people, metric)
    return people, metric
