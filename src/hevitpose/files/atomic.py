"""Files that are either whole or not there."""

import os
from collections.abc import Callable
from pathlib import Path


def write(path: Path, content: bytes | str) -> None:
    """Put `content` at `path` in one step: a reader, or a crash, sees the old file or the new one."""
    data = content.encode() if isinstance(content, str) else content
    write_with(path, lambda temporary: temporary.write_bytes(data))


def write_with(path: Path, writer: Callable[[Path], object]) -> None:
    """Let `writer` make a temporary file beside `path`, flush it to the disk and move it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
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
