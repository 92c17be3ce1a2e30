"""`hevitpose replay`."""

from pathlib import Path
from typing import Annotated

import typer

from hevitpose.cli.common import need

EXAMPLES = """
Examples:\n
  hevitpose replay runs/mine/failed_step.safetensors
"""


def replay(
    file: Annotated[Path, typer.Argument(help="failed_step.safetensors of a run.", show_default=False)],
) -> None:
    """Run a step of training again that ended in numbers which are not finite, and say where they began."""
    need("train")
    from hevitpose.training import debug_step as steps

    print(*steps.replay(file), sep="\n")
