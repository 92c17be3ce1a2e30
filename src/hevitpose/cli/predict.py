"""`hevitpose predict`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from hevitpose.cli.options import with_options
from hevitpose.cli.progress import show_progress
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import xyxy_from_xywh
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.core.skeleton import NOT_FLIPPED
from hevitpose.data.detections import read_detections
from hevitpose.inference.backends import Runtime
from hevitpose.inference.estimator import MIN_PERSON_SCORE, MIN_SCORE, PoseEstimator
from hevitpose.inference.inputs import ImageInput, ImageInputs, Skipped, find_inputs, image_ids, refuse_overwriting
from hevitpose.inference.network import DEFAULT
from hevitpose.inference.predict import detections_of_inputs, predict_files
from hevitpose.inference.writers import CocoResults, CsvFile, Drawings, Format, JsonFiles, PoseWriter
from hevitpose.io import atomic
from hevitpose.view.draw import draw as draw_poses

EXAMPLES = """
Examples:\n
  hevitpose predict photo.jpg --draw\n
  hevitpose predict photos/ --draw --output out\n
  hevitpose predict photo.jpg --box 120,40,180,400 --box 310,60,170,390\n
  hevitpose predict photos/ --boxes detections.json --format coco --output results.json\n
  hevitpose predict photos/ --format csv --output results.csv
