"""Write the tables of README and docs from results/.

    python tools/update_tables.py

A table stands between the comments `<!-- table: NAME -->` and `<!-- end -->`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from hevitpose.benchmark.report import pipeline_table
from hevitpose.core.architecture import NetworkName, Variant, network_spec
from hevitpose.core.keypoint_names import match_names
from hevitpose.inference.network import DEFAULT
from hevitpose.models.cost import Cost
from hevitpose.paper.table_text import markdown as paper_markdown
from hevitpose.paper.tables import KEYS, paper_table
from hevitpose.training.compare import markdown as comparison_markdown
from hevitpose.view.tables import Table

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "src/hevitpose/weights"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SETS = {"mpii_val": "PCKh@0.5", "lsp_val": "PCK@0.2", "coco17_val": "AP"}
TITLES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}


def result(name: str) -> Any:
    return json.loads((ROOT / "results" / f"{name}.json").read_text())


def bold(cells: list[str]) -> list[str]:
    return [f"**{cell}**" for cell in cells]


def rows_of(name: str, columns: Mapping[str, str], key: str = "rows") -> Table:
    """One row per record under `key` of a result; `columns` as `Table.of` takes them."""
    return Table.of(result(name)[key], columns)


def pivot(corner: str, records: Iterable[dict[str, Any]], row: str, column: str, cell: str) -> Table:
    """A table of format strings: one row and one column for each different text, "-" where there is no record."""
    cells: dict[str, dict[str, str]] = {}
    columns: dict[str, None] = {}
    for record in records:
        columns[column.format(**record)] = None
        cells.setdefault(row.format(**record), {})[column.format(**record)] = cell.format(**record)
    rows = [[name, *(own.get(title, "-") for title in columns)] for name, own in cells.items()]
    return Table([corner, *columns], rows)


def weights() -> Table:
    """The bundled weights and their scores."""
    records = []
    for path in sorted(WEIGHTS.glob("hevitpose_*.json")):
        scores = {name: score_of(result(f"{path.stem}.{name}"), limbs=name == "coco17_val") for name in SETS}
        name = f"`{path.stem}`{' (default)' if path.stem == DEFAULT else ''}"
        card = json.loads(path.read_text())
        figures = {"million": card["parameters"] / 1e6, "gflops": card["paper_operations"] / 1e9}
        size = "x".join(map(str, card["input_size"]))
        records.append({"weights": name, "keypoints": len(card["keypoints"]), "size": size} | figures | scores)
    columns = {"weights": "{weights}", "keypoints": "{keypoints}", "parameters": "{million:.2f} M"}
    columns |= {"GFLOPs": "{gflops:.2f}", "input": "{size}"}
    titles = {name: f"{metric}, {name}" for name, metric in SETS.items()} | {"coco17_val": "limbs' AP, coco17_val"}
    return Table.of(records, columns | {title: f"{{{name}:.1f}}" for name, title in titles.items()})


LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
PEERS = {
    "`hevitpose_t_people16`": "hevitpose_t_people16",
    f"`{DEFAULT}`": DEFAULT,
    "MoveNet Lightning": "movenet_lightning",
    "MoveNet Thunder": "movenet_thunder",
}
"""The results in results/peers."""


def score_of(evaluation: dict[str, Any], limbs: bool) -> float:
    """The main score of an evaluation, of all keypoints that it has or of the limb joints."""
    scores = evaluation["scores"]
    main = scores[evaluation["metric"]]
    if not limbs:
        return float(main["mean"])
    if evaluation["metric"] == "AP":
        return float(scores.get("limbs, AP", main)["mean"])
    return fmean(value for joint, value in main["per_keypoint"].items() if joint.endswith(LIMBS))


def peers_found() -> Table:
    """Scores of the limb joints and of COCO's 17, ours and MoveNet's."""
    rows = []
    for title, name in PEERS.items():
        found = [result(f"peers/{name}.{data}") for data in SETS]
        cells = [f"{score_of(evaluation, limbs=True):.1f}" for evaluation in found]
        complete = "limbs, AP" in found[-1]["scores"]
        rows.append([title, *cells, f"{score_of(found[-1], limbs=False):.1f}" if complete else "-"])
    header = [f"{metric}, {name}, limbs" for name, metric in SETS.items()]
    return Table(["network", *header, "AP, coco17_val, all 17"], rows)


def detectors() -> Table:
    """The bundled detector beside small ones of others."""
    measured = result("benchmark_detectors")["detectors"]
    crop = measured["crop_192_of_hevitpose_t_fast"]["ms_median"]
    rows = []
    for name, found in measured.items():
        if "AP" in found:
            least = found["at_one_stray_an_image"]
            recalls = [f"{100 * least[key]:.0f}" for key in ("recall", "recall_8_joints")]
            rows.append(
                [
                    f"`{name}`",
                    f"{found['AP50']:.3f}",
                    f"{found['AP']:.3f}",
                    *recalls,
                    f"{found['ms_median']:.1f}",
                    f"{found['ms_median'] / crop:.2f}",
                ]
            )
    header = ["detector", "AP50", "AP", "found, %", "with 8 keypoints or more", "ms", "in crops"]
    return Table(header, rows)


END_TO_END = {"`person_detector`": "person_detector", "NanoDet-g": "nanodet_g"}


def person_scores() -> Table:
    """How often people of each score are real."""
    sets = result("calibration_people")["sets"]
    header = ["score", *(f"{n / 10:.1f} to {(n + 1) / 10:.1f}" for n in range(10))]
    rows = []
    for row in sets:
        rows.append([f"people, {row['data']}", *(f"{count:,}" for count in row["people"])])
        rows.append([f"right, %, {row['data']}", *("-" if s is None else f"{100 * s:.0f}" for s in row["right"])])
    return Table(header, rows)


def end_to_end() -> Table:
    """Who is found in whole images, with the bundled detector and with a stronger one."""
    rows = []
    for title, name in END_TO_END.items():
        evaluation = result(f"end_to_end.{name}.coco17_val")
        found = evaluation["found"]
        shares = [found[key] for key in ("found", "found, 8 keypoints or more", "right people")]
        scores = [evaluation["scores"][key]["mean"] for key in ("AP", "limbs, AP")]
        cells = [
            *(f"{share:.0f}" for share in shares),
            f"{found['strays an image']:.2f}",
            *(f"{ap:.1f}" for ap in scores),
        ]
        rows.append([title, *cells])
    return Table(
        ["detector", "found, %", "of 8 keypoints or more", "right, %", "strays an image", "AP", "limbs' AP"], rows
    )


def jitter() -> Table:
    """How far keypoints move with their boxes, by the way peaks are read off."""
    rows = [
        [row["refine"], "yes" if row["flip_test"] else "no"]
        + [f"{row[key]:.2f}" for key in ("p50", "p95", "p99")]
        + [f"{row['within_2_pixels']:.1f}", str(row["to_another_peak"])]
        for row in result("jitter")["rows"]
    ]
    header = ["offset", "flip test", "median", "95 %", "99 %", "within 2 pixels, %", "to another peak"]
    return Table(header, rows)


def without_boxes() -> Table:
    """What is found without boxes, in images of one person and of none."""
    rows = []
    for row in result("benchmark_without_boxes")["rows"]:
        cells = []
        for of in row["people"]:
            cells += [f"{100 * of['found'] / of['persons']:.1f}", f"{of['without_boxes']:.1f}", f"{of['in_boxes']:.1f}"]
        rows.append([f"`{row['model']}`", *cells, f"{row['false_alarms']} of {row['empty']}"])
    header = ["weights"]
    for of in result("benchmark_without_boxes")["rows"][0]["people"]:
        header += [f"{title}, {of['data']}" for title in ("found, %", f"{of['metric']} without boxes", "in boxes")]
    return Table([*header, "seen in nothing"], rows)


def input_sizes() -> Table:
    """Scores of the same weights in crops of other sizes."""
    sizes = result("training_log")["sizes"]
    scores = [f"{row['lsp_val']:.1f}" for row in sizes]
    return Table(["input", *(f"{row['size']}" for row in sizes)], [["PCK@0.2, lsp_val", *scores]])


TRAINING_RUNS = {
    "run": "{run}",
    "begun with": "{from}",
    "epochs": "{epochs}",
    "PCK@0.2, lsp_val": "{lsp_val:.1f}",
    "PCKh@0.5, mpii_val": "{mpii_val:.1f}",
    "limbs' AP, coco17_val": "{coco17_val}",
}


def per_keypoint(weights: str) -> Table:
    """Each keypoint's score on the three sets, in percent."""
    mpii, lsp, coco = (result(f"{weights}.{name}")["scores"] for name in SETS)
    titles = ("PCKh@0.5, mpii_val", "PCKh@0.1, mpii_val", "PCK@0.2, lsp_val", "OKS, coco17_val")
    scores = dict(zip(titles, (mpii["PCKh@0.5"], mpii["PCKh@0.1"], lsp["PCK@0.2"], coco["OKS"]), strict=True))
    names = json.loads((WEIGHTS / f"{weights}.json").read_text())["keypoints"]
    rows = [[name] for name in names]
    for score in scores.values():
        theirs = list(score["per_keypoint"])
        for row, place in zip(rows, match_names(names, theirs), strict=True):
            value = None if place is None else score["per_keypoint"][theirs[place]]
            row.append("-" if value is None else f"{value:.1f}")
    means = bold(["mean", *(f"{score['mean']:.1f}" for score in scores.values())])
    return Table(["keypoint", *titles], [*rows, means])


