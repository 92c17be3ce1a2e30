"""`hevitpose predict` of clips."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hevitpose.cli.common import model_files
from hevitpose.cli.keypoints import written_skeleton
from hevitpose.cli.options import note, with_options
from hevitpose.cli.predict_options import AnyFormat, ClipOptions, Request, is_clip
from hevitpose.cli.progress import show_progress
from hevitpose.core.errors import InputError
from hevitpose.core.skeleton import NOT_FLIPPED
from hevitpose.inference.clip_writers import CLIP_SUFFIXES, ClipDrawing, ClipFormat, ClipHeader, MotFile, clip_writer
from hevitpose.inference.predict_clip import ClipSummary, predict_clip
from hevitpose.inference.video import PoseTracker
from hevitpose.inference.writers import PoseWriter
from hevitpose.io import atomic
from hevitpose.io.video import VideoReader, check_range, pyav
from hevitpose.io.video_writer import Sound
from hevitpose.view.draw_clip import ClipPainter

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
DAMAGED = 3


@dataclass(frozen=True)
class ClipTask:
    """A clip and the files to write."""

    path: Path
    results: Path
    drawing: Path | None


def predict_clips(paths: Sequence[Path], request: Request) -> int:
    """Predict clips one after the other; the exit status."""
    options = request.for_clips
    if images := [path for path in paths if not is_clip(path)]:
        raise InputError(images[0], "is no clip: predict images and clips with a command each")
    request.for_images.refuse("is for images")
    form = clip_format(request.format, "clips")
    pyav()
    check_range(options.start or 0.0, options.end, options.every)
    models = model_files(request.model, request.estimator["detector"])
    tasks = clip_tasks(paths, request.output, request.draw, form, models)
    tracker = make_tracker(request, detect_every=1)
    if request.estimator["flip_test"] and not tracker.estimator.network.config.skeleton.flips:
        note(NOT_FLIPPED)
    statuses = [0]
    for task in tasks:
        try:
            statuses.append(predict_one(task, form, tracker, options))
        except InputError as error:
            print(f"error: {with_options(str(error))}", file=sys.stderr)
            statuses.append(1)
        if statuses[-1] == INTERRUPTED:
            break
    return INTERRUPTED if INTERRUPTED in statuses else 1 if 1 in statuses else max(statuses)


def clip_format(format: AnyFormat | None, source: str) -> ClipFormat:
    """The format of results, by default JSON lines. Raises InputError where the `source` does not have it."""
    if format == "json" or format == "coco-labels":
        raise InputError(f"--format {format}", f"is for images; {source} have {', '.join(CLIP_SUFFIXES)}")
    return format or "jsonl"


def make_tracker(request: Request, detect_every: int) -> PoseTracker:
    """What follows the people; `detect_every` is the default."""
    options = request.for_clips
    return PoseTracker.from_pretrained(
        request.model,
        detect_every=options.detect_every or detect_every,
        smooth=options.smooth or "none",
        person=options.person,
        **request.estimator,
    )


def predict_one(task: ClipTask, format: ClipFormat, tracker: PoseTracker, options: ClipOptions) -> int:
    """Predict a clip and say what was written; the exit status."""
    reader = VideoReader(task.path, options.start or 0.0, options.end, options.every)
    network = tracker.estimator.network
    skeleton = written_skeleton(options.keypoints, format, network)
    written = skeleton or network.config.skeleton
    header = ClipHeader(str(task.path), network.name, reader.size_wh, reader.fps, written)
    writer = clip_writer(format, task.results, header)
    drawing = None
    if task.drawing is not None:
        sound = Sound(task.path, reader.origin_s, float("inf") if options.end is None else options.end)
        drawing = ClipDrawing(task.drawing, ClipPainter(options.color_by or "person"), reader.fps, sound)
    with show_progress() as on_progress:
        summary = predict_clip(tracker, reader, [writer], drawing, skeleton, on_progress)
    if summary.interrupted and not summary.frames:
        print("interrupted: nothing was written", file=sys.stderr)
        return INTERRUPTED
    report(task, summary, drawing)
    note_left_out(str(task.path), writer, summary, options)
    if reader.note:
        note(f"{task.path}: {reader.note}")
    if summary.interrupted:
        print(f"interrupted: the results hold the first {summary.frames} frames", file=sys.stderr)
        return INTERRUPTED
    if reader.problem:
        print(f"warning: {task.path}: {reader.problem}", file=sys.stderr)
    return DAMAGED if reader.problem else 0


def note_left_out(source: str, writer: PoseWriter, summary: ClipSummary, options: ClipOptions) -> None:
    """Say who is missing in the results."""
    if isinstance(writer, MotFile) and writer.left_out:
        note(f"{writer.left_out} boxes of people without an id were left out")
    if isinstance(options.person, int) and not summary.frames_with_people:
        note(f"{source}: no person has the id {options.person}")


def report(task: ClipTask, summary: ClipSummary, drawing: ClipDrawing | None) -> None:
    """Say what was found and written."""
    frames = f"{summary.frames} frame{'s' * (summary.frames != 1)}"
    if summary.frames_with_people:
        identities = f"{len(summary.ids)} identit{'y' if len(summary.ids) == 1 else 'ies'}"
        print(f"{task.path}: {frames}, people in {summary.frames_with_people} of them, {identities}")
    else:
        print(f"{task.path}: {frames}, no person found")
    print(f"results: {task.results}")
    if drawing is not None and drawing.video.encoder:
        print(f"drawn: {task.drawing} ({drawing.video.encoder})")
        if drawing.video.note:
            note(f"{task.path}: {drawing.video.note}")


def clip_tasks(
    paths: Sequence[Path], output: Path, draw: bool, format: ClipFormat, models: Iterable[Path]
) -> list[ClipTask]:
    """The files of each clip: below the folder `output`, or where it names a file, that one and the drawing beside it.

    Raises InputError where they would replace an input, one of the `models` or each other, or cannot be written.
    """
    suffix = CLIP_SUFFIXES[format]
    unique = list({path.resolve(): path for path in paths}.values())
    if named := named_results(output, draw, format):
        if len(unique) > 1:
            raise InputError(output, "is one file, for one clip: choose a folder")
        bases = [named]
    else:
        stems = Counter(path.stem.lower() for path in unique)
        bases = [output / (path.name if stems[path.stem.lower()] > 1 else path.stem) for path in unique]
    tasks = [
        ClipTask(path, Path(f"{base}{suffix}"), Path(f"{base}.mp4") if draw else None)
        for path, base in zip(unique, bases, strict=True)
    ]
    files = [file for task in tasks for file in (task.results, task.drawing) if file]
    for name, count in Counter(str(file).lower() for file in files).items():
        if count > 1:
            raise InputError(name, "several clips have this name: run once for each, each with its own --output")
    atomic.refuse_inputs(files, [*unique, *models])
    for file in files:
        refuse_unwritable(file)
    return tasks


def named_results(output: Path, draw: bool, format: ClipFormat) -> Path | None:
    """`output` without its end where it names results or a drawing, None where it is a folder for them.

    Raises InputError where it is the name of another format's results.
    """
    others = {end for name, end in CLIP_SUFFIXES.items() if name != "openpose"} | {".mp4"}
    end = next((end for end in (CLIP_SUFFIXES[format], *others) if output.name.endswith(end)), None)
    if end is None or (output.is_dir() and format != "openpose"):
        return None
    if end != CLIP_SUFFIXES[format] and not (draw and end == ".mp4"):
        name = "NAME" if format == "openpose" else "FILE"
        raise InputError(output, f"--format {format} writes {name}{CLIP_SUFFIXES[format]}")
    return Path(str(output).removesuffix(end))


def refuse_unwritable(results: Path) -> None:
    """Raise InputError where results of this name cannot be written; OpenPose's are a folder."""
    is_folder = results.name.endswith(CLIP_SUFFIXES["openpose"])
    (atomic.refuse_unwritable if is_folder else atomic.refuse_unwritable_file)(results)
