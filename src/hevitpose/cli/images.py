"""`hevitpose predict` of images."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from hevitpose.cli.common import model_files
from hevitpose.cli.keypoints import written_skeleton
from hevitpose.cli.options import note, with_options
from hevitpose.cli.predict_options import AnyFormat, Request
from hevitpose.cli.progress import show_progress
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import xyxy_from_xywh
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.core.skeleton import NOT_FLIPPED
from hevitpose.data.detections import read_detections
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.inputs import STDIN, ImageInputs, Inputs, Skipped, image_ids, refuse_overwriting
from hevitpose.inference.lists import OPTIONS_FILE, ImageList, Selection, Shard, gather_inputs, lists_of, record_options
from hevitpose.inference.network import weights_id
from hevitpose.inference.predict import detections_of_inputs, predict_files
from hevitpose.inference.writers import Drawings, Format, PoseWriter, image_writer
from hevitpose.io import atomic
from hevitpose.view.draw import draw as draw_poses

IMAGE_FORMATS: dict[str, Format] = {each: each for each in get_args(Format)}
SOME_SKIPPED = 3
UNOPTIMIZED_UP_TO = 2
"""Images: optimising the graph takes longer than running it so few times."""
LARGEST_COORDINATE = 1e6


def predict_images(paths: Sequence[Path], request: Request) -> int:
    """Predict images and folders, or a list of images, and print who was found; the exit status."""
    output, draw, model, options = request.output, request.draw, request.model, request.for_images
    request.for_clips.refuse()
    if options.box or options.boxes:
        for name, default in (("detector", "auto"), ("tiles", 1), ("min_person_score", None)):
            if request.estimator.get(name) != default:
                raise InputError(f"`{name}`", "has no effect with `box` or `boxes`, which say where the people are")
    part = Shard.parse(options.shard) if options.shard else Shard(1, 1)
    form = image_format(request.format, output, options.resume)
    if form == "coco-labels" and STDIN in paths:
        raise InputError("--format coco-labels", "needs images with names, and standard input has none")
    folder = output if form == "json" else output.parent
    given = [*model_files(options.boxes, model, request.estimator["detector"])]
    found = find_images(paths, output, form, draw, given)
    selected = Selection(found.inputs, part)
    optimize = len(selected) > UNOPTIMIZED_UP_TO
    person, keypoints = request.for_clips.person, request.for_clips.keypoints
    estimator = PoseEstimator.from_pretrained(model, optimize_graph=optimize, person=person, **request.estimator)
    subject = estimator.network.config.skeleton.name
    detections, ids = known_people(found.inputs, options.box, options.boxes, subject)
    if request.estimator["flip_test"] and not estimator.network.config.skeleton.flips:
        note(NOT_FLIPPED)
    skeleton = written_skeleton(keypoints, form, estimator.network)
    if detections is None:
        _ = estimator.detector
    recorded = len(found.inputs) > 1 or options.resume or (folder / OPTIONS_FILE).exists()
    if form == "json" and recorded:  # a start that fails leaves what is recorded of earlier results
        settings = {key: value for key, value in request.estimator.items() if key not in ("threads", "batch_size")}
        settings |= {"model": weights_id(model), "person": person, "keypoints": keypoints, "draw": draw}
        settings |= {"min_person_score": estimator.min_person_score}
        record_options(
            folder, settings | {"box": options.box, "boxes": options.boxes and str(options.boxes)}, options.resume
        )
    if options.resume:
        everything, selected = selected, Selection(found.inputs, part, folder, (".json", ".png")[: 1 + draw])
        note(f"{len(everything) - len(selected)} images have their results already")
    if part.total > 1 and not len(Selection(found.inputs, part)):
        note(f"shard {options.shard} has no image")
    writers: list[PoseWriter] = [image_writer(form, output, ids)]
    if draw:
        writers.append(Drawings(folder, draw_poses))
    skipped, done = Skipped(), 0
    with show_progress(quiet=len(selected) == 1 or not sys.stderr.isatty()) as on_progress:
        for _, poses in predict_files(
            estimator, selected, writers, detections, bool(options.box), skeleton, skipped, on_progress
        ):
            print_people(poses, options.verbose)
            done += 1
    if done:
        print(f"results: {output}")
    boxes = sum(len(each) for each in detections or () if each)
    return report_skipped(found, skipped, folder, boxes)


def find_images(paths: Sequence[Path], output: Path, form: Format, draw: bool, given: Sequence[Path]) -> ImageInputs:
    """The images to predict. Raises InputError where results would replace one of them or of the files `given`, each
    other, or cannot be written."""
    folder = output if form == "json" else output.parent
    if not draw and form != "json":
        found = gather_inputs(paths)
    else:
        found = gather_inputs(paths, folder)
        refuse_overwriting(paths, found.inputs, folder, draw)
    if form == "json":
        suffixes = (".json", ".png") if draw else (".json",)
        atomic.refuse_inputs((folder / f"{each.target}{suffix}" for each in found.inputs for suffix in suffixes), given)
    elif os.path.lexists(output):
        atomic.refuse_inputs([output], [*given, *lists_of(paths), *(each.path for each in found.inputs)])
    atomic.refuse_unwritable(folder)
    return found


def image_format(format: AnyFormat | None, output: Path, resume: bool) -> Format:
    """The format of the results, by default JSON. Raises InputError where it does not fit the other options."""
    form = IMAGE_FORMATS.get(format or "json")
    if form is None:
        raise InputError(f"--format {format}", "is for clips")
    if form == "json" and output.suffix in (".json", ".csv") and not output.is_dir():
        raise InputError(output, "must be a folder: --format json writes a file per image; csv and coco write one file")
    suffix = ".csv" if form == "csv" else ".json"
    if form != "json" and (output.suffix != suffix or output.is_dir()):
        raise InputError(output, f"--format {form} writes one file: --output FILE{suffix}")
    if resume and form != "json":
        raise InputError("--resume", "is for --format json; predict one file per --shard instead")
    return form


def known_people(
    inputs: Inputs, box: list[str] | None, boxes: Path | None, subject: str
) -> tuple[list[Detections | None] | None, Sequence[int]]:
    """The boxes of each input, of the category `subject`, None where they are to be found, and its image id."""
    if box and len(inputs) > 1:
        note(f"the boxes of --box are looked at in each of {len(inputs)} images")
    if boxes is None:
        people = Detections.from_boxes([parse_box(text) for text in box]) if box else None
        given: list[Detections | None] | None = [people] * len(inputs) if people else None
        if isinstance(inputs, ImageList):
            return given, range(1, len(inputs) + 1)
        return given, image_ids([each.path for each in inputs], [None] * len(inputs))
    detections, ids, notes = detections_of_inputs(read_detections(boxes, subject), boxes, inputs)
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


def report_skipped(found: ImageInputs, skipped: Skipped, folder: Path, boxes: int) -> int:
    """Say on standard error what has no result; the exit status, 1 if none of the `boxes` remains."""
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
    if found.clips:
        note(f"{found.clips} clips in folders were left out: name them")
    if found.results:
        note(f"{found.results} images in {folder}, the folder of the results, were left out")
    if found.drawings:
        note(f"{found.drawings} drawings of an earlier run were left out")
    if in_folders < len(skipped.inputs) or 0 < boxes == sum(count for _, count in skipped.boxes):
        return 1
    return SOME_SKIPPED if skipped.inputs or found.heic else 0
