"""Make the detector's files that ship from a run: safetensors (float16), ONNX, and their card.

    python tools/release_detector.py detector/best.safetensors --run detector --data detector_data --root data \
        --commit COMMIT_OF_THE_RUN
    python tools/release_detector.py ... --scores results/benchmark_detectors.json    # once the benchmark was run

The score below which boxes are not shown is the one that leaves two stray boxes an image on the held-out images.
"""

import argparse
import csv
import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from train_detector import read_detection_set

from hevitpose.export.detector import export_detector
from hevitpose.inference.detectors import letterbox
from hevitpose.io import atomic
from hevitpose.io.provenance import processor
from hevitpose.metrics.detection import box_ap, matches_at
from hevitpose.models import weights
from hevitpose.models.detector_weights import load_detector, save_detector
from hevitpose.training.detection import predict

WEIGHTS = Path(__file__).parents[1] / "src" / "hevitpose" / "weights"
NAME = "person_detector"
TERMS = (
    "research use only: COCO 2017 (annotations CC BY 4.0, images under their Flickr licenses), Human Dataset v2 "
    "(states CC BY 4.0, gathers images of others), MPII Human Pose, LSP and LSP-extended (research use), and web "
    "images of sports without stated terms"
)
TEACHERS = (
    "Unlabelled people were filled in, or ignored, by NanoDet-g (RangiLyu, Apache-2.0) and MediaPipe's SSD of Open "
    "Images V4 (Google, Apache-2.0); neither is shipped."
)
STRAYS_PER_IMAGE = 2.0
"""The keypoints decide about the rest: below, they accept almost nobody."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder with log.csv and last.safetensors")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.json and val.json")
    parser.add_argument("--root", type=Path, required=True, help="folder of the archives")
    parser.add_argument("--commit", required=True, help="that the run was made with")
    parser.add_argument("--note", default="", help="what the recipe does not say of the run")
    parser.add_argument("--scores", type=Path, help="of benchmarks/detectors.py")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network, file_config = load_detector(options.weights)
    file = WEIGHTS / f"{NAME}.safetensors"
    save_detector(file, weights.half_precision(network.state_dict()), file_config)
    network, _ = load_detector(file)

    held_out = read_detection_set(options.data / "val.json", options.root)
    found = predict(network, held_out, file_config.side)
    scores = sorted({round(float(score), 2) for image in found for score in image.scores})
    allowed = STRAYS_PER_IMAGE * len(found)
    least = next((score for score in scores if matches_at(found, score).strays <= allowed), 1.0)
    images = np.stack([letterbox(held_out.images[i], (file_config.side, file_config.side))[0] for i in range(8)])
    export_detector(file, file.with_suffix(".onnx"), images, "int8", least)

    matches, ap = matches_at(found, least), box_ap(found)
    held_out_scores = {"AP50": ap.ap50, "AP": ap.ap, "recall": float(matches.found.mean()), "strays": matches.strays}
    _, metadata = weights.load(options.run / "last.safetensors")
    with (options.run / "log.csv").open() as log:
        history = list(csv.DictReader(log))
    benchmark = json.loads(options.scores.read_text()) if options.scores else None
    card: dict[str, Any] = {
        "name": NAME,
        "network": "person_detector",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "input_size": [file_config.side, file_config.side],
        "class_names": list(file_config.class_names),
        "min_score": least,
        "data": counts(options.data),
        "terms": TERMS,
        "use": "research only, as the terms of the training data are",
        "recipe": json.loads(metadata["options"]),
        "commit": options.commit,
        "versions": {name: version(name) for name in ("hevitpose", "numpy", "onnxruntime", "pillow", "torch")},
        "machine": f"{os.cpu_count()} cores of {processor()}",
        "history": history,
        "scores": {"held out": {name: round(value, 4) for name, value in held_out_scores.items()}},
        "note": f"{TEACHERS} {options.note}".strip(),
        "sha256": {
            each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in (file, file.with_suffix(".onnx"))
        },
    }
    if benchmark:
        card["scores"]["coco_people"] = benchmark["detectors"]["ours"]
    atomic.write(file.with_suffix(".json"), json.dumps(card, indent=1) + "\n")


def counts(folder: Path) -> dict[str, dict[str, int]]:
    """Images, people and ignored regions of the training set and of the images held out."""
    result = {}
    for name in ("train", "val"):
        content = json.loads((folder / f"{name}.json").read_text())
        ignored = sum(annotation["iscrowd"] for annotation in content["annotations"])
        people = len(content["annotations"]) - ignored
        result[name] = {"images": len(content["images"]), "people": people, "ignored_regions": ignored}
    return result


if __name__ == "__main__":
    main()
