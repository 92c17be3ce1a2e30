"""Where a number comes from."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("hevitpose", "numpy", "onnxruntime", "openvino", "pillow", "torch")

INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_vnni": "VNNI",
    "amx_bf16": "AMX",
}
"""Flags of /proc/cpuinfo and their names."""


def provenance() -> dict[str, Any]:
    """The command, the versions and the machine of this process, and the commit where the package is a checkout."""
    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def commit() -> str | None:
    """The commit of the checkout that this package is imported from, "+" appended where it was changed; else None."""
    folder = Path(__file__).parents[3]
    if not (folder / ".git").exists():
        return None
    git = ["git", "-C", str(folder)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "src"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout else "")


def processor() -> str:
    """The processor's name, and which of the instructions it has that decide how fast networks run.

    >>> processor()  # doctest: +SKIP
    'AMD EPYC with AVX2, AVX-512, AVX-512 BF16, VNNI'
    """
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in lines}
    name = facts.get("model name") or platform.processor() or platform.machine()
    flags = facts.get("flags", "").split()
    found = [title for flag, title in INSTRUCTIONS.items() if flag in flags]
    return f"{name} with {', '.join(found)}" if found else name


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
