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

SECONDS_BETWEEN_LINES, SECONDS_BETWEEN_EPOCHS = 60.0, 2.0


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
            bars.update(tasks[kind], description=at.stage, total=at.total or None, completed=at.done, more=more)

        yield on_progress


def _lines(console: Console) -> OnProgress:
    last = -math.inf
    time_left = _TimeLeft()

    def on_progress(at: Progress) -> None:
        nonlocal last
        more = _loss_and_time(at, time_left)
        is_epoch = at.done == at.total and at.run_share is not None and at.run_share < 1
        since = time.monotonic() - last
        if since > (SECONDS_BETWEEN_EPOCHS if is_epoch else 0 if at.done == at.total else SECONDS_BETWEEN_LINES):
            last = time.monotonic()
            line = f"{at.stage}: {at.done} of {at.total or '?'}{more and ', '}{more}"
            console.print(line, highlight=False, soft_wrap=True)

    return on_progress


def _loss_and_time(at: Progress, time_left: "_TimeLeft") -> str:
    parts = ["" if at.loss is None else f"loss {at.loss:.6f}", at.score, "" if at.unit is None else time_left.rate(at)]
    if (at.loss is not None or at.unit is not None) and at.run_share is not None:
        parts.append(time_left(at.run_share))
    return ", ".join(part for part in parts if part)


class _TimeLeft:
    """How long a run will still take, and how fast it is, from the work done since it was first asked."""

    def __init__(self) -> None:
        self.first: tuple[float, float] | None = None
        self.stages: dict[str, tuple[float, int]] = {}

    def rate(self, at: Progress) -> str:
        """Units per second of this stage."""
        now = time.monotonic()
        started, done = self.stages.setdefault(at.stage, (now, at.done))
        return "" if now <= started or at.done <= done else f"{(at.done - done) / (now - started):.1f} {at.unit}/s"

    def __call__(self, work: float) -> str:
        now = time.monotonic()
        if self.first is None or work < self.first[1]:  # another stage begins
            self.first = (now, work)
        started, begun_with = self.first
        if work <= begun_with:
            return ""
        seconds = (now - started) / (work - begun_with) * (1 - work)
        return f"{timedelta(seconds=round(seconds))} left"
