"""What the paper prints."""

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def read_paper() -> dict[str, Any]:
    """paper.json: every figure of the paper's tables, None where it is not legible, and what is odd in print."""
    content: dict[str, Any] = json.loads(
        (resources.files("hevitpose") / "paper" / "paper.json").read_text(encoding="utf-8")
    )
    return content
