"""What each step of the inference form gains alone, in ONNX Runtime, beside the training form.

    python benchmarks/fusion.py --output results/benchmark_fusion.json

Random weights. Every form is measured in turn, round after round, and compared with the training form of the same
round. Rounds in which other programs took more than 5 % of the processor's time do not count.
"""

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from hevitpose.benchmark.timing import busy_seconds
from hevitpose.core.architecture import NetworkName
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import MPII16
from hevitpose.export import onnx as export
from hevitpose.export.emit import array, emit
from hevitpose.export.fuse import STEPS
from hevitpose.export.fused_modules import ChannelMajorAttention, reductions_in_one
from hevitpose.export.graph import Graph
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.models.hevitpose import CGSRAttention, Residual
from hevitpose.models.input import STD
from hevitpose.models.registry import NETWORKS, build_network

SIZE, TRAINING_FORM, TORCHS, ALL = 256, "training form", "training form, exported by torch", "all steps"
QUIET = 0.05
Step = Callable[[nn.Module], nn.Module | None]


class TokenMajorAttention(nn.Module):
    """CGSR-MHA node by node as torch's exporter writes its `forward`."""

    def __init__(self, block: CGSRAttention) -> None:
        super().__init__()
        self.block = block

    def emit(self, graph: Graph, x: str) -> str:
        block, results = self.block, list[str]()
        maps = graph.ops("Split", x, outputs=block.groups, axis=1, num_outputs=block.groups)
        for group, features in enumerate(maps):
            cascaded = graph.op("Add", features, results[-1]) if results else features
            tokens = self.attend(graph, group, cascaded)
            turned = graph.op("Transpose", tokens, perm=[0, 2, 1])
            results.append(graph.op("Reshape", turned, graph.op("Shape", cascaded)))
        return emit(graph, block.projection, graph.op("Concat", *results, axis=1))

    def attend(self, graph: Graph, group: int, x: str) -> str:
        attention: Any = self.block.attention[0]
        reduced = emit(graph, attention.spatial_reduction, x)
        keys_values = self.norm(graph, self.block.key_value_norms[group], self.tokens(graph, reduced))
        queries = self.norm(graph, self.block.query_norms[group], self.tokens(graph, x))
        query = self.product(graph, queries, attention.query)
        parts = graph.ops(
            "Split", self.product(graph, keys_values, attention.key_value), outputs=2, axis=2, num_outputs=2
        )
        shape = graph.integers(0, 0, attention.heads, -1)
        query, key, value = (
            graph.op("Transpose", graph.op("Reshape", part, shape), perm=[0, 2, 1, 3]) for part in (query, *parts)
        )
        scale = graph.constant((attention.query.out_features / attention.heads) ** -0.25)
        key = graph.op("Mul", graph.op("Transpose", key, perm=[0, 1, 3, 2]), scale)
        weights = graph.op("Softmax", graph.op("MatMul", graph.op("Mul", query, scale), key), axis=3)
        attended = graph.op("Transpose", graph.op("MatMul", weights, value), perm=[0, 2, 1, 3])
        joined = graph.op("Reshape", attended, graph.integers(0, 0, attention.query.out_features))
        return self.norm(graph, self.block.output_norms[group], self.product(graph, joined, attention.output))

    def tokens(self, graph: Graph, x: str) -> str:
        return graph.op("Transpose", graph.op("Reshape", x, graph.integers(0, 0, -1)), perm=[0, 2, 1])

    def product(self, graph: Graph, x: str, linear: nn.Linear) -> str:
        return graph.op("MatMul", x, array(graph, linear.weight.T.contiguous()))

    def norm(self, graph: Graph, norm: Any, x: str) -> str:
        constants = array(graph, norm.weight), array(graph, norm.bias)
        return graph.op("LayerNormalization", x, *constants, axis=-1, epsilon=norm.eps)


class ReductionsAtOnce(ChannelMajorAttention):
    """SR(X_g + Y) as SR(X_g) + SR(Y): all SR(X_g) are one convolution, but one more for each Y is left."""

    def __init__(self, block: CGSRAttention) -> None:
        super().__init__(block)
        reductions: list[Any] = [copy.deepcopy(group.get_submodule("reduce")) for group in self.groups]
        self.at_once = reductions_in_one(reductions)
        for group, reduction in zip(self.groups[1:], reductions[1:], strict=True):
            reduction.bias = None
            group.reduce = reduction

    def emit(self, graph: Graph, x: str) -> str:
        count = len(self.groups)
        maps, reduced = (
            graph.ops("Split", each, outputs=count, axis=1, num_outputs=count)
            for each in (x, emit(graph, self.at_once, x))
        )
        results: list[str] = []
        for i, group in enumerate(self.groups):
            features, tokens = maps[i], reduced[i]
            if results:
                carried = emit(graph, self.affines[i - 1], results[-1])
                features = graph.op("Add", features, carried)
                tokens = graph.op("Add", tokens, emit(graph, group.get_submodule("reduce"), carried))
            group.reduce = Given(tokens)
            results.append(emit(graph, group, features))
        return emit(graph, self.projection, graph.op("Concat", *results, axis=1))


