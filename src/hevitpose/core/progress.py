"""How long work reports its progress: every function that takes long has a parameter `on_progress`."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of a `stage`; during training also the mean `loss` and the finished share of the run."""

    stage: str
    done: int
    total: int
    loss: float | None = None
    run_share: float | None = None


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """The default: report nothing."""
