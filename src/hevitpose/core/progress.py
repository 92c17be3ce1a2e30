"""How long work reports its progress: every function that takes long has a parameter `on_progress`."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of a `stage`; `total` is 0 where it is unknown.

    During training also the mean `loss` and, after an epoch, its `score` in words. `run_share` is the finished share of
    the run, and `unit` what is counted where its number per second is of interest.
    """

    stage: str
    done: int
    total: int
    loss: float | None = None
    run_share: float | None = None
    score: str = ""
    unit: str | None = None


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """The default: report nothing."""
