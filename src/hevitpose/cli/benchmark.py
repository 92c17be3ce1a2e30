"""`hevitpose benchmark`."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console

from hevitpose.benchmark.clip import measure_clip
from hevitpose.benchmark.models import ready_file
from hevitpose.benchmark.pipeline import measure_pipeline
from hevitpose.benchmark.report import accuracy_over_ms, case_table, pipeline_table
from hevitpose.benchmark.run import Plan, run_benchmark
from hevitpose.benchmark.timing import Precision
from hevitpose.cli.common import model_files, refuse_inputs
from hevitpose.core.errors import InputError
from hevitpose.core.extras import need
from hevitpose.core.progress import Progress
from hevitpose.inference.backends import Runtime
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import DEFAULT
from hevitpose.inference.video import PoseTracker
from hevitpose.io import atomic, images
from hevitpose.io.provenance import provenance
from hevitpose.view.draw import draw
from hevitpose.view.plots import output_files, write_figure

EXAMPLES = """
Examples:\n
  hevitpose benchmark --models t,resnet50,hrnet_w32 --runtimes onnx,openvino --reference resnet50\n
  hevitpose benchmark --models mine.onnx,int8.onnx,other.tflite --runtimes onnx,openvino --batch 1,8 --threads 1,2\n
  hevitpose benchmark --models t,mobilenet_v2 --accuracy runs/compare --plot speed.png --output speed.json\n
  hevitpose benchmark --pipeline photo.jpg --people 1,5,20\n
  hevitpose benchmark --video clip.mp4 --detect-every 5