class Foreign(nn.Module):
    """A network that torch's exporter has to follow."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> Any:
        return self.model(x)


class Given(nn.Module):
    """What is there already."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self.value = value

    def emit(self, graph: Graph, x: str) -> str:  # noqa: ARG002
        return self.value


def replace_attention(model: nn.Module, form: Callable[[CGSRAttention], nn.Module]) -> None:
    for module in model.modules():
        if isinstance(module, Residual) and isinstance(module.branch, CGSRAttention):
            module.branch = form(module.branch)


def scale_pixels_in_the_stem(model: nn.Module) -> None:
    """Pixels are divided by their deviation through the first convolution's weights: what is left is / 1."""
    stem: Any = model.get_submodule("embedding.conv")
    stem.weight /= torch.tensor(STD).view(1, 3, 1, 1) * 255


def attention_with_reductions_at_once(model: nn.Module) -> None:
    replace_attention(model, ReductionsAtOnce)


TRIED: dict[str, Step] = {
    "pixels scaled in the stem": scale_pixels_in_the_stem,
    "attention channel-major, reductions at once": attention_with_reductions_at_once,
}
"""Measured, and not kept."""


def forms(name: NetworkName) -> dict[str, bytes]:
    """The graphs of a network: as trained, with each step alone, with all."""
    torch.manual_seed(0)
    model = build_network(name, 16).eval().requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # as if trained: none is an identity
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.1)
    graphs = {TRAINING_FORM: graph_of(model, []), TORCHS: graph_of(model, [Foreign])}
    graphs |= {step: graph_of(model, [function]) for step, function in (STEPS | TRIED).items()}
    return graphs | {ALL: graph_of(model, list(STEPS.values()))}


def graph_of(model: nn.Module, steps: list[Step]) -> bytes:
    changed = copy.deepcopy(model)
    for step in steps:
        changed = step(changed) or changed
    if not isinstance(changed, Foreign):
        replace_attention(changed, TokenMajorAttention)
    with patch.object(export, "STD", (1 / 255,) * 3 if scale_pixels_in_the_stem in steps else STD):
        proto = export.to_onnx(changed, ModelConfig("t", MPII16, (SIZE, SIZE), 1.25))
    return bytes(proto.SerializeToString())


def measure(graphs: dict[str, bytes], batch: int, threads: int, rounds: int, limit_s: float) -> list[dict[str, Any]]:
    """Medians of the quiet rounds, each form with its ratio to the training form."""
    sessions = {name: session(graph, threads) for name, graph in graphs.items()}
    crops = np.random.default_rng(0).integers(0, 256, (batch, SIZE, SIZE, 3), dtype=np.uint8)
    kept: list[dict[str, float]] = []
    noisy: list[dict[str, float]] = []
    started = time.monotonic()
    for run in sessions.values():
        run(crops)
    while len(kept) < rounds and time.monotonic() - started < limit_s:
        times, quiet = one_round(sessions, crops, threads)
        (kept if quiet else noisy).append(times)
    used = kept if len(kept) >= min(5, rounds) else noisy
    return medians(used, TRAINING_FORM, used is kept, batch=batch, threads=threads)


def one_round(
    runs: Mapping[str, Callable[[Any], object]], crops: NDArray[np.uint8], threads: int
) -> tuple[dict[str, float], bool]:
    """Seconds of each form, and whether others left the processor alone, which counts on several threads only."""
    clock = time.process_time if threads == 1 else time.perf_counter
    busy, own, times = busy_seconds(), time.process_time(), dict[str, float]()
    for name, run in runs.items():
        begin = clock()
        run(crops)
        times[name] = clock() - begin
    others = busy_seconds() - busy - (time.process_time() - own)  # below 0 on other systems than Linux
    return times, threads == 1 or others <= QUIET * sum(times.values()) * (os.cpu_count() or 1)


def medians(rounds: list[dict[str, float]], reference: str, quiet: bool, **about: object) -> list[dict[str, Any]]:
    """A row for each form: its median time, and the median of its ratio to the reference in the same round."""
    return [
        {
            "form": name,
            **about,
            "milliseconds": round(1000 * statistics.median(times[name] for times in rounds), 2),
            "ratio": round(statistics.median(times[name] / times[reference] for times in rounds), 3),
            "rounds": len(rounds),
            "quiet": quiet,
        }
        for name in rounds[0]
    ]


def session_options(threads: int, profile: str = "") -> Any:
    """Options of a session that is measured in turn with others; `profile` begins the name of its profile."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Else threads of the form before wait for work, spinning, while the next one is measured.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return options


def session(graph: bytes, threads: int) -> Callable[[Any], Any]:
    loaded = onnxruntime.InferenceSession(graph, session_options(threads))
    return lambda crops: loaded.run(None, {"crops": crops})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--networks", nargs="+", default=["t", "b"], choices=get_args(NetworkName))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--limit", type=float, default=300, help="seconds for each network and batch")
    options = parser.parse_args()
    rows = []
    for name in options.networks:
        graphs = forms(name)
        for batch in options.batches:
            for row in measure(graphs, batch, options.threads, options.rounds, options.limit):
                rows.append({"network": NETWORKS[name].title} | row)
                print(*rows[-1].values(), sep="  ", flush=True)
    if options.output:
        result = {"size": SIZE, "rows": rows, "provenance": provenance()}
        atomic.write(options.output, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