def augmentation() -> Table:
    """Mean scores over seeds with and without photometric augmentation and cutout."""
    rows, conditions = [], ("as labelled", "half as bright", "covered")
    for name in ("benchmark_augmentation", "benchmark_augmentation_longer"):
        content = result(name)
        for arm in dict.fromkeys(row["arm"] for row in content["rows"]):
            scores = [row["scores"] for row in content["rows"] if row["arm"] == arm]
            means = [f"{fmean(score[condition] for score in scores):.1f}" for condition in conditions]
            rows.append([arm, str(content["epochs"]), *means])
    return Table(["training", "epochs", *(f"PCKbox@0.05, {condition}" for condition in conditions)], rows)


def kinds_of_people() -> Table:
    """AP on people who are hard to read, and on all others of the same set."""
    sides = ("of the kind", "others")
    rows = []
    for row in result("benchmark_kinds_of_people")["rows"]:
        cells = [f"{row[side]['limbs AP']:.1f} ({row[side]['people']} people)" for side in sides]
        rows.append([row["kind"], *cells])
    return Table(["kind", *(f"limbs' AP, {side}" for side in sides)], rows)


def changed_images() -> Table:
    """Scores of the bundled weights on images that were changed."""
    conditions = result("benchmark_changed_images")["rows"][0]["scores"]
    columns = {"weights": "`{model}`", "set": "{data}"}
    return rows_of("benchmark_changed_images", columns | {name: f"{{scores[{name}]:.1f}}" for name in conditions})


