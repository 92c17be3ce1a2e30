"""What changed colours and covered parts in training do for one's own keypoints: as labelled, darker, and covered.

    python benchmarks/augmentation.py mouse --runs runs/augmentation --output results/benchmark_augmentation.json

Trains T from random weights on a folder of labelled pictures with and without `--color` and `--occlusion`, everything
else alike, and scores the last weights on the validation set's crops: as they are, at half the brightness, and with a
grey rectangle at random over each. Runs that are there already are not repeated.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core.person import LabelledPeople
from hevitpose.files import atomic
from hevitpose.files.crops import Crops, cut_people
from hevitpose.files.datasets import find_dataset
from hevitpose.files.provenance import provenance
from hevitpose.inference.evaluation import find_labelled, score
from hevitpose.inference.network import load_network
from hevitpose.training.loop import train
from hevitpose.training.recipes import chosen

ARMS: dict[str, dict[str, Any]] = {
    "neither": {},
    "color": {"color": 0.3},
    "occlusion": {"occlusion": 0.5},
    "both": {"color": 0.3, "occlusion": 0.5},
}
DARKER = 0.5
COVER = 0.3
"""The sides of the rectangle, as a share of the crop's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", help="folder of labelled pictures, with a validation set")
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
            recipe = chosen("people16", size="128", epochs=options.epochs, batch_size=8, seed=seed, **ARMS[arm])
            folder = options.runs / f"{arm}-{seed}"
            train(recipe, dataset, folder, resume=True)
            rows.append({"arm": arm, "seed": seed, "scores": scores_of(folder / "last.safetensors", people)})
            print(json.dumps(rows[-1]), flush=True)
    if options.output:
        facts = {"data": dataset.name, "persons": len(people), "epochs": options.epochs, "metric": "PCKbox@0.05"}
        atomic.write(options.output, json.dumps(facts | {"rows": rows, "provenance": provenance()}, indent=1) + "\n")


def scores_of(weights: Path, people: LabelledPeople) -> dict[str, float]:
    """PCKbox@0.05, without flip test, on the crops as they are and changed."""
    network = load_network(weights)
    crops = cut_people(people, network.facts.input_size, network.facts.padding)
    changed = {
        "as labelled": crops.pixels,
        "darker": (crops.pixels * DARKER).astype(np.uint8),
        "covered": covered(crops),
    }
    scores = {}
    for name, pixels in changed.items():
        found = find_labelled(network, people, Crops(pixels, crops.matrices), False, 8)
        scores[name] = round(score(people, found, "pck_box").main, 2)
    return scores


def covered(crops: Crops) -> Any:
    """The crops with a grey rectangle over each, at the same places for every network."""
    pixels, random = crops.pixels.copy(), np.random.default_rng(0)
    height, width = pixels.shape[1:3]
    high, wide = round(COVER * height), round(COVER * width)
    for one in pixels:
        y, x = random.integers(height - high), random.integers(width - wide)
        one[y : y + high, x : x + wide] = 128
    return pixels


if __name__ == "__main__":
    main()
