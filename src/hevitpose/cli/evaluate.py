"""`hevitpose evaluate`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hevitpose.cli.common import Root, model_files, refuse_inputs, splits_of
from hevitpose.cli.progress import show_progress
from hevitpose.cli.runtime_options import Device, RuntimeOption
from hevitpose.core.errors import InputError
from hevitpose.core.extras import need
from hevitpose.evaluation.evaluate import evaluate as run_evaluation
from hevitpose.evaluation.evaluate import evaluate_predictions
from hevitpose.evaluation.results import evaluation_to_json
from hevitpose.evaluation.score import LIMB_SCORES, Evaluation, Nms
from hevitpose.inference.network import DEFAULT
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.metrics.error_types import KINDS, calibration_error
from hevitpose.metrics.names import Metric
from hevitpose.view.plots import output_files, plot_errors
from hevitpose.view.tables import MISSING, Table

EXAMPLES = """
Examples:\n
  hevitpose evaluate --data mpii_val --root data/people16\n
  hevitpose evaluate --data my.toml/val --metric pck --model runs/train/last.safetensors\n
  hevitpose evaluate --data val2017.json --metric oks --boxes detections.json --model runs/coco/best.safetensors\n
  hevitpose evaluate --data val2017.json --end-to-end\n
  hevitpose evaluate --data mpii_val --root data/people16 --plot errors.png --save-predictions found.json\n
  hevitpose evaluate --data val2017.json --metric oks --predictions found.json\n
  hevitpose evaluate --data my.toml/val --model runs/train/best.safetensors --baseline found.json
"""

OF_NETWORKS = (
    *("model", "runtime", "device", "batch_size", "flip_test", "flip_shift"),
    *("boxes", "end_to_end", "detector", "nms"),
)
"""Parameters that are without effect on a file of predictions."""


def evaluate(
    context: typer.Context,
    data: Annotated[str, typer.Option(help="Evaluate on this data: a set (mpii_val, my.toml/val) or label file.")],
    root: Root = None,
    model: Annotated[str, typer.Option(help="Evaluate this model: bundled weights, folder or file.")] = DEFAULT,
    runtime: RuntimeOption = None,
    metric: Annotated[Metric | None, typer.Option(help="Metric (default: the set's own).")] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(help="Predict in the boxes of this file (COCO detections) instead of the labels'; for oks."),
    ] = None,
    end_to_end: Annotated[
        bool, typer.Option("--end-to-end", help="Find the people without given boxes, and score detection too.")
    ] = False,
    detector: Annotated[str, typer.Option(help="Detector for --end-to-end, as in hevitpose predict.")] = "auto",
    nms: Annotated[
        Nms | None,
        typer.Option(
            help="OKS-NMS, for oks: drop duplicates (hard, the default), lower their scores (soft) or keep them (none)."
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Score this file or folder (COCO results, pred.mat of HRNet, output of predict) instead of a model."
        ),
    ] = None,
    save_predictions: Annotated[
        Path | None, typer.Option(help="Write the predictions as COCO results (.json) or HRNet's pred.mat (.mat).")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Compare with the predictions in this file by a paired bootstrap over the images."),
    ] = None,
    flip_test: Annotated[bool, typer.Option(help="Average with the mirrored crop.")] = True,
    flip_shift: Annotated[
        int | None, typer.Option(help="Shift of the mirrored heatmap, in cells (default: the codec's).")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Crops per call of the network.")] = 32,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write the result to this JSON file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Plot error types by keypoint and score calibration to this file (.png, .svg).")
    ] = None,
) -> None:
    """Score a model or predictions on labelled people: in labelled boxes, detected boxes, or end to end."""
    plots = output_files(plot) if plot else []
    if plots:
        need("train")  # for matplotlib
    for file in filter(None, (output, save_predictions, *plots)):
        atomic.refuse_unwritable_file(file)
    models = model_files(model, detector)
    refuse_inputs(
        (output, save_predictions, *plots), (predictions, baseline, boxes, data, *models), splits_of([data], root)
    )
    for name in OF_NETWORKS if predictions else ():
        if (given := context.get_parameter_source(name)) and given.name == "COMMANDLINE":
            raise InputError(f"`{name}`", "cannot be combined with `predictions`")
    if detector != "auto" and not end_to_end:
        raise InputError("`detector`", "is used with `end_to_end` only")
    if predictions:
        evaluation = evaluate_predictions(
            predictions, data, metric=metric, root=root, save_predictions=save_predictions, baseline=baseline
        )
    else:
        with show_progress() as on_progress:
            evaluation = run_evaluation(
                model,
                data,
                metric=metric,
                root=root,
                boxes=boxes,
                end_to_end=end_to_end,
                detector=detector,
                nms=nms,
                flip_test=flip_test,
                flip_shift=flip_shift,
                batch_size=batch_size,
                runtime=runtime,
                device=device,
                save_predictions=save_predictions,
                baseline=baseline,
                on_progress=on_progress,
            )
    text = json.dumps(evaluation_to_json(evaluation) | {"provenance": provenance()}, indent=1)
    print(text) if as_json else print_evaluation(evaluation)
    if output:
        atomic.write(output, text + "\n")
    for file in plots:
        if evaluation.errors:
            plot_errors(evaluation.errors, file, evaluation.title)


def print_evaluation(evaluation: Evaluation) -> None:
    """All scores and those of each keypoint, the error analysis, and the notes."""
    print(evaluation.title)
    for table in evaluation_tables(evaluation):
        Console().print(table.grid(), "")
    if errors := evaluation.errors:
        shares = ", ".join(f"{kind} {getattr(errors.all_keypoints, kind):.1f} %" for kind in KINDS)
        print(f"joints: {shares}; expected calibration error {calibration_error(errors.calibration):.2f}")
    if evaluation.difference:
        print(f"{evaluation.metric}: {evaluation.difference}")
    for note in evaluation.notes:
        print(f"note: {note}")


def evaluation_tables(evaluation: Evaluation) -> list[Table]:
    """The scores of whole people, those of keypoints, and who was found end to end; each where there is any."""
    whole = {name: score for name, score in evaluation.scores.items() if score.per_keypoint is None}
    of_keypoints = {name: score for name, score in evaluation.scores.items() if score.per_keypoint is not None}
    rows = [
        [keypoint, str(count), *(_text((score.per_keypoint or {})[keypoint]) for score in of_keypoints.values())]
        for keypoint, count in evaluation.labelled.items()
    ]
    rows.append(["mean", "", *(_text(score.mean) for score in of_keypoints.values())])
    tables = [Table(["keypoint", "labelled", *of_keypoints], rows)]
    for limbs in (True, False):
        group = {name: score for name, score in whole.items() if name.startswith(LIMB_SCORES) == limbs}
        if group:
            tables.insert(0, Table([*group], [[_text(score.mean) for score in group.values()]], "r" * len(group)))
    if evaluation.found:
        tables.append(Table(["end-to-end", ""], [[name, _text(value)] for name, value in evaluation.found.items()]))
    return tables


def _text(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"
