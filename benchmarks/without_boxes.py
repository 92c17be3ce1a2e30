"""What `hevitpose predict` finds without boxes: people alone in their image, and false alarms without people.

    python benchmarks/without_boxes.py --people mpii_val lsp_val --root data/people16 --empty data/coco_people \
        --output results/benchmark_without_boxes.json

`--people`: sets of labelled people; those who share an image are left out. They are scored as in the labels' boxes,
without flip test; all joints of a person who is not found are wrong. `--empty`: sets of whole images. Squares that
touch no person's box, labelled or not, are cut from them at random; a person found in one is a false alarm.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose import PoseEstimator
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.results import ImagePoses
from hevitpose.data.crops import cut_people
from hevitpose.data.datasets import Split
from hevitpose.data.find import find_dataset, find_split
from hevitpose.evaluation.predict import predict_in_label_boxes, predictions_in_labels
from hevitpose.evaluation.score import score
from hevitpose.inference.estimator import LONE_PERSON_SCORE
from hevitpose.inference.network import keypoints_of, list_models
from hevitpose.io import atomic, images
from hevitpose.io.images import Image
from hevitpose.io.provenance import provenance

SQUARES, TRIES, SMALLEST = 4, 60, 120
"""The most squares per image, the tries to find them, and their smallest side in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", nargs="+", required=True, help="sets of labelled people")
    parser.add_argument("--root", type=Path, help="folder of the files of --people")
    parser.add_argument("--empty", type=Path, nargs="+", required=True, help="folders of whole images")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    splits = [find_split(name, options.root) for name in options.people]
    empty = [square for folder in options.empty for square in squares_without_people(folder)]
    rows = []
    for name in list_models():
        estimator = PoseEstimator.from_pretrained(name, detector="whole")
        row: dict[str, Any] = {"model": name, "people": [alone(estimator, split) for split in splits]}
        alarms = [pose for pose in map(estimator, empty) if pose.people]
        row |= {"empty": len(empty), "false_alarms": len(alarms)}
        row["sure_false_alarms"] = sum(float(pose.person_scores[0]) >= LONE_PERSON_SCORE for pose in alarms)
        print(json.dumps(row, indent=1), flush=True)
        rows.append(row)
    if options.output:
        atomic.write(options.output, json.dumps({"rows": rows, "provenance": provenance()}, indent=1) + "\n")


def alone(estimator: PoseEstimator, split: Split) -> dict[str, Any]:
    """How many of the people who are alone in their image are found, and their score without and in their boxes."""
    people = split.read()
    in_image = np.bincount(np.concatenate([people.image_index, people.ignored.image_index]))
    people = people.subset(np.flatnonzero(in_image[people.image_index] == 1))
    poses = [estimator(images.read(people.images[image])) for image in people.image_index]
    metric = split.metric or "pck_box"
    config = estimator.network.config
    in_boxes = predict_in_label_boxes(
        estimator.network, people, cut_people(people, config.input_size, config.padding), False, 8
    )
    whole = score(
        people,
        predictions_in_labels(people, *joints_of(people, poses, keypoints_of(estimator.network, people))),
        metric,
    )
    return {
        "data": split.name,
        "persons": len(people),
        "found": sum(bool(pose.people) for pose in poses),
        "metric": whole.metric,
        "without_boxes": round(whole.main, 3),
        "in_boxes": round(score(people, in_boxes, metric).main, 3),
    }


def joints_of(people: LabelledPeople, poses: list[ImagePoses], rows: list[int]) -> tuple[Any, Any]:
    """Joints (N, K, 2) and scores (N, K) of the person in each image, NaN and 0 if none is found."""
    joints, scores = np.full_like(people.keypoints, np.nan), np.zeros(people.visibility.shape)
    for row, pose in enumerate(poses):
        for person in pose.people:
            joints[row], scores[row] = person.all_keypoints[rows], person.keypoint_scores[rows]
    return joints, scores


def squares_without_people(folder: Path) -> list[Image]:
    """Squares of the images of a data set that touch no box of a person."""
    random = np.random.default_rng(0)
    dataset = find_dataset(str(folder))
    squares: list[Image] = []
    for split in (dataset.train, *dataset.validation):
        if split is None:
            continue
        people = split.read()
        image_index = np.concatenate([people.image_index, people.ignored.image_index])
        boxes = np.concatenate([people.boxes, people.ignored.boxes])
        for index, file in enumerate(people.images):
            image, here = images.read(file), boxes[image_index == index]
            squares += [image[y : y + side, x : x + side] for x, y, side in free(random, image.shape[:2], here)]
    return squares


def free(random: np.random.Generator, size_hw: tuple[int, ...], boxes: Any) -> list[tuple[int, int, int]]:
    """x, y and side of squares at random places that no box (N, 4) touches."""
    found: list[tuple[int, int, int]] = []
    height, width = size_hw
    for _ in range(TRIES):
        side = int(random.integers(SMALLEST, max(SMALLEST + 1, int(0.7 * min(size_hw)))))
        if side >= min(size_hw) or len(found) == SQUARES:
            break
        x, y = int(random.integers(0, width - side)), int(random.integers(0, height - side))
        apart = (boxes[:, :2] > (x + side, y + side)) | (boxes[:, 2:] < (x, y))
        if apart.any(axis=1).all():
            found.append((x, y, side))
    return found


if __name__ == "__main__":
    main()
