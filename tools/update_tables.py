"""Write the tables of README and docs from results/, between their markers.

    python tools/update_tables.py

A marker is a comment `<!-- table: NAME -->`; its table ends at `<!-- end -->`.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hevitpose.benchmark.report import pipeline_table
from hevitpose.core.architecture import NetworkName, Variant, network_spec
from hevitpose.inference.network import DEFAULT
from hevitpose.models.cost import Cost
from hevitpose.paper.table_text import text
from hevitpose.paper.tables import KEYS, paper_table
from hevitpose.training.compare import markdown, read_result

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def result(name: str) -> Any:
    return json.loads((ROOT / "results" / f"{name}.json").read_text())


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


SETS = {"mpii_val": "PCKh@0.5", "lsp_val": "PCK@0.2", "coco_people": "AP"}
WHOLE = ("mpii_val", "lsp_val")
"""Sets with MPII's keypoints."""


def weights() -> str:
    """The weights that ship and their scores."""
    rows = []
    for path in sorted((ROOT / "src/hevitpose/weights").glob("*.json")):
        card = json.loads(path.read_text())
        rows.append(
            [
                f"`{path.stem}`{' (default)' if path.stem == DEFAULT else ''}",
                f"{len(card['keypoints'])}",
                f"{card['parameters'] / 1e6:.2f} M",
                f"{card['paper_operations'] / 1e9:.2f}",
                "x".join(map(str, card["input_size"])),
                *(f"{result(f'{path.stem}.{name}')['scores'][SETS[name]]['mean']:.1f}" for name in WHOLE),
            ]
        )
    header = ["weights", "keypoints", "parameters", "GFLOPs", "input"]
    return table(header + [f"{SETS[name]}, {name}" for name in WHOLE], rows)


LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
FOUND = {
    "HEViTPose-T (ours)": ("hevitpose_t_people16", "hevitpose_t_people16", "hevitpose_t_coco17"),
    "HEViTPose-T, fast variant (ours)": (*("hevitpose_t_fast_people16",) * 2, "hevitpose_t_fast_coco17"),
    "MoveNet Lightning": ("movenet_lightning",) * 3,
    "MoveNet Thunder": ("movenet_thunder",) * 3,
}
"""The results, in results/peers, of each set of `SETS`."""


def peers_found() -> str:
    """The limb joints and COCO's AP of ours and of MoveNet."""
    rows = []
    for title, names in FOUND.items():
        cells = []
        for name, (data, figure) in zip(names, SETS.items(), strict=True):
            scores = result(f"peers/{name}.{data}")["scores"][figure]
            limbs = [v for k, v in scores.get("per_keypoint", {}).items() if k.endswith(LIMBS)]
            cells.append(f"{sum(limbs) / len(limbs) if limbs else scores['mean']:.1f}")
        rows.append([title, *cells])
    header = [f"{figure}, {name}" for name, figure in SETS.items()]
    return table(["network", *(f"{cell}, limbs" for cell in header[:2]), header[2]], rows)


def without_boxes() -> str:
    """What is found in images of one person, and of nobody, without boxes."""
    rows = []
    for row in result("benchmark_without_boxes")["rows"]:
        cells = []
        for of in row["people"]:
            cells += [f"{100 * of['found'] / of['persons']:.1f}", f"{of['without_boxes']:.1f}", f"{of['in_boxes']:.1f}"]
        rows.append([f"`{row['model']}`", *cells, f"{row['false_alarms']} of {row['empty']}"])
    of_sets = [
        f"{title}, {of['data']}"
        for of in result("benchmark_without_boxes")["rows"][0]["people"]
        for title in ("found, %", f"{of['metric']} without boxes", "in boxes")
    ]
    return table(["weights", *of_sets, "seen in nothing"], rows)


def input_sizes() -> str:
    """What the same weights find in crops of other sizes."""
    found = result("training_log")["sizes"]
    return table(
        ["input", *(f"{row['size']}" for row in found)], [["PCK@0.2, lsp_val", *(f"{r['lsp_val']:.1f}" for r in found)]]
    )


def training_runs() -> str:
    """The runs of the training log and what came of them."""
    rows = [
        [row["run"], row["from"], row["epochs"], *(f"{row[name]:.1f}" for name in ("lsp_val", "mpii_val"))]
        for row in result("training_log")["runs"]
    ]
    return table(["run", "begun with", "epochs", "PCK@0.2, lsp_val", "PCKh@0.5, mpii_val"], rows)


