"""The report of a finished run: scores with flip test, a table of keypoints, the worst persons, the card."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress, ignore_progress
from hevitpose.core.results import Predictions
from hevitpose.data.crops import Crops, cut_people
from hevitpose.evaluation.evaluate import LabelledSet, score_predictions
from hevitpose.evaluation.predict import predict_in_label_boxes
from hevitpose.evaluation.results import evaluation_to_json, three_digits
from hevitpose.evaluation.score import Evaluation
from hevitpose.inference.backends import RuntimeOptions
from hevitpose.inference.model_folder import BEST, LAST
from hevitpose.inference.network import load_network
from hevitpose.io import atomic, images
from hevitpose.io.images import Image
from hevitpose.training.run import CARD, KEYPOINTS, SCORES, RunLog, read_run, write_json
from hevitpose.view.contact_sheet import contact_sheet
from hevitpose.view.plots import plot_errors

WORST_PERSONS = 20
MIN_SHOWN_SIDE = 192
BATCH = 32


def write_report(
    folder: Path,
    validation: Sequence[LabelledSet],
    crops: Sequence[Mapping[tuple[int, int], Crops]] = (),
    on_progress: OnProgress = ignore_progress,
) -> dict[str, Evaluation]:
    """Score the best weights of the run in `folder` on the validation sets, and write the report into it.

    - scores.json, keypoints.csv: every score of every keypoint.
    - worst_SET.png: the persons with the largest errors, label and prediction side by side.
    - errors_SET.png: kinds of errors, and the calibration of scores.
    - card.json: where the weights come from, and what they may be used for.

    `crops`, if given, are those of each set by input size. Returns the evaluations by set. Raises InputError.
    """
    weights = folder / BEST
    if not weights.exists():  # without validation no epoch is the best
        weights = folder / LAST
    network = load_network(weights, RuntimeOptions("torch"))
    config = network.config
    flip_test = "flip test" if config.skeleton.flips else "no flip test"
    evaluations: dict[str, Evaluation] = {}
    for number, labelled in enumerate(validation):
        people = labelled.people
        cut = crops[number].get(config.input_size) if crops else None
        if cut is None:
            cut = cut_people(people, config.input_size, config.padding, on_progress)
        found = predict_in_label_boxes(network, people, cut, True, BATCH)
        evaluation = score_predictions(people, found, labelled.metric)
        evaluations[people.name] = evaluation
        title = f"{people.name}, {len(people)} persons in the boxes of their labels, {flip_test}"
        if evaluation.errors:
            plot_errors(evaluation.errors, folder / f"errors_{people.name}.png", title)
        images.write_png(folder / f"worst_{people.name}.png", worst_sheet(people, cut, found))
    scores = {name: evaluation_to_json(evaluation) for name, evaluation in evaluations.items()}
    write_json(folder / SCORES, scores)
    atomic.write(folder / KEYPOINTS, keypoint_table(evaluations))
    protocol = f"boxes of the labels, {flip_test}"
    write_json(folder / CARD, card(read_run(folder), weights, {"protocol": protocol, **scores}))
    return evaluations


def card(run: RunLog, weights: Path, scores: Mapping[str, object]) -> dict[str, object]:
    """The card of weights of a run: where they come from, and what they may be used for. Raises InputError."""
    from hevitpose.models.cost import cost, total
    from hevitpose.models.registry import title_of
    from hevitpose.models.weights import load_model

    model, config = load_model(weights)
    whole = total(cost(model, config.input_size))
    origin, epoch = run.data.provenance, run.best.epoch if run.best else len(run.history)
    return {
        "name": weights.stem,
        "network": title_of(config.architecture, config.variant),
        "parameters": whole.parameters,
        "paper_operations": whole.paper_operations,
        "input_size": config.input_size,
        "codec": asdict(config.codec),
        "keypoints": config.skeleton.keypoints,
        "data": f"{run.data.name}: {run.data.persons} persons",
        "terms": run.data.terms,
        "recipe": run.recipe,
        "epoch": epoch,
        "steps": epoch * -(-run.data.persons // run.recipe["batch_size"]),
        "seed": run.recipe["seed"],
        "commit": origin["commit"],
        "versions": origin["versions"],
        "device": run.data.device,
        "machine": f"{origin['cores']} cores of {origin['processor']}",
        "hours": round(run.hours, 1),
        "scores": {"protocol": "boxes of the labels, flip test"} | dict(scores),
    }


def worst_sheet(people: LabelledPeople, crops: Crops, found: Predictions) -> Image:
    """The crops of the persons with the largest errors, each with its labels and beside it with its prediction.

    Small crops are enlarged by a whole factor.
    """
    sides = (people.boxes[:, 2:] - people.boxes[:, :2]).max(axis=1)
    errors = np.linalg.norm(found.joints - people.keypoints, axis=-1) / sides[:, None]
    means = np.mean(errors, axis=1, where=people.labelled)
    worst = np.argsort(-means)[:WORST_PERSONS]
    truth = np.where(people.labelled[..., None], people.keypoints, np.nan)
    joints = np.stack([truth[worst], found.joints[worst]], axis=1).reshape(2 * len(worst), -1, 2)
    height, width = crops.pixels.shape[1:3]
    larger = -(-MIN_SHOWN_SIDE // min(height, width))
    enlarge = geometry.crop_matrix(geometry.image_box((height, width)), (larger * height, larger * width))
    shown = [images.cut(crops.pixels[n], enlarge, (larger * height, larger * width)) for n in worst]
    in_crops = geometry.transform(crops.matrices[worst].repeat(2, axis=0), joints)
    captions = [text for n in worst for text in (f"{people.ids[n]}: labels", f"off by {means[n]:.0%} of the box")]
    both = [image for image in shown for _ in range(2)]
    return contact_sheet(both, geometry.transform(enlarge, in_crops), captions, people.skeleton, columns=8)


def keypoint_table(evaluations: Mapping[str, Evaluation]) -> str:
    """CSV with a row for each score of each keypoint of a set, and one for its mean; percentages have three digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "figure", "keypoint", "labelled", "percent"])
    for name, evaluation in evaluations.items():
        labelled = evaluation.labelled
        for metric, score in evaluation.scores.items():
            for keypoint, value in (score.per_keypoint or {}).items():
                writer.writerow([name, metric, keypoint, labelled[keypoint], three_digits(value)])
            writer.writerow([name, metric, "mean", sum(labelled.values()), three_digits(score.mean)])
    return text.getvalue()
