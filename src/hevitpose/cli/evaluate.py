"""`hevitpose evaluate`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from rich.table import Table

from hevitpose.cli.common import need
from hevitpose.cli.progress import show_progress
from hevitpose.core.architecture import network_spec
from hevitpose.core.errors import InputError
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress
from hevitpose.core.results import Predictions
from hevitpose.core.skeleton import NOT_FLIPPED
from hevitpose.data.crops import cut_people
from hevitpose.data.detections import read_detections
from hevitpose.data.find import find_split
from hevitpose.data.mpii import read_pred_mat, write_pred_mat
from hevitpose.data.predictions import read_predictions, write_predictions
from hevitpose.evaluation.analysis import analysis
from hevitpose.evaluation.predict import predict_in_detections, predict_in_label_boxes
from hevitpose.evaluation.score import Nms, apply_oks_nms, refuse_unmeasurable
from hevitpose.evaluation.score import as_json as results_as_json
from hevitpose.inference.network import DEFAULT, Network, Runtime, keypoints_of, load_network
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.metrics.names import Metric
from hevitpose.view.plots import output_files, plot_analysis

EXAMPLES = """
Examples:\n
  hevitpose evaluate --data mpii_val --root data/people16\n
  hevitpose evaluate --data my.toml/val --metric pck --model runs/train/last.safetensors\n
  hevitpose evaluate --data val2017.json --metric oks --boxes detections.json --model runs/coco/best.safetensors\n
  hevitpose evaluate --data mpii_val --root data/people16 --plot errors.png --save-predictions found.json\n
  hevitpose evaluate --data val2017.json --metric oks --predictions found.json
