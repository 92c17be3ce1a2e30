"""`hevitpose predict`."""

import json
import os
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.console import Console

from hevitpose.cli.progress import say, track
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import xyxy_from_xywh
from hevitpose.core.results import Detections, ImagePoses
from hevitpose.core.skeleton import NOT_FLIPPED
from hevitpose.data.coco import FARTHEST_PIXEL
from hevitpose.data.detections import NOBODY, meets_image, read_detections
from hevitpose.inference.estimator import MIN_SCORE, Frame, PoseEstimator
from hevitpose.inference.inputs import ImageInput, ImageList, find_inputs, image_ids, refuse_overwriting
from hevitpose.inference.network import DEFAULT, Runtime
from hevitpose.inference.writers import pose_as_json, poses_as_coco, poses_as_csv
from hevitpose.io import atomic, images

EXAMPLES = """
Examples:\n
  hevitpose predict photo.jpg --draw\n
  hevitpose predict photos/ --draw --output out\n
  hevitpose predict photo.jpg --box 120,40,180,400 --box 310,60,170,390\n
  hevitpose predict photos/ --boxes detections.json --format coco --output results.json\n
  hevitpose predict photos/ --format csv --output results.csv
"""
SOME_SKIPPED = 3
FEW = 2
"""For so many images the network's graph is not optimised first, which takes longer than they do."""
SUFFIX = {"coco": "json", "csv": "csv"}


def predict(
    paths: Annotated[list[Path], typer.Argument(help="Images, and folders of images.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Folder for the results; a file with --format coco, csv.")] = Path("out"),
    draw: Annotated[bool, typer.Option("--draw", help="Also write each image with its skeletons, as PNG.")] = False,
    box: Annotated[
        list[str] | None, typer.Option(help="x,y,w,h of a person, in pixels; again for each person.", metavar="X,Y,W,H")
    ] = None,
    boxes: Annotated[Path | None, typer.Option(help="People's boxes, as COCO detections (JSON).")] = None,
    padding: Annotated[float | None, typer.Option(help="Grows every box; as in training (1.25) by default.")] = None,
    format: Annotated[
        Literal["json", "coco", "csv"], typer.Option(help="json: one file an image. coco, csv: one file in all.")
    ] = "json",
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Keypoints that score less are absent.")] = MIN_SCORE,
    flip_test: Annotated[
        bool, typer.Option("--flip-test", help="See each person mirrored too: better, slower.")
    ] = False,
    model: Annotated[
        str, typer.Option(help="Weights that ship (for torch: hevitpose_t_people16), or a file.")
    ] = DEFAULT,
    runtime: Annotated[Runtime | None, typer.Option(help="ONNX Runtime unless the file says otherwise.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images in memory, and people at a time.")] = 8,
    threads: Annotated[int | None, typer.Option(min=1, help="All processor cores by default, and at most.")] = None,
) -> None:
    """Find the keypoints of people in images.

    Without boxes an image is taken to show one person: the whole image is looked at first, then the part round the
    joints found. Several people need a box each (--box, --boxes).

    An image that cannot be read is left out, and the exit status is then 1, or 3 where it lies in a folder.
    """
    if box and boxes:
        raise InputError("--boxes", "cannot be used together with --box")
    if padding is not None and not 0.1 <= padding <= 10:
        raise InputError(f"--padding {padding}", "must lie between 0.1 and 10")
    folder = output if format == "json" else output.parent
    if format != "json" and (output.suffix != f".{SUFFIX[format]}" or output.is_dir()):
        raise InputError(output, f"--format {format} writes one file: --output FILE.{SUFFIX[format]}")
    found = find_inputs(paths, folder if draw or format == "json" else None)
    jobs = found.jobs
    if draw or format == "json":
        refuse_overwriting(paths, jobs, folder, draw)
    given, ids = _boxes_of(jobs, box, boxes)
    atomic.refuse_unwritable(folder)
    estimator = PoseEstimator.from_pretrained(
        model,
        runtime=runtime,
        threads=threads and min(threads, os.cpu_count() or 1),
        min_score=min_score,
        padding=padding,
        flip_test=flip_test,
        batch_size=batch_size,
        quick_start=len(jobs) <= FEW,
    )
    if flip_test and not estimator.network.config.skeleton.flips:
        print(f"note: {NOT_FLIPPED}", file=sys.stderr)
    failed: list[ImageInput] = []
    reading: deque[tuple[int, images.Image]] = deque()
    done: list[ImagePoses] = []
    done_ids: list[int] = []
    for nameless in estimator.stream(_read(jobs, given, box, reading, failed)):
        number, image = reading.popleft()
        pose = replace(nameless, file=str(jobs[number].path))
        done.append(pose)
        done_ids.append(ids[number])
        if draw:
            write_drawing(folder / f"{jobs[number].target}.png", image, pose)
        if format == "json":
            text = json.dumps(pose_as_json(pose, estimator.network.name), indent=1)
            atomic.write(folder / f"{jobs[number].target}.json", text + "\n")
    if done and format == "coco":
        atomic.write(output, json.dumps(poses_as_coco(done, done_ids)) + "\n")
    if done and format == "csv":
        atomic.write(output, poses_as_csv(done))
    report(done, output)
    report_left_out(found, failed, folder)
    if any(not job.in_folder for job in failed):
        sys.exit(1)
    if failed or found.heic:
        sys.exit(SOME_SKIPPED)


