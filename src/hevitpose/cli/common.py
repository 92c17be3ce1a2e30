"""What several commands share."""

import sys
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.data.check.rules import check_sets
from hevitpose.data.datasets import Split

EXTRAS = {
    "plot": ("matplotlib",),
    "train": ("torch", "lightning_fabric", "safetensors", "tensorboard", "matplotlib", "scipy"),
    "baselines": ("torch", "timm"),
    "export": ("torch", "onnx", "onnxscript"),
    "openvino": ("openvino",),
    "video": ("av",),
    "camera": ("av", "cv2"),
}


def need(extra: str) -> None:
    """Raise MissingExtraError where an optional part of the package is missing."""
    if not all(find_spec(module) for module in EXTRAS[extra]):
        raise MissingExtraError(extra)


def extra_of(module: str) -> str | None:
    """The extra that installs a module, or a part of one."""
    return next((extra for extra, modules in EXTRAS.items() if module.partition(".")[0] in modules), None)


def refuse_faults(splits: Iterable[Split], data: str) -> None:
    """Check the sets of `data`: a line on standard error about warnings. Raises InputError about the first error."""
    faults = check_sets(list(splits))
    errors = [fault for fault in faults if fault.level == "error"]
    more = f"hevitpose data check {data}"
    if errors:
        rest = f" ({len(errors) - 1} more errors: {more})" if len(errors) > 1 else ""
        raise InputError(errors[0].file, f"{errors[0].reason}{rest}")
    counts = Counter(fault.kind for fault in faults)
    found = ", ".join(f"{count} x {kind}" for kind, count in counts.most_common()) or "no faults"
    print(f"data check: {found}{f' ({more})' if counts else ''}", file=sys.stderr)
