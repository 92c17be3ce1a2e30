"""Millions of images: a list in parts, a Parquet file per part, on this machine or on many with Ray Data.

Needs the extra `ray`. A part is written whole or not at all, and parts that exist are left alone, so that a run that
was ended in any way is continued by starting it again.

Columns of the files, one row per image in the order of the list:

- `image_id` (int64): the number of the image in the list, from 1
- `file` (string): as in the list
- `width`, `height` (int32): pixels of the upright image, null where it could not be read
- `error` (string): why it could not be read, else null
- `people` (list): the best first; each with `score` (float), `box` (x, y, width, height from the image's corner) and
  `keypoints` (x, y, score of each; x and y are null where it is absent)

The names of the keypoints and of the model are in the files' metadata, `hevitpose` (JSON).
"""

import json
import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.core.results import ImagePoses
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.inputs import ImageInput, Skipped, read_frames
from hevitpose.inference.lists import record_options
from hevitpose.inference.network import DEFAULT, weights_id
from hevitpose.io import atomic

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

PART_SIZE = 1000
"""Images per file: a minute or two of a processor core's work, which is what an interruption may cost."""
MAX_BLOCKS = 10_000
"""Ray Data's pieces of work; each holds several parts where there are more."""


@dataclass(frozen=True)
class Part:
    """Part `number`, from 0: `size` images of a list from byte `offset`, the first of them the `first`, from 0."""

    number: int
    offset: int
    size: int
    first: int

    def file(self, folder: Path) -> Path:
        """Where its results lie."""
        return folder / f"part-{self.number:06}.parquet"


@dataclass(frozen=True)
class Written:
    """What became of a part: its rows, how many of them could not be read, and the process that wrote it."""

    number: int
    images: int
    unreadable: int
    process: int


def parts_of(images: Path, part_size: int = PART_SIZE) -> list[Part]:
    """The parts of a list in UTF-8 with one path a line; empty lines do not count. Raises InputError."""
    if part_size < 1:
        raise InputError(f"`part_size={part_size}`", "must be 1 or more")
    parts: list[Part] = []
    offset = start = count = size = 0
    try:
        with images.open("rb") as file:
            for line in file:
                offset += len(line)
                if not line.strip(b"\r\n"):
                    continue
                count, size = count + 1, size + 1
                if size == part_size:
                    parts.append(Part(len(parts), start, size, count - size))
                    start, size = offset, 0
    except OSError as error:
        raise InputError(images, f"cannot be read ({error.strerror})") from error
    if size:
        parts.append(Part(len(parts), start, size, count - size))
    if not parts:
        raise InputError(images, "names no image")
    return parts


def inputs_of(images: Path, part: Part) -> list[ImageInput]:
    """The images of a part; `index` counts over the whole list. Relative paths are relative to the list's folder."""
    with images.open("rb") as file:
        file.seek(part.offset)
        names = (os.fsdecode(text.removeprefix(BOM_UTF8)) for line in file if (text := line.strip(b"\r\n")))
        return [
            ImageInput(images.parent / name, name, True, part.first + position)
            for position, name in enumerate(islice(names, part.size))
        ]


