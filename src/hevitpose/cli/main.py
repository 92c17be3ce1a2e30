"""The `hevitpose` command: one file a sub-command, one line an error."""

import logging
import re
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated

import typer

from hevitpose.cli.options import with_options, with_todays_names
from hevitpose.core.errors import HevitposeError, InputError

COMMANDS = (
    *("predict", "serve", "angles", "train", "compare", "evaluate", "export", "benchmark", "info", "table", "figure"),
    *("debug-step", "runs", "submit", "data"),
)
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib.metadata import version

        print(f"hevitpose {version('hevitpose')}")
        raise typer.Exit


@app.callback()
def hevitpose(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Human pose estimation with HEViTPose."""


def add_commands(arguments: list[str]) -> None:
    """Give `app` the command that is called, or all where none is: importing the others would take half a second."""
    app.registered_commands.clear()
    app.registered_groups.clear()
    for name in arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS:
        module = import_module(f"hevitpose.cli.{name.replace('-', '_')}")
        if isinstance(group := getattr(module, "app", None), typer.Typer):
            app.add_typer(group, name=name)
        else:
            app.command(name, epilog=module.EXAMPLES)(getattr(module, name.replace("-", "_")))


def main() -> None:
    """Run the command line; an unusable input is one line on standard error and exit status 1."""
    sys.argv[1:] = with_todays_names(sys.argv[1:])
    add_commands(sys.argv[1:])
    if isinstance(sys.stdout, TextIOWrapper):  # names of files may be no UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("hevitpose").setLevel(logging.INFO)
    try:
        if any(not argument or re.fullmatch("--[a-z-]+=", argument) for argument in sys.argv[1:]):
            raise InputError("arguments", "one of them is empty (a variable that is not set?)")
        app()
    except HevitposeError as error:
        print(f"error: {with_options(str(error))}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        from hevitpose.core.extras import extra_of

        extra = extra_of(error.name or "")
        if extra is None:
            raise
        print(f'error: {error.name}: is not installed: pip install "hevitpose[{extra}]"', file=sys.stderr)
        sys.exit(1)
