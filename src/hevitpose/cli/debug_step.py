"""`hevitpose debug-step`."""

from pathlib import Path
from typing import Annotated

import typer

from hevitpose.core.extras import need

EXAMPLES = """
Examples:\n
  hevitpose debug-step runs/mine/failed_step.safetensors
"""


def debug_step(
    file: Annotated[Path, typer.Argument(help="failed_step.safetensors of a run.", show_default=False)],
) -> None:
    """Re-run a training step that produced NaN or infinity and report the first layer where it appeared."""
    need("train")
    from hevitpose.training import debug_step as steps

    print(*steps.debug_step(file), sep="\n")
