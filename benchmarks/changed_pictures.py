"""What networks still find in pictures that are darker, black and white, or partly covered.

    python benchmarks/changed_pictures.py --people mpii_val lsp_val --root data/people16 \
        --output results/benchmark_changed_pictures.json

Every weights that ship, on the crops of the labels' boxes, without flip test.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.person import LabelledPeople
from hevitpose.files import atomic
from hevitpose.files.crops import Crops, cut_people
from hevitpose.files.datasets import Metric, find_split
from hevitpose.files.provenance import provenance
from hevitpose.inference.evaluation import find_labelled, score
from hevitpose.inference.network import load_network, shipped

Pixels = NDArray[np.uint8]
COVER = 0.3
"""The sides of the rectangle, as a share of the crop's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", nargs="+", required=True, help="sets of labelled people")
    parser.add_argument("--root", type=Path, help="folder of the files of --people")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for split in (find_split(name, options.root) for name in options.people):
        people, metric = split.read(), split.metric or "pck_box"
        for name in shipped():
            rows.append({"model": name, "data": split.name, "scores": scores_of(name, people, metric)})
            print(json.dumps(rows[-1]), flush=True)
    if options.output:
        atomic.write(options.output, json.dumps({"rows": rows, "provenance": provenance()}, indent=1) + "\n")


def scores_of(weights: str | Path, people: LabelledPeople, metric: Metric) -> dict[str, float]:
    """The scores on people's crops as they are and changed."""
    network = load_network(weights)
    crops = cut_people(people, network.facts.input_size, network.facts.padding)
    scores = {}
    for name, change in CHANGES.items():
        found = find_labelled(network, people, Crops(change(crops.pixels), crops.matrices), False, 8)
        scores[name] = round(score(people, found, metric).main, 2)
    return scores


def black_and_white(pixels: Pixels) -> Pixels:
    """The mean of red, green and blue."""
    grey: Pixels = pixels.mean(axis=-1, keepdims=True).astype(np.uint8)
    return grey.repeat(3, axis=-1)


def covered(pixels: Pixels) -> Pixels:
    """A grey rectangle over each crop, at the same places for every network."""
    changed, random = pixels.copy(), np.random.default_rng(0)
    height, width = pixels.shape[1:3]
    high, wide = round(COVER * height), round(COVER * width)
    for one in changed:
        y, x = random.integers(height - high), random.integers(width - wide)
        one[y : y + high, x : x + wide] = 128
    return changed


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "as labelled": lambda pixels: pixels,
    "half as bright": lambda pixels: pixels // 2,
    "black and white": black_and_white,
    "covered": covered,
}


if __name__ == "__main__":
    main()
