"""What several commands share."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.data.check.rules import check_sets
from hevitpose.data.datasets import Split
from hevitpose.data.find import find_splits
from hevitpose.io import atomic

EXTRAS = {
    "train": ("torch", "lightning_fabric", "safetensors", "tensorboard", "matplotlib", "scipy"),
    "baselines": ("torch", "timm"),
    "export": ("torch", "onnx", "onnxscript"),
    "openvino": ("openvino",),
}


def need(extra: str) -> None:
    """Raise MissingExtraError where an optional part of the package is missing."""
    if not all(find_spec(module) for module in EXTRAS[extra]):
        raise MissingExtraError(extra)


def extra_of(module: str) -> str | None:
    """The extra that installs a module, or a part of one."""
    return next((extra for extra, modules in EXTRAS.items() if module.partition(".")[0] in modules), None)


def refuse_inputs(
    outputs: Iterable[Path | None], files: Iterable[str | Path | None], splits: Iterable[Split] = ()
) -> None:
    """Raise InputError where an output would replace one of the files, or labels or an image of the splits."""
    there = [output for output in outputs if output and os.path.lexists(output)]
    if there:  # what is not there is no input, and labels need not be read
        inputs = [Path(file) for file in files if file]
        atomic.refuse_inputs(there, [*inputs, *(file for split in splits for file in split.files())])


def splits_of(data: Iterable[str | None], root: Path | None) -> Iterator[Split]:
    """The sets of several data sets, each found when it is needed."""
    for name in filter(None, data):
        yield from find_splits(name, root)


def refuse_faults(splits: Iterable[Split], data: str) -> None:
    """Check the sets of `data`: a line on standard error about warnings. Raises InputError about the first error."""
    sets = list(splits)
    faults = check_sets(sets)
    errors = [fault for fault in faults if fault.level == "error"]
    more = f"hevitpose data check {data}"
    if errors:
        rest = f" ({len(errors) - 1} more errors: {more})" if len(errors) > 1 else ""
        raise InputError(errors[0].file, f"{errors[0].reason}{rest}")
    counts = Counter(fault.kind for fault in faults)
    found = ", ".join(f"{count} x {kind}" for kind, count in counts.most_common()) or "no faults"
    print(f"data check: {found}{f' ({more})' if counts else ''}", file=sys.stderr)
    if note := mirror_note(sets):
        print(f"note: {note}", file=sys.stderr)


def mirror_note(splits: Iterable[Split]) -> str | None:
    """What is exchanged in mirrored images of the first set; None where there is nothing to say."""
    with suppress(InputError):
        return next((split.people.skeleton.mirror_note for split in splits), None)
    return None
