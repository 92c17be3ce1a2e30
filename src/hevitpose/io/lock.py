"""A folder that one process works in at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hevitpose.core.errors import InputError
from hevitpose.io import atomic

LOCK = ".lock"


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep other processes from `hold_folder` of the same folder; made if it is missing, and removed if left empty.

    The system frees the folder of a process that dies, also by kill -9; its unfinished files are removed. Raises
    InputError where another process holds it.
    """
    there = folder.exists()
    atomic.refuse_unwritable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        # The file may have been removed, by a process that ended, between opening and locking.
        if not _is_locked(handle) or not _is_same(handle, path):
            raise InputError(folder, "another run uses it at this moment: wait for its end, or choose another folder")
        for part in folder.glob(atomic.PARTS):  # of a process that died
            part.unlink(missing_ok=True)
        try:
            yield
        finally:
            with suppress(OSError):  # Windows does not remove what is open
                path.unlink()
    finally:
        os.close(handle)
        if not there:
            with suppress(OSError):
                folder.rmdir()


def _is_locked(handle: int) -> bool:
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True


def _is_same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
