"""What changed colours and covered parts in training do for one's own keypoints: as labelled, darker, and covered.

    python benchmarks/augmentation.py mouse --runs runs/augmentation --output results/benchmark_augmentation.json

Trains T from random weights on a folder of labelled images with and without `--color-jitter` and `--cutout`, everything
else alike, and scores the last weights as changed_images.py does. Runs that are there already are not repeated.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from changed_images import scores_of
from hevitpose.data.find import find_dataset
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.training.loop import train
from hevitpose.training.recipes import make_recipe

ARMS: dict[str, dict[str, Any]] = {
    "neither": {},
    "color": {"color_jitter": 0.3},
    "occlusion": {"cutout": 0.5},
    "both": {"color_jitter": 0.3, "cutout": 0.5},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", help="folder of labelled images, with a validation set")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs' folders")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    dataset = find_dataset(options.data, None)
    people = dataset.validation[0].read()
    rows = []
    for arm in options.arms:
        for seed in options.seeds:
            recipe = make_recipe("people16", size="128", epochs=options.epochs, batch_size=8, seed=seed, **ARMS[arm])
            folder = options.runs / f"{arm}-{seed}"
            train(recipe, dataset, folder, resume=True)
            rows.append({"arm": arm, "seed": seed, "scores": scores_of(folder / "last.safetensors", people, "pck_box")})
            print(json.dumps(rows[-1]), flush=True)
    if options.output:
        config = {"data": dataset.name, "persons": len(people), "epochs": options.epochs, "metric": "PCKbox@0.05"}
        atomic.write(options.output, json.dumps(config | {"rows": rows, "provenance": provenance()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
