"""Evaluation of a network, or of a file of predictions, on labelled people."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from hevitpose.core.architecture import network_spec
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import STRIDE
from hevitpose.core.keypoint_names import match_names
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress, ignore_progress
from hevitpose.core.results import Predictions
from hevitpose.core.skeleton import NOT_FLIPPED
from hevitpose.data.crops import cut_people
from hevitpose.data.datasets import Split
from hevitpose.data.detections import read_detections
from hevitpose.data.find import find_split
from hevitpose.data.mpii import read_pred_mat, write_pred_mat
from hevitpose.data.predictions import read_predictions, write_predictions
from hevitpose.evaluation.analysis import analyze_errors
from hevitpose.evaluation.detection import Figures, detection_figures, percent
from hevitpose.evaluation.difference import bootstrap_difference
from hevitpose.evaluation.end_to_end import TOLERANCE, match_end_to_end, predict_end_to_end
from hevitpose.evaluation.limbs import limb_rows, with_keypoints
from hevitpose.evaluation.predict import predict_in_detections, predict_in_label_boxes
from hevitpose.evaluation.score import (
    Evaluation,
    Nms,
    apply_oks_nms,
    match_with_labels,
    refuse_unmatched,
    refuse_unmeasurable,
    score,
)
from hevitpose.inference.backends import Runtime, RuntimeOptions
from hevitpose.inference.detectors import is_human
from hevitpose.inference.estimator import MIN_PERSON_SCORE, PoseEstimator
from hevitpose.inference.network import Network, keypoints_of, load_network
from hevitpose.metrics.names import Metric, suitable_metric


@dataclass(frozen=True)
class LabelledSet:
    """The people of a validation set, and the metric that they are measured by."""

    people: LabelledPeople
    metric: Metric


def evaluate(
    model: str | Path | Network,
    data: str | Split,
    *,
    metric: Metric | None = None,
    root: Path | None = None,
    boxes: Path | None = None,
    end_to_end: bool = False,
    detector: str = "auto",
    nms: Nms | None = None,
    flip_test: bool = True,
    flip_shift: int | None = None,
    batch_size: int = 32,
    runtime: Runtime | None = None,
    device: str = "cpu",
    save_predictions: Path | None = None,
    baseline: Path | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Evaluation:
    """Score a network on labelled people, in the boxes of their labels or of a detector.

    Args:
        model: a bundled name, a weight file, or a network that is loaded already.
        data: a validation set (`mpii_val`, `my.toml/val`) or a file of labels.
        metric: the metric, instead of the set's own.
        root: the folder of the data's files.
        boxes: a file of COCO detections to look for people in, instead of the boxes of the labels; for "oks" only.
        end_to_end: give the network no boxes, and score what is found in the whole images, too.
        detector: what finds the people end to end, as in `PoseEstimator`.
        nms: for "oks" in given boxes, how predictions of the same person in an image are suppressed (default: "hard").
        flip_test: average with the mirrored crop, if the skeleton has left and right.
        flip_shift: cells by which the mirrored heatmap is moved, instead of the codec's.
        batch_size: crops per call of the network.
        runtime: the runtime; by default the one that the file is for.
        device: the device of the runtime torch.
        save_predictions: write the predictions to this file, COCO results (.json) or HRNet's pred.mat (.mat).
        baseline: predictions to compare with, in such a file, by a paired bootstrap.
        on_progress: called with the progress of cropping and prediction.

    Raises InputError if a file cannot be used, or if the labels do not have what the metric needs.

    >>> evaluation = evaluate("hevitpose_t_fast_people21", "people.json", metric="pck_box")  # doctest: +SKIP
    >>> print(evaluation.title, evaluation.main, evaluation.scores["PCKbox@0.1"].per_keypoint)  # doctest: +SKIP
    """
    if save_predictions and save_predictions.suffix == ".mat" and (boxes or end_to_end):
        raise InputError(save_predictions, "pred.mat needs the boxes of the labels: write a .json file")
    if boxes and end_to_end:
        raise InputError("`boxes`", "cannot be combined with `end_to_end`, which uses none")
    labelled = labelled_set(data, metric, root, any_metric=end_to_end)
    options = RuntimeOptions(runtime, device=device)
    network = with_flip_shift(model if isinstance(model, Network) else load_network(model, options), flip_shift)
    people, notes = known_keypoints(network, labelled)
    keypoints_of(network, people)  # refused before anything is cut
    by_oks = labelled.metric == "oks"
    if nms and (end_to_end or not by_oks):
        raise InputError("`nms`", "is for oks in given boxes; end to end, the estimator has its own")
    nms = nms or "hard"
    other, more = read_baseline(baseline, labelled, people) if baseline else (None, [])
    notes += more
    if boxes and not by_oks:
        raise InputError("`boxes`", f"cannot be combined with {labelled.metric}, which needs the boxes of the labels")
    config, figures = network.config, None
    if end_to_end:
        estimator = PoseEstimator(
            network, detector, min_person_score=0, flip_test=flip_test, batch_size=batch_size, runtime_options=options
        )
        found, figures, more = find_everybody(estimator, people, labelled, on_progress)
        notes += more
    elif boxes:
        found, more = predict_in_detections(
            network,
            people,
            read_detections(boxes, people.skeleton.name),
            boxes.name,
            flip_test,
            batch_size,
            on_progress,
        )
        notes += more
    else:
        crops = cut_people(people, config.input_size, config.padding, on_progress)
        found = predict_in_label_boxes(network, people, crops, flip_test, batch_size)
    flipped = config.flip_test or (flip_test and config.skeleton.flips)
    if flip_test and not flipped:
        notes.append(NOT_FLIPPED)
    if by_oks and nms != "none" and not end_to_end:
        found = apply_oks_nms(people, found, config, nms == "soft")
    evaluation = replace(
        score_predictions(people, found, labelled.metric, notes, other),
        model=network.name,
        architecture=network_spec(config.architecture, config.variant),
        flip_test=flipped,
        flip_shift=config.codec.flip_shift,
        nms=nms if by_oks and not end_to_end else None,
        found=figures,
    )
    _save(save_predictions, people, found)
    return evaluation


def known_keypoints(network: Network, labelled: LabelledSet) -> tuple[LabelledPeople, list[str]]:
    """The people with all keypoints; for OKS, with the limb joints where a network of people lacks others."""
    people, names = labelled.people, labelled.people.skeleton.keypoints
    rows, theirs = limb_rows(people.skeleton), match_names(names, network.config.skeleton.keypoints)
    missing = [name for name, row in zip(names, theirs, strict=True) if row is None]
    if labelled.metric != "oks" or not missing or rows is None or limb_rows(network.config.skeleton) is None:
        return people, []
    return with_keypoints(people, rows), [f"of the limb joints only: {network.name} predicts no {', '.join(missing)}"]


def find_everybody(
    estimator: PoseEstimator, people: LabelledPeople, labelled: LabelledSet, on_progress: OnProgress
) -> tuple[Predictions, Figures, list[str]]:
    """What is found in the images, figures of the boxes, and notes; `people` have the keypoints that are compared.

    For PCK the predictions are those that are of a labelled person; the keypoints of others count as missed.
    """
    found = predict_end_to_end(estimator, people, on_progress)
    complete = bool(len(people.ignored.boxes)) or not is_human(people.skeleton)
    figures: Figures = {"least score": MIN_PERSON_SCORE}
    figures |= detection_figures(labelled.people, found, MIN_PERSON_SCORE, complete)
    notes = (
        [] if complete else ["a person without a label counts as a stray, for AP too: the set may not label everybody"]
    )
    sure = found.select(np.flatnonzero(found.scores >= MIN_PERSON_SCORE))
    matched = match_end_to_end(people, sure, estimator.min_score)
    figures["right people"] = percent(matched.people_right)
    figures[f"keypoints within {TOLERANCE}"] = 100 * matched.joints_found / max(1, matched.joints)
    if labelled.metric != "oks":
        of_people = np.flatnonzero(matched.person_of >= 0)
        found = replace(sure.select(of_people), person_of=matched.person_of[of_people])
    crops = cut_people(people, estimator.network.config.input_size, estimator.network.config.padding, on_progress)
    in_labels = predict_in_label_boxes(
        estimator.network, people, crops, estimator.keypoints.flips, estimator.keypoints.batch_size
    )
    given = score(people, in_labels, labelled.metric)
    return found, figures | {f"in labels' boxes, {given.metric}": given.main}, notes


def evaluate_predictions(
    predictions: Path,
    data: str | Split,
    *,
    metric: Metric | None = None,
    root: Path | None = None,
    save_predictions: Path | None = None,
    baseline: Path | None = None,
) -> Evaluation:
    """Score a file of COCO results, or HRNet's pred.mat, on labelled people; otherwise as `evaluate`."""
    labelled = labelled_set(data, metric, root)
    people = labelled.people
    found, notes = _read(predictions, people)
    other, more = read_baseline(baseline, labelled, people) if baseline else (None, [])
    evaluation = score_predictions(people, found, labelled.metric, [*notes, *more], other)
    _save(save_predictions, people, found)
    return replace(evaluation, predictions=str(predictions))


