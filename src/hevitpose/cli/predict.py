"""`hevitpose predict`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hevitpose.cli.images import predict_images
from hevitpose.cli.keypoints import KeypointSet
from hevitpose.cli.predict_options import AnyFormat, ClipOptions, ImageOptions, Request, is_clip, parse_person
from hevitpose.cli.runtime_options import Device, Model, PrecisionOption, RuntimeOption, Threads
from hevitpose.core.choices import ColorBy, Smoothing
from hevitpose.core.errors import InputError
from hevitpose.inference.estimator import MIN_PERSON_SCORE, MIN_SCORE
from hevitpose.inference.lists import expand
from hevitpose.inference.network import DEFAULT
from hevitpose.inference.tracking import START_SCORE

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


def predict(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images, folders, glob patterns, @LIST (a file of paths), - (standard input) or clips.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the results, or the file for single-file formats.")] = Path(
        "out"
    ),
    draw: Annotated[bool, typer.Option("--draw", help="Draw skeletons: images as PNG, clips as MP4.")] = False,
    box: Annotated[
        list[str] | None,
        typer.Option(help="Predict in this box, in pixels; repeat for each person.", metavar="X,Y,W,H"),
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="Predict in the boxes of this file: COCO detections or labels.")
    ] = None,
    detector: Annotated[
        str,
        typer.Option(
            help="Detector: auto, person (bundled), search (in windows, for other keypoints), whole (one person per "
            "image) or an ONNX file."
        ),
    ] = "auto",
    tiles: Annotated[
        int, typer.Option(min=1, help="Detect in N x N tiles as well, to find small people.", metavar="N")
    ] = 1,
    max_people: Annotated[
        int | None, typer.Option(min=1, help="Keep only this many people per image, the best.")
    ] = None,
    person: Annotated[
        str | None, typer.Option(help="Keep only one person; in clips also by id.", metavar="largest|center|ID")
    ] = None,
    min_person_score: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help=f"Leave out people below this score (default: {MIN_PERSON_SCORE}, in clips {START_SCORE}).",
        ),
    ] = None,
    padding: Annotated[
        float | None, typer.Option(help="Enlarge boxes by this factor (default: as in training).")
    ] = None,
    format: Annotated[
        AnyFormat | None,
        typer.Option(
            help="Output format. Images: json, a file per image (default), or one file of coco (results), coco-labels "
            "(to correct) or csv. Clips: jsonl (default), csv, mot, coco, openpose or npz."
        ),
    ] = None,
    keypoints: Annotated[
        KeypointSet | None,
        typer.Option(help="Keypoints to write (default: all; with --format coco, coco17 if the model has them)."),
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Treat keypoints below this score as absent.")
    ] = MIN_SCORE,
    flip_test: Annotated[
        bool, typer.Option("--flip-test", help="Average with the mirrored crop: more accurate, half as fast.")
    ] = False,
    model: Model = DEFAULT,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = "float32",
    device: Device = "cpu",
    batch_size: Annotated[int, typer.Option(min=1, help="Crops per call, from several images if they fit.")] = 16,
    threads: Threads = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every keypoint.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Skip images that already have results.")] = False,
    shard: Annotated[
        str | None, typer.Option(help="Predict only this part of the images, to use several machines.", metavar="1/8")
    ] = None,
    start: Annotated[
        float | None, typer.Option("--start", help="Start at this time (clips).", metavar="SECONDS")
    ] = None,
    end: Annotated[
        float | None, typer.Option("--end", help="Stop at this time (clips, cameras).", metavar="SECONDS")
    ] = None,
    every: Annotated[
        float | None, typer.Option("--every", help="Predict one frame every SECONDS (clips).", metavar="SECONDS")
    ] = None,
    detect_every: Annotated[
        int | None,
        typer.Option(
            min=1, help="Run the detector in every N-th frame and track in between (default: clips 1, cameras 5)."
        ),
    ] = None,
    smooth: Annotated[
        Smoothing | None,
        typer.Option(help="Smooth clips: online by previous frames; offline by the whole clip, filling gaps."),
    ] = None,
    color_by: Annotated[
        ColorBy | None, typer.Option(help="Color drawings of clips by person (default) or by side.")
    ] = None,
    camera: Annotated[
        int | None,
        typer.Option(min=0, help="Read this camera and show a window; with --draw, write a file (q or Ctrl-C quits)."),
    ] = None,
    mirror: Annotated[
        bool | None,
        typer.Option("--mirror/--no-mirror", help="Mirror the camera drawing (default: in the window only)."),
    ] = None,
) -> None:
    """Predict the keypoints of people in images, clips or a camera.

    Unreadable images are skipped: exit status 1, or 3 inside a folder.
    A truncated clip gives the frames before the cut: exit status 3.
    """
    if box and boxes:
        raise InputError("--boxes", "cannot be used together with --box")
    if bool(paths) == (camera is not None):
        raise typer.BadParameter("name images, folders or clips, or a --camera", param_hint="PATHS")
    sources = [path for text in paths or [] for path in as_paths(text)]
    options: dict[str, object] = {
        "runtime": runtime,
        "precision": precision,
        "threads": threads,
        "device": device,
        "detector": detector,
        "tiles": tiles,
        "min_score": min_score,
        "max_people": max_people,
        "padding": padding,
        "flip_test": flip_test,
        "batch_size": batch_size,
    }
    if min_person_score is not None:
        options["min_person_score"] = min_person_score
    for_clips = ClipOptions(start, end, every, detect_every, smooth, parse_person(person), color_by, keypoints)
    for_images = ImageOptions(box, boxes, verbose, resume, shard)
    request = Request(output, draw, format, model, options, for_clips, for_images)
    if camera is not None:
        from hevitpose.cli.camera import predict_camera

        sys.exit(predict_camera(camera, mirror, request))
    if mirror is not None:
        raise InputError("--mirror", "is for cameras")
    if any(is_clip(path) for path in sources):
        from hevitpose.cli.video import predict_clips

        sys.exit(predict_clips(sources, request))
    sys.exit(predict_images(sources, request))


def as_paths(text: str) -> list[Path]:
    """A path of the command line, or those that fit a pattern. Raises InputError for what prediction does not read."""
    if "://" in text:
        raise InputError(text, "is an address: download it first")
    if text.isdecimal() and not Path(text).exists():
        raise InputError(text, f'no such file; a camera is --camera {text} (pip install "hevitpose[camera]")')
    return expand(text)
