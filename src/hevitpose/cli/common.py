"""What several commands share."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import typer

from hevitpose.core.errors import InputError
from hevitpose.data.check.rules import Fault, check_sets
from hevitpose.data.datasets import Split
from hevitpose.data.find import find_splits
from hevitpose.io import atomic

Root = Annotated[Path | None, typer.Option(help="Folder of the data's files (default: that of the TOML file).")]
MicroBatchSize = Annotated[
    int | None, typer.Option(min=1, help="People per forward pass; gradients of a batch are accumulated.")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Device; auto is the first GPU, else the CPU.")
]
Precision = Annotated[
    Literal["auto", "bf16", "fp32"],
    typer.Option(help="Precision; auto is bfloat16 if that is faster on the device."),
]
MAX_LISTED = 10
"""Faults of one kind that are printed."""
MAX_OPENED = 2000
"""Images: opening more takes longer than one wants to wait for a training."""


def fault_lines(faults: Sequence[Fault], all_listed_by: str) -> Iterator[str]:
    """A line for each fault, kind by kind, and how many more there are of a kind."""
    for (level, kind), count in Counter((fault.level, fault.kind) for fault in faults).items():
        for fault in islice((fault for fault in faults if (fault.level, fault.kind) == (level, kind)), MAX_LISTED):
            yield f"{level}: {fault.file}: {fault.reason}"
        if count > MAX_LISTED:
            yield f"{level}: {kind}: and {count - MAX_LISTED} more ({all_listed_by} lists all)"


def refuse_inputs(
    outputs: Iterable[Path | None], files: Iterable[str | Path | None], splits: Iterable[Split] = ()
) -> None:
    """Raise InputError where an output would replace one of the files, or labels or an image of the splits, or another
    output."""
    named = [output for output in outputs if output]
    counts = Counter(os.path.abspath(output) for output in named)  # noqa: PTH100 - Path.resolve would follow links
    if twice := [output for output in named if counts[os.path.abspath(output)] > 1]:  # noqa: PTH100
        raise InputError(twice[0], "two results would be this file: choose another output")
    there = [output for output in named if os.path.lexists(output)]
    if there:  # what is not there is no input, and labels need not be read
        inputs = [Path(file) for file in files if file]
        atomic.refuse_inputs(there, [*inputs, *(file for split in splits for file in split.files())])


def model_files(*models: str | Path | None) -> Iterator[Path]:
    """The files of models and detectors, for `refuse_inputs`: they may be folders; bundled names are no files."""
    for path in (Path(model) for model in models if model):
        yield from path.iterdir() if path.is_dir() else [path]


def splits_of(data: Iterable[str | None], root: Path | None) -> Iterator[Split]:
    """The sets of several data sets, each found when it is needed."""
    for name in filter(None, data):
        yield from find_splits(name, root).values()


def refuse_faults(splits: Iterable[Split], data: str) -> None:
    """Check the sets of `data` as `hevitpose data check` does, and print its warnings on standard error.

    The images of large sets are not opened. Raises InputError about the first error.
    """
    chosen = list(splits)
    faults = check_sets(chosen)
    broken = any(fault.level == "error" for fault in faults)
    quick = broken or sum(len(split.people.images) for split in chosen) > MAX_OPENED
    faults = faults if quick else check_sets(chosen, open_images=True)
    errors = [fault for fault in faults if fault.level == "error"]
    more = f"hevitpose data check {data}"
    if errors:
        rest = f" ({len(errors) - 1} more errors: {more})" if len(errors) > 1 else ""
        raise InputError(errors[0].file, f"{errors[0].reason}{rest}")
    counts = Counter(fault.kind for fault in faults)
    found = ", ".join(f"{count} x {kind}" for kind, count in counts.most_common()) or "no faults"
    unopened = ", images not opened" if quick else ""
    print(f"data check: {found}{unopened}{f' ({more})' if counts else ''}", file=sys.stderr)
    for line in fault_lines(faults, f"{more} --json"):
        print(line, file=sys.stderr)
    if note := mirror_note(chosen):
        print(f"note: {note}", file=sys.stderr)


def mirror_note(splits: Iterable[Split]) -> str | None:
    """What is exchanged in mirrored images of the first set; None where there is nothing to say."""
    with suppress(InputError):
        return next((split.people.skeleton.mirror_note for split in splits), None)
    return None