def coco_runs() -> str:
    """What the runs that learned COCO's keypoints too find of them."""
    rows = [
        [row["weights"], f"{row['half_body']}", f"{row['flip']:.1f}", f"{row['plain']:.1f}"]
        for row in result("training_log")["coco17"]
    ]
    return table(["weights", "half bodies", "AP, flip test", "AP, without"], rows)


def per_keypoint(weights: str) -> str:
    """Each keypoint's score on the two sets, in percent."""
    mpii, lsp = (result(f"{weights}.{name}")["scores"] for name in ("mpii_val", "lsp_val"))
    columns = [mpii["PCKh@0.5"], mpii["PCKh@0.1"], lsp["PCK@0.2"]]
    rows = [
        [name, *("-" if c["per_keypoint"][name] is None else f"{c['per_keypoint'][name]:.1f}" for c in columns)]
        for name in columns[0]["per_keypoint"]
    ]
    rows.append(["**mean**", *(f"**{c['mean']:.1f}**" for c in columns)])
    return table(["keypoint", "PCKh@0.5, mpii_val", "PCKh@0.1, mpii_val", "PCK@0.2, lsp_val"], rows)


def own_keypoints() -> str:
    """The two trainings of docs/custom-keypoints.md."""
    rows = []
    for name, what in (("mouse", "mouse, 4 keypoints"), ("coco_people", "people, COCO's 17")):
        found = result(f"custom_{name}")
        figures = [figure for figure in ("PCKbox@0.05", "PCKbox@0.1", "AP", "AP50", "AR") if figure in found["scores"]]
        rows += [[what, f"{found['persons']}", name, f"{found['scores'][name]['mean']:.1f}"] for name in figures]
    return table(["set", "labelled, not trained on", "figure", "%"], rows)


def augmentation() -> str:
    """What changed colours and covered parts do for the mouse, the mean of its seeds."""
    rows, on_what = [], ("as labelled", "half as bright", "covered")
    for name in ("benchmark_augmentation", "benchmark_augmentation_longer"):
        found = result(name)
        for arm in dict.fromkeys(row["arm"] for row in found["rows"]):
            scores = [row["scores"] for row in found["rows"] if row["arm"] == arm]
            means = [f"{sum(score[on] for score in scores) / len(scores):.1f}" for on in on_what]
            rows.append([arm, str(found["epochs"]), *means])
    return table(["training", "epochs", *(f"PCKbox@0.05, {on}" for on in on_what)], rows)


def changed_images() -> str:
    """What the weights that ship find in images that were changed."""
    found = result("benchmark_changed_images")["rows"]
    rows = [[f"`{row['model']}`", row["data"], *(f"{score:.1f}" for score in row["scores"].values())] for row in found]
    return table(["weights", "set", *found[0]["scores"]], rows)


def errors() -> str:
    """The kinds of errors of the weights that predict uses, by keypoint."""
    kinds = result(f"{DEFAULT}.lsp_val")["errors"]
    names = [kind for kind in kinds["all"] if kind != "joints"]
    rows = [
        [name, f"{shares['joints']:,}", *(f"{shares[kind]:.1f}" for kind in names)]
        for name, shares in kinds["per_keypoint"].items()
        if shares["joints"]
    ]
    rows.append(["**all**", f"{kinds['all']['joints']:,}", *(f"**{kinds['all'][kind]:.1f}**" for kind in names)])
    return table(["keypoint", "joints", *names], rows)


def calibration() -> str:
    """The share of right joints by tenths of the score."""
    bins = result(f"{DEFAULT}.lsp_val")["calibration"]["bins"]
    return table(
        ["score", *(f"{b['from']:.1f} to {b['to']:.1f}" for b in bins)],
        [
            ["joints", *(f"{b['joints']:,}" for b in bins)],
            ["right (%)", *(f"{100 * b['share_right']:.0f}" for b in bins)],
        ],
    )


def fast_speed() -> str:
    """The two networks that ship beside each other, and the fast one in 8 bits."""
    rows = [
        [
            row["title"],
            TITLES[row["runtime"]],
            row["precision"],
            f"{row['batch']}",
            f"{row['p50_ms']:.1f}",
            f"{row['images_per_second']:.1f}",
            f"{row['ratio']:.2f}",
        ]
        for row in result("benchmark_fast")["rows"]
    ]
    return table(["weights", "runtime", "bits", "batch", "ms", "images/s", "ratio"], rows)


