"""Fit the calibration of people's scores, and show how often people of each score are real.

    python benchmarks/calibration.py detector_data/val.json coco17/val.json --root data --output calibration.json

The first file, held out of the detector's training, is fitted on; all are shown. They are COCO files of whole images
(archives below --root or beside the file). A candidate is right if its box overlaps a labelled person (IoU of 0.5), who
is claimed by the best candidate alone; candidates in crowds do not count. What is printed last belongs into
`PERSON_CALIBRATION`. In a set that does not label everybody, as coco17, the shares are lower bounds.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import read
from hevitpose import PoseEstimator
from hevitpose.core.geometry import Floats, image_box
from hevitpose.evaluation.calibration import fit_calibration
from hevitpose.inference.detectors import PersonDetector
from hevitpose.inference.estimator import boxes_with_keypoints
from hevitpose.inference.network import DEFAULT, PERSON_DETECTOR, find_weights
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.metrics.detection import ImageBoxes, match
from hevitpose.training.own_model import CANDIDATE_SCORE

BINS, SAME_BOX = 10, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, nargs="+", help="COCO files; the first is fitted on")
    parser.add_argument("--root", type=Path, required=True, help="folder of the archives")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    finder = PersonDetector(find_weights(PERSON_DETECTOR), min_score=CANDIDATE_SCORE)
    # A plain function as detector: the scores stay products.
    estimator = PoseEstimator.from_pretrained(DEFAULT, detector=finder.__call__, min_person_score=0.0)
    sets = {
        path.parent.name + "/" + path.stem: candidates(estimator, read(path, options.root)) for path in options.data
    }
    fitted = fit_calibration(*next(iter(sets.values())))
    if fitted is None:
        raise SystemExit("error: too few candidates are right or wrong")
    rows = [{"data": name, "candidates": len(right)} | curve(fitted(s), right) for name, (s, right) in sets.items()]
    content = {"slope": round(fitted.slope, 2), "half": round(fitted.half, 3), "sets": rows, "provenance": provenance()}
    atomic.write(options.output, json.dumps(content, indent=1) + "\n")
    print(json.dumps(rows, indent=1))
    print(f"Calibration({content['slope']}, {content['half']})")


def candidates(estimator: PoseEstimator, images: list[dict[str, Any]]) -> tuple[Floats, NDArray[np.bool_]]:
    """The scores (N,) of all people found in the images, and which of them are right."""
    scores, right = [], []
    for image in images:
        poses = estimator(image["pixels"])
        outline = image_box(image["pixels"].shape[:2])
        boxes = boxes_with_keypoints(poses.boxes, poses.all_keypoints, poses.present, outline, poses.skeleton)
        labels, ignored = match(ImageBoxes(image["boxes"], image["crowd"], boxes, poses.person_scores), SAME_BOX)
        scores.append(poses.person_scores[~ignored])
        right.append(labels[~ignored] >= 0)
    return np.concatenate(scores), np.concatenate(right)


def curve(scores: Floats, right: NDArray[np.bool_]) -> dict[str, Any]:
    """The number of people and the share of right ones by tenths of the calibrated score."""
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    shares = np.bincount(places, weights=right, minlength=BINS) / np.maximum(counts, 1)
    return {
        "people": counts.tolist(),
        "right": [round(s, 3) if n else None for s, n in zip(shares, counts, strict=True)],
    }


if __name__ == "__main__":
    main()
