"""The `hevitpose` command: one file a sub-command, one line an error."""

import sys

import typer

from hevitpose.cli import evaluate, export, info, predict, train
from hevitpose.core.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command(epilog=predict.EXAMPLES)(predict.predict)
app.command(epilog=train.EXAMPLES)(train.train)
app.command(epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command(epilog=export.EXAMPLES)(export.export)
app.command(epilog=info.EXAMPLES)(info.info)


@app.callback()
def hevitpose() -> None:
    """Human pose estimation with HEViTPose."""


def main() -> None:
    """Run the command line; an unusable input is one line on standard error and exit status 1."""
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
