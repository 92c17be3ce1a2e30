"""What the paper prints."""

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def read_paper() -> dict[str, Any]:
    """paper.json: every number of the paper's tables (None if illegible) and notes on misprints."""
    return dict(json.loads((resources.files("hevitpose") / "paper" / "paper.json").read_text(encoding="utf-8")))
