"""Progress on standard error: a bar on a terminal, a line now and then in a log."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    track as rich_track,
)

SECONDS_BETWEEN_LINES = 60.0

T = TypeVar("T")
Report = Callable[[str, int, int, float], None]


@contextmanager
def training_progress() -> Iterator[Report]:
    """A function to be told what is done, how much of it, of how much, and the loss so far."""
    console = Console(stderr=True)
    if console.is_terminal:
        with _bars(console) as report:
            yield report
    else:
        yield _lines(console)


@contextmanager
def _bars(console: Console) -> Iterator[Report]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, int] = {}

        def report(what: str, done: int, of: int, loss: float) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of, loss="")
            progress.update(tasks[what], completed=done, loss="" if math.isnan(loss) else f"loss {loss:.6f}")  # type: ignore[arg-type]

        yield report


def _lines(console: Console) -> Report:
    last = {"": -math.inf}

    def report(what: str, done: int, of: int, loss: float) -> None:
        now = time.monotonic()
        if done == of or now - last[""] > SECONDS_BETWEEN_LINES:
            last[""] = now
            tail = "" if math.isnan(loss) else f", loss {loss:.6f}"
            console.print(f"{what}: {done} of {of}{tail}", highlight=False, soft_wrap=True)

    return report


def track(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a bar on a terminal where there are several."""
    console = Console(stderr=True)
    if len(items) < 2 or not console.is_terminal:
        return items
    return rich_track(items, description=what, console=console)