def read_baseline(file: Path, labelled: LabelledSet, people: LabelledPeople) -> tuple[Predictions, list[str]]:
    """The predictions to compare with, of the keypoints that `people` have, and notes about the file.

    Raises InputError where the metric cannot match them with the labels.
    """
    try:
        found, notes = _read(file, people)
    except InputError:
        rows = limb_rows(labelled.people.skeleton)
        if people is labelled.people or rows is None:
            raise
        found, notes = _read(file, labelled.people)  # of all keypoints, where `people` have those of the limbs
        found = replace(found, joints=found.joints[:, rows], keypoint_scores=found.keypoint_scores[:, rows])
    found = replace(found, source=str(file))
    refuse_unmatched(people, found, labelled.metric)
    return found, [f"{file.name}: {note}" for note in notes]


def _read(file: Path, people: LabelledPeople) -> tuple[Predictions, list[str]]:
    return (read_pred_mat if file.suffix == ".mat" else read_predictions)(file, people)


def _save(file: Path | None, people: LabelledPeople, found: Predictions) -> None:
    if file:
        write = write_pred_mat if file.suffix == ".mat" else write_predictions
        write(file, people, found)


def score_predictions(
    people: LabelledPeople,
    found: Predictions,
    metric: Metric,
    notes: list[str] | None = None,
    baseline: Predictions | None = None,
) -> Evaluation:
    """Scores and error analysis of predictions, and the difference from those of a `baseline`.

    `notes` come before those of the metric. Raises InputError.
    """
    if metric == "oks":  # matched once for both
        found = replace(found, person_of=match_with_labels(people, found))
    evaluation = score(people, found, metric)
    errors = analyze_errors(people, found, metric)
    notes = [*(notes or ()), *evaluation.notes]
    difference = bootstrap_difference(people, found, baseline, metric, baseline.source) if baseline else None
    if baseline and difference is None:
        notes.append(f"not compared with {baseline.source}: that needs two images with labels")
    return replace(evaluation, notes=tuple(notes), errors=errors, difference=difference)


