"""How long work reports its progress: every function that takes long has a parameter `on_progress`."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of a `stage`.

    During training also the mean `loss`, the finished share of the run and, after an epoch, its `score` in words.
    """

    stage: str
    done: int
    total: int
    loss: float | None = None
    run_share: float | None = None
    score: str = ""


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """The default: report nothing."""