def epochs() -> str:
    """Time and memory of the paper's recipes, from an epoch each."""
    rows = [
        [
            f"`{row['recipe']}`",
            f"{row['batch']}",
            f"{row['images_per_second']:.1f}",
            f"{row['days']:.0f}",
            f"{row['process_gb']:.1f}",
            f"{row['crops_gb']:.0f}",
        ]
        for row in result("benchmark_epoch")["rows"]
    ]
    header = ["recipe", "batch", "images/s", "days for 210 epochs", "memory, GB", "crops of all people, GB"]
    return table(header, rows)


def network_speed() -> str:
    """Images/s of each part of a training step."""
    networks = result("benchmark_training")["networks"]
    parts = [part for part in networks[0] if part not in ("network", "size")]
    rows = [[row["network"], *(f"{row[part]:.1f}" for part in parts)] for row in networks]
    return table(["images/s", *parts], rows)


def training_speed() -> str:
    """Images/s of training's two sides."""
    rows = result("benchmark_training")["rows"]
    sizes = sorted({row["size"] for row in rows})
    speed = {(row["what"], row["size"]): f"{row['images_per_second']:.1f}" for row in rows}
    names = list(dict.fromkeys(row["what"] for row in rows))
    return table(["images/s", *map(str, sizes)], [[name, *(speed[name, size] for size in sizes)] for name in names])


def runtimes() -> str:
    """Milliseconds of each network in each runtime, and the ratio to the reference."""
    rows = result("benchmark_runtime")["rows"]
    cells = {
        (row["title"], row["runtime"], row["threads"]): f"{row['p50_ms']:.1f} ({row['ratio']:.2f})" for row in rows
    }
    memory = {(row["title"], row["runtime"]): f"{row['memory_mb']:.0f}" for row in rows}
    columns = list(dict.fromkeys((row["runtime"], row["threads"]) for row in rows))
    shown = [
        [
            title,
            *(cells.get((title, *column), "-") for column in columns),
            *(memory.get((title, runtime), "-") for runtime in TITLES),
        ]
        for title in dict.fromkeys(row["title"] for row in rows)
    ]
    times = [f"{TITLES[runtime]}, {threads} thread{'s' * (threads > 1)}" for runtime, threads in columns]
    return table(["network", *times, *(f"MB, {title}" for title in TITLES.values())], shown)


TITLES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}
WANTED = (
    ("HEViTPose-B", "ResNet-50", 0.75),
    ("HEViTPose-B", "HRNet-W32", 0.6),
    ("HEViTPose-T", "MobileNetV2", 1.0),
    ("HEViTPose-B, query_reduction=true", "ResNet-50", 0.75),
    ("HEViTPose-B, query_reduction=true", "HRNet-W32", 0.6),
    ("HEViTPose-T, query_reduction=true", "MobileNetV2", 1.0),
)
"""Networks whose times are compared, and the ratio that was aimed at."""


def speed_ratios() -> str:
    """Ours in terms of others."""
    found = result("benchmark_goals")["rows"]
    columns = list(dict.fromkeys((row["runtime"], row["threads"]) for row in found))
    ratios = {(row["title"], row["runtime"], row["threads"]): row["ratio"] for row in found}
    rows = [
        [f"{ours} / {theirs}", f"{wanted:.2f}", *(f"{ratios[ours, *c] / ratios[theirs, *c]:.2f}" for c in columns)]
        for ours, theirs, wanted in WANTED
    ]
    times = [f"{TITLES[runtime]}, {threads} thread{'s' * (threads > 1)}" for runtime, threads in columns]
    return table(["ratio of times", "aimed at", *times], rows)


def startup() -> str:
    """Seconds from the start of a process to its end."""
    rows = result("benchmark_startup")["rows"]
    return table(["up to", "seconds"], [[row["what"], f"{row['seconds']:.2f}"] for row in rows])


def pipeline() -> str:
    """Milliseconds of the steps of prediction."""
    return table(*pipeline_table(result("benchmark_pipeline")["pipeline"]))


def paper() -> str:
    """The paper's own networks in its tables 1 and 3."""
    figures = json.loads((ROOT / "src/hevitpose/paper/paper.json").read_text())
    mpii, coco = figures["table1_mpii_test_pckh50"], figures["table3_coco_test_dev2017"]
    ap = {row[0]: row[coco["columns"].index("AP")] for row in coco["rows"]}
    rows = [
        [row[0], f"{row[1]} M", f"{row[2]}", f"{row[-1]}", f"{ap.get(row[0], '-')}"]
        for row in mpii["rows"]
        if row[0].startswith("HEViTPose")
    ]
    return table(["network", "parameters", "GFLOPs", "PCKh@0.5, MPII test", "AP, COCO test-dev"], rows)