"""

STARTS = 7
"""Measured runs of the whole predict command."""


def benchmark(
    models: Annotated[
        str | None,
        typer.Option(
            help="Models: networks (random weights), bundled weights or files (.onnx, .safetensors, .tflite, ...)."
        ),
    ] = None,
    runtimes: Annotated[str, typer.Option(help="Runtimes: onnx, openvino, torch.")] = "onnx",
    precisions: Annotated[str, typer.Option(help="Precisions: fp32, bf16; a quantized file keeps its own.")] = "fp32",
    batch: Annotated[str, typer.Option(help="Batch sizes, in crops per call.")] = "1",
    threads: Annotated[str | None, typer.Option(help="Numbers of threads per call (default: all cores).")] = None,
    size: Annotated[int, typer.Option(min=32, help="Side of the crops if a file leaves it open.")] = 256,
    reference: Annotated[
        str | None, typer.Option(help="Model whose time is 1.00 in the ratios.", show_default="the first")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Measuring time per configuration.")] = 3.0,
    pipeline: Annotated[
        Path | None, typer.Option(help="Measure each step of prediction on this photo of one person.")
    ] = None,
    people: Annotated[str, typer.Option(help="Numbers of people to simulate with --pipeline.")] = "1,5,20",
    video: Annotated[Path | None, typer.Option(help="Measure this clip, from file to drawn file.")] = None,
    detect_every: Annotated[int, typer.Option(min=1, help="Run the detector in every N-th frame of --video.")] = 1,
    accuracy: Annotated[
        Path, typer.Option(help="Scores for --plot: JSON file of evaluate or compare, or a folder of them.")
    ] = Path("results/compare"),
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Plot accuracy over milliseconds to this file (.png, .svg).")
    ] = None,
) -> None:
    """Benchmark latency, throughput and memory; each configuration runs in its own process, measured round-robin.

    --pipeline measures each step from image file to drawing.
    --video measures a frame in crops: network calls timed in the same run.
    """
    if sum(each is not None for each in (models, pipeline, video)) != 1:
        raise InputError("`models`", "use either this, `pipeline` or `video`")
    cores = numbers("threads", threads or str(os.cpu_count() or 1))
    plots = output_files(plot) if plot else []
    for file in filter(None, (output, *plots)):
        atomic.refuse_unwritable_file(file)
    scores = accuracy.rglob("*.json") if accuracy.is_dir() else [accuracy]
    refuse_inputs([output, *plots], [*model_files(*(models or "").split(",")), pipeline, video, *scores])
    if plot:
        need("train")  # for matplotlib
    wanted = names("runtimes", runtimes, Runtime)
    if video is not None:
        result = of_video(video, wanted[0], cores[0], detect_every)
    elif pipeline is not None:
        result = of_pipeline(pipeline, wanted[0], cores[0], numbers("people", people))
    else:
        listed = [name.strip() for name in (models or "").split(",")]
        forms, sizes = names("precisions", precisions, Precision), numbers("batch", batch)
        result = of_models(Plan(listed, reference or listed[0], wanted, forms, sizes, cores, size, seconds))
    rows = result.get("rows", [])
    if output is not None:
        atomic.write(output, json.dumps(result | {"provenance": provenance()}, indent=1) + "\n")
    if plots:
        draw_accuracy(plots, rows, accuracy)
    if models is not None and len({row["model"] for row in rows}) < len(listed):
        sys.exit(1)


def of_models(plan: Plan) -> dict[str, object]:
    """Measure and print the cases of the plan."""
    if not all(ready_file(name, plan.runtimes) for name in plan.models):
        need("export")
    if "openvino" in plan.runtimes:
        need("openvino")
    with Console(stderr=True).status("") as status:

        def on_progress(at: Progress) -> None:
            status.update(f"{at.stage} {at.done} of {at.total}")

        result = run_benchmark(plan, on_progress)
    for line in result["left_out"]:
        print(f"left out: {line}", file=sys.stderr)
    if result["rows"]:
        Console().print(case_table(result["rows"]).grid())
        print(f"Ratios: time divided by that of {plan.reference}. Networks given by name have random weights.")
    return result


def of_pipeline(photo: Path, runtime: Runtime, threads: int, people: list[int]) -> dict[str, object]:
    """Measure and print the steps of prediction with its default weights."""
    height, width = images.read(photo).shape[:2]
    estimator = PoseEstimator.from_pretrained(runtime=runtime, threads=threads)
    with Console(stderr=True).status("") as status:
        rows = measure_pipeline(estimator, photo, people, draw, lambda at: status.update(at.stage))
        status.update("hevitpose predict")
        seconds = command_s(photo, STARTS)
    Console().print(pipeline_table(rows).grid())
    print(f"hevitpose predict {photo.name}: {seconds:.2f} s from start to end")
    return {
        "weights": DEFAULT,
        "input_size": estimator.network.config.input_size,
        "photo": photo.name,
        "size_wh": [width, height],
        "runtime": runtime,
        "threads": threads,
        "pipeline": rows,
        "command_s": seconds,
    }


def of_video(clip: Path, runtime: Runtime, threads: int, detect_every: int) -> dict[str, Any]:
    """Measure and print a clip with its default weights."""
    tracker = PoseTracker.from_pretrained(detect_every=detect_every, runtime=runtime, threads=threads)
    with Console(stderr=True).status("") as status:
        result = measure_clip(tracker, clip, on_progress=lambda at: status.update(f"round {at.done + 1} of {at.total}"))
    width, height = result["size_wh"]
    print(f"{clip.name}: {result['frames']} frames of {width} x {height}, {result['people_per_frame']} people a frame")
    speed = f"{result['frame_ms']:.1f} ms a frame ({result['frames_per_second']:.1f} frames/s)"
    print(f"{speed}, drawn with {result['encoder']}")
    print(f"{result['crop_ms']:.1f} ms a crop of {DEFAULT}: a frame costs {result['crops_per_frame']:.2f} crops")
    return {"runtime": runtime, "threads": threads} | result


def command_s(photo: Path, runs: int) -> float:
    """Median seconds of `hevitpose predict PHOTO` from start to end, after one run that warms the disk cache."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hevitpose", "predict", str(photo), "--output", folder]
        for _ in range(runs + 1):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - start)
    return round(statistics.median(seconds[1:]), 3)


def draw_accuracy(plots: list[Path], rows: list[dict[str, object]], accuracy: Path) -> None:
    """Write the figure, or say why there is none."""
    figure = accuracy_over_ms(rows, accuracy)
    if figure is None:
        networks = ", ".join(dict.fromkeys(str(row["title"]) for row in rows))
        print(f"no figure: {accuracy} holds no score of {networks}", file=sys.stderr)
        return
    for file in plots:
        write_figure(figure, file)
        print(file)


def numbers(option: str, text: str) -> list[int]:
    """The whole numbers above 0 in a list such as "1,2". Raises InputError."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise InputError(f"`{option}={text}`", "must be whole numbers above 0, such as 1,2")
    return [int(part) for part in parts]


def names(option: str, text: str, literal: Any) -> list[Any]:
    """The names in a list such as "onnx,torch", each one of a Literal's. Raises InputError."""
    parts, known = [name.strip() for name in text.split(",")], get_args(literal)
    for name in parts:
        if name not in known:
            raise InputError(f"`{option}={text}`", f"{name!r} is not one of {', '.join(known)}")
    return parts