def _boxes_of(
    jobs: list[ImageInput], box: list[str] | None, boxes: Path | None
) -> tuple[list[Detections | None], list[int]]:
    """The boxes of each image, None where it is to be taken whole, and its image id."""
    paths = [job.path for job in jobs]
    if boxes is None:
        given = _typed_boxes(box) if box else None
        return [given] * len(jobs), image_ids(paths, [None] * len(jobs))
    file = read_detections(boxes)
    keys = file.match(paths)
    missing = keys.count(None)
    if file.of and missing == len(keys):
        raise InputError(boxes, f"has no box for {paths[0] if len(paths) == 1 else 'any of these images'}")
    if missing:
        print(f"note: {missing} of {len(keys)} images have no box in {boxes}", file=sys.stderr)
    if file.empty:
        print(f"note: {file.empty} boxes without width or height in {boxes} were left out", file=sys.stderr)
    known = [file.image_id(key) for key in keys]
    return [NOBODY if key is None else file.of[key] for key in keys], image_ids(paths, known)


def _typed_boxes(box: list[str]) -> Detections:
    xyxy = []
    for text in box:
        try:
            values = np.array([float(v) for v in text.split(",")])
        except ValueError:
            values = np.zeros(0)
        if len(values) != 4 or not (abs(values) < FARTHEST_PIXEL).all() or not (values[2:] > 0).all():
            raise InputError(f"--box {text}", f"must be x,y,w,h in pixels below {FARTHEST_PIXEL:.0f}, w and h above 0")
        xyxy.append(xyxy_from_xywh(values))
    return Detections(np.array(xyxy), np.ones(len(xyxy)))


def _read(
    jobs: list[ImageInput],
    given: list[Detections | None],
    box: list[str] | None,
    reading: deque[tuple[int, images.Image]],
    failed: list[ImageInput],
) -> Iterator[Frame]:
    """The images, each also appended to `reading` with its place; those that cannot be used go to `failed`."""
    console = Console(stderr=True)
    for number, job in enumerate(track(jobs, "images", console)):
        try:
            image = images.read(job.path)
            people = _on_image(job, given[number], image, box, console)
        except InputError as error:
            say(console, f"{'warning: skipped ' if job.in_folder else 'error: '}{error}")
            failed.append(job)
            continue
        reading.append((number, image))
        yield Frame(image, people)


def _on_image(
    job: ImageInput, people: Detections | None, image: images.Image, box: list[str] | None, console: Console
) -> Detections | None:
    """The people whose boxes meet the image; a file's others are told of, one of `box` raises InputError."""
    if people is None:
        return None
    height, width = image.shape[:2]
    meets = meets_image(people.xyxy, (height, width))
    if meets.all():
        return people
    if box:
        raise InputError(job.path, f"--box {box[meets.argmin()]} lies outside of its {width} x {height} pixels")
    count = (~meets).sum()
    say(console, f"warning: {job.path}: skipped boxes outside of its {width} x {height} pixels: {count}")
    return Detections(people.xyxy[meets], people.scores[meets])


def write_drawing(path: Path, image: images.Image, pose: ImagePoses) -> None:
    """The image with its skeletons, as PNG."""
    from hevitpose.view.draw import draw

    images.write_png(path, draw(image, pose))


def report(done: list[ImagePoses], output: Path) -> None:
    """One image: its joints. Several: how many people in each. Then where the results are."""
    if len(done) == 1:
        (pose,) = done
        for number, person in enumerate(pose.people, start=1):
            print(f"{pose.file}: person {number}, score {person.score:.2f}")
            for name, (x, y), score in zip(pose.skeleton.keypoints, person.keypoints, person.scores, strict=True):
                place = f"{x:8.1f} {y:8.1f}" if np.isfinite(x) else f"{'absent':>17}"
                print(f"  {name:16} {place}   {score:.2f}")
    for pose in done:
        if len(done) > 1 or not pose.people:
            print(f"{pose.file}: {len(pose.people)} {'person' if len(pose.people) == 1 else 'people'}")
    if done:
        print(f"results: {output}")


def report_left_out(found: ImageList, failed: list[ImageInput], folder: Path) -> None:
    """How many images of the folders have no result, on standard error."""
    if skipped := sum(job.in_folder for job in failed):
        total = sum(job.in_folder for job in found.jobs)
        print(f"{skipped} of {total} images in folders were skipped", file=sys.stderr)
    if found.heic:
        print(f"{found.heic} images in HEIC were left out: convert them to JPEG", file=sys.stderr)
    if found.results:
        print(f"note: {found.results} images in {folder}, the folder of the results, were left out", file=sys.stderr)
