"""Measure the error of each codec in input pixels: a joint to its heatmap and back, plain and mirrored.

    python benchmarks/coordinates.py --output results/benchmark_coordinates.json

4,096 joints at random places of a 256 x 256 crop, at least 28 pixels (DARK's reach) from its border, sigma 2. The flip
bias is the mean difference in x between the decoded mirrored heatmap (mirrored back) and the plain one, without and
with the codec's own shift.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core.heatmap import CODECS, Codec, mirror
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance

CROP, HEATMAP, JOINTS = (256, 256), (64, 64), 4096


def measure(name: str, codec: Codec) -> dict[str, Any]:
    """The row of one codec."""
    joints = np.random.default_rng(0).uniform(28, 227, (JOINTS // 16, 16, 2))
    heatmaps = codec.encode(joints, CROP, HEATMAP)
    of_mirrored = codec.encode(joints * (-1, 1) + (CROP[1] - 1, 0), CROP, HEATMAP)
    started = time.perf_counter()
    found, _ = codec.decode(heatmaps, CROP)
    seconds = time.perf_counter() - started
    errors = np.linalg.norm(found - joints, axis=-1)
    no_partners = range(16)  # each joint is its own mirror partner
    zeros = np.zeros_like(heatmaps)
    back, _ = replace(codec, flip_shift=0).decode(mirror(of_mirrored, no_partners), CROP)
    shifted, _ = codec.decode(2 * codec.flip_average(zeros, of_mirrored, no_partners), CROP)
    averaged, _ = codec.decode(codec.flip_average(heatmaps, of_mirrored, no_partners), CROP)
    return {
        "codec": name,
        "mean_error_px": round(float(errors.mean()), 4),
        "largest_error_px": round(float(errors.max()), 4),
        "flip_bias_px": round(float((back - found)[..., 0].mean()), 4),
        "flip_bias_after_shift_px": round(float((shifted - found)[..., 0].mean()), 4),
        "mean_error_of_flip_test_px": round(float(np.linalg.norm(averaged - joints, axis=-1).mean()), 4),
        "microseconds_a_joint": round(1e6 * seconds / JOINTS, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    codecs = CODECS | {"edges, dark": replace(CODECS["edges"], refine="dark")}
    rows = [measure(name, codec) for name, codec in codecs.items()]
    for row in rows:
        print(*(f"{key}: {value}" for key, value in row.items()), sep="  ")
    if options.output:
        result = {"crop": CROP, "heatmap": HEATMAP, "joints": JOINTS, "rows": rows, "provenance": provenance()}
        atomic.write(options.output, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
