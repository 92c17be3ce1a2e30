"""Options of the command line: their names in messages of the library, and the names that they had."""

import re
import sys

RENAMED = {
    "replay": "debug-step",
    "--rate": "--lr",
    "--at-once": "--micro-batch-size",
    "--color": "--color-jitter",
    "--occlusion": "--cutout",
    "--doubles": "--nms",
    "--round": "--precision",
}
"""Commands and options of version 0.1, accepted until version 0.3."""
OPTIONS = {"learning_rate": "lr"}
"""Options that are not called as the parameter is."""


def with_todays_names(arguments: list[str]) -> list[str]:
    """The arguments with today's names of commands and options; says which were old."""
    named = []
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        is_name = name.startswith("--") or position == 0
        if is_name and name in RENAMED:
            print(f"note: {name} is now called {RENAMED[name]}", file=sys.stderr)
            named.append(RENAMED[name] + equals + value)
        else:
            named.append(argument)
    return named


def with_options(message: str) -> str:
    """A library's message with options in place of parameters in backticks.

    >>> with_options("`batch_size=0`: must be above 0, or use `resume=True`")
    '--batch-size 0: must be above 0, or use --resume'
    """

    def option(match: re.Match[str]) -> str:
        name = OPTIONS.get(match[1], match[1]).replace("_", "-")
        return f"--{name}" if match[2] in (None, "True") else f"--{name} {match[2]}"

    return re.sub(r"`([a-z][a-z0-9_]*)(?:=([^`]*))?`", option, message)


def note(text: str) -> None:
    """Print a note on standard error."""
    print(f"note: {text}", file=sys.stderr)
