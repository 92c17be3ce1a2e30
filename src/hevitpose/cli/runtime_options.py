"""The options of commands that predict as a user does: which weights run where."""

import os
from typing import Annotated

import typer

from hevitpose.inference.backends import Runtime
from hevitpose.inference.network import Precision


def _at_most_all_cores(threads: int | None) -> int | None:
    return threads and min(threads, os.cpu_count() or 1)


Model = Annotated[
    str,
    typer.Option(
        help="Predict with this model: bundled weights, folder of train or export, or file (.onnx, .safetensors)."
    ),
]
RuntimeOption = Annotated[
    Runtime | None, typer.Option("--runtime", help="Runtime of the network (default: chosen by file type).")
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision", help="Compute in float32, or in 8 bits: faster and nearly as accurate; the default model only."
    ),
]
Device = Annotated[
    str, typer.Option(help="Device: cpu; cuda, coreml or directml with ONNX Runtime; any of torch's with torch.")
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, callback=_at_most_all_cores, help="Threads per inference call (default: all cores)."),
]