def codecs() -> str:
    """Errors of each codec in input pixels."""
    rows = [
        [
            f"`{row['codec']}`",
            f"{row['mean_error_px']:.2f}",
            f"{row['largest_error_px']:.2f}",
            f"{row['flip_bias_px']:+.2f}",
            f"{row['flip_bias_after_shift_px']:+.2f}",
            f"{row['mean_error_of_flip_test_px']:.2f}",
        ]
        for row in result("benchmark_coordinates")["rows"]
    ]
    header = ["codec", "mean error", "largest error", "flip bias", "after its shift", "mean error of the flip test"]
    return table(header, rows)


def int8_speed() -> str:
    """Milliseconds of the bundled network in float32 and in 8 bits."""
    rows = result("benchmark_int8")["rows"]
    lines = []
    for exact, int8 in zip(rows[::2], rows[1::2], strict=True):
        times = [f"{form['milliseconds']:.1f}" for form in (exact, int8)]
        lines.append([exact["runtime"], f"{exact['batch']}", f"{exact['threads']}", *times, f"{int8['ratio']:.2f}"])
    return table(["runtime", "batch", "threads", "float32, ms", "int8, ms", "ratio"], lines)


def int8_scores() -> str:
    """What the bundled network finds in float32 and in 8 bits."""
    found = result("benchmark_int8")
    file = found["file"]
    figures = [(f"{file['metric']}, {file['data']}", "ONNX Runtime", file["float_score"], file["int8_score"])]
    for row in found["evaluations"]:
        runtime = "OpenVINO" if "--runtime openvino" in row["command"] else "ONNX Runtime"
        figures.append((f"{row['metric']}, {row['data']}", runtime, row["float_score"], row["score"]))
    megabytes = (ROOT / "src/hevitpose/weights/hevitpose_t_people16.onnx").stat().st_size / 1e6
    figures.append(("file, MB; float32 stored as float16", "", megabytes, found["megabytes"]))
    rows = [[name, runtime, f"{before:.1f}", f"{after:.1f}"] for name, runtime, before, after in figures]
    return table(["figure", "runtime", "float32", "int8"], rows)


def rounded() -> str:
    """The weights that ship rounded to 8 bits, before and after, as their card has them."""
    card = json.loads((ROOT / f"src/hevitpose/weights/{DEFAULT}.json").read_text())
    figures = [(data, SETS[data], card["scores"][data]) for data in WHOLE]
    rows = [[f"{name}, {data}", f"{of['torch'][name]:.2f}", f"{of['onnx'][name]:.2f}"] for data, name, of in figures]
    return table(["figure", "float16", "int8"], rows)


def int8_profile() -> str:
    """Milliseconds of the slowest kinds of nodes in both forms."""
    exact, int8 = result("benchmark_int8")["profile"].values()
    to_and_fro = ("QuantizeLinear", "DequantizeLinear", "Transpose", "ReorderInput", "ReorderOutput")
    kinds = {
        "convolutions in float": ("Conv",),
        "convolutions in 8 bits": ("QLinearConv",),
        "to 8 bits and back, other orders": to_and_fro,
        "softmax": ("Softmax",),
        "products of attention": ("FusedMatMul", "MatMul"),
    }
    named = {kind for group in kinds.values() for kind in group}
    kinds["all else"] = tuple(kind for kind in exact | int8 if kind not in named)
    rows = [
        [name, *(f"{sum(form.get(kind, 0) for kind in group):.1f}" for form in (exact, int8))]
        for name, group in kinds.items()
    ]
    rows.append(["**all**", *(f"**{sum(form.values()):.1f}**" for form in (exact, int8))])
    return table(["ms", "float32", "int8"], rows)


def int8_layers() -> str:
    """What each kind of layers costs and gains alone, and what else was tried."""
    rows = []
    for row in result("benchmark_int8")["layers"][1:]:
        ratios = [f"{row[runtime]:.2f}" for runtime in ("ONNX Runtime", "OpenVINO")]
        rows.append([row["form"], f"{1e4 * row['heatmaps']:.1f}", f"{row['joints_px']:.2f}", *ratios])
    return table(["in 8 bits", "heatmaps, 1e-4", "joints, px", "time, ONNX Runtime", "time, OpenVINO"], rows)