def write_part(images: Path, part: Part, folder: Path, estimator: PoseEstimator) -> Written:
    """Predict a part and write its file, unless it is there already. Raises InputError where it cannot be written."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    target = part.file(folder)
    if target.exists():
        return Written(part.number, part.size, 0, os.getpid())
    inputs, skipped = inputs_of(images, part), Skipped()
    found = {frame.index: poses for frame, poses in estimator.stream(read_frames(inputs, None, False, skipped))}
    errors = {each.index: reason for each, reason in skipped.inputs}
    config = estimator.network.config
    about = {"model": estimator.network.name, "keypoints": config.skeleton.keypoints}
    table = pa.Table.from_pylist(
        [_row(each, found.get(each.index), errors.get(each.index)) for each in inputs],
        schema=_schema().with_metadata({"hevitpose": json.dumps(about)}),
    )
    atomic.write_with(target, lambda temporary: write_table(table, temporary))
    return Written(part.number, part.size, len(errors), os.getpid())


def predict_list(
    images: Path,
    folder: Path,
    *,
    model: str = DEFAULT,
    part_size: int = PART_SIZE,
    actors: int | None = None,
    cpus_per_actor: int = 1,
    **options: Any,
) -> Iterator[Written]:
    """Predict all images of a list into a folder: an iterator, which gives each part once it is written.

    Args:
        images: The list, in UTF-8, one path a line, relative to its folder. All machines must see it, the images and
            the folder under the same paths.
        folder: Where the parts are written; those that exist are left out.
        model: Bundled weights or a file.
        part_size: Images per file.
        actors: Estimators that Ray runs, each in its process; None predicts here, without Ray.
        cpus_per_actor: Threads of each.
        options: Of `PoseEstimator`.

    Raises InputError, also where the folder holds parts of another list or made with other options: at once; while
    iterated, where a part cannot be written.
    """
    for name, value in (("actors", actors), ("cpus_per_actor", cpus_per_actor)):
        if value is not None and value < 1:
            raise InputError(f"`{name}={value}`", "must be 1 or more")
    _need(actors is not None)
    images, folder = images.resolve(), folder.resolve()
    parts = parts_of(images, part_size)
    with images.open("rb") as file:
        made_from = file_digest(file, "sha256").hexdigest()
    made_with: dict[str, Any] = {"list": made_from, "model": weights_id(model), "part_size": part_size}
    made_with |= {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    # Without parts, the record is of a start that failed.
    record_options(folder, made_with, resume=any(folder.glob("part-*.parquet")))
    for left in folder.glob(atomic.PARTS):  # of processes that were killed
        left.unlink(missing_ok=True)
    missing = [part for part in parts if not part.file(folder).exists()]
    setup = (images, folder, model, cpus_per_actor, options)
    if actors is None:
        writer = _PartWriter(*setup) if missing else None
        written = (writer.write(part) for part in missing) if writer else iter(())
    else:
        written = _with_ray(missing, setup, actors, cpus_per_actor)
    return _all_of(parts, written, folder)


def _all_of(parts: Sequence[Part], written: Iterator[Written], folder: Path) -> Iterator[Written]:
    """What is written. Raises InputError at the end where a part is missing."""
    yield from written
    if lost := [part.number for part in parts if not part.file(folder).exists()]:
        raise InputError(folder, f"{len(lost)} parts were not written, the first of them {lost[0]}: start again")


class _PartWriter:
    """An estimator that writes parts: an actor of Ray Data."""

    def __init__(self, images: Path, folder: Path, model: str, threads: int, options: Mapping[str, Any]) -> None:
        self.images, self.folder = images, folder
        self.estimator = PoseEstimator.from_pretrained(model, threads=threads, **options)

    def write(self, part: Part) -> Written:
        return write_part(self.images, part, self.folder, self.estimator)

    def __call__(self, batch: "Mapping[str, NDArray[np.int64]]") -> dict[str, list[int]]:
        """The parts of a batch, in columns; what was written, in columns."""
        rows = zip(*(batch[name].tolist() for name in ("number", "offset", "size", "first")), strict=True)
        written = [asdict(self.write(Part(*row))) for row in rows]
        return {name: [each[name] for each in written] for name in written[0]}


def _with_ray(parts: list[Part], setup: tuple[object, ...], actors: int, cpus: int) -> Iterator[Written]:
    import ray.data

    if not parts:
        return
    ray.data.DataContext.get_current().enable_progress_bars = False
    work = ray.data.from_items([asdict(part) for part in parts], override_num_blocks=min(len(parts), MAX_BLOCKS))
    pool = ray.data.ActorPoolStrategy(size=actors)
    # An actor that dies is started again, and its part with it.
    done = work.map_batches(_PartWriter, batch_size=1, compute=pool, num_cpus=cpus, fn_constructor_args=setup)
    for row in done.iter_rows():
        yield Written(**{name: int(value) for name, value in row.items()})


def _row(source: ImageInput, poses: ImagePoses | None, error: str | None) -> dict[str, object]:
    found = None if poses is None else poses.to_json()
    return {
        "image_id": source.index + 1,
        "file": source.target.encode(errors="backslashreplace").decode(),
        "width": found and found["width"],
        "height": found and found["height"],
        "error": error and error.encode(errors="backslashreplace").decode(),
        "people": [person | {"keypoints": list(person["keypoints"].values())} for person in found["people"]]
        if found
        else [],
    }


def _schema() -> "pa.Schema":
    import pyarrow as pa

    number = pa.float32()
    keypoint = pa.struct([("x", number), ("y", number), ("score", number)])
    person = pa.struct([("score", number), ("box", pa.list_(number)), ("keypoints", pa.list_(keypoint))])
    integers = [("image_id", pa.int64()), ("file", pa.string()), ("width", pa.int32()), ("height", pa.int32())]
    return pa.schema([*integers, ("error", pa.string()), ("people", pa.list_(person))])


def _need(ray_too: bool) -> None:
    try:
        import pyarrow.parquet  # noqa: F401

        if ray_too:
            import ray.data  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("ray", "hevitpose.cluster") from error
