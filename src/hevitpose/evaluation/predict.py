"""Predictions on labelled people, in the boxes of their labels or of a detector."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress, Progress, ignore_progress
from hevitpose.core.results import Detections, Predictions, person_scores
from hevitpose.data.crops import Crops, cut_people
from hevitpose.data.detections import NO_PEOPLE, DetectionFile
from hevitpose.inference.keypoints import KeypointPredictor
from hevitpose.inference.network import Network, keypoints_of
from hevitpose.metrics.oks import MIN_KEYPOINT_SCORE

LABELS = "labels"
"""Where the boxes are from, in results."""
PERSONS_AT_A_TIME = 2048
"""COCO's usual detections are 100,000 boxes: their crops do not fit into memory together."""


def predictions_in_labels(people: LabelledPeople, joints: Floats, keypoint_scores: Floats) -> Predictions:
    """Predictions from joints (N, K, 2) and scores (N, K) in the boxes of the N labelled people."""
    scores = person_scores(keypoint_scores, keypoint_scores > MIN_KEYPOINT_SCORE)
    return Predictions(
        people.image_index, people.boxes, joints, keypoint_scores, scores, np.arange(len(people)), LABELS
    )


def predict_in_label_boxes(
    network: Network, people: LabelledPeople, crops: Crops, flip_test: bool, batch_size: int
) -> Predictions:
    """Predict each person in its own crop; with `flip_test`, averaged with the mirrored crop if the skeleton allows.

    Keypoints that only the network has are left out. Raises InputError if it lacks one of the people's.
    """
    rows = keypoints_of(network, people)
    joints, scores = KeypointPredictor(network, flip_test, batch_size).in_crops(crops.pixels, crops.matrices)
    return predictions_in_labels(people, joints[:, rows], scores[:, rows])


def predict_in_detections(
    network: Network,
    people: LabelledPeople,
    detections: DetectionFile,
    source: str,
    flip_test: bool,
    batch_size: int,
    on_progress: OnProgress = ignore_progress,
) -> tuple[Predictions, list[str]]:
    """Predict a person in every detected box of the images; also returns notes about what does not fit.

    A person's score is the box's times the mean of the confident keypoints'.

    Args:
        network: the network.
        people: the labels; only their images are used.
        detections: the boxes.
        source: the name of the boxes in notes and errors.
        flip_test: average with the mirrored crop.
        batch_size: crops per call of the network.
        on_progress: called after every few thousand persons.

    Raises InputError if no box is of an image of the set, or if an image cannot be read.
    """
    files = [Path(file.name) for file in people.images]
    by_id = [detections.find(file, number) for file, number in zip(files, people.image_ids, strict=True)]
    by_name = [detections.find(file) for file in files]
    # One of the two for all images: otherwise an image without a box would get that of another.
    of_images = max(by_id, by_name, key=lambda found: sum(one is not NO_PEOPLE for one in found))
    counts = np.array([len(one.scores) for one in of_images])
    if not counts.any():
        raise InputError(source, f"has no box for any image of {people.name}")
    notes = []
    used = {id(one) for one in of_images}
    if strangers := sum(id(one) not in used for one in detections.of.values()):
        notes.append(f"{strangers} images of {source} are not in {people.name}")
    if empty := int((counts[np.unique(people.image_index)] == 0).sum()):
        notes.append(f"{empty} images with labelled people have no box in {source}")
    notes += detections.notes(source)
    boxes = in_boxes(people, np.repeat(np.arange(len(counts)), counts), [one for one in of_images if len(one.scores)])
    found = predict_piecewise(network, boxes, flip_test, batch_size, on_progress)
    box_scores = np.concatenate([one.scores for one in of_images])
    scores = person_scores(found.keypoint_scores, found.keypoint_scores > MIN_KEYPOINT_SCORE, box_scores)
    return replace(found, scores=scores, person_of=None, source=f"detections {source}, {len(scores)} boxes"), notes


def predict_piecewise(
    network: Network,
    people: LabelledPeople,
    flip_test: bool,
    batch_size: int,
    on_progress: OnProgress = ignore_progress,
) -> Predictions:
    """As `predict_in_label_boxes`, with the crops of `PERSONS_AT_A_TIME` persons in memory. Raises InputError."""
    joints, scores = np.empty_like(people.keypoints), np.empty(people.visibility.shape)
    for start in range(0, len(people), PERSONS_AT_A_TIME):
        part = np.arange(start, min(start + PERSONS_AT_A_TIME, len(people)))
        some = people.subset(part)
        crops = cut_people(some, network.config.input_size, network.config.padding)
        found = predict_in_label_boxes(network, some, crops, flip_test, batch_size)
        joints[part], scores[part] = found.joints, found.keypoint_scores
        on_progress(Progress(people.name, int(part[-1]) + 1, len(people)))
    return predictions_in_labels(people, joints, scores)


def in_boxes(people: LabelledPeople, image_index: Any, detected: Sequence[Detections]) -> LabelledPeople:
    """People without labelled joints in the detected boxes of these images."""
    boxes, k = np.concatenate([one.boxes for one in detected]), people.skeleton.num_keypoints
    unknown = np.full(len(boxes), np.nan)
    return replace(
        people,
        image_index=np.asarray(image_index, dtype=np.int64),
        ids=np.arange(len(boxes)),
        boxes=boxes,
        keypoints=np.zeros((len(boxes), k, 2)),
        visibility=np.zeros((len(boxes), k), dtype=np.int8),
        head_sizes=unknown,
        areas=unknown,
    )