def of_paper(number: int) -> str:
    """The paper's table of this number, its costs as benchmarks/paper_costs.py counted them."""
    costs = {(row["network"], row["keypoints"]): row for row in result("paper_costs")["rows"] if row["side"] == 256}

    def stored(name: NetworkName, variant: Variant, keypoints: int) -> Cost:
        row = costs[network_spec(name, variant), keypoints]
        return Cost(row["parameters"], row["paper_operations"], row["multiply_accumulates"])

    return text(paper_table(number, ROOT / "results", stored), "md")


def peaks() -> str:
    """What the processor of the benchmarks can do."""
    found = result("benchmark_roofline")["peaks"]
    units = {name: "GB/s" if name == "memory copy" else "GOP/s" if "int8" in name else "GFLOP/s" for name in found}
    return table([f"{name}, {unit}" for name, unit in units.items()], [[f"{value:.1f}" for value in found.values()]])


def roofline() -> str:
    """Milliseconds of each kind of node before and after fusing, and what they reach after it."""
    forms: dict[str, dict[str, dict[str, Any]]] = {}
    for each in result("benchmark_roofline")["networks"]:
        for row in each["kinds"]:
            forms.setdefault(each["network"], {}).setdefault(row["kind"], {})[each["form"]] = row
    none = {"milliseconds": 0.0, "gflop": 0.0, "megabytes": 0.0}

    def line(name: str, kind: str, before: dict[str, float], after: dict[str, float]) -> list[str]:
        milliseconds = max(after["milliseconds"], 1e-6)
        per_second = after["gflop"] * 1e3 / milliseconds, after["megabytes"] / milliseconds
        return [name, kind, *(f"{x:.1f}" for x in (before["milliseconds"], after["milliseconds"], *per_second))]

    rows = []
    for name, kinds in forms.items():
        pairs = {kind: (of.get("as trained", none), of.get("as it predicts", none)) for kind, of in kinds.items()}
        rows += [line(name, kind, *pair) for kind, pair in pairs.items()]
        sums = [{key: sum(pair[i][key] for pair in pairs.values()) for key in none} for i in (0, 1)]
        rows.append([f"**{cell}**" for cell in line(name, "all", *sums)])
    return table(["network", "kind of node", "as trained, ms", "as it predicts, ms", "GFLOP/s", "GB/s"], rows)


def fusion() -> str:
    """What each step of the inference form gains alone: time over that of the training form in the same round."""
    found = result("benchmark_fusion")["rows"]
    columns = list(dict.fromkeys((row["network"], row["batch"]) for row in found))
    ratio = {(row["network"], row["batch"], row["form"]): f"{row['ratio']:.2f}" for row in found}
    names = list(dict.fromkeys(row["form"] for row in found))
    header = ["form", *(f"{network}, batch {batch}" for network, batch in columns)]
    return table(header, [[name, *(ratio[*column, name] for column in columns)] for name in names])


def compared(folder: str) -> str:
    """The runs of hevitpose compare in results/folder."""
    files = sorted((ROOT / "results" / folder).glob("*.json"))
    return markdown([read_result(file) for file in files])


TABLES: dict[str, Callable[[], str]] = {
    "weights": weights,
    "peers found": peers_found,
    "without boxes": without_boxes,
    "input sizes": input_sizes,
    "training runs": training_runs,
    "per keypoint": partial(per_keypoint, "hevitpose_t_people16"),
    "per keypoint, fast": partial(per_keypoint, "hevitpose_t_fast_people16"),
    "coco runs": coco_runs,
    "epochs": epochs,
    "fast speed": fast_speed,
    "training speed": training_speed,
    "network speed": network_speed,
    "errors": errors,
    "own keypoints": own_keypoints,
    "augmentation": augmentation,
    "changed images": changed_images,
    "calibration": calibration,
    "codecs": codecs,
    "comparison": partial(compared, "compare"),
    "open questions": partial(compared, "open_questions"),
    "peaks": peaks,
    "roofline": roofline,
    "fusion": fusion,
    "runtimes": runtimes,
    "speed ratios": speed_ratios,
    "pipeline": pipeline,
    "startup": startup,
    "paper": paper,
    "int8 scores": int8_scores,
    "int8 speed": int8_speed,
    "rounded": rounded,
    "int8 profile": int8_profile,
    "int8 layers": int8_layers,
    **{f"paper {number}": partial(of_paper, number) for number in KEYS},
}


def updated(text: str) -> str:
    """The page with its tables made anew."""
    return re.sub(
        r"(<!-- table: ([^>]+?) -->\n).*?(<!-- end -->)",
        lambda m: f"{m[1]}{TABLES[m[2]]()}\n{m[3]}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(updated(page.read_text()))
