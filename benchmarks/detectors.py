"""Person detectors beside one another: accuracy on labelled images, and time beside a crop of the pose network.

    python benchmarks/detectors.py --data coco_people/train.json coco_people/val.json --recall coco17/val.json \
        --root data --output detectors.json \
        --detectors ours=person_detector.onnx nanodet_g=nanodet.onnx ssd=ssd.tflite mediapipe=mediapipe/modules

`--data` are COCO files in which everybody is labelled: AP, strays and recall over all of them together. `--recall` are
files in which some people are not: recall of people with eight joints or more alone. Files of others are those that
detector_peers.py writes. Strays are counted at each detector's default score (ours: what its file says), and at the one
that leaves one stray an image. Times are the least and the median CPU time of one call on one thread, taken in turns
with the crop.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from detector_peers import Detector, load_peer
from hevitpose.core.labels import ImageFile
from hevitpose.evaluation.detection import MANY_KEYPOINTS, SIZES
from hevitpose.inference.detectors import input_size, letterbox
from hevitpose.inference.network import DEFAULT, find_weights
from hevitpose.io import atomic
from hevitpose.io import images as image_files
from hevitpose.io.provenance import processor
from hevitpose.metrics.detection import ImageBoxes, box_ap, matches_at

DEFAULT_SCORE = 0.3
ROUNDS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, required=True, help="folder of the data")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="COCO files below it, everybody labelled")
    parser.add_argument("--recall", type=Path, nargs="*", default=[], help="COCO files below it, some people labelled")
    parser.add_argument("--detectors", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    complete, partial = (
        [image for name in names for image in read(options.root / name, options.root)]
        for names in (options.data, options.recall)
    )
    rows: dict[str, Any] = {}
    detectors: dict[str, Detector] = {}
    for word in options.detectors:
        name, _, file = word.partition("=")
        ours = our_metadata(Path(file))
        detectors[name] = load_ours(Path(file)) if ours else load_peer(Path(file))
        score = float(ours.get("min_score", DEFAULT_SCORE))
        rows[name] = {"file": Path(file).name} | measure(detectors[name], complete, partial, score)
        print(name, json.dumps(rows[name]), flush=True)
    for name, times in time_in_turns(detectors, complete[0]["pixels"]).items():
        rows.setdefault(name, {}).update(times)
        print(name, times, flush=True)
    machine = f"{processor()}, one thread"
    everybody = sum(int((~image["crowd"]).sum()) for image in complete)
    file_config = {"images": len(complete), "people": everybody, "iou": 0.5, "machine": machine}
    file_config |= {"recall_images": len(partial), "versions": {"onnxruntime": onnxruntime.__version__}}
    atomic.write(options.output, json.dumps(file_config | {"detectors": rows}, indent=1) + "\n")


def read(path: Path, root: Path) -> list[dict[str, Any]]:
    """The images of a COCO file, from archives beside it or below `root`: pixels, boxes xyxy, whether each is a crowd,
    and the number of labelled joints."""
    content = json.loads(path.read_text())
    found = []
    for entry in content["images"]:
        rows = [each for each in content["annotations"] if each["image_id"] == entry["id"]]
        archive = entry.get("archive")
        folder = (path.parent if (path.parent / archive).exists() else root) if archive else path.parent / "images"
        xywh = np.array([each["bbox"] for each in rows], dtype=np.float64).reshape(-1, 4)
        found.append(
            {
                "pixels": image_files.read(ImageFile(entry["file_name"], folder, archive)),
                "boxes": np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
                "crowd": np.array([bool(each["iscrowd"]) for each in rows], dtype=bool),
                "joints": np.array([each.get("num_keypoints", 0) for each in rows], dtype=np.int64),
            }
        )
    return found


def our_metadata(path: Path) -> dict[str, Any]:
    """What the file of one of our detectors says of itself; empty for others'."""
    texts = load_session(path).get_modelmeta().custom_metadata_map if path.suffix == ".onnx" else {}
    said: dict[str, Any] = json.loads(texts.get("hevitpose.detector", "{}"))
    return said


def load_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def load_ours(path: Path) -> Detector:
    session = load_session(path)
    said = our_metadata(path)
    side, multiple = said["input_size"][0], said.get("input_multiple", said["input_size"][0])

    def detect(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        pixels, scale = letterbox(image, input_size(image.shape[1] / image.shape[0], side, multiple))
        boxes, scores = session.run(["boxes", "scores"], {"images": pixels[None]})
        kept = scores[0] > 0
        return (boxes[0] / np.tile(scale, 2))[kept].astype(np.float32), scores[0][kept]

    return detect


def measure(
    detect: Detector, complete: list[dict[str, Any]], partial: list[dict[str, Any]], score: float
) -> dict[str, Any]:
    """Accuracy at the default score, and at the score of one stray an image."""
    images, incomplete = (
        [
            ImageBoxes(image["boxes"], image["crowd"], *(part.astype(np.float64) for part in detect(image["pixels"])))
            for image in some
        ]
        for some in (complete, partial)
    )
    ap = box_ap(images)
    scores = sorted({float(each) for image in images for each in image.scores.round(3)})
    even = next((s for s in scores if matches_at(images, s).strays <= len(images)), 1.0)
    people = [image["joints"][~image["crowd"]] for image in complete]
    areas = [np.prod(image["boxes"][:, 2:] - image["boxes"][:, :2], axis=1)[~image["crowd"]] for image in complete]
    result: dict[str, Any] = {"AP50": round(ap.ap50, 4), "AP": round(ap.ap, 4)}
    for name, least in (("at_default", score), ("at_one_stray_an_image", even)):
        matches, area = matches_at(images, least), np.concatenate(areas)
        many = np.concatenate(people) >= MANY_KEYPOINTS
        row: dict[str, Any] = {"score": least, "strays": matches.strays, "recall": share(matches.found)}
        row["recall_8_joints"] = share(matches.found[many])
        row |= {f"recall_{size}": share(matches.found[(area >= a) & (area < b)]) for size, a, b in SIZES}
        if partial:
            theirs = np.concatenate([image["joints"][~image["crowd"]] for image in partial])
            row["recall_8_joints_partial"] = share(matches_at(incomplete, least).found[theirs >= MANY_KEYPOINTS])
        result[name] = row
    return result


def share(found: NDArray[np.bool_]) -> float | None:
    return round(float(found.mean()), 4) if len(found) else None


def time_in_turns(detectors: dict[str, Detector], image: NDArray[np.uint8]) -> dict[str, dict[str, float]]:
    """CPU milliseconds of one call of each, resizing included, and of one 192 x 192 crop of the fast pose network."""
    pose = load_session(find_weights(DEFAULT))
    crop = np.asarray(Image.fromarray(image).resize((192, 192)))[None]
    calls: dict[str, Callable[[], object]] = {"crop_192_of_hevitpose_t_fast": lambda: pose.run(None, {"crops": crop})}
    for name, detector in detectors.items():
        calls[name] = lambda detector=detector: detector(image)  # type: ignore[misc]
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            started = time.process_time()
            call()
            times[name].append(1000 * (time.process_time() - started))
    base = next(iter(times.values()))
    return {
        name: {
            "ms_least": round(min(each), 2),
            "ms_median": round(float(np.median(each)), 2),
            "crops_least": round(min(each) / min(base), 3),
            "crops_median": round(float(np.median(each) / np.median(base)), 3),
        }
        for name, each in times.items()
    }


if __name__ == "__main__":
    main()
