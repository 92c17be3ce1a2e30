"""`hevitpose predict`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer

from hevitpose.cli.clip_options import (
    AnyFormat,
    CameraOption,
    ClipOptions,
    ColorByOption,
    DetectEvery,
    End,
    Every,
    Mirror,
    Smooth,
    Start,
    is_clip,
    parse_person,
)
from hevitpose.cli.keypoints import KeypointSet, written_skeleton
from hevitpose.cli.options import note, with_options
from hevitpose.cli.progress import show_progress
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import xyxy_from_xywh
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.core.skeleton import NOT_FLIPPED
from hevitpose.data.detections import read_detections
from hevitpose.inference.backends import Runtime
from hevitpose.inference.estimator import MIN_PERSON_SCORE, MIN_SCORE, PoseEstimator
from hevitpose.inference.inputs import ImageInputs, Inputs, Skipped, image_ids, refuse_overwriting
from hevitpose.inference.lists import ImageList, Selection, Shard, expand, gather_inputs, record_options
from hevitpose.inference.network import DEFAULT, weights_id
from hevitpose.inference.predict import detections_of_inputs, predict_files
from hevitpose.inference.writers import CocoLabels, CocoResults, CsvFile, Drawings, Format, JsonFiles, PoseWriter
from hevitpose.io import atomic
from hevitpose.view.draw import draw as draw_poses

EXAMPLES = """
Examples:\n
  hevitpose predict photo.jpg --draw\n
  hevitpose predict photos/ --draw --output out\n
  hevitpose predict photo.jpg --box 120,40,180,400 --box 310,60,170,390\n
  hevitpose predict photos/ --boxes detections.json --format coco --output results.json\n
  hevitpose predict photos/ --format csv --output results.csv\n
  hevitpose predict photos/ --format coco-labels --output photos/labels.json\n
  hevitpose predict @list.txt --shard 1/8 --resume\n
  hevitpose predict clip.mp4 --draw --detect-every 5 --smooth online