def calibration() -> Table:
    """The share of right joints by tenths of the score."""
    bins = result(f"{DEFAULT}.lsp_val")["calibration"]["bins"]
    rows = [
        ["joints", *(f"{b['joints']:,}" for b in bins)],
        ["right (%)", *(f"{100 * b['share_right']:.0f}" for b in bins)],
    ]
    return Table(["score", *(f"{b['from']:.1f} to {b['to']:.1f}" for b in bins)], rows)


FAST_SPEED = {
    "weights": "{title}",
    "runtime": "{runtime}",
    "bits": "{precision}",
    "batch": "{batch}",
    "ms": "{p50_ms:.1f}",
    "images/s": "{images_per_second:.1f}",
    "ratio": "{ratio:.2f}",
}
EPOCHS = {
    "recipe": "`{recipe}`",
    "batch": "{batch}",
    "images/s": "{images_per_second:.1f}",
    "days for 210 epochs": "{days:.0f}",
    "memory, GB": "{process_gb:.1f}",
    "crops of all people, GB": "{crops_gb:.0f}",
}


def network_speed() -> Table:
    """Images/s of each part of a training step."""
    parts = [part for part in result("benchmark_training")["networks"][0] if part not in ("network", "size")]
    columns = {"images/s": "{network}"} | {part: f"{{{part}:.1f}}" for part in parts}
    return rows_of("benchmark_training", columns, "networks")


def training_speed() -> Table:
    """Images/s of the two sides of training."""
    return pivot("images/s", result("benchmark_training")["rows"], "{what}", "{size}", "{images_per_second:.1f}")


THREADS = "{runtime}, {threads} thread{s}"


def with_titles(name: str) -> list[dict[str, Any]]:
    """The records of a benchmark, with the runtimes' titles and the plural of "thread"."""
    return [row | {"runtime": TITLES[row["runtime"]], "s": "s" * (row["threads"] > 1)} for row in result(name)["rows"]]


def runtimes() -> Table:
    """Milliseconds of each network in each runtime, and the ratio to the reference; then memory."""
    records = with_titles("benchmark_runtime")
    times = pivot("network", records, "{title}", THREADS, "{p50_ms:.1f} ({ratio:.2f})")
    memory = pivot("network", records, "{title}", "MB, {runtime}", "{memory_mb:.0f}")
    rows = [[*cells, *more[1:]] for cells, more in zip(times.rows, memory.rows, strict=True)]
    return Table([*times.header, *memory.header[1:]], rows)


