"""Progress on standard error: a bar on a terminal, a line now and then in a log."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

SECONDS_BETWEEN_LINES = 60.0

T = TypeVar("T")
Report = Callable[[str, int, int, float, float], None]
"""What is done, how much of it, of how much, the loss, the share of the whole run (NaN where there is none)."""


@contextmanager
def training_progress() -> Iterator[Report]:
    """A `Report` that shows how far a run is and how long it will take."""
    console = Console(stderr=True)
    if console.is_terminal:
        with _bars(console) as report:
            yield report
    else:
        yield _lines(console)


@contextmanager
def _bars(console: Console) -> Iterator[Report]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[more]}"), console=console) as progress:
        tasks: dict[str, TaskID] = {}
        left = _TimeLeft()

        def report(what: str, done: int, of: int, loss: float, work: float) -> None:
            kind = what.partition(" ")[0]  # one bar for all epochs, one for all crops
            if kind not in tasks:
                tasks[kind] = progress.add_task(what, more="")
            progress.update(tasks[kind], description=what, total=of, completed=done, more=_more(loss, left(work)))

        yield report


def _lines(console: Console) -> Report:
    last = -math.inf
    left = _TimeLeft()

    def report(what: str, done: int, of: int, loss: float, work: float) -> None:
        nonlocal last
        more = _more(loss, left(work))
        if done == of or time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            console.print(f"{what}: {done} of {of}{more and ', '}{more}", highlight=False, soft_wrap=True)

    return report


def _more(loss: float, left: str) -> str:
    return "" if math.isnan(loss) else f"loss {loss:.6f}{left and ', '}{left}"


class _TimeLeft:
    """How long a run will still take, from the work done since it was first asked."""

    def __init__(self) -> None:
        self.first: tuple[float, float] | None = None

    def __call__(self, work: float) -> str:
        if math.isnan(work):
            return ""
        now = time.monotonic()
        if self.first is None:
            self.first = (now, work)
        started, begun_with = self.first
        if work <= begun_with:
            return ""
        seconds = (now - started) / (work - begun_with) * (1 - work)
        return f"{timedelta(seconds=round(seconds))} left"


def track(items: Sequence[T], what: str, console: Console | None = None) -> Iterable[T]:
    """The items, with a bar on a terminal where there are several; lines said on the same console stay above it."""
    console = console or Console(stderr=True)
    if len(items) < 2 or not console.is_terminal:
        return items
    return rich_progress.track(items, description=what, console=console)


def say(console: Console, line: str) -> None:
    """Print a line as it is, however long."""
    console.print(line, soft_wrap=True, markup=False, emoji=False, highlight=False)