def labelled_set(
    data: str | Split, metric: Metric | None = None, root: Path | None = None, any_metric: bool = False
) -> LabelledSet:
    """The people to measure on, and by what: with `any_metric` what suits them, where the set does not say.

    Raises InputError if the labels do not have what the metric needs.
    """
    split = data if isinstance(data, Split) else find_split(data, root)
    chosen = metric or split.metric
    if chosen is None and any_metric:
        chosen = suitable_metric(split.people)
    if chosen is None:
        raise InputError(
            split.annotations, f"its metric is unknown: choose `metric` from {', '.join(get_args(Metric))}"
        )
    people = split.people
    refuse_unmeasurable(people, chosen)
    return LabelledSet(people, chosen)


def with_flip_shift(network: Network, flip_shift: int | None) -> Network:
    """The network with another shift of the mirrored heatmap. Raises InputError if no cell of the heatmap is left."""
    if flip_shift is None:
        return network
    if network.config.flip_test:
        raise InputError("`flip_shift`", f"{network.name} mirrors within its graph, which no option changes")
    config, width = network.config, network.config.input_size[1] // STRIDE
    if not 0 <= flip_shift < width:
        raise InputError(f"`flip_shift={flip_shift}`", f"must be 0 to {width - 1}: heatmaps are {width} cells wide")
    return replace(network, config=replace(config, codec=replace(config.codec, flip_shift=flip_shift)))
