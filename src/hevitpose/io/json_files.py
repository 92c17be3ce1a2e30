"""Text files, and JSON, TOML, YAML and CSV in them. A byte order mark at their beginning is passed over."""

import csv
import json
import tomllib
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from hevitpose.core.errors import InputError, MissingExtraError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""How PowerShell begins the files that it writes."""


def encoding_of(content: bytes) -> str:
    """The encoding of a text that begins like this: UTF-16 if it has its mark, else UTF-8."""
    return "utf-16" if content.startswith(_UTF16) else "utf-8-sig"


def read_text(path: Path) -> str:
    """The content of a text file in UTF-8, or in UTF-16 with its mark.

    Raises InputError where it is missing or unreadable.
    """
    try:
        content = path.read_bytes()
        return content.decode(encoding_of(content))
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except IsADirectoryError as error:
        raise InputError(path, "is a folder, not a file") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"cannot be read as text ({error.reason} at byte {error.start})") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise InputError(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from error


def text_or_nothing(path: Path) -> str:
    """The same, "" where `read_text` raises."""
    try:
        return read_text(path)
    except InputError:
        return ""


def first_character(path: Path) -> str:
    """The first character of a text file that is no space or byte order mark; "" where there is none, or no file."""
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except OSError:
        return ""
    return start.decode(encoding_of(start), errors="ignore").lstrip()[:1]


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises InputError."""
    return _parsed(path, "JSON", json.loads)


def read_toml(path: Path) -> dict[str, object]:
    """The table in a TOML file. Raises InputError."""
    return dict(_parsed(path, "TOML", tomllib.loads))


def _parsed(path: Path, format: str, parse: Callable[[str], Any]) -> Any:
    text = read_text(path)
    try:
        return parse(text)
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"not valid {format} ({error})") from error


def read_yaml(path: Path) -> dict[str, object]:
    """The table in a YAML file, of plain values only. Raises InputError, and MissingExtraError without PyYAML."""
    text = read_text(path)
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("train", f"{path}: a YAML file") from error
    try:
        content = yaml.safe_load(text)
    except Exception as error:  # values that are not what their tag says raise nearly every type
        raise InputError(path, f"not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise InputError(path, "not a table of names and values")
    return content


def read_csv(path: Path) -> list[list[str]]:
    """The rows of a CSV file. Raises InputError."""
    text = read_text(path)
    try:
        return list(csv.reader(StringIO(text, newline="")))
    except csv.Error as error:
        raise InputError(path, f"not valid CSV ({error})") from error
