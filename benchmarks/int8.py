"""What 8 bits gain, by runtime, batch and threads; where the time goes; what each kind of layers does alone.

    python benchmarks/int8.py t_int8.onnx --data people16 --sample lsp_val --root data/people16 \\
        --evaluations openvino.json lsp_val.json --output results/benchmark_int8.json

The file is one that `hevitpose export hevitpose_t_people16 --int8` wrote; what `hevitpose evaluate --output` wrote of
it on another set, or by another runtime, is kept beside its own score. Every form is measured in turn, round after
round, and compared with float32 of the same round: by the processor's time on one thread, else by the clock, where
rounds in which other programs took more than 5 % of the processor's time do not count, if five others are left.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType

from fusion import medians, one_round, session_options
from hevitpose.core.sampling import evenly_spaced
from hevitpose.data.crops import cut_people
from hevitpose.data.find import find_split, find_splits
from hevitpose.export.checked import MIN_JOINT_SCORE
from hevitpose.export.fuse import fuse
from hevitpose.export.onnx import to_onnx
from hevitpose.export.quantize import INT8, in_eight_bits, quantized
from hevitpose.inference.network import PAPER_T, find_weights
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.models.weights import load_model

RESULTS = Path(__file__).parents[1] / "results"
FLOAT = "float32"
Pixels = NDArray[np.uint8]


def by_onnx(path: Path, threads: int) -> Callable[[Pixels], Any]:
    session = onnxruntime.InferenceSession(path, session_options(threads))
    return lambda crops: session.run(["keypoints", "scores", "heatmaps"], {"crops": crops})


def by_openvino(path: Path, threads: int) -> Callable[[Pixels], Any]:
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(threads)}
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    return lambda crops: request.infer({0: crops})


RUNTIMES = {"ONNX Runtime": by_onnx, "OpenVINO": by_openvino}


def measure(forms: dict[str, Path], runtime: str, crops: Pixels, threads: int, rounds: int) -> list[dict[str, Any]]:
    """Medians, each form with its ratio to float32."""
    runs = {name: RUNTIMES[runtime](path, threads) for name, path in forms.items()}
    kept: list[dict[str, float]] = []
    noisy: list[dict[str, float]] = []
    for run in runs.values():
        run(crops)
        run(crops)
    for _ in range(rounds):
        times, quiet = one_round(runs, crops, threads)
        (kept if quiet else noisy).append(times)
    used = kept if len(kept) >= min(5, rounds) else noisy + kept
    return medians(used, FLOAT, used is kept, runtime=runtime, batch=len(crops), threads=threads)


def profile(path: Path, crops: Pixels, folder: Path, runs: int = 20) -> dict[str, float]:
    """Milliseconds of each kind of node in ONNX Runtime on one thread, the slowest kind first."""
    session = onnxruntime.InferenceSession(path, session_options(1, str(folder / "profile")))
    for _ in range(runs):
        session.run(["keypoints", "heatmaps"], {"crops": crops})
    kinds = Counter[str]()
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kinds[event["args"]["op_name"]] += event["dur"]
    return {kind: round(spent / runs / 1000, 2) for kind, spent in kinds.most_common()}


def layer_kinds(proto: onnx.ModelProto) -> dict[str, list[str]]:
    """Nodes by what they are in HEViTPose, ReLUs with the convolutions before them."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
    convolutions = [node for node in proto.graph.node if node.op_type == "Conv"]
    chosen = set(in_eight_bits(proto))
    kinds: dict[str, list[str]] = {}
    for node in convolutions:
        _, inputs, *kernel = shapes[node.input[1]]
        if node.name in chosen:
            kind = "head, transposed convolutions" if kernel == [2, 2] else "1x1 convolutions, and depthwise between"
        elif len(kernel) == 1:
            kind = "attention, projections of tokens"
        elif inputs == 3:
            kind = "stem"
        elif inputs == 1:
            kind = "depthwise between residual sums"
        else:
            kind = "head, last convolutions" if kernel == [1, 1] else "attention, spatial reductions"
        kinds.setdefault(kind, []).append(node.name)
        kinds[kind] += [n.name for n in proto.graph.node if n.op_type == "Relu" and n.input[0] == node.output[0]]
    return kinds


