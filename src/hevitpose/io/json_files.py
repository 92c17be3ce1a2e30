"""Text files, and JSON in them."""

import json
from pathlib import Path
from typing import Any

from hevitpose.core.errors import InputError, MissingExtraError


def read_text(path: Path) -> str:
    """The content of a text file in UTF-8. Raises InputError where it is missing or not that."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises InputError where it is missing or not JSON."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"not valid JSON ({error})") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """The table in a YAML file, of plain values only. Raises InputError."""
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("train", f"{path}: a YAML file") from error
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except Exception as error:  # values that are not what their tag says raise nearly every type
        raise InputError(path, f"cannot be read as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise InputError(path, "not a table of names and values")
    return content
