"""`hevitpose predict`."""

import json
import sys
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from hevitpose.cli.progress import track
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import xyxy_from_xywh
from hevitpose.core.person import Detections, Pose
from hevitpose.core.skeleton import NOT_FLIPPED
from hevitpose.files import atomic, pictures
from hevitpose.files.detections import DetectionFile, keys_of, read_detections
from hevitpose.files.results import pose_as_json, poses_as_coco
from hevitpose.inference.estimator import MIN_SCORE, Item, PoseEstimator
from hevitpose.inference.network import DEFAULT, Runtime

EXAMPLES = """
Examples:\n
  hevitpose predict photo.jpg --draw\n
  hevitpose predict photos/ --draw --output out\n
  hevitpose predict photo.jpg --box 120,40,180,400 --box 310,60,170,390\n
  hevitpose predict photos/ --boxes detections.json --format coco --output results.json
"""
SOME_SKIPPED = 3


@dataclass(frozen=True)
class Job:
    """A picture to read, and the name of its results below the output folder, without suffix."""

    path: Path
    target: str
    in_folder: bool


def predict(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Folder for the results; a file with --format coco.")] = Path("out"),
    draw: Annotated[bool, typer.Option("--draw", help="Also write each picture with its skeletons, as PNG.")] = False,
    box: Annotated[
        list[str] | None, typer.Option(help="x,y,w,h of a person, in pixels; again for each person.", metavar="X,Y,W,H")
    ] = None,
    boxes: Annotated[Path | None, typer.Option(help="People's boxes, as COCO detections (JSON).")] = None,
    padding: Annotated[float | None, typer.Option(help="Grows every box; as in training (1.25) by default.")] = None,
    format: Annotated[
        Literal["json", "coco"], typer.Option(help="json: one file a picture. coco: COCO results, one file.")
    ] = "json",
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Keypoints that score less are absent.")] = MIN_SCORE,
    flip_test: Annotated[
        bool, typer.Option("--flip-test", help="See each person mirrored too: better, slower.")
    ] = False,
    model: Annotated[str, typer.Option(help="Weights that ship, or a file (.onnx, .safetensors).")] = DEFAULT,
    runtime: Annotated[Runtime | None, typer.Option(help="ONNX Runtime unless the file says otherwise.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures in memory, and people at a time.")] = 8,
    threads: Annotated[int | None, typer.Option(min=1, help="All processor cores by default.")] = None,
) -> None:
    """Find the keypoints of people in pictures.

    Without boxes a picture is taken to show one person: the whole picture is looked at first, then the part round the
    joints found. Several people need a box each (--box, --boxes).

    A picture in a folder that cannot be read is skipped, and the exit status is then 3.
    """
    if box and boxes:
        raise InputError("--boxes", "cannot be used together with --box")
    if padding is not None and not 0.1 <= padding <= 10:
        raise InputError(f"--padding {padding}", "must lie between 0.1 and 10")
    if format == "coco" and output.suffix != ".json":
        raise InputError(output, "--format coco writes one file: --output FILE.json")
    jobs = find_pictures(paths)
    refuse_overwriting(jobs, output, draw)
    detections = _given_boxes(box, boxes)
    estimator = PoseEstimator.from_pretrained(
        model,
        runtime=runtime,
        threads=threads,
        min_score=min_score,
        padding=padding,
        flip_test=flip_test,
        batch_size=batch_size,
    )
    if flip_test and not estimator.network.facts.skeleton.flips:
        print(f"note: {NOT_FLIPPED}", file=sys.stderr)
    failed: list[Job] = []
    reading: deque[tuple[Job, pictures.Picture]] = deque()

    def items() -> Iterator[Item]:
        for job in track(jobs, "pictures"):
            try:
                picture = pictures.read(job.path)
            except InputError as error:
                print(f"{'warning: skipped ' if job.in_folder else 'error: '}{error}", file=sys.stderr)
                failed.append(job)
                continue
            reading.append((job, picture))
            given = detections.find(job.path) if isinstance(detections, DetectionFile) else detections
            yield Item(picture, given)

    done: list[tuple[Job, Pose]] = []
    for found in estimator.stream(items()):
        job, picture = reading.popleft()
        pose = replace(found, file=str(job.path))
        done.append((job, pose))
        if draw:
            write_drawing((output.parent if format == "coco" else output) / f"{job.target}.png", picture, pose)
        if format == "json":
            text = json.dumps(pose_as_json(pose, estimator.network.name), indent=1)
            atomic.write(output / f"{job.target}.json", text + "\n")
    if format == "coco":
        ids = image_ids([job.path for job, _ in done])
        atomic.write(output, json.dumps(poses_as_coco([pose for _, pose in done], ids)) + "\n")
    report(done, len(failed), output)
    if any(not job.in_folder for job in failed):
        sys.exit(1)
    if failed:
        sys.exit(SOME_SKIPPED)