"""
IMAGE_FORMATS: dict[str, Format] = {each: each for each in get_args(Format)}
SOME_SKIPPED = 3
UNOPTIMIZED_UP_TO = 2
"""Images: optimising the graph takes longer than running it so few times."""
LARGEST_COORDINATE = 1e6


def predict(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Images, folders, patterns, @LIST of paths, -, or clips.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the results; a file for the formats with one.")] = Path(
        "out"
    ),
    draw: Annotated[
        bool, typer.Option("--draw", help="Also write the skeletons: images as PNG, clips as MP4.")
    ] = False,
    box: Annotated[
        list[str] | None, typer.Option(help="Box of a person, in pixels; repeat for each person.", metavar="X,Y,W,H")
    ] = None,
    boxes: Annotated[Path | None, typer.Option(help="Boxes of people: COCO detections or labels (JSON).")] = None,
    detector: Annotated[
        str,
        typer.Option(
            help="auto; person: the bundled detector; search: in windows, for other keypoints; whole: one person per "
            "image; or a detector's ONNX file."
        ),
    ] = "auto",
    tiles: Annotated[int, typer.Option(min=1, help="Also detect in N x N tiles, for small people.", metavar="N")] = 1,
    max_people: Annotated[int | None, typer.Option(min=1, help="Keep only the best people of an image.")] = None,
    person: Annotated[
        str | None, typer.Option(help="Keep one person; in clips also by id.", metavar="largest|center|ID")
    ] = None,
    min_person_score: Annotated[
        float, typer.Option(min=0, max=1, help="People below this score are left out.")
    ] = MIN_PERSON_SCORE,
    padding: Annotated[float | None, typer.Option(help="Factor by which boxes grow (default: as in training).")] = None,
    format: Annotated[
        AnyFormat | None,
        typer.Option(
            help="Images: json, one file each (default); one for all: coco (results), coco-labels (to correct), csv. "
            "Clips: jsonl (default), csv, mot, coco, openpose or npz."
        ),
    ] = None,
    keypoints: Annotated[
        KeypointSet | None,
        typer.Option(help="Keypoints to write (default: all; coco17 for --format coco where the model has them)."),
    ] = None,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Keypoints below this score are absent.")] = MIN_SCORE,
    flip_test: Annotated[bool, typer.Option("--flip-test", help="Average with the mirrored crop: slower.")] = False,
    model: Annotated[str, typer.Option(help="Bundled weights, or a file (.onnx, .safetensors).")] = DEFAULT,
    runtime: Annotated[Runtime | None, typer.Option(help="Runtime of the network (default: by the file).")] = None,
    device: Annotated[str, typer.Option(help="cpu; cuda, coreml or directml with ONNX Runtime.")] = "cpu",
    batch_size: Annotated[int, typer.Option(min=1, help="Crops per call, of several images if they fit.")] = 16,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads per inference call (default: all cores).")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every keypoint.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Leave out images that have results already.")] = False,
    shard: Annotated[
        str | None, typer.Option(help="Predict a part of the images, for several machines.", metavar="1/8")
    ] = None,
    start: Start = None,
    end: End = None,
    every: Every = None,
    detect_every: DetectEvery = None,
    smooth: Smooth = None,
    color_by: ColorByOption = None,
    camera: CameraOption = None,
    mirror: Mirror = None,
) -> None:
    """Find the people in images and clips, and their keypoints.

    An image that cannot be read is skipped; the exit status is then 1, or 3 if it lies in a folder. A clip that is cut
    off gives the frames before the cut, and exit status 3.
    """
    if box and boxes:
        raise InputError("--boxes", "cannot be used together with --box")
    if padding is not None and not 0.1 <= padding <= 10:
        raise InputError(f"--padding {padding}", "must lie between 0.1 and 10")
    if bool(paths) == (camera is not None):
        raise typer.BadParameter("name images, folders or clips, or a --camera", param_hint="PATHS")
    part = Shard.parse(shard) if shard else Shard(1, 1)
    sources = [path for text in paths or [] for path in as_paths(text)]
    options: dict[str, Any] = {
        "runtime": runtime,
        "threads": threads and min(threads, os.cpu_count() or 1),
        "device": device,
        "detector": detector,
        "tiles": tiles,
        "min_score": min_score,
        "min_person_score": min_person_score,
        "max_people": max_people,
        "padding": padding,
        "flip_test": flip_test,
        "batch_size": batch_size,
    }
    kept = parse_person(person)
    for_clips = ClipOptions(start, end, every, detect_every, smooth, kept, color_by, keypoints)
    for_images = {"--box": box, "--boxes": boxes, "--verbose": verbose, "--resume": resume, "--shard": shard}
    if camera is not None:
        from hevitpose.cli.camera import predict_camera

        sys.exit(predict_camera(camera, output, draw, mirror, format, model, options, for_clips, for_images))
    if mirror is not None:
        raise InputError("--mirror", "is for cameras")
    if any(is_clip(path) for path in sources):
        from hevitpose.cli.video import predict_clips

        sys.exit(predict_clips(sources, output, draw, format, model, options, for_clips, for_images))
    for_clips.refuse()
    if isinstance(kept, int):
        raise InputError(f"--person {person}", "is for clips: people in images have no ids")
    form = IMAGE_FORMATS.get(format or "json")
    if form is None:
        raise InputError(f"--format {format}", "is for clips")
    folder = output if form == "json" else output.parent
    if form != "json" and (output.suffix != (".csv" if form == "csv" else ".json") or output.is_dir()):
        suffix = "csv" if form == "csv" else "json"
        raise InputError(output, f"--format {form} writes one file: --output FILE.{suffix}")
    if resume and form != "json":
        raise InputError("--resume", "is for --format json; predict one file per --shard instead")
    found = gather_inputs(sources, folder if draw or form == "json" else None)
    if draw or form == "json":
        refuse_overwriting(sources, found.inputs, folder, draw)
    detections, ids = known_people(found.inputs, box, boxes)
    given = [Path(file) for file in (boxes, model, detector) if file]
    if form == "json":
        atomic.refuse_inputs((folder / f"{each.target}.json" for each in found.inputs), given)
    elif os.path.lexists(output):
        atomic.refuse_inputs([output], [*given, *(each.path for each in found.inputs)])
    if box and len(found.inputs) > 1:
        note(f"the boxes of --box are looked at in each of {len(found.inputs)} images")
    atomic.refuse_unwritable(folder)
    selected = Selection(found.inputs, part)
    if form == "json" and len(found.inputs) > 1:
        others = {"person": person, "box": box, "boxes": boxes and str(boxes), "keypoints": keypoints, "draw": draw}
        recorded = {key: value for key, value in options.items() if key not in ("threads", "batch_size")}
        record_options(folder, {"model": weights_id(model)} | recorded | others, resume)
        if resume:
            selected = Selection(found.inputs, part, folder, (".json", ".png") if draw else (".json",))
            note(f"{len(Selection(found.inputs, part)) - len(selected)} images have their results already")
    optimize = len(selected) > UNOPTIMIZED_UP_TO
    estimator = PoseEstimator.from_pretrained(model, optimize_graph=optimize, person=kept, **options)
    if flip_test and not estimator.network.config.skeleton.flips:
        note(NOT_FLIPPED)
    skeleton = written_skeleton(keypoints, form, estimator.network)
    writers: list[PoseWriter] = [writer_of(form, output, ids)]
    if draw:
        writers.append(Drawings(folder, draw_poses))
    skipped, done = Skipped(), 0
    with show_progress(quiet=len(selected) == 1 or not sys.stderr.isatty()) as on_progress:
        for _, poses in predict_files(
            estimator, selected, writers, detections, bool(box), skeleton, skipped, on_progress
        ):
            print_people(poses, verbose)
            done += 1
    if done:
        print(f"results: {output}")
    sys.exit(report_skipped(found, skipped, folder))


def writer_of(format: Format, output: Path, ids: Sequence[int]) -> PoseWriter:
    """What writes the results; `ids` are COCO's of the images."""
    match format:
        case "json":
            return JsonFiles(output)
        case "coco":
            return CocoResults(output, ids)
        case "coco-labels":
            return CocoLabels(output, ids)
        case "csv":
            return CsvFile(output)