"""
INPUT_PIXELS_A_CELL = 4
"""Of the heatmaps of every network here."""


def evaluate(
    data: Annotated[str, typer.Option(help="Validation set (mpii_val, my.toml/val), or a COCO keypoint file.")],
    root: Annotated[Path | None, typer.Option(help="Folder of the data's files.")] = None,
    model: Annotated[
        str, typer.Option(help="Weights that ship (for torch: hevitpose_t_people16), or a file.")
    ] = DEFAULT,
    runtime: Annotated[Runtime | None, typer.Option(help="ONNX Runtime unless the file says otherwise.")] = None,
    metric: Annotated[Metric | None, typer.Option(help="Instead of the set's own.")] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="Detected boxes (COCO detections) instead of those of the labels, for oks.")
    ] = None,
    nms: Annotated[
        Nms, typer.Option(help="For oks: of two that are one person by OKS the worse goes, or scores less.")
    ] = "hard",
    predictions: Annotated[
        Path | None, typer.Option(help="Score this file (COCO results, HRNet's pred.mat) instead of running a network.")
    ] = None,
    save_predictions: Annotated[
        Path | None, typer.Option(help="Write what was found as COCO results (.json) or as HRNet's pred.mat (.mat).")
    ] = None,
    flip_test: Annotated[bool, typer.Option(help="Average with the mirrored image.")] = True,
    flip_shift: Annotated[
        int | None, typer.Option(help="Cells to move the mirrored heatmap by, instead of the codec's.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    device: Annotated[str, typer.Option(help="Of torch.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    output: Annotated[Path | None, typer.Option(help="Also write the JSON to this file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw kinds of errors by keypoint and what scores are worth (PNG, SVG).")
    ] = None,
) -> None:
    """Measure a network on labelled people, in the boxes of their labels or of a detector."""
    plots = output_files(plot) if plot else []
    if plots:
        need("train")  # for matplotlib
    for file in filter(None, (output, save_predictions, *plots)):
        atomic.refuse_unwritable_file(file)
    if boxes and predictions:
        raise InputError("--boxes", "is not for --predictions, which have their own")
    if boxes and save_predictions and save_predictions.suffix == ".mat":
        raise InputError(save_predictions, "pred.mat is of people in the boxes of their labels: write a .json file")
    split = find_split(data, root)
    chosen = metric or split.metric
    if chosen is None:
        raise InputError(data, f"its metric is not known: --metric {', '.join(get_args(Metric))}")
    people = split.read()
    refuse_unmeasurable(people, chosen)
    if predictions:
        read = read_pred_mat if predictions.suffix == ".mat" else read_predictions
        found, notes = read(predictions, people)
        config: dict[str, Any] = {"predictions": str(predictions)}
    else:
        network = with_shift(load_network(model, runtime, device=device), flip_shift)
        keypoints_of(network, people)  # refused before anybody is cut
        flipped = network.config.flip_test or (flip_test and network.config.skeleton.flips)
        if boxes and chosen != "oks":
            raise InputError("--boxes", f"{chosen} is measured in the boxes of the labels; --metric oks in others too")
        with show_progress() as on_progress:
            found, notes = find_people(network, people, boxes, flip_test, batch_size, on_progress)
        notes += [NOT_FLIPPED] if flip_test and not flipped else []
        config = {"model": network.name, "flip_test": flipped, "flip_shift": network.config.codec.flip_shift}
        config["architecture"] = network_spec(network.config.architecture, network.config.variant)
        if chosen == "oks":
            config["nms"] = nms
            found = found if nms == "none" else apply_oks_nms(people, found, network, nms == "soft")
    result = config | results_as_json(people, found, chosen, notes) | analysis(people, found, chosen)
    result["provenance"] = provenance()
    text = json.dumps(result, indent=1)
    print(text) if as_json else print_scores(result)
    if save_predictions and save_predictions.suffix == ".mat":
        write_pred_mat(save_predictions, people, found)
    elif save_predictions:
        write_predictions(save_predictions, people, found)
    if output:
        atomic.write(output, text + "\n")
    for file in plots:
        plot_analysis(result, file, title_of(result))


def find_people(
    network: Network,
    people: LabelledPeople,
    boxes: Path | None,
    flip_test: bool,
    batch_size: int,
    on_progress: OnProgress,
) -> tuple[Predictions, list[str]]:
    """People in the boxes of a file, or of the labels without it, and what does not fit."""

    if boxes:
        return predict_in_detections(
            network, people, read_detections(boxes), boxes.name, flip_test, batch_size, on_progress
        )
    crops = cut_people(people, network.config.input_size, network.config.padding, on_progress)
    return predict_in_label_boxes(network, people, crops, flip_test, batch_size), []


def with_shift(network: Network, flip_shift: int | None) -> Network:
    """The network with another shift of the mirrored heatmap. Raises InputError where no cell would be left."""
    if flip_shift is None:
        return network
    if network.config.flip_test:
        raise InputError("--flip-shift", f"{network.name} mirrors within its graph, which no option changes")
    config, width = network.config, network.config.input_size[1] // INPUT_PIXELS_A_CELL
    if not 0 <= flip_shift < width:
        raise InputError(f"--flip-shift {flip_shift}", f"must be 0 to {width - 1}: heatmaps are {width} cells wide")
    return replace(network, config=replace(config, codec=replace(config.codec, flip_shift=flip_shift)))


def title_of(result: dict[str, Any]) -> str:
    """Of whom, on what, in which boxes."""
    whose = result.get("model") or result["predictions"]
    flip = "" if "flip_test" not in result else f", {'with' if result['flip_test'] else 'without'} flip test"
    return f"{whose} on {result['data']}: {result['persons']} persons, boxes: {result['boxes']}{flip}"


def print_scores(result: dict[str, Any]) -> None:
    """The figures of one evaluation, and those of each keypoint."""
    tables = [Table(title=title_of(result))]
    scores = result["scores"]
    whole = {name: values for name, values in scores.items() if "per_keypoint" not in values}
    of_keypoints = {name: values for name, values in scores.items() if "per_keypoint" in values}
    if whole:
        for name in whole:
            tables[0].add_column(name, justify="right")
        tables[0].add_row(*(_figure(each["mean"]) for each in whole.values()))
        tables.append(Table())
    tables[-1].add_column("keypoint")
    for name in ("labelled", *of_keypoints):
        tables[-1].add_column(name, justify="right")
    for keypoint, count in result["labelled"].items():
        figures = (_figure(each["per_keypoint"][keypoint]) for each in of_keypoints.values())
        tables[-1].add_row(keypoint, str(count), *figures)
    tables[-1].add_section()
    tables[-1].add_row("mean", "", *(_figure(each["mean"]) for each in of_keypoints.values()), style="bold")
    for table in tables:
        Console().print(table)
    kinds = ", ".join(f"{name} {share:.1f} %" for name, share in result["errors"]["all"].items() if name != "joints")
    print(f"joints: {kinds}; a score is off by {result['calibration']['error']:.2f} as a probability")
    print(*(f"note: {note}" for note in result["notes"]), sep="\n", end="\n" if result["notes"] else "")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
