"""Finding files: in folders and the folders linked there, and under the other spellings of a name."""

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote

CLUTTER = frozenset({"__macosx", "@eadir", "#recycle", "$recycle.bin", "thumbs.db", "desktop.ini"})
"""What macOS, Windows and file servers put among the files of a user, in lower case."""


def is_clutter(name: str) -> bool:
    """Whether a file or folder is hidden (._photo.jpg, .ipynb_checkpoints) or made by the operating system.

    >>> is_clutter("._photo.jpg"), is_clutter("__MACOSX"), is_clutter("photo.jpg")
    (True, True, False)
    """
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in CLUTTER


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files with these suffixes (lower case) in a folder and all folders inside it, sorted; without clutter.

    Links to folders are followed, but no folder is entered twice on the way down.
    """
    return sorted(_walk(folder, suffixes, frozenset()))


def _walk(folder: Path, suffixes: Collection[str], above: frozenset[str]) -> Iterator[Path]:
    place = os.path.realpath(folder)
    if place in above:  # a link to a folder that it lies in
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # a folder that may not be read holds nothing for this user
        return
    for entry in entries:
        if is_clutter(entry.name):
            continue
        if _is_dir(entry):
            yield from _walk(folder / entry.name, suffixes, above | {place})
        elif Path(entry.name).suffix.lower() in suffixes:
            yield folder / entry.name


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to a place that may not be entered
        return False


def normalize_path(name: str) -> str:
    """The same text for all spellings of a file's name: slashes, percent-encoding, Unicode's two forms.

    >>> normalize_path("C:\\\\pics\\\\a%20b.jpg"), normalize_path("./a.jpg")
    ('C:/pics/a b.jpg', 'a.jpg')
    """
    return normalize("NFC", unquote(name.replace("\\", "/"))).removeprefix("./")


def find_file(folder: Path, name: str) -> str | None:
    """The spelling of `name` under which there is a file in `folder`; None where there is none."""
    slashes = name.replace("\\", "/")
    plain = unquote(slashes)
    for candidate in dict.fromkeys((name, slashes, plain, normalize("NFC", plain), normalize("NFD", plain))):
        if is_file(folder / candidate):
            return candidate
    return None


def is_file(path: Path) -> bool:
    """Whether there is a file, also for a name that no file can have."""
    return _is_one(path, Path.is_file)


def is_folder(path: Path) -> bool:
    """Whether there is a folder, also for a name that none can have."""
    return _is_one(path, Path.is_dir)


def _is_one(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # longer than a name can be, or with a null byte
        return False
