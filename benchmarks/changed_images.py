"""Scores on images that are darker, black and white, or partly covered.

    python benchmarks/changed_images.py --people mpii_val lsp_val --root data/people16 \
        --output results/benchmark_changed_images.json

All bundled weights, on the crops of the labels' boxes, without flip test.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.labels import LabelledPeople
from hevitpose.data.crops import Crops, cut_people
from hevitpose.data.find import find_split
from hevitpose.evaluation.predict import predict_in_label_boxes
from hevitpose.evaluation.score import score
from hevitpose.inference.network import list_models, load_network
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.metrics.names import Metric

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
        for name in list_models():
            rows.append({"model": name, "data": split.name, "scores": scores_of(name, people, metric)})
            print(json.dumps(rows[-1]), flush=True)
    if options.output:
        atomic.write(options.output, json.dumps({"rows": rows, "provenance": provenance()}, indent=1) + "\n")


def scores_of(weights: str | Path, people: LabelledPeople, metric: Metric) -> dict[str, float]:
    """The scores on people's crops as they are and changed."""
    network = load_network(weights)
    crops = cut_people(people, network.config.input_size, network.config.padding)
    scores = {}
    for name, change in CHANGES.items():
        found = predict_in_label_boxes(network, people, Crops(change(crops.pixels), crops.matrices), False, 8)
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