def as_paths(text: str) -> list[Path]:
    """A path of the command line, or those that fit a pattern. Raises InputError for what prediction does not read."""
    if not text:
        raise InputError("PATHS", "one of them is empty")
    if "://" in text:
        raise InputError(text, "is an address: download it first")
    if text.isdecimal() and not Path(text).exists():
        raise InputError(text, f"no such file; a camera is --camera {text}")
    return expand(text)


def known_people(
    inputs: Inputs, box: list[str] | None, boxes: Path | None
) -> tuple[list[Detections | None] | None, Sequence[int]]:
    """The boxes of each input, None where they are to be found, and its image id."""
    if boxes is None:
        people = Detections.from_boxes([parse_box(text) for text in box]) if box else None
        given: list[Detections | None] | None = [people] * len(inputs) if people else None
        if isinstance(inputs, ImageList):
            return given, range(1, len(inputs) + 1)
        return given, image_ids([each.path for each in inputs], [None] * len(inputs))
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
        present = int(person.present.sum())
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
        print(f"{in_folders} of {total} images in folders and lists were skipped", file=sys.stderr)
    if found.heic:
        print(f"{found.heic} images in HEIC were left out: convert them to JPEG", file=sys.stderr)
    if found.results:
        note(f"{found.results} images in {folder}, the folder of the results, were left out")
    if found.drawings:
        note(f"{found.drawings} drawings of an earlier run were left out")
    if in_folders < len(skipped.inputs):
        return 1
    return SOME_SKIPPED if skipped.inputs or found.heic else 0