GOALS = (
    ("HEViTPose-B", "ResNet-50", 0.75),
    ("HEViTPose-B", "HRNet-W32", 0.6),
    ("HEViTPose-T", "MobileNetV2", 1.0),
    ("HEViTPose-B, query_reduction=true", "ResNet-50", 0.75),
    ("HEViTPose-B, query_reduction=true", "HRNet-W32", 0.6),
    ("HEViTPose-T, query_reduction=true", "MobileNetV2", 1.0),
)
"""Networks whose times are compared, and the ratio that was aimed at."""


def speed_ratios() -> Table:
    """Our networks' times divided by others'."""
    table = pivot("title", with_titles("benchmark_goals"), "{title}", THREADS, "{ratio}")
    ratios = {title: [float(cell) for cell in cells] for title, *cells in table.rows}
    rows = []
    for ours, theirs, goal in GOALS:
        cells = [f"{own / other:.2f}" for own, other in zip(ratios[ours], ratios[theirs], strict=True)]
        rows.append([f"{ours} / {theirs}", f"{goal:.2f}", *cells])
    return Table(["ratio of times", "aimed at", *table.header[1:]], rows)


CODECS = {
    "codec": "`{codec}`",
    "mean error": "{mean_error_px:.2f}",
    "largest error": "{largest_error_px:.2f}",
    "flip bias": "{flip_bias_px:+.2f}",
    "after its shift": "{flip_bias_after_shift_px:+.2f}",
    "mean error of the flip test": "{mean_error_of_flip_test_px:.2f}",
}


def int8_scores() -> Table:
    """Scores of the bundled network in float32 and in 8 bits."""
    content = result("benchmark_int8")
    file = content["file"]
    figures = [(f"{file['metric']}, {file['data']}", "ONNX Runtime", file["float_score"], file["int8_score"])]
    for row in content["evaluations"]:
        runtime = "OpenVINO" if "--runtime openvino" in row["command"] else "ONNX Runtime"
        figures.append((f"{row['metric']}, {row['data']}", runtime, row["float_score"], row["score"]))
    megabytes = (WEIGHTS / "hevitpose_t_people16.onnx").stat().st_size / 1e6
    figures.append(("file, MB; float32 stored as float16", "", megabytes, content["megabytes"]))
    rows = [[name, runtime, f"{before:.1f}", f"{after:.1f}"] for name, runtime, before, after in figures]
    return Table(["figure", "runtime", "float32", "int8"], rows)


def rounded() -> Table:
    """Scores of the default weights before and after rounding to 8 bits, from their card."""
    scores = json.loads((WEIGHTS / f"{DEFAULT}.json").read_text())["scores"]
    rows = [
        [f"{metric}, {data}", *(f"{scores[data][form][metric]:.2f}" for form in ("torch", "onnx"))]
        for data, metric in SETS.items()
    ]
    return Table(["figure", "float16", "int8"], rows)


def int8_profile() -> Table:
    """Milliseconds of the slowest kinds of nodes in both forms."""
    exact, int8 = result("benchmark_int8")["profile"].values()
    conversions = ("QuantizeLinear", "DequantizeLinear", "Transpose", "ReorderInput", "ReorderOutput")
    kinds = {
        "convolutions in float": ("Conv",),
        "convolutions in 8 bits": ("QLinearConv",),
        "to 8 bits and back, other orders": conversions,
        "softmax": ("Softmax",),
        "products of attention": ("FusedMatMul", "MatMul"),
    }
    named = {kind for group in kinds.values() for kind in group}
    kinds["all else"] = tuple(kind for kind in exact | int8 if kind not in named)
    rows = [
        [name, *(f"{sum(form.get(kind, 0) for kind in group):.1f}" for form in (exact, int8))]
        for name, group in kinds.items()
    ]
    return Table(["ms", "float32", "int8"], [*rows, bold(["all", *(f"{sum(f.values()):.1f}" for f in (exact, int8))])])


def int8_layers() -> Table:
    """What each kind of layers costs and gains alone, and what else was tried."""
    records = [row | {"heatmaps": 1e4 * row["heatmaps"]} for row in result("benchmark_int8")["layers"][1:]]
    columns = {"in 8 bits": "{form}", "heatmaps, 1e-4": "{heatmaps:.1f}", "joints, px": "{joints_px:.2f}"}
    return Table.of(records, columns | {f"time, {title}": f"{{{title}:.2f}}" for title in TITLES.values()})


def of_paper(number: int) -> str:
    """A table of the paper with the costs that benchmarks/paper_costs.py counted."""
    costs = {(row["network"], row["keypoints"], row["side"]): row for row in result("paper_costs")["rows"]}

    def stored(name: NetworkName, variant: Variant, keypoints: int, side: int) -> Cost:
        row = costs[network_spec(name, variant), keypoints, side]
        return Cost(row["parameters"], row["paper_operations"], row["multiply_accumulates"])

    return paper_markdown(paper_table(number, ROOT / "results", stored))


