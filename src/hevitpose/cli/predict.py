"""`hevitpose predict`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hevitpose.cli.images import predict_images
from hevitpose.cli.keypoints import KeypointSet
from hevitpose.cli.predict_options import (
    AnyFormat,
    CameraOption,
    ClipOptions,
    ColorByOption,
    DetectEvery,
    End,
    Every,
    ImageOptions,
    Mirror,
    Smooth,
    Start,
    is_clip,
    parse_person,
)
from hevitpose.cli.runtime_options import Device, Model, RuntimeOption, Threads
from hevitpose.core.errors import InputError
from hevitpose.inference.estimator import MIN_PERSON_SCORE, MIN_SCORE
from hevitpose.inference.lists import expand
from hevitpose.inference.network import DEFAULT

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
    model: Model = DEFAULT,
    runtime: RuntimeOption = None,
    device: Device = "cpu",
    batch_size: Annotated[int, typer.Option(min=1, help="Crops per call, of several images if they fit.")] = 16,
    threads: Threads = None,
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
    if bool(paths) == (camera is not None):
        raise typer.BadParameter("name images, folders or clips, or a --camera", param_hint="PATHS")
    sources = [path for text in paths or [] for path in as_paths(text)]
    options: dict[str, object] = {
        "runtime": runtime,
        "threads": threads,
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
    for_clips = ClipOptions(start, end, every, detect_every, smooth, parse_person(person), color_by, keypoints)
    for_images = ImageOptions(box, boxes, verbose, resume, shard)
    if camera is not None:
        from hevitpose.cli.camera import predict_camera

        sys.exit(predict_camera(camera, output, draw, mirror, format, model, options, for_clips, for_images))
    if mirror is not None:
        raise InputError("--mirror", "is for cameras")
    if any(is_clip(path) for path in sources):
        from hevitpose.cli.video import predict_clips

        sys.exit(predict_clips(sources, output, draw, format, model, options, for_clips, for_images))
    sys.exit(predict_images(sources, output, draw, format, model, options, for_clips, for_images))


def as_paths(text: str) -> list[Path]:
    """A path of the command line, or those that fit a pattern. Raises InputError for what prediction does not read."""
    if not text:
        raise InputError("PATHS", "one of them is empty")
    if "://" in text:
        raise InputError(text, "is an address: download it first")
    if text.isdecimal() and not Path(text).exists():
        raise InputError(text, f"no such file; a camera is --camera {text}")
    return expand(text)
