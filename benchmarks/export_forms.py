"""Times of a network's ONNX file by the way in which it is made, in ONNX Runtime and OpenVINO.

    python benchmarks/export_forms.py --output results/benchmark_export_forms.json

Forms: the graph of the fused network that hevitpose writes node by node, the fused network through torch's exporter,
and the plain network through torch's exporter. Random weights; all cases of a network are measured round-robin, and
`ratio` compares each with the written graph in the same runtime with as many threads.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from hevitpose.benchmark.timing import Case, Measurement, figures, measure
from hevitpose.core.architecture import parse_network
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import MPII16
from hevitpose.export.fuse import fuse
from hevitpose.export.onnx import to_onnx
from hevitpose.inference.backends import Runtime
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.models.registry import build_network

WRITTEN = "fused, written"
FORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    WRITTEN: fuse,
    "fused, torch's exporter": lambda model: nn.Sequential(fuse(model)),
    "plain, torch's exporter": lambda model: nn.Sequential(model.eval()),
}
RUNTIMES: tuple[Runtime, ...] = ("onnx", "openvino")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--networks", nargs="+", default=["t", "hevitpose_t_fast", "b"])
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5, help="for each case")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for text in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            made = files(text, options.size, Path(folder))
            rows += rows_of(text, made, options.size, options.threads, options.seconds)
    if options.output:
        result = {"size": options.size, "rows": rows, "provenance": provenance()}
        atomic.write(options.output, json.dumps(result, indent=1) + "\n")


def files(text: str, size: int, folder: Path) -> dict[str, dict[str, Any]]:
    """For each form its file, the seconds that its export took, and its number of nodes."""
    name, variant, _ = parse_network(text, "networks")
    config = ModelConfig(name, MPII16, (size, size), 1.25, variant=variant)
    made = {}
    for number, (form, prepare) in enumerate(FORMS.items()):
        torch.manual_seed(0)
        model = build_network(name, 16, variant).requires_grad_(False)
        start = time.process_time()
        proto = to_onnx(prepare(model), config)
        seconds = round(time.process_time() - start, 1)
        path = folder / f"{number}.onnx"
        onnx.save(proto, path)
        made[form] = {"path": str(path), "export_s": seconds, "nodes": len(proto.graph.node)}
        print(text, form, seconds, "s", len(proto.graph.node), "nodes", flush=True)
    return made


def rows_of(
    text: str, made: dict[str, dict[str, Any]], size: int, threads: list[int], seconds: float
) -> list[dict[str, Any]]:
    keys = [(form, runtime, count) for runtime in RUNTIMES for count in threads for form in made]
    cases = [Case(made[form]["path"], runtime, "fp32", 1, count, (size, size)) for form, runtime, count in keys]
    measured = dict(zip(keys, measure(cases, seconds), strict=True))
    rows = []
    for (form, runtime, count), found in measured.items():
        reference = measured[WRITTEN, runtime, count]
        if not isinstance(found, Measurement) or not isinstance(reference, Measurement):
            raise SystemExit(f"{text}, {form}: {found}")
        about = {"network": text, "form": form, "runtime": runtime, "threads": count}
        about |= {key: made[form][key] for key in ("export_s", "nodes")}
        rows.append(about | figures(found, 1, reference))
        print(*rows[-1].values(), sep="  ", flush=True)
    return rows


if __name__ == "__main__":
    main()
