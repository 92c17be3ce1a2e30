"""Text files, and JSON in them."""

import json
from pathlib import Path
from typing import Any

from hevitpose.core.errors import InputError


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
