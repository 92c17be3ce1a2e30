"""Label people whose joints two networks of different descent find in the same places, also in the mirrored image.

    python benchmarks/nanodet.py nanodet.onnx --data data/sports/sports_1.zip --output detections.json
    python tools/pseudo_labels.py detections.json --root data/sports --network runs/people21/last.safetensors \
        --movenet peers/movenet-thunder.pb --leave-out duplicates.json --output sports.json

The people are the boxes of a list of COCO detections (images below --root) or of a COCO file. A joint is labelled
where all four opinions (our network and MoveNet, plain and mirrored) are sure and lie within a tenth of the longer
side of the box of each other; the label is their mean. All other joints are unlabelled. The result is a COCO file of
21 keypoints, of which MoveNet knows 17, for join_labels.py; people with fewer than --min-keypoints, small boxes and
the images of --leave-out (near_duplicates.py) are left out and counted.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from join_labels import KEYPOINTS
from near_duplicates import boxed_images
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import match_names, mirror_from_names
from hevitpose.core.labels import ImageFile, LabelledPeople, labelled_people
from hevitpose.core.skeleton import COCO17, PEOPLE21
from hevitpose.data.crops import cut_people
from hevitpose.data.skeletons import category_of
from hevitpose.inference.keypoints import KeypointPredictor
from hevitpose.inference.network import load_network
from hevitpose.io import atomic
from hevitpose.io.json_files import read_json

AGREE = 0.1
"""The largest distance between two opinions, as a share of the longer side of the box."""
SURE = 0.3
"""What each opinion scores at least."""
CHUNK = 256
Finder = Callable[[NDArray[np.uint8]], tuple[Floats, Floats]]
"""Crops (N, H, W, 3) to the 21 joints (N, K, 2) in crop pixels and scores (N, K), 0 for what it does not know."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("people", type=Path, help="list of COCO detections, or COCO file")
    parser.add_argument("--root", type=Path, help="folder of the images of a list of detections")
    parser.add_argument("--network", required=True, help="weights of ours (.safetensors, .onnx)")
    parser.add_argument("--movenet", type=Path, required=True, help="written by benchmarks/peers.py (.pb)")
    parser.add_argument("--leave-out", type=Path, help="written by near_duplicates.py")
    parser.add_argument("--min-side", type=int, default=64, help="least longer side of a box, in pixels")
    parser.add_argument("--min-keypoints", type=int, default=8, help="that are agreed on")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        duplicates = {entry["file_name"] for entry in read_json(options.leave_out)} if options.leave_out else set()
        people, counts = candidates(options.people, options.root, duplicates, options.min_side)
        finders = [our_finder(options.network), movenet_finder(options.movenet)]
        joints = np.zeros((len(people), len(KEYPOINTS), 3))
        for start in range(0, len(people), CHUNK):
            some = np.arange(start, min(start + CHUNK, len(people)))
            joints[some] = label(people.subset(some), finders, options.min_keypoints)
            print(f"{some[-1] + 1} of {len(people)} people", flush=True)
    except InputError as error:
        raise SystemExit(f"error: {error}") from error
    enough = joints[..., 2].any(axis=1)
    counts[f"with fewer than {options.min_keypoints} joints agreed on"] = int((~enough).sum())
    content = coco_file(people, joints, np.flatnonzero(enough), options.people.stem)
    atomic.write(options.output, json.dumps(content) + "\n")
    for what, count in counts.items():
        print(f"left out {what}: {count}")
    labelled = (joints[enough, :, 2] > 0).sum(axis=0)
    print(f"people: {int(enough.sum())}, joints: {int(labelled.sum())}")
    print(", ".join(f"{name} {count}" for name, count in zip(KEYPOINTS, labelled, strict=True) if count))


def candidates(
    path: Path, root: Path | None, duplicates: set[str], min_side: int
) -> tuple[LabelledPeople, Counter[str]]:
    """The boxes as people without labels, and how many boxes were left out, and why."""
    counts, image_index, boxes = Counter[str](), list[int](), list[list[float]]()
    files = list[ImageFile]()
    for image in boxed_images(path, root):
        large = longer_sides(image.boxes) >= min_side
        if image.file.name in duplicates:
            counts["in images like one that measures"] += len(large)
            continue
        counts[f"below {min_side} pixels"] += int((~large).sum())
        image_index += [len(files)] * int(large.sum())
        boxes += image.boxes[large].tolist()
        files.append(image.file)
    if not boxes:
        raise InputError(path, "no box of a person is left to label")
    unlabelled, ids = np.zeros((len(boxes), len(KEYPOINTS), 3)), range(1, len(files) + 1)
    people = labelled_people(path.stem, PEOPLE21, files, image_index, unlabelled, boxes, image_ids=ids)
    return people, counts


def longer_sides(boxes: Floats) -> Floats:
    """(N,) of boxes (N, 4)."""
    sides: Floats = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    return sides


