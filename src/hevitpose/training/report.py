"""What a finished run says of its weights: scores with flip test, a table of keypoints, the worst persons, the card."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress, ignore_progress
from hevitpose.core.results import Predictions
from hevitpose.data.crops import Crops, cut_people
from hevitpose.data.datasets import Dataset
from hevitpose.evaluation.analysis import analysis
from hevitpose.evaluation.predict import predict_in_label_boxes
from hevitpose.evaluation.score import as_json
from hevitpose.inference.network import load_network
from hevitpose.io import atomic, images
from hevitpose.io.images import Image
from hevitpose.training.card import card
from hevitpose.training.runs import read_run
from hevitpose.view.contact_sheet import contact_sheet
from hevitpose.view.plots import plot_analysis

WORST = 20
SMALLEST_SIDE = 192
BATCH = 32


def write_report(folder: Path, dataset: Dataset, on_progress: OnProgress = ignore_progress) -> dict[str, Any]:
    """Score the best weights of the run in `folder` on its validation sets, and write beside them what comes out.

    scores.json and keypoints.csv: every figure of every keypoint. worst_SET.png: the persons with the largest errors,
    label and prediction side by side. errors_SET.png: kinds of errors, and what scores are worth. card.json: where the
    weights come from and what they may be used for. Returns the scores by set. Raises InputError.
    """
    weights = folder / "best.safetensors"
    if not weights.exists():  # No set says which epoch is the best.
        weights = folder / "last.safetensors"
    network = load_network(weights, "torch")
    flip_test = "flip test" if network.config.skeleton.flips else "no flip test"
    scores: dict[str, Any] = {}
    for split in dataset.validation:
        if split.metric is None:
            continue
        people = split.read()
        crops = cut_people(people, network.config.input_size, network.config.padding, on_progress)
        found = predict_in_label_boxes(network, people, crops, True, BATCH)
        scores[split.name] = as_json(people, found, split.metric) | analysis(people, found, split.metric)
        title = f"{split.name}, {len(people)} persons in the boxes of their labels, {flip_test}"
        plot_analysis(scores[split.name], folder / f"errors_{split.name}.png", title)
        images.write_png(folder / f"worst_{split.name}.png", worst_sheet(people, crops, found))
    protocol = {"protocol": f"boxes of the labels, {flip_test}"}
    atomic.write(folder / "scores.json", json.dumps(scores, indent=1) + "\n")
    atomic.write(folder / "keypoints.csv", keypoint_table(scores))
    atomic.write(folder / "card.json", json.dumps(card(read_run(folder), weights, protocol | scores), indent=1) + "\n")
    return scores


def worst_sheet(people: LabelledPeople, crops: Crops, found: Predictions) -> Image:
    """The labels of the persons with the largest errors, and beside each what was found in its crop.

    Crops that are small for joints to be told apart, and for captions, are enlarged by a whole factor.
    """
    sides = (people.boxes[:, 2:] - people.boxes[:, :2]).max(axis=1)
    errors = np.linalg.norm(found.joints - people.keypoints, axis=-1) / sides[:, None]
    means = np.mean(errors, axis=1, where=people.labelled)
    worst = np.argsort(-means)[:WORST]
    truth = np.where(people.labelled[..., None], people.keypoints, np.nan)
    joints = np.stack([truth[worst], found.joints[worst]], axis=1).reshape(2 * len(worst), -1, 2)
    height, width = crops.pixels.shape[1:3]
    larger = -(-SMALLEST_SIDE // min(height, width))
    enlarge = geometry.crop_matrix(geometry.image_box((height, width)), (larger * height, larger * width))
    shown = [images.cut(crops.pixels[n], enlarge, (larger * height, larger * width)) for n in worst]
    in_crops = geometry.transform(crops.matrices[worst].repeat(2, axis=0), joints)
    captions = [text for n in worst for text in (f"{people.ids[n]}: labels", f"off by {means[n]:.0%} of the box")]
    both = [image for image in shown for _ in range(2)]
    return contact_sheet(both, geometry.transform(enlarge, in_crops), captions, people.skeleton, columns=8)


def keypoint_table(scores: dict[str, Any]) -> str:
    """One row a keypoint of a set, and one for its mean, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "figure", "keypoint", "labelled", "percent"])
    for name, of_set in scores.items():
        for figure, values in of_set["scores"].items():
            for keypoint, value in values.get("per_keypoint", {}).items():
                writer.writerow([name, figure, keypoint, of_set["labelled"][keypoint], value])
            writer.writerow([name, figure, "mean", sum(of_set["labelled"].values()), values["mean"]])
    return text.getvalue()
