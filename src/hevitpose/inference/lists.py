"""Many images: lists of any length, a share of the images, and runs that continue earlier ones."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob, has_magic
from itertools import islice
from pathlib import Path
from typing import Any

from hevitpose.core.errors import InputError
from hevitpose.inference.inputs import ImageInput, ImageInputs, Inputs, find_inputs
from hevitpose.io import atomic
from hevitpose.io.folders import is_clutter
from hevitpose.io.json_files import encoding_of, read_json

OPTIONS_FILE = ".predict-options"
"""What the results in a folder were made with, as JSON."""


class ImageList:
    """The images that a text file names, one path a line; empty lines do not count.

    The file is read anew for each iteration, so that memory does not depend on its length. Paths are all relative to
    the current folder or all absolute. A result is called like its image, with suffix: photos/a.jpg gives
    photos/a.jpg.json. Raises InputError, where needed with the number of the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.encoding = encoding_of(file.read(2))
        except OSError as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            raise InputError(path, reason) from error
        self.absolute: bool | None = None
        try:
            self.count = sum(1 for _ in self)
        except UnicodeDecodeError as error:
            raise InputError(path, f"cannot be read as text ({error.reason} at byte {error.start})") from error
        if not self.count:
            raise InputError(path, "names no image")

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[ImageInput]:
        index = 0
        errors = "strict" if self.encoding == "utf-16" else "surrogateescape"  # names may be no UTF-8
        with self.path.open(encoding=self.encoding, errors=errors) as file:
            for number, line in enumerate(file, start=1):
                if text := line.strip("\r\n"):
                    yield self._input(text, number, index)
                    index += 1

    def _input(self, text: str, number: int, index: int) -> ImageInput:
        path = Path(text)
        if self.absolute is None:
            self.absolute = path.is_absolute()
        if path.is_absolute() != self.absolute or ".." in path.parts or "\0" in text:
            reason = "paths must be all relative or all absolute, without .."
            raise InputError(self.path, f"line {number}: {reason}")
        return ImageInput(path, path.relative_to(path.anchor).as_posix(), True, index)


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 1, of `total`: every `total`-th image."""

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard of a text like 1/8. Raises InputError.

        >>> Shard.parse("2/8")
        Shard(number=2, total=8)
        """
        number, _, total = text.partition("/")
        if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
            raise InputError(f"`shard={text}`", "must be like 1/8, from 1/8 to 8/8")
        return cls(int(number), int(total))


@dataclass(frozen=True)
class Selection:
    """The inputs of a shard, without those that have all of their `results` already: suffixes in a folder.

    A result counts if it is not older than the folder's record of options (`record_options`). Inputs are counted once:
    the length does not change as results are written.
    """

    inputs: Inputs
    shard: Shard = Shard(1, 1)
    folder: Path | None = None
    results: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        if self.folder is None:
            return len(range(self.shard.number - 1, len(self.inputs), self.shard.total))
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[ImageInput]:
        since = (self.folder / OPTIONS_FILE).stat().st_mtime_ns if self.folder else 0
        for each in islice(self.inputs, self.shard.number - 1, None, self.shard.total):
            if self.folder is None or not self._is_done(self.folder, each.target, since):
                yield each

    def _is_done(self, folder: Path, target: str, since: int) -> bool:
        try:
            return all((folder / f"{target}{suffix}").stat().st_mtime_ns >= since for suffix in self.results)
        except OSError:
            return False


def record_options(folder: Path, options: Mapping[str, Any], resume: bool) -> None:
    """Record what the results in a folder are made with; equal options leave an older record as it is.

    Raises InputError where `resume` is wanted and the results there were made with other options, or none are known.
    """
    file = folder / OPTIONS_FILE
    known = read_json(file) if file.exists() else None
    if not isinstance(known, dict | None):
        raise InputError(file, "must hold a JSON object")
    wanted = json.loads(json.dumps(options))
    if known == wanted:
        return
    if resume and known is None and folder.is_dir() and any(folder.iterdir()):
        raise InputError(folder, "does not say with which options its results were made: start without `resume=True`")
    if resume and known is not None:
        name = next(name for name in {**known, **wanted} if known.get(name) != wanted.get(name))
        raise InputError(
            f"`{name}={wanted.get(name)}`", f"was {known.get(name)} in the run to resume: start without `resume=True`"
        )
    atomic.write(file, json.dumps(wanted, indent=1) + "\n")


def gather_inputs(paths: Sequence[Path], output: Path | None = None) -> ImageInputs:
    """The images that `find_inputs` finds, or those of a list, @FILE. Raises InputError."""
    lists = lists_of(paths)
    if not lists:
        return find_inputs(paths, output)
    if len(paths) > 1:
        raise InputError(f"@{lists[0]}", "a list stands alone")
    return ImageInputs(ImageList(lists[0]))


def lists_of(paths: Sequence[Path]) -> list[Path]:
    """The files of lists, @FILE."""
    return [Path(str(path)[1:]) for path in paths if str(path).startswith("@") and not path.exists()]


def expand(text: str) -> list[Path]:
    """The path, or the paths that fit where it is a pattern (photos/**/*.jpg). Raises InputError where none fits.

    >>> expand("photo.jpg")
    [PosixPath('photo.jpg')]
    """
    if not has_magic(text) or Path(text).exists():
        return [Path(text)]
    found = map(Path, sorted(glob(text, recursive=True)))  # noqa: PTH207 - patterns may be absolute
    named = Path(text).parts
    wanted = [path for path in found if not any(is_clutter(part) for part in path.parts if part not in named)]
    if not wanted:
        raise InputError(text, "no file fits")
    return wanted