def our_finder(name: str) -> tuple[Finder, tuple[int, int]]:
    """That of a network of ours, and the size of its crops. Raises InputError."""
    network = load_network(name)
    predictor = KeypointPredictor(network, batch_size=32)
    rows = match_names(KEYPOINTS, network.config.skeleton.keypoints)

    def find(crops: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        in_crop_pixels = np.tile(np.eye(2, 3), (len(crops), 1, 1))
        return spread(*predictor.in_crops(crops, in_crop_pixels), rows)

    return find, network.config.input_size


def movenet_finder(graph: Path) -> tuple[Finder, tuple[int, int]]:
    """That of MoveNet, and the size of its crops."""
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    side = compiled.inputs[0].shape[1]
    rows = match_names(KEYPOINTS, COCO17.keypoints)

    def find(crops: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        outputs = [compiled({0: crop[None].astype(np.int32)})[0].reshape(-1, 3) for crop in crops]
        found = np.stack(outputs).astype(np.float64)  # y and x as shares of the crop, score
        return spread(found[..., 1::-1] * side - 0.5, found[..., 2], rows)

    return find, (side, side)


def spread(joints: Floats, scores: Floats, rows: tuple[int | None, ...]) -> tuple[Floats, Floats]:
    """A network's joints (N, k, 2) and scores (N, k) in the order of the 21 keypoints; unknown ones score 0."""
    known = np.array([row is not None for row in rows])
    order = [row or 0 for row in rows]
    return joints[:, order], np.where(known, scores[:, order], 0.0)


def label(people: LabelledPeople, finders: list[tuple[Finder, tuple[int, int]]], min_keypoints: int) -> Floats:
    """Joints (N, 21, 3) of people on whom all finders agree in enough joints, else 0.

    Each finder sees only those on whom the finders before it agree, which saves the slower one most of its work.
    """
    joints, left, views = np.zeros((len(people), len(KEYPOINTS), 3)), np.arange(len(people)), list[Floats]()
    for find, size_hw in finders:
        if not len(left):
            return joints
        views += both_views(find, people.subset(left), size_hw)
        found = agreed(views, longer_sides(people.boxes[left]))
        enough = (found[..., 2] > 0).sum(axis=1) >= min_keypoints
        left, found, views = left[enough], found[enough], [view[enough] for view in views]
    joints[left] = found
    return joints


def both_views(find: Finder, people: LabelledPeople, size_hw: tuple[int, int]) -> list[Floats]:
    """Joints and scores (N, 21, 3) in image pixels, found in the crops and in the mirrored crops."""
    crops = cut_people(people, size_hw)
    to_image, partners, views = geometry.inverse(crops.matrices), list(mirror_from_names(KEYPOINTS)), []
    for mirrored in (False, True):
        joints, scores = find(crops.pixels[:, :, ::-1] if mirrored else crops.pixels)
        if mirrored:
            joints = np.stack([size_hw[1] - 1 - joints[..., 0], joints[..., 1]], axis=-1)[:, partners]
            scores = scores[:, partners]
        views.append(np.concatenate([geometry.transform(to_image, joints), scores[..., None]], axis=-1))
    return views


def agreed(views: list[Floats], lengths: Floats) -> Floats:
    """Joints (N, K, 3) with v = 2 at the mean of views (N, K, 3) where all are sure and near each other, else 0."""
    all_views = np.stack(views)
    near = np.all([
        np.linalg.norm(a[..., :2] - b[..., :2], axis=-1) <= AGREE * lengths[:, None]
        for a, b in combinations(all_views, 2)
    ], axis=0)  # fmt: skip
    agreed = near & (all_views[..., 2] >= SURE).all(axis=0)
    points = np.concatenate([all_views[..., :2].mean(axis=0), np.full((*near.shape, 1), 2.0)], axis=-1)
    return np.where(agreed[..., None], points, 0.0)


def coco_file(people: LabelledPeople, joints: Floats, chosen: NDArray[np.intp], source: str) -> dict[str, Any]:
    """The chosen people with these joints (N, 21, 3), and the images that show them."""
    annotations = []
    for number, person in enumerate(chosen.tolist(), start=1):
        bbox = geometry.xywh_from_xyxy(people.boxes[person]).round(2).tolist()
        annotations.append({
            "id": number, "image_id": people.image_ids[people.image_index[person]], "category_id": 1, "source": source,
            "bbox": bbox, "area": round(bbox[2] * bbox[3], 1), "keypoints": joints[person].round(2).ravel().tolist(),
            "num_keypoints": int((joints[person, :, 2] > 0).sum()),
        })  # fmt: skip
    images = []
    for index in np.unique(people.image_index[chosen]).tolist():
        file = people.images[index]
        archive = {} if file.archive is None else {"archive": file.archive}
        images.append({"id": people.image_ids[index], "file_name": file.name, **archive})
    return {"images": images, "annotations": annotations, "categories": [category_of(PEOPLE21)]}


if __name__ == "__main__":
    main()
