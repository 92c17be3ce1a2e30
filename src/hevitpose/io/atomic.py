"""Files that are either whole or not there."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from hevitpose.core.errors import InputError

PARTS = ".*.part"
"""Files that are being written (`part_of`)."""


def part_of(path: Path) -> Path:
    """Where this process writes what becomes `path`: beside it, under a short name, however long that of `path` is."""
    return path.with_name(f".{os.getpid()}-{hash(path.name) & 0xFFFFFFFF:08x}.part")


def write(path: Path, content: bytes | str) -> None:
    """Put `content` at `path` in one step: a reader, or a crash, sees the old file or the new one.

    Raises InputError where the system refuses.
    """
    # File names may be no UTF-8: Python then has surrogates for their bytes.
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    write_with(path, lambda temporary: temporary.write_bytes(data))


def write_with(path: Path, writer: Callable[[Path], object]) -> None:
    """Let `writer` make a temporary file beside `path`, flush it to the disk and move it to `path`.

    Raises InputError where the system refuses.
    """
    try:
        _refuse_folder(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = part_of(path)
        try:
            writer(temporary)
            with temporary.open("r+b") as handle:  # Windows flushes only what is open for writing.
                os.fsync(handle.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        if os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, moved there if the block ends without an error, else removed.

    `path` must be missing or an empty folder. Raises InputError where the system refuses.
    """
    temporary = part_of(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.is_dir():
            path.rmdir()
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise InputError where writing an output would replace one of the inputs that exist, also through links and
    other spellings."""
    identities = {_identity(source) for source in inputs} - {None}
    if not identities:  # outputs may be millions
        return
    for path in outputs:
        if _identity(path) in identities:
            raise InputError(path, "is one of the inputs: choose another output")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def refuse_unwritable_file(path: Path) -> None:
    """Raise InputError where no file can be written at `path`; leaves nothing behind."""
    try:
        _refuse_folder(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    refuse_unwritable(path.parent)


def refuse_unwritable(folder: Path) -> None:
    """Raise InputError where no file can be made in `folder`, or `folder` itself cannot; leaves nothing behind."""
    made: list[Path] = []
    try:
        made += [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        for one in made:
            with suppress(OSError):
                one.rmdir()


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise InputError(path, "is a folder, not a file to write")


def _unwritable(path: Path, error: OSError) -> InputError:
    # A folder to be made where a file lies: "File exists" would not say what is wrong.
    reason = "a file is where a folder is needed" if isinstance(error, FileExistsError) else error.strerror or error
    return InputError(path, f"cannot be written ({reason})")
