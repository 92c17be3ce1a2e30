"""`hevitpose benchmark`."""

import itertools
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.console import Console

from hevitpose.cli.common import need
from hevitpose.cli.compare import show
from hevitpose.core.errors import InputError
from hevitpose.inference.backends import Runtime
from hevitpose.inference.network import DEFAULT, TRAINABLE
from hevitpose.io import atomic
from hevitpose.view.plots import output_files

if TYPE_CHECKING:
    from hevitpose.benchmark.models import BenchmarkModel

EXAMPLES = """
Examples:\n
  hevitpose benchmark --models t,resnet50,hrnet_w32 --runtimes onnx,openvino --reference resnet50\n
  hevitpose benchmark --models mine.onnx,int8.onnx,other.tflite --runtimes onnx,openvino --batch 1,8 --threads 1,2\n
  hevitpose benchmark --models t,mobilenet_v2 --accuracy runs/compare --plot speed.png --output speed.json\n
  hevitpose benchmark --pipeline photo.jpg --people 1,5,20
"""

STARTS = 7
"""Runs of the whole command, after one that warms the disk."""


def benchmark(
    models: Annotated[
        str | None,
        typer.Option(help="Networks (random weights), weights that ship, files (.onnx .xml .safetensors...)."),
    ] = None,
    runtimes: Annotated[str, typer.Option(help="onnx, openvino, torch.")] = "onnx",
    precisions: Annotated[str, typer.Option(help="fp32, bf16; a quantised file stays what it is.")] = "fp32",
    batch: Annotated[str, typer.Option(help="Crops at a time.")] = "1",
    threads: Annotated[str | None, typer.Option(help="Within a run; all processor cores by default.")] = None,
    size: Annotated[int, typer.Option(min=32, help="Side of the crops, where a file leaves it open.")] = 256,
    reference: Annotated[
        str | None, typer.Option(help="The one of --models that ratios refer to.", show_default="the first")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of measuring each form.")] = 3.0,
    pipeline: Annotated[
        Path | None, typer.Option(help="Measure the steps of prediction on this photo of one person instead.")
    ] = None,
    people: Annotated[str, typer.Option(help="--pipeline: so many, the one person shifted.")] = "1,5,20",
    accuracy: Annotated[
        Path, typer.Option(help="--plot: a JSON file of scores, or a folder of them (evaluate, compare).")
    ] = Path("results/compare"),
    output: Annotated[Path | None, typer.Option(help="JSON file of all that was measured.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Figure of accuracy over milliseconds, .png or .svg.")] = None,
) -> None:
    """Measure how fast networks run, in turn, each in a process of its own: latency, images/s, memory, ratios.

    With --pipeline, what each step of prediction takes, from the image's file to its drawing.
    """
    from hevitpose.io.provenance import provenance

    if (models is None) == (pipeline is None):
        raise InputError("--models", "is needed, or else --pipeline, and not both")
    cores = numbers("--threads", threads or str(os.cpu_count() or 1))
    for file in filter(None, (output, *(output_files(plot) if plot else []))):
        atomic.refuse_unwritable_file(file)
    if plot:
        need("train")  # for matplotlib
    failed = False
    if pipeline is not None:
        result = of_pipeline(pipeline, chosen("--runtimes", runtimes, Runtime), cores[0], numbers("--people", people))
    else:
        names = [name.strip() for name in (models or "").split(",")]
        if reference is not None and reference not in names:
            raise InputError(f"--reference {reference}", "is none of --models")
        options = chosen("--runtimes", runtimes, Runtime), precisions, numbers("--batch", batch), cores
        result, failed = of_models(names, *options, size, reference or names[0], seconds)
    result["provenance"] = provenance()
    if output is not None:
        atomic.write(output, json.dumps(result, indent=1) + "\n")
    if plot is not None:
        draw(plot, result.get("rows", []), accuracy)
    sys.exit(1 if failed else 0)


def of_models(
    names: list[str],
    runtimes: list[Runtime],
    precisions: str,
    batches: list[int],
    threads: list[int],
    side: int,
    reference: str,
    seconds: float,
) -> tuple[dict[str, Any], bool]:
    """What is written about the networks, and whether one of them could not be measured at all."""
    from hevitpose.benchmark.models import ready_file

    if not all(ready_file(name, runtimes) for name in names):
        need("export")
    if "openvino" in runtimes:
        need("openvino")
    from hevitpose.benchmark.models import prepare_model, unsupported_reason
    from hevitpose.benchmark.report import table
    from hevitpose.benchmark.timing import Case, Measurement, Precision, figures, measure

    left_out: list[str] = []
    kinds: list[tuple[Runtime, Precision]] = []
    for runtime, precision in itertools.product(runtimes, chosen("--precisions", precisions, Precision)):
        if reason := unsupported_reason(runtime, precision):
            left_out.append(f"{precision} in {runtime}: {reason}")
        else:
            kinds.append((runtime, precision))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, Console(stderr=True).status("") as status:
        ready = []
        for name in names:
            status.update(f"exporting {name}")
            ready.append(prepare_model(name, {runtime for runtime, _ in kinds}, side, Path(folder)))
        stems = Counter(network.model for network in ready)
        ready = [
            network if stems[network.model] == 1 else replace(network, model=name, title=name)
            for network, name in zip(ready, names, strict=True)
        ]
        for count, cores in itertools.product(batches, threads):
            wanted = [
                (network, Case(str(network.files[runtime]), runtime, precision, count, cores, (side, side)))
                for network in ready
                for runtime, precision in kinds
                if runtime in network.files and not (network.int8 and precision != "fp32")
            ]
            measured = measure(
                [form for _, form in wanted], seconds, lambda at: status.update(f"{at.stage} {at.done} of {at.total}")
            )
            references = {
                (form.runtime, form.precision): found
                for (network, form), found in zip(wanted, measured, strict=True)
                if network is ready[names.index(reference)] and isinstance(found, Measurement)
            }
            for (network, form), found in zip(wanted, measured, strict=True):
                if isinstance(found, InputError):
                    left_out.append(f"{network.title} in {form.runtime}, batch {count}: {found.reason}")
                    continue
                base = references.get((form.runtime, form.precision))
                rows.append(row_of(network, form) | figures(found, count, base))
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    if rows:
        show(*table(rows), tight=True)
        print(f"Ratios: a run's time in terms of {reference}'s. Networks given by name have random weights.")
    missing = {network.model for network in ready} - {row["model"] for row in rows}
    return {"size": side, "reference": reference, "rows": rows, "left_out": left_out}, bool(missing)


def row_of(network: "BenchmarkModel", form: Any) -> dict[str, Any]:
    """What was measured."""
    return {
        "model": network.model,
        "title": network.title,
        "random": network.random,
        "parameters": network.parameters,
        "runtime": form.runtime,
        "precision": "int8" if network.int8 else form.precision,
        "batch": form.batch,
        "threads": form.threads,
    }


def of_pipeline(photo: Path, runtimes: list[Runtime], threads: int, people: list[int]) -> dict[str, Any]:
    """What is written about the steps of prediction with the weights that `predict` uses; with torch, T's."""
    from hevitpose.benchmark.pipeline import ALL, HEATMAPS, NETWORK, command_s, pipeline_ms
    from hevitpose.benchmark.report import pipeline_table
    from hevitpose.inference.estimator import PoseEstimator
    from hevitpose.io import images
    from hevitpose.view.draw import draw

    height, width = images.read(photo).shape[:2]
    weights = TRAINABLE if runtimes[0] == "torch" else DEFAULT
    estimator = PoseEstimator.from_pretrained(weights, runtime=runtimes[0], threads=threads)
    rows = []
    with Console(stderr=True).status("") as status:
        for count in people:
            status.update(f"{count} people")
            ms = pipeline_ms(estimator, photo, count, draw, rounds=max(5, 40 // count))
            others = sum(own for name, own in ms.items() if name not in (ALL, NETWORK))
            shares = {"others_share": others / ms[NETWORK], "heatmaps_share": ms[HEATMAPS] / ms[NETWORK]}
            rows.append({"people": count, "ms": ms} | {name: round(share, 4) for name, share in shares.items()})
        status.update("hevitpose predict")
        seconds = command_s(photo, STARTS)
    show(*pipeline_table(rows), tight=True)
    print(f"hevitpose predict {photo.name}: {seconds:.2f} s from start to end")
    return {
        "weights": weights,
        "input_size": estimator.network.config.input_size,
        "photo": photo.name,
        "size_wh": [width, height],
        "runtime": runtimes[0],
        "threads": threads,
        "pipeline": rows,
        "command_s": seconds,
    }


def draw(plot: Path, rows: list[dict[str, Any]], accuracy: Path) -> None:
    """Write the figure, or say why there is none."""
    from hevitpose.benchmark.report import accuracy_over_ms, missing
    from hevitpose.view.plots import write_figure

    figure = accuracy_over_ms(rows, accuracy)
    if figure is None:
        print(f"{missing(rows)} in {accuracy}", file=sys.stderr)
        return
    for file in output_files(plot):
        write_figure(figure, file)
        print(file)


def numbers(option: str, text: str) -> list[int]:
    """The whole numbers above 0 of a list, "1,2". Raises InputError."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise InputError(f"{option} {text}", "is no list of whole numbers above 0, as 1,2")
    return found


def chosen(option: str, text: str, literal: Any) -> list[Any]:
    """The names of a list, "onnx,torch", each one of a Literal's. Raises InputError."""
    names, known = [name.strip() for name in text.split(",")], get_args(literal)
    for name in names:
        if name not in known:
            raise InputError(f"{option} {text}", f"{name!r} is none of {', '.join(known)}")
    return names
