"""Make the bundled files from a run's weights: safetensors, ONNX, card, curve, and their scores in results/.

    python tools/release_weights.py RUN NAME --commit COMMIT_OF_THE_RUN --score mpii_val=mpii_val lsp_val=lsp_val
    python tools/release_weights.py RUN NAME --keypoints people21 --int8 people16 --score coco17_val=coco17.json:oks ...

Each set is scored with the flip test, in the boxes of the labels, by both runtimes. --keypoints keeps these of the
keypoints that the run has learned.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from torch import nn

from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import Refinement
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import COCO17, MPII16, PEOPLE21, Skeleton
from hevitpose.export.checked import WeightPrecision, export_onnx
from hevitpose.inference.network import IN_INT8
from hevitpose.io import atomic
from hevitpose.models import weights
from hevitpose.models.registry import build_network
from hevitpose.training.init_weights import init_from_weights
from hevitpose.training.report import card
from hevitpose.training.run import draw_curve, read_run

ROOT = Path(__file__).parents[1]
BUNDLED = ROOT / "src" / "hevitpose" / "weights"
SKELETONS = {"mpii16": MPII16, "coco17": COCO17, "people21": PEOPLE21}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument(
        "--score", nargs="+", required=True, metavar="NAME=DATA[:METRIC]", help="as evaluate takes them"
    )
    parser.add_argument("--commit", required=True, help="that the run was made with")
    parser.add_argument("--note", help="what the recipe does not say of the run")
    parser.add_argument("--last", action="store_true", help="the weights of the run's end, not of its best epoch")
    parser.add_argument("--onnx-only", action="store_true", help="keep the repository small: no safetensors file")
    parser.add_argument(
        "--precision", choices=get_args(WeightPrecision), default="float16", help="of the ONNX file's weights"
    )
    parser.add_argument("--keypoints", choices=SKELETONS, help="of those that the run has learned")
    parser.add_argument(
        "--refine", choices=get_args(Refinement), help="of the heatmaps' peaks, instead of the recipe's"
    )
    parser.add_argument("--int8", metavar="DATA", help="write the form in 8 bits, too, with ranges of these people")
    options = parser.parse_args()

    run, trained = read_run(options.run), options.run / f"{'last' if options.last else 'best'}.safetensors"
    model, config = weights.load_model(trained)
    if options.keypoints:
        model, config = only(SKELETONS[options.keypoints], trained, config)
    codec = replace(config.codec, refine=options.refine or config.codec.refine)
    file = BUNDLED / f"{options.name}.safetensors"
    weights.save_model(file, weights.half_precision(model.state_dict()), replace(config, codec=codec))
    photos = sorted((ROOT / "examples").glob("*.jpg"))
    onnx = file.with_suffix(".onnx")
    export_onnx(file, onnx, images=photos, precision=options.precision)
    draw_curve(run.history, ROOT / "docs" / f"{options.name}.png")

    bundled = [onnx] if options.onnx_only else [file, onnx]
    in_int8 = onnx.with_stem(onnx.stem + IN_INT8)
    if options.int8:
        first = options.score[0].partition("=")[2]
        steps = ("--int8", "--calibrate", options.int8, "--score", first, "--check", ROOT / "examples")
        hevitpose("export", file, *steps, "--output", in_int8)
        bundled.append(in_int8)

    scores: dict[str, Any] = {}
    for name, _, where in (word.partition("=") for word in options.score):
        data, _, metric = where.partition(":")
        more = ["--metric", metric] if metric else []
        by_file = {}
        for path in (*({*bundled, file} - {onnx}), onnx):  # the last leaves the scores in results/
            output = ROOT / "results" / f"{options.name}.{name}.json"
            hevitpose("evaluate", "--data", data, "--model", path, "--output", output, *more)
            by_file[path] = {k: v["mean"] for k, v in json.loads(output.read_text())["scores"].items()}
        scores[name] = {"torch": by_file[file], "onnx": by_file[onnx]}
        if options.int8:
            scores[name]["int8"] = by_file[in_int8]
    contents = card(run, file, scores) | {
        "use": "research only, as the terms of the training data are",
        "note": options.note,
        "commit": options.commit,
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in bundled},
    }
    if start := run.recipe["weights"]:  # a file's last folder tells enough, and not where the run was made
        contents["recipe"] = {**run.recipe, "weights": "/".join(Path(start).parts[-2:])}
    if options.last:
        steps = -(-run.data.persons // run.recipe["batch_size"])
        contents |= {"epoch": len(run.history), "steps": len(run.history) * steps}
    if options.onnx_only:
        file.unlink()
    atomic.write(BUNDLED / f"{options.name}.json", json.dumps(contents, indent=1) + "\n")


def only(skeleton: Skeleton, trained: Path, config: ModelConfig) -> tuple[nn.Module, ModelConfig]:
    """The network of a weight file with these keypoints alone. Raises InputError where it has not all of them."""
    network = build_network(config.architecture, skeleton.num_keypoints, config.variant)
    match = init_from_weights(network, trained, skeleton)
    if None in match.rows:
        raise InputError(trained, f"has not learned all keypoints of {skeleton.name}")
    return network, replace(config, skeleton=skeleton)


def hevitpose(*arguments: object) -> None:
    """Run the command in the repository, so that the paths that it notes down are relative."""
    words = [str(a.relative_to(ROOT)) if isinstance(a, Path) else str(a) for a in arguments]
    subprocess.run([sys.executable, "-m", "hevitpose", *words], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
