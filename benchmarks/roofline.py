"""Where the time of a network goes, as trained and as it predicts, beside what the processor can do.

    python benchmarks/roofline.py --output results/benchmark_roofline.json

Peaks are measured: products of matrices in each precision, and copies of memory. Each node of a graph is timed by ONNX
Runtime's own profile; its operations (two for a multiply-add) and bytes (its inputs and outputs once) follow from its
shapes. Random weights.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime
import torch

from fusion import ALL, SIZE, TORCHS, forms, session_options
from hevitpose.core.architecture import NetworkName
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.models.registry import NETWORKS

Event = dict[str, Any]
SIDE = 1024
COPIED_BYTES = 1 << 28
KINDS = {
    "Conv": "convolution",
    "FusedConv": "convolution",
    "ConvTranspose": "transposed convolution",
    "MatMul": "product",
    "FusedMatMul": "product",
    "Gemm": "product",
    "Softmax": "softmax",
    "LayerNormalization": "norm",
    "Transpose": "transpose, reshape, split, concatenation",
    "Reshape": "transpose, reshape, split, concatenation",
    "Split": "transpose, reshape, split, concatenation",
    "Concat": "transpose, reshape, split, concatenation",
    "Slice": "transpose, reshape, split, concatenation",
    "ReorderInput": "reordering between layouts",
    "ReorderOutput": "reordering between layouts",
}
ELEMENTWISE = "elementwise and the rest"


def peaks() -> dict[str, float]:
    """GFLOP/s of products of matrices (GOP/s in int8), and GB/s that a copy of memory reads and writes."""
    found = {
        "float32 product": 2 * SIDE**3 / 1e9 / seconds(product_in(torch.float32)),
        "bfloat16 product": 2 * SIDE**3 / 1e9 / seconds(product_in(torch.bfloat16), repetitions=1),
        "int8 product": 2 * SIDE**3 / 1e9 / seconds(int8_product()),
    }
    source, target = (torch.zeros(COPIED_BYTES, dtype=torch.uint8) for _ in range(2))
    found["memory copy"] = 2 * COPIED_BYTES / 1e9 / seconds(lambda: target.copy_(source))
    return {name: round(value, 1) for name, value in found.items()}


def product_in(dtype: torch.dtype) -> Callable[[], object]:
    """torch's."""
    a, b = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    return lambda: a @ b


def int8_product() -> Callable[[], object]:
    """ONNX Runtime's."""
    from onnx import TensorProto, helper

    def info(name: str, kind: int) -> Any:
        return helper.make_tensor_value_info(name, kind, [SIDE, SIDE])

    node = helper.make_node("MatMulInteger", ["a", "b"], ["c"])
    inputs = [info("a", TensorProto.UINT8), info("b", TensorProto.INT8)]
    graph = helper.make_graph([node], "product", inputs, [info("c", TensorProto.INT32)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    values = {"a": np.ones((SIDE, SIDE), np.uint8), "b": np.ones((SIDE, SIDE), np.int8)}
    return lambda: session.run(None, values)


def seconds(function: Callable[[], object], repetitions: int = 7) -> float:
    """The fastest of a few runs: a peak is what nothing disturbed."""
    function()
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def profile(graphs: Mapping[str, bytes], threads: int, runs: int) -> dict[str, list[dict[str, Any]]]:
    """Milliseconds (medians of the runs), GFLOP and MB of each kind of node at batch 1, the slowest first.

    The graphs take turns. What the runtime has packed into its own layouts hides the shapes of the weights: operations
    are those of the graph as written.
    """
    timed, counted = nodes(graphs, threads, runs, as_written=False), nodes(graphs, threads, 1, as_written=True)
    return {name: by_kind(timed[name], counted[name]) for name in graphs}


def by_kind(timed: list[list[Event]], counted: list[list[Event]]) -> list[dict[str, Any]]:
    kinds: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(("milliseconds", "gflop", "megabytes"), 0.0))
    for of_node in timed:
        row = kinds[KINDS.get(of_node[0]["args"]["op_name"], ELEMENTWISE)]
        row["milliseconds"] += statistics.median(event["dur"] for event in of_node) / 1e3
        row["megabytes"] += bytes_of(of_node[0]["args"]) / 1e6
    for of_node in counted:
        kinds[KINDS.get(of_node[0]["args"]["op_name"], ELEMENTWISE)]["gflop"] += operations(of_node[0]["args"]) / 1e9
    ordered = sorted(kinds.items(), key=lambda item: -item[1]["milliseconds"])
    return [{"kind": kind} | {key: round(value, 3) for key, value in row.items()} for kind, row in ordered]


def nodes(graphs: Mapping[str, bytes], threads: int, runs: int, as_written: bool) -> dict[str, list[list[Event]]]:
    """The profile's events of each node; `as_written`: nothing fused or packed."""
    crops = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        sessions = {}
        for number, (name, graph) in enumerate(graphs.items()):
            options = session_options(threads, str(Path(folder, str(number))))
            if as_written:
                options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
                options.add_session_config_entry("session.disable_prepacking", "1")
            sessions[name] = onnxruntime.InferenceSession(graph, options)
        for _ in range(runs):
            for session in sessions.values():
                session.run(None, {"crops": crops})
        for name, session in sessions.items():
            by_name: dict[str, list[Event]] = defaultdict(list)
            for event in json.loads(Path(session.end_profiling()).read_text()):
                if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
                    by_name[event["name"]].append(event)
            found[name] = list(by_name.values())
    return found


def shapes(args: dict[str, Any], side: str) -> list[tuple[str, list[int]]]:
    return [(dtype, shape) for each in args[f"{side}_type_shape"] for dtype, shape in each.items()]


def operations(args: dict[str, Any]) -> int:
    """Two for each multiply-add of a convolution or product, none for others."""
    inputs, outputs = shapes(args, "input"), shapes(args, "output")
    match args["op_name"]:
        case "Conv" | "FusedConv":
            return 2 * prod(outputs[0][1]) * prod(inputs[1][1][1:])
        case "ConvTranspose":
            return 2 * prod(inputs[0][1]) * prod(inputs[1][1][1:])
        case "MatMul" | "FusedMatMul" | "Gemm":
            return 2 * prod(outputs[0][1]) * inputs[0][1][-1]
    return 0


def bytes_of(args: dict[str, Any]) -> int:
    """Every input and output once; a reshape moves nothing."""
    if args["op_name"] in ("Reshape", "Shape", "Squeeze", "Unsqueeze"):
        return 0
    widths = {"float": 4, "int64": 8, "uint8": 1, "int8": 1, "bool": 1, "float16": 2, "int32": 4}
    return sum(widths[dtype] * prod(shape) for side in ("input", "output") for dtype, shape in shapes(args, side))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--networks", nargs="+", default=["t", "s", "b"], choices=get_args(NetworkName))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    graphs = {name: forms(name) for name in options.networks}
    print("graphs are made", flush=True)
    result: dict[str, Any] = {"size": SIZE, "threads": options.threads, "peaks": peaks(), "networks": []}
    print(result["peaks"], flush=True)
    for name, by_form in graphs.items():
        wanted = {"as trained": by_form[TORCHS], "as it predicts": by_form[ALL]}
        for form, rows in profile(wanted, options.threads, options.runs).items():
            result["networks"].append({"network": NETWORKS[name].title, "form": form, "kinds": rows})
            print(NETWORKS[name].title, form, round(sum(row["milliseconds"] for row in rows), 1))
            for row in rows:
                print(*row.values(), sep="  ", flush=True)
    if options.output:
        atomic.write(options.output, json.dumps(result | {"provenance": provenance()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