def layer_forms(proto: onnx.ModelProto, crops: Pixels, folder: Path) -> dict[str, Path]:
    """Float32, each kind of layers alone in 8 bits, those that the library chooses, and these with something else."""
    kinds, chosen = layer_kinds(proto), in_eight_bits(proto)
    sums = [node.name for node in proto.graph.node if node.op_type == "Add"]
    tried: dict[str, tuple[list[str], dict[str, Any]]] = {f"alone: {kind}": (kinds[kind], {}) for kind in kinds}
    tried["chosen"] = (chosen, {})
    tried["chosen, 8-bit weights"] = (chosen, {"reduce_range": False})
    tried["chosen, signed activations"] = (chosen, {"activation_type": QuantType.QInt8})
    between = kinds["depthwise between residual sums"]
    tried["chosen, depthwise and all sums"] = (
        [*chosen, *between, *sums],
        {"op_types_to_quantize": ["Conv", "Relu", "Add"]},
    )
    tokens = "attention, projections of tokens"
    tried[f"alone: {tokens}, 8-bit weights"] = (kinds[tokens], {"reduce_range": False})
    tried["all convolutions"] = ([node for nodes in kinds.values() for node in nodes], {})
    forms = {FLOAT: folder / "float32.onnx"}
    onnx.save(proto, forms[FLOAT])
    for i, (name, (nodes, options)) in enumerate(tried.items()):
        forms[name] = folder / f"{i}.onnx"
        cache = folder / f"ranges{len(options.get('op_types_to_quantize', ()))}.json"
        onnx.save(quantized(proto, crops, nodes, calibration_cache_path=cache, **options), forms[name])
    return forms


def errors(forms: dict[str, Path], crops: Pixels) -> dict[str, tuple[float, float]]:
    """Mean differences from float32 of heatmaps, and of the joints that it sees in pixels of the crop."""
    results = {name: by_onnx(path, 1)(crops) for name, path in forms.items()}
    joints, scores, heatmaps = results[FLOAT]
    return {
        name: (
            round(float(abs(of_maps - heatmaps).mean()), 5),
            round(float(np.linalg.norm(of_joints - joints, axis=-1)[scores >= MIN_JOINT_SCORE].mean()), 2),
        )
        for name, (of_joints, _, of_maps) in results.items()
    }


def evaluation(path: Path) -> dict[str, Any]:
    """The main figure of what `hevitpose evaluate --output` wrote, beside that of the float network in results/."""
    found = json.loads(path.read_text())
    data, metric = found["data"], found["metric"]
    exact = json.loads((RESULTS / f"{PAPER_T}.{data}.json").read_text())["scores"][metric]["mean"]
    score, command = found["scores"][metric]["mean"], found["provenance"]["command"].partition(" --output")[0]
    return {"data": data, "metric": metric, "float_score": exact, "score": score, "command": command}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", required=True, help="people for the ranges of values")
    parser.add_argument("--sample", required=True, help="people on whom layer kinds are compared")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--evaluations", type=Path, nargs="*", default=[], help="other scores of the file")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--rounds", type=int, default=24)
    options = parser.parse_args()
    model, config = load_model(find_weights(PAPER_T, "torch"))
    proto = to_onnx(fuse(model), config, compact=False)

    def crops_of(split: Any, count: int) -> Pixels:
        people = split.read()
        return cut_people(people.subset(evenly_spaced(len(people), count)), config.input_size, config.padding).pixels

    sample = crops_of(find_split(options.sample, options.root), 32)
    metadata = {entry.key: entry.value for entry in onnx.load(options.file).metadata_props}
    result: dict[str, Any] = {"file": json.loads(metadata[INT8]), "megabytes": options.file.stat().st_size / 1e6}
    result["evaluations"] = [evaluation(path) for path in options.evaluations]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (split, *_) = find_splits(options.data, options.root).values()
        forms = layer_forms(proto, crops_of(split, 16), folder)
        both = {FLOAT: forms[FLOAT], "int8": options.file}
        result["rows"] = [
            row
            for runtime in RUNTIMES
            for batch in (1, 8)
            for threads in (1, 2)
            for row in measure(both, runtime, sample[:batch], threads, options.rounds // (1 if batch == 1 else 3))
        ]
        result["profile"] = {form: profile(path, sample[:1], folder) for form, path in both.items()}
        result["layers"] = layer_rows(forms, sample, options.rounds // 2)
    result["provenance"] = provenance()
    result["provenance"]["versions"]["openvino"] = version("openvino")
    print(json.dumps(result, indent=1))
    if options.output:
        atomic.write(options.output, json.dumps(result, indent=1) + "\n")


def layer_rows(forms: dict[str, Path], sample: Pixels, rounds: int) -> Sequence[dict[str, Any]]:
    """Of each form what it costs, and its time against float32 in each runtime."""
    ratios = {runtime: [row["ratio"] for row in measure(forms, runtime, sample[:1], 1, rounds)] for runtime in RUNTIMES}
    return [
        {"form": form, "heatmaps": heatmaps, "joints_px": joints} | {name: ratios[name][i] for name in RUNTIMES}
        for i, (form, (heatmaps, joints)) in enumerate(errors(forms, sample).items())
    ]


if __name__ == "__main__":
    main()
