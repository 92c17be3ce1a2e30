"""What several commands share."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.data.check.rules import Fault, check_sets
from hevitpose.data.datasets import Split

EXTRAS = {
    "train": ("torch", "lightning_fabric", "safetensors", "tensorboard", "matplotlib", "scipy"),
    "baselines": ("torch", "timm"),
    "export": ("torch", "onnx", "onnxscript"),
    "openvino": ("openvino",),
}
MAX_LISTED = 10
"""Faults of one kind that are printed."""
MAX_OPENED = 2000
"""Images: opening more takes longer than one wants to wait for a training."""


def need(extra: str) -> None:
    """Raise MissingExtraError where an optional part of the package is missing."""
    if not all(find_spec(module) for module in EXTRAS[extra]):
        raise MissingExtraError(extra)


def extra_of(module: str) -> str | None:
    """The extra that installs a module, or a part of one."""
    return next((extra for extra, modules in EXTRAS.items() if module.partition(".")[0] in modules), None)


def fault_lines(faults: Sequence[Fault], all_listed_by: str) -> Iterator[str]:
    """A line for each fault, kind by kind, and how many more there are of a kind."""
    for (level, kind), count in Counter((fault.level, fault.kind) for fault in faults).items():
        for fault in islice((fault for fault in faults if (fault.level, fault.kind) == (level, kind)), MAX_LISTED):
            yield f"{level}: {fault.file}: {fault.reason}"
        if count > MAX_LISTED:
            yield f"{level}: {kind}: and {count - MAX_LISTED} more ({all_listed_by} lists all)"


def refuse_faults(splits: Iterable[Split], data: str) -> None:
    """Check the sets of `data` as `hevitpose data check` does, and print its warnings on standard error.

    The images of large sets are not opened. Raises InputError about the first error.
    """
    chosen = list(splits)
    faults = check_sets(chosen)
    quick = any(fault.level == "error" for fault in faults) or _images(chosen) > MAX_OPENED
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


def _images(splits: Sequence[Split]) -> int:
    """Images of all sets, which have no errors."""
    return sum(len(split.people.images) for split in splits)
