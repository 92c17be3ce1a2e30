"""The `hevitpose` command: one file a sub-command, one line an error."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from hevitpose.cli import (
    benchmark,
    compare,
    data,
    evaluate,
    export,
    figure,
    info,
    predict,
    replay,
    runs,
    submit,
    table,
    train,
)
from hevitpose.cli.common import extra_of
from hevitpose.core.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command(epilog=predict.EXAMPLES)(predict.predict)
app.command(epilog=train.EXAMPLES)(train.train)
app.command(epilog=compare.EXAMPLES)(compare.compare)
app.command(epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command(epilog=export.EXAMPLES)(export.export)
app.command(epilog=benchmark.EXAMPLES)(benchmark.benchmark)
app.command(epilog=info.EXAMPLES)(info.info)
app.command(epilog=table.EXAMPLES)(table.table)
app.command(epilog=figure.EXAMPLES)(figure.figure)
app.command(epilog=replay.EXAMPLES)(replay.replay)
app.command(epilog=runs.EXAMPLES)(runs.runs)
app.command(epilog=submit.EXAMPLES)(submit.submit)
app.add_typer(data.app, name="data")


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        print(f"hevitpose {version('hevitpose')}")
        raise typer.Exit


@app.callback()
def hevitpose(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Human pose estimation with HEViTPose."""


def main() -> None:
    """Run the command line; an unusable input is one line on standard error and exit status 1."""
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        extra = extra_of(error.name or "")
        if extra is None:
            raise
        print(f'error: {error.name}: is not installed: pip install "hevitpose[{extra}]"', file=sys.stderr)
        sys.exit(1)
