"""Mend labels of the 21 keypoints of join_labels.py where two networks that were trained apart agree against them.

    python tools/join_labels.py --root data --output people16_21 --train people16/people16_train.json
    hevitpose evaluate --data data/people16/people16_train.json --model first.safetensors --metric pck_box \
        --save-predictions t.json
    python benchmarks/movenet.py movenet-thunder.pb --data people16_21/train.json --root data --output movenet.json
    python tools/second_opinion.py people16_21/train.json t.json movenet.json --output people16_21/mended.json \
        --repeat lsp=2 mpii=3

The result is a file that join_labels.py takes (with images=.). Opinions are COCO results in the boxes of the labels,
the first in MPII's keypoints or all 21, the second in all; a keypoint that scores 0 is one that the network does not
know. Sides are exchanged, joints moved and missing joints filled in only for people of --source; in people of sources
that label no face, the face is the second opinion's where that is sure. What was changed is printed. Lengths are
shares of the longer side of the labels' box.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from join_labels import FACE, KEYPOINTS
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.io import atomic

AGREE = 0.06
"""So close the two opinions are to each other where they count: about 0.2 of a torso."""
AGAINST = 0.12
"""So far a label is from both where it is moved."""
SURE, SURE_OF_FACE = 0.3, 0.5
"""What they score at least."""
SWAP_GAIN = 0.5
"""Sides are exchanged where that leaves less than this share of the distance, for both opinions."""
GROUPS = (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
FILLED = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("labels", type=Path)
    parser.add_argument("opinions", type=Path, nargs=2)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--source", default="lspet", help="whose labels are mended")
    parser.add_argument("--repeat", nargs="*", default=[], metavar="SOURCE=TIMES", help="people who are met more often")
    options = parser.parse_args()

    content = json.loads(options.labels.read_text())
    people = content["annotations"]
    labels = np.array([person["keypoints"] for person in people], dtype=float).reshape(len(people), -1, 3)
    lengths = np.array([max(person["bbox"][2:]) for person in people])
    opinions = [read_opinion(path, [person["id"] for person in people]) for path in options.opinions]
    mine = np.array([person["source"] == options.source for person in people])
    labels[mine], counts = mend(labels[mine], [opinion[mine] for opinion in opinions], lengths[mine])
    face = [KEYPOINTS.index(name) for name in FACE]
    with_face = {person["source"] for person, joints in zip(people, labels, strict=True) if joints[face, 2].any()}
    without_face = np.array([person["source"] not in with_face for person in people])
    labels[:, face], counts["of the face filled in"] = fill(labels[:, face], opinions[1][:, face], without_face)

    repeats = {source: int(count) for source, count in (word.split("=") for word in options.repeat)}
    mended = [
        {**person, "keypoints": joints.ravel().round(2).tolist(), "num_keypoints": int((joints[:, 2] > 0).sum())}
        for person, joints in zip(people, labels, strict=True)
        for _ in range(repeats.get(person["source"], 1))
    ]
    content["annotations"] = [{**person, "id": number} for number, person in enumerate(mended, start=1)]
    atomic.write(options.output, json.dumps(content) + "\n")
    for what, count in counts.items():
        print(f"{what}: {count}")
    print("people: " + ", ".join(f"{k} {v}" for k, v in Counter(p["source"] for p in mended).items()))


def read_opinion(path: Path, ids: list[int]) -> Floats:
    """Keypoints and scores (N, 21, 3) of the people with these ids, all zero where there is none."""
    found = {one["annotation_id"]: one["keypoints"] for one in json.loads(path.read_text())}
    opinion = np.zeros((len(ids), 3 * len(KEYPOINTS)))
    for row, person in enumerate(ids):
        triples = found.get(person, [])
        opinion[row, : len(triples)] = triples
    return opinion.reshape(len(ids), -1, 3)


def mend(labels: Floats, opinions: list[Floats], lengths: Floats) -> tuple[Floats, dict[str, int]]:
    """Labels (N, K, 3), v = 0 where there is none, after the two opinions (N, K, 3); what was changed how often."""
    labels, counts = labels.copy(), {}
    labels_before = int((labels[..., 2] > 0).sum())
    for group in GROUPS:
        left, right = ([KEYPOINTS.index(f"{side}_{joint}") for joint in group] for side in "lr")
        own, other = left + right, right + left
        wrong = np.logical_and(*(better_exchanged(labels, opinion, own, other) for opinion in opinions))
        rows = np.flatnonzero(wrong)[:, None]
        labels[rows, own] = labels[rows, other]
        counts[f"people with exchanged {', '.join(group)}"] = int(wrong.sum())
    first, second = opinions
    sure = np.logical_and(*(opinion[..., 2] >= SURE for opinion in opinions))
    agree = sure & (distance(first, second) < AGREE * lengths[:, None])
    labelled = labels[..., 2] > 0
    far = np.logical_and(*(distance(labels, opinion) > AGAINST * lengths[:, None] for opinion in opinions))
    moved, filled = agree & labelled & far, agree & ~labelled
    middle = (first[..., :2] + second[..., :2]) / 2
    labels[..., :2] = np.where((moved | filled)[..., None], middle, labels[..., :2])
    labels[..., 2] = np.where(filled, FILLED, labels[..., 2])
    return labels, counts | {"moved": int(moved.sum()), "filled in": int(filled.sum()), "labelled": labels_before}


def better_exchanged(labels: Floats, opinion: Floats, own: list[int], other: list[int]) -> NDArray[np.bool_]:
    """(N,): whether the labels are much nearer to the opinion if those of `other` are taken for those of `own`."""
    known = (labels[:, own, 2] > 0) & (labels[:, other, 2] > 0) & (opinion[:, own, 2] > 0)
    as_they_are = (distance(labels[:, own], opinion[:, own]) * known).sum(axis=1)
    exchanged = (distance(labels[:, other], opinion[:, own]) * known).sum(axis=1)
    return np.asarray(known.any(axis=1) & (exchanged < SWAP_GAIN * as_they_are))


def fill(labels: Floats, opinion: Floats, people: NDArray[np.bool_]) -> tuple[Floats, int]:
    """Labels (N, K, 3) of these people where the opinion is sure and they have none, and how many."""
    filled = people[:, None] & (labels[..., 2] == 0) & (opinion[..., 2] >= SURE_OF_FACE)
    points = np.concatenate([opinion[..., :2], np.full_like(opinion[..., :1], FILLED)], axis=-1)
    return np.where(filled[..., None], points, labels), int(filled.sum())


def distance(a: Floats, b: Floats) -> Floats:
    """Between the points (..., 2 or more) of both, in the plane."""
    lengths: Floats = np.linalg.norm(a[..., :2] - b[..., :2], axis=-1)
    return lengths


if __name__ == "__main__":
    main()
