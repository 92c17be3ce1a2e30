"""What `hevitpose predict` finds without boxes: people who are alone in their picture, and nobody where nobody is.

    python benchmarks/without_boxes.py --people mpii_val lsp_val --root data/people16 --empty data/coco_people \
        --output results/benchmark_without_boxes.json

`--people`: sets of labelled people; those who share a picture with another are left out. They are scored as the labels'
boxes are, without flip test; nobody found has every joint wrong. `--empty`: sets of whole pictures, of which squares
are cut at random that touch no box of a person, labelled or not; whoever is found in one is a false alarm.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose import PoseEstimator
from hevitpose.core.person import LabelledPeople, Pose
from hevitpose.files import atomic, pictures
from hevitpose.files.crops import cut_people
from hevitpose.files.datasets import Split, find_dataset, find_split
from hevitpose.files.pictures import Picture
from hevitpose.files.provenance import provenance
from hevitpose.inference.evaluation import find_labelled, in_labels, score
from hevitpose.inference.network import keypoints_of, shipped

SQUARES, TRIES, SMALLEST = 4, 60, 120
"""So many squares a picture at most, after so many tries, of at least so many pixels a side."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", nargs="+", required=True, help="sets of labelled people")
    parser.add_argument("--root", type=Path, help="folder of the files of --people")
    parser.add_argument("--empty", type=Path, nargs="+", required=True, help="folders of whole pictures")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    splits = [find_split(name, options.root) for name in options.people]
    empty = [square for folder in options.empty for square in squares_without_people(folder)]
    rows = []
    for name in shipped():
        estimator = PoseEstimator.from_pretrained(name)
        row: dict[str, Any] = {"model": name, "people": [alone(estimator, split) for split in splits]}
        alarms = [pose for pose in map(estimator, empty) if pose.people]
        row |= {"empty": len(empty), "false_alarms": len(alarms)}
        print(json.dumps(row, indent=1), flush=True)
        rows.append(row)
    if options.output:
        atomic.write(options.output, json.dumps({"rows": rows, "provenance": provenance()}, indent=1) + "\n")


def alone(estimator: PoseEstimator, split: Split) -> dict[str, Any]:
    """How many of the people who are alone in their picture are found, and their score without and in their boxes."""
    people = split.read()
    in_picture = np.bincount(np.concatenate([people.picture_of, people.ignored.picture_of]))
    people = people.subset(np.flatnonzero(in_picture[people.picture_of] == 1))
    poses = [estimator(pictures.read(people.pictures[picture])) for picture in people.picture_of]
    metric = split.metric or "pck_box"
    facts = estimator.network.facts
    in_boxes = find_labelled(estimator.network, people, cut_people(people, facts.input_size, facts.padding), False, 8)
    whole = score(people, in_labels(people, *joints_of(people, poses, keypoints_of(estimator.network, people))), metric)
    return {
        "data": split.name,
        "persons": len(people),
        "found": sum(bool(pose.people) for pose in poses),
        "metric": whole.metric,
        "without_boxes": round(whole.main, 3),
        "in_boxes": round(score(people, in_boxes, metric).main, 3),
    }


def joints_of(people: LabelledPeople, poses: list[Pose], rows: list[int]) -> tuple[Any, Any]:
    """Joints (N, K, 2) and scores (N, K) of the one person of each pose, NaN and 0 where nobody is."""
    joints, scores = np.full_like(people.keypoints, np.nan), np.zeros(people.visibility.shape)
    for row, pose in enumerate(poses):
        for person in pose.people:
            joints[row], scores[row] = person.all_keypoints[rows], person.scores[rows]
    return joints, scores


def squares_without_people(folder: Path) -> list[Picture]:
    """Squares of the pictures of a data set that touch no box of a person."""
    random = np.random.default_rng(0)
    dataset = find_dataset(str(folder))
    squares: list[Picture] = []
    for split in (dataset.train, *dataset.validation):
        if split is None:
            continue
        people = split.read()
        picture_of = np.concatenate([people.picture_of, people.ignored.picture_of])
        boxes = np.concatenate([people.boxes, people.ignored.boxes])
        for index, file in enumerate(people.pictures):
            picture, here = pictures.read(file), boxes[picture_of == index]
            squares += [picture[y : y + side, x : x + side] for x, y, side in free(random, picture.shape[:2], here)]
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
