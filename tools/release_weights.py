"""Make the files that ship from a run's best weights: safetensors, ONNX, card, curve, and their scores in results/.

    python tools/release_weights.py RUN_FOLDER NAME --data people16 --commit COMMIT_OF_THE_RUN

The data set's own validation sets are scored with flip test, in the boxes of the labels, by both runtimes.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

from hevitpose.core.heatmap import Refinement
from hevitpose.files import atomic
from hevitpose.files.datasets import find_dataset
from hevitpose.files.runs import read_run
from hevitpose.models import weights
from hevitpose.training.card import card
from hevitpose.training.run_folder import draw_curve

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "src" / "hevitpose" / "weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--data", required=True)
    parser.add_argument("--commit", required=True, help="that the run was made with")
    parser.add_argument("--note", help="what the recipe does not say of the run")
    parser.add_argument(
        "--refine", choices=get_args(Refinement), help="of the heatmaps' peaks, instead of the recipe's"
    )
    options = parser.parse_args()

    dataset, run = find_dataset(options.data), read_run(options.run)
    model, facts = weights.load_model(options.run / "best.safetensors")
    codec = replace(facts.codec, refine=options.refine or facts.codec.refine)
    file = SHIPPED / f"{options.name}.safetensors"
    weights.save_model(file, weights.half_precision(model.state_dict()), replace(facts, codec=codec))
    photos = sorted((ROOT / "examples").glob("*.jpg"))
    onnx = file.with_suffix(".onnx")
    hevitpose("export", file, "--output", onnx, *(word for photo in photos for word in ("--check", photo)))
    draw_curve(run.history, ROOT / "docs" / f"{options.name}.png")

    scores = {}
    for split in dataset.validation:
        by_runtime = {}
        for runtime in ("torch", "onnx"):
            path = ROOT / "results" / f"{options.name}.{split.name}.json"
            arguments = ("--model", options.name, "--runtime", runtime, "--output", path)
            hevitpose("evaluate", "--data", f"{dataset.name}/{split.name}", *arguments)
            by_runtime[runtime] = {k: v["mean"] for k, v in json.loads(path.read_text())["scores"].items()}
        scores[split.name] = by_runtime
    contents = card(run, file, scores) | {
        "use": "research only, as the terms of the training data are",
        "note": options.note,
        "commit": options.commit,
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (file, onnx)},
    }
    atomic.write(SHIPPED / f"{options.name}.json", json.dumps(contents, indent=1) + "\n")


def hevitpose(*arguments: object) -> None:
    """Run the command in the repository, so that the paths that it notes down are relative."""
    words = [str(a.relative_to(ROOT)) if isinstance(a, Path) else str(a) for a in arguments]
    subprocess.run([sys.executable, "-m", "hevitpose", *words], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