def peaks() -> Table:
    """What the processor of the benchmarks can do."""
    peaks = result("benchmark_roofline")["peaks"]
    units = {name: "GB/s" if name == "memory copy" else "GOP/s" if "int8" in name else "GFLOP/s" for name in peaks}
    return Table([f"{name}, {unit}" for name, unit in units.items()], [[f"{value:.1f}" for value in peaks.values()]])


def fusion() -> Table:
    """What each step of the inference form gains alone: its time divided by the training form's."""
    return pivot("form", result("benchmark_fusion")["rows"], "{form}", "{network}, batch {batch}", "{ratio:.2f}")


def compared(folder: str) -> str:
    """The runs of hevitpose compare in results/FOLDER."""
    files = sorted((ROOT / "results" / folder).glob("*.json"))
    return comparison_markdown([json.loads(file.read_text()) for file in files])


def tracking() -> Table:
    """Identities of walkers, by boxes and tracker."""
    columns = {"boxes": "{detections}", "tracker": "{tracker}", "detector every n frames": "{detect_every}"}
    return rows_of(
        "tracking",
        columns
        | {"IDF1": "{idf1:.2f}", "switches": "{switches:.1f}", "recall": "{recall:.2f}", "strays": "{strays:.0f}"},
    )


def browser_speed() -> Table:
    """Processor time in the browser and natively, on one thread."""
    measured = result("benchmark_browser")
    browser, native = measured["browser"], measured["native"]
    rows = [
        [title, f"{browser[key]:.0f}", f"{native[key]:.0f}", f"{native[key] / browser[key]:.2f}"]
        for title, key in (("a person: crop and joints", "crop_ms"), ("an image of no one: detector", "nobody_ms"))
    ]
    return Table(["processor time, one thread", "Chromium, ms", "ONNX Runtime, ms", "speed, of native"], rows)


def browser_downloads() -> Table:
    """Compressed sizes of what the page loads."""
    sizes = result("benchmark_browser")["downloads_gzip_bytes"]
    return Table(["loaded", "MB, gzip"], [[what, f"{size / 1e6:.1f}"] for what, size in sizes.items()])


TABLES: dict[str, Callable[[], Table | str]] = {
    "jitter": jitter,
    "detectors": detectors,
    "end to end": end_to_end,
    "person scores": person_scores,
    "weights": weights,
    "peers found": peers_found,
    "without boxes": without_boxes,
    "input sizes": input_sizes,
    "training runs": partial(rows_of, "training_log", TRAINING_RUNS, "runs"),
    "per keypoint": partial(per_keypoint, "hevitpose_t_people16"),
    "per keypoint, fast": partial(per_keypoint, DEFAULT),
    "epochs": partial(rows_of, "benchmark_epoch", EPOCHS),
    "fast speed": lambda: Table.of(with_titles("benchmark_fast"), FAST_SPEED),
    "training speed": training_speed,
    "network speed": network_speed,
    "augmentation": augmentation,
    "changed images": changed_images,
    "kinds of people": kinds_of_people,
    "calibration": calibration,
    "codecs": partial(rows_of, "benchmark_coordinates", CODECS),
    "comparison": partial(compared, "compare"),
    "open questions": partial(compared, "open_questions"),
    "peaks": peaks,
    "fusion": fusion,
    "runtimes": runtimes,
    "speed ratios": speed_ratios,
    "pipeline": lambda: pipeline_table(result("benchmark_pipeline")["pipeline"]),
    "startup": partial(rows_of, "benchmark_startup", {"up to": "{what}", "seconds": "{seconds:.2f}"}),
    "int8 scores": int8_scores,
    "rounded": rounded,
    "tracking": tracking,
    "browser speed": browser_speed,
    "browser downloads": browser_downloads,
    "int8 profile": int8_profile,
    "int8 layers": int8_layers,
    **{f"paper {number}": partial(of_paper, number) for number in KEYS},
}


def updated(text: str) -> str:
    """A page with its tables written again."""

    def table(match: re.Match[str]) -> str:
        content = TABLES[match[2]]()
        return f"{match[1]}{content.markdown() if isinstance(content, Table) else content}\n{match[3]}"

    return re.sub(r"(<!-- table: ([^>]+?) -->\n).*?(<!-- end -->)", table, text, flags=re.DOTALL)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(updated(page.read_text()))