def find_pictures(paths: list[Path]) -> list[Job]:
    """The pictures named, and those below the folders named, each with a result name of its own.

    Raises InputError where a path does not exist or a folder holds no picture.
    """
    found: list[tuple[Path, Path, bool]] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in pictures.SUFFIXES and p.is_file())
            if not inside:
                raise InputError(path, "no picture in this folder")
            found += [(p, p.relative_to(path), True) for p in inside]
        elif path.exists():
            found.append((path, Path(path.name), False))
        else:
            raise InputError(path, "no such file or folder")
    # photo.jpg gives photo.json, but beside a photo.png it gives photo.jpg.json.
    stems = Counter(str(name.with_suffix("")).lower() for _, name, _ in found)
    jobs = [
        Job(
            path,
            name.as_posix() if stems[str(name.with_suffix("")).lower()] > 1 else name.with_suffix("").as_posix(),
            inside,
        )
        for path, name, inside in found
    ]
    for target, count in Counter(job.target.lower() for job in jobs).items():
        if count > 1:
            raise InputError(
                target, "several pictures have this name, and their results would too: name them one by one"
            )
    return jobs


def refuse_overwriting(jobs: list[Job], output: Path, draw: bool) -> None:
    """Raise InputError where a drawing would replace one of the pictures."""
    sources = {job.path.resolve() for job in jobs}
    folder = output.parent if output.suffix == ".json" else output
    for job in jobs:
        if draw and (folder / f"{job.target}.png").resolve() in sources:
            raise InputError(folder / f"{job.target}.png", "is one of the pictures: choose another --output")


def _given_boxes(box: list[str] | None, boxes: Path | None) -> Detections | DetectionFile | None:
    if boxes:
        return read_detections(boxes)
    if not box:
        return None
    xyxy = []
    for text in box:
        try:
            values = [float(v) for v in text.split(",")]
        except ValueError:
            values = []
        if len(values) != 4 or not np.isfinite(values).all() or values[2] <= 0 or values[3] <= 0:
            raise InputError(f"--box {text}", "must be x,y,w,h in pixels with w and h above 0")
        xyxy.append(xyxy_from_xywh(values))
    return Detections(np.array(xyxy), np.ones(len(xyxy)))


def image_ids(paths: list[Path]) -> list[int]:
    """COCO's image id of each picture: the number that its name ends with, or its place where these are not unique."""
    numbers = [keys_of(path)[-1] for path in paths]
    if all(isinstance(n, int) for n in numbers) and len(set(numbers)) == len(numbers):
        return [int(n) for n in numbers]
    return list(range(1, len(paths) + 1))


def write_drawing(path: Path, picture: pictures.Picture, pose: Pose) -> None:
    """The picture with its skeletons, as PNG."""
    from hevitpose.view.draw import draw

    pictures.write_png(path, draw(picture, pose))


def report(done: list[tuple[Job, Pose]], failed: int, output: Path) -> None:
    """One picture: its joints. Several: how many people in each. Then where the results are."""
    if len(done) == 1:
        _, pose = done[0]
        for number, person in enumerate(pose.people, start=1):
            print(f"{pose.file}: person {number}, score {person.score:.2f}")
            for name, (x, y), score in zip(pose.skeleton.keypoints, person.keypoints, person.scores, strict=True):
                place = f"{x:8.1f} {y:8.1f}" if np.isfinite(x) else f"{'absent':>17}"
                print(f"  {name:16} {place}   {score:.2f}")
    for _, pose in done:
        if len(done) > 1 or not pose.people:
            print(f"{pose.file}: {len(pose.people)} {'person' if len(pose.people) == 1 else 'people'}")
    if failed:
        print(f"{failed} of {len(done) + failed} pictures could not be read", file=sys.stderr)
    if done:
        print(f"results: {output}")
