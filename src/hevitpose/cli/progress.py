"""Progress on standard error: a bar on a terminal, a line now and then in a log."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from hevitpose.core.progress import OnProgress, Progress, ignore_progress

SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def show_progress(quiet: bool = False) -> Iterator[OnProgress]:
    """An `on_progress` that shows how far the work is and how long it will take; `quiet` shows nothing."""
    console = Console(stderr=True)
    if quiet:
        yield ignore_progress
    elif console.is_terminal:
        with _bars(console) as on_progress:
            yield on_progress
    else:
        yield _lines(console)


@contextmanager
def _bars(console: Console) -> Iterator[OnProgress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, TextColumn("{task.fields[more]}"), console=console) as bars:
        tasks: dict[str, TaskID] = {}
        time_left = _TimeLeft()

        def on_progress(at: Progress) -> None:
            kind = at.stage.partition(" ")[0]  # one bar for all epochs, one for all crops
            if kind not in tasks:
                tasks[kind] = bars.add_task(at.stage, more="")
            more = _loss_and_time(at, time_left)
            bars.update(tasks[kind], description=at.stage, total=at.total, completed=at.done, more=more)

        yield on_progress


def _lines(console: Console) -> OnProgress:
    last = -math.inf
    time_left = _TimeLeft()

    def on_progress(at: Progress) -> None:
        nonlocal last
        more = _loss_and_time(at, time_left)
        if at.done == at.total or time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            line = f"{at.stage}: {at.done} of {at.total}{more and ', '}{more}"
            console.print(line, highlight=False, soft_wrap=True)

    return on_progress


def _loss_and_time(at: Progress, time_left: "_TimeLeft") -> str:
    if at.loss is None:
        return ""
    left = "" if at.run_share is None else time_left(at.run_share)
    return ", ".join(filter(None, (f"loss {at.loss:.6f}", at.score, left)))


class _TimeLeft:
    """How long a run will still take, from the work done since it was first asked."""

    def __init__(self) -> None:
        self.first: tuple[float, float] | None = None

    def __call__(self, work: float) -> str:
        now = time.monotonic()
        if self.first is None:
            self.first = (now, work)
        started, begun_with = self.first
        if work <= begun_with:
            return ""
        seconds = (now - started) / (work - begun_with) * (1 - work)
        return f"{timedelta(seconds=round(seconds))} left"
