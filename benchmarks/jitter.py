"""How far keypoints move when their person's box is moved by half a pixel, by the way peaks are read off.

    python benchmarks/jitter.py runs/people21/last.safetensors --data lsp_val --root data/people16

Every box is moved in four directions. Distances are in pixels of the image, of keypoints that score at least
--min-score in the box of the labels; without flip test and with it.
"""

import argparse
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.geometry import STRIDE, Floats
from hevitpose.core.heatmap import Refinement
from hevitpose.core.labels import LabelledPeople
from hevitpose.data.crops import cut_people
from hevitpose.data.find import find_split
from hevitpose.inference.network import Network, load_network
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance

HALF_A_PIXEL = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
NEAR = 2.0
FAR = 1.5
"""Cells: a keypoint that moves further than this has gone to another peak."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", help="weights: a file, or the name of bundled ones")
    parser.add_argument("--data", required=True, help="set of labelled people, as hevitpose evaluate takes it")
    parser.add_argument("--root", type=Path, help="folder of the data's files")
    parser.add_argument("--min-score", type=float, default=0.5)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth person")
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args()
    network, people = load_network(options.model), find_split(options.data, options.root).people
    people = people.subset(np.arange(0, len(people), options.every))
    plain = heatmaps_of(network, people)
    moved = [heatmaps_of(network, replace(people, boxes=people.boxes + np.tile(step, 2))) for step in HALF_A_PIXEL]
    rows = []
    for flip_test, refine in product((False, True), get_args(Refinement)):
        before, scores = joints_of(network, *plain, refine, flip_test)
        sure = scores >= options.min_score
        cell = STRIDE / plain[2][:, :1, 0]  # pixels of the image
        shifts = [np.linalg.norm(joints_of(network, *one, refine, flip_test)[0] - before, axis=-1) for one in moved]
        pixels = np.concatenate([shift[sure] for shift in shifts])
        cells = np.concatenate([(shift / cell)[sure] for shift in shifts])
        row: dict[str, Any] = {"flip_test": flip_test, "refine": refine, "keypoints": len(pixels)}
        row |= {f"p{share}": round(float(np.percentile(pixels, share)), 2) for share in (50, 95, 99)}
        row |= {"within_2_pixels": round(100 * float((pixels <= NEAR).mean()), 2)}
        row |= {"to_another_peak": int((cells > FAR).sum())}
        print(json.dumps(row), flush=True)
        rows.append(row)
    if options.output:
        content = {"model": options.model, "data": options.data, "rows": rows, "provenance": provenance()}
        atomic.write(options.output, json.dumps(content, indent=1) + "\n")


def heatmaps_of(network: Network, people: LabelledPeople) -> tuple[NDArray[Any], NDArray[Any], Floats]:
    """Heatmaps (N, K, h, w) of the crops, those of the mirrored crops, and the matrices of the crops."""
    crops = cut_people(people, network.config.input_size, network.config.padding)
    parts: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
    for start in range(0, len(people), 32):
        some = crops.pixels[start : start + 32]
        parts[0].append(network.heatmap_fn(some))
        parts[1].append(network.heatmap_fn(np.ascontiguousarray(some[:, :, ::-1])))
    return np.concatenate(parts[0]), np.concatenate(parts[1]), crops.matrices


def joints_of(
    network: Network,
    heatmaps: NDArray[Any],
    of_mirrored: NDArray[Any],
    matrices: Floats,
    refine: Refinement,
    flip_test: bool,
) -> tuple[Floats, Floats]:
    """Joints (N, K, 2) in image pixels and scores (N, K)."""
    config, codec = network.config, replace(network.config.codec, refine=refine)
    if flip_test:
        heatmaps = codec.flip_average(heatmaps, of_mirrored, config.skeleton.mirror)
    joints, scores = codec.decode(heatmaps, config.input_size)
    return geometry.transform(geometry.inverse(matrices), joints), scores


if __name__ == "__main__":
    main()