"""
SOME_SKIPPED = 3
UNOPTIMIZED_UP_TO = 2
"""Images: optimising the graph takes longer than running it so few times."""
LARGEST_COORDINATE = 1e6
VIDEO = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


def predict(
    paths: Annotated[list[str], typer.Argument(help="Images, and folders of images.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Folder for the results; a file for coco and csv.")] = Path("out"),
    draw: Annotated[bool, typer.Option("--draw", help="Also write each image with its skeletons, as PNG.")] = False,
    box: Annotated[
        list[str] | None, typer.Option(help="Box of a person, in pixels; repeat for each person.", metavar="X,Y,W,H")
    ] = None,
    boxes: Annotated[Path | None, typer.Option(help="Boxes of people, as COCO detections (JSON).")] = None,
    detector: Annotated[
        str, typer.Option(help="person: find all people; whole: one person per image; or a detector's ONNX file.")
    ] = "auto",
    max_people: Annotated[int | None, typer.Option(min=1, help="Keep only the best people of an image.")] = None,
    min_person_score: Annotated[
        float, typer.Option(min=0, max=1, help="People below this score are left out.")
    ] = MIN_PERSON_SCORE,
    padding: Annotated[float | None, typer.Option(help="Factor by which boxes grow (default: as in training).")] = None,
    format: Annotated[Format, typer.Option(help="json: one file per image; coco, csv: one file for all.")] = "json",
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Keypoints below this score are absent.")] = MIN_SCORE,
    flip_test: Annotated[bool, typer.Option("--flip-test", help="Average with the mirrored crop: slower.")] = False,
    model: Annotated[str, typer.Option(help="Bundled weights, or a file (.onnx, .safetensors).")] = DEFAULT,
    runtime: Annotated[Runtime | None, typer.Option(help="Runtime of the network (default: by the file).")] = None,
    device: Annotated[str, typer.Option(help="cpu; cuda, coreml or directml with ONNX Runtime.")] = "cpu",
    batch_size: Annotated[int, typer.Option(min=1, help="Images in memory, and crops per call.")] = 8,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads per inference call (default: all cores).")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every keypoint.")] = False,
) -> None:
    """Find the people in images and their keypoints.

    An image that cannot be read is skipped; the exit status is then 1, or 3 if it lies in a folder.
    """
    if box and boxes:
        raise InputError("--boxes", "cannot be used together with --box")
    if padding is not None and not 0.1 <= padding <= 10:
        raise InputError(f"--padding {padding}", "must lie between 0.1 and 10")
    folder = output if format == "json" else output.parent
    if format != "json" and (output.suffix != (".csv" if format == "csv" else ".json") or output.is_dir()):
        suffix = "csv" if format == "csv" else "json"
        raise InputError(output, f"--format {format} writes one file: --output FILE.{suffix}")
    sources = [as_path(text) for text in paths]
    found = find_inputs(sources, folder if draw or format == "json" else None)
    if draw or format == "json":
        refuse_overwriting(sources, found.inputs, folder, draw)
    detections, ids = known_people(found.inputs, box, boxes)
    one_file = format in ("coco", "csv")
    results = [output] if one_file else [folder / f"{each.target}.json" for each in found.inputs]
    given = (Path(file) for file in (boxes, model, detector) if file)
    atomic.refuse_inputs(results, [*given, *(each.path for each in found.inputs)])
    if box and len(found.inputs) > 1:
        note(f"the boxes of --box are looked at in each of {len(found.inputs)} images")
    atomic.refuse_unwritable(folder)
    estimator = PoseEstimator.from_pretrained(
        model,
        runtime=runtime,
        threads=threads and min(threads, os.cpu_count() or 1),
        device=device,
        optimize_graph=len(found.inputs) > UNOPTIMIZED_UP_TO,
        detector=detector,
        min_score=min_score,
        min_person_score=min_person_score,
        max_people=max_people,
        padding=padding,
        flip_test=flip_test,
        batch_size=batch_size,
    )
    if flip_test and not estimator.network.config.skeleton.flips:
        note(NOT_FLIPPED)
    files: dict[Format, PoseWriter] = {
        "json": JsonFiles(output),
        "coco": CocoResults(output, ids),
        "csv": CsvFile(output),
    }
    writers = [files[format], *([Drawings(folder, draw_poses)] if draw else [])]
    skipped, done = Skipped(), 0
    with show_progress(quiet=len(found.inputs) == 1 or not sys.stderr.isatty()) as on_progress:
        for _, poses in predict_files(estimator, found.inputs, writers, detections, bool(box), skipped, on_progress):
            print_people(poses, verbose)
            done += 1
    if done:
        print(f"results: {output}")
    sys.exit(report_skipped(found, skipped, folder))


def as_path(text: str) -> Path:
    """A path of the command line. Raises InputError for what prediction does not read."""
    if not text:
        raise InputError("PATHS", "one of them is empty")
    if "://" in text:
        raise InputError(text, "is an address: download it first")
    if Path(text).suffix.lower() in VIDEO or (text.isdecimal() and not Path(text).exists()):
        raise InputError(text, "videos and cameras are not read yet")
    return Path(text)


def known_people(
    inputs: list[ImageInput], box: list[str] | None, boxes: Path | None
) -> tuple[list[Detections | None], list[int]]:
    """The boxes of each input, None where they are to be found, and its image id."""
    if boxes is None:
        given = Detections.from_boxes([parse_box(text) for text in box]) if box else None
        return [given] * len(inputs), image_ids([each.path for each in inputs], [None] * len(inputs))
    detections, ids, notes = detections_of_inputs(read_detections(boxes), boxes, inputs)
    for line in notes:
        note(line)
    return detections, ids


def parse_box(text: str) -> list[float]:
    """x1, y1, x2, y2 of "x,y,w,h". Raises InputError."""
    try:
        values = np.array([float(v) for v in text.split(",")])
    except ValueError:
        values = np.zeros(0)
    if len(values) != 4 or not (abs(values) < LARGEST_COORDINATE).all() or not (values[2:] > 0).all():
        limit = f"{LARGEST_COORDINATE:.0f}"
        raise InputError(f"--box {text}", f"must be x,y,w,h in pixels below {limit}, w and h above 0")
    box: list[float] = xyxy_from_xywh(values).tolist()
    return box


def print_people(poses: ImagePoses, verbose: bool) -> None:
    """A line per person, and with `verbose` one per keypoint."""
    if not len(poses):
        print(f"{poses.file}: no person found")
    for number, person in enumerate(poses, start=1):
        present = int(np.isfinite(person.keypoints[:, 0]).sum())
        print(
            f"{poses.file}: person {number}, score {person.score:.2f}, {present} of {len(person.keypoints)} keypoints"
        )
        if verbose:
            for name, (x, y), score in zip(
                poses.skeleton.keypoints, person.keypoints, person.keypoint_scores, strict=True
            ):
                place = f"{x:8.1f} {y:8.1f}" if np.isfinite(x) else f"{'absent':>17}"
                print(f"  {name:16} {place}   {score:.2f}")


def report_skipped(found: ImageInputs, skipped: Skipped, folder: Path) -> int:
    """Say on standard error what has no result; the exit status."""
    for each, count in skipped.boxes:
        print(f"warning: {each.path}: skipped {count} boxes outside of the image", file=sys.stderr)
    for each, reason in skipped.inputs:
        print(f"{'warning: skipped ' if each.in_folder else 'error: '}{with_options(reason)}", file=sys.stderr)
    in_folders = sum(each.in_folder for each, _ in skipped.inputs)
    if in_folders:
        total = sum(each.in_folder for each in found.inputs)
        print(f"{in_folders} of {total} images in folders were skipped", file=sys.stderr)
    if found.heic:
        print(f"{found.heic} images in HEIC were left out: convert them to JPEG", file=sys.stderr)
    if found.results:
        note(f"{found.results} images in {folder}, the folder of the results, were left out")
    if in_folders < len(skipped.inputs):
        return 1
    return SOME_SKIPPED if skipped.inputs or found.heic else 0


def note(text: str) -> None:
    """A note on standard error."""
    print(f"note: {text}", file=sys.stderr)
