"""What makes a run's folder a model: its files, the calibration of scores, and how well it finds everybody itself."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from hevitpose.core.labels import LabelledPeople
from hevitpose.core.progress import OnProgress, ignore_progress
from hevitpose.evaluation.calibration import fit_calibration
from hevitpose.evaluation.end_to_end import IGNORED, EndToEnd, evaluate_end_to_end
from hevitpose.inference.detectors import PersonDetector
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.model_folder import BEST, LAST, MODEL, Calibration, ModelFolder
from hevitpose.inference.network import PERSON_DETECTOR, load_network, weights_folder
from hevitpose.io.lock import hold_folder
from hevitpose.models.detector_weights import load_detector
from hevitpose.training.run import CARD, END_TO_END, read_run, write_json

CANDIDATE_SCORE = 0.02
"""Boxes of the detector from this score on are candidates that scores are calibrated on: most of them are wrong."""


def finish_model(
    folder: Path,
    validation: Sequence[LabelledPeople],
    detector: Path | None,
    on_progress: OnProgress = ignore_progress,
) -> tuple[ModelFolder, dict[str, EndToEnd]]:
    """Write `model.json` and `end_to_end.json` of a run that is trained, and return what they say.

    Scores of people are calibrated on the first set of `validation`, where its detector's candidates allow that.
    Raises InputError, also where another process uses the run.
    """
    with hold_folder(folder):
        model = ModelFolder(folder / BEST if (folder / BEST).exists() else folder / LAST, detector)
        write_json(folder / MODEL, model.to_json())
        if detector:
            write_json(detector.with_name(CARD), detector_card(folder, detector))
            if validation:
                model = replace(model, person_score=calibrate(folder, validation[0], detector, on_progress))
                write_json(folder / MODEL, model.to_json())
        estimator = PoseEstimator(load_network(folder))
        results = {people.name: evaluate_end_to_end(estimator, people, on_progress) for people in validation}
        write_json(folder / END_TO_END, {name: result.to_json() for name, result in results.items()})
    return model, results


def calibrate(
    folder: Path, people: LabelledPeople, detector: Path, on_progress: OnProgress = ignore_progress
) -> Calibration | None:
    """The calibration of a model's scores; None where too few candidates are right or wrong."""
    finder = PersonDetector(detector, min_score=CANDIDATE_SCORE)
    # A plain function as detector: the scores stay products.
    estimator = PoseEstimator(load_network(folder), finder.__call__, min_person_score=0.0)
    found = evaluate_end_to_end(estimator, people, on_progress)
    counted = found.person_of != IGNORED
    return fit_calibration(found.scores[counted], found.predictions_right[counted])


def detector_card(folder: Path, detector: Path) -> dict[str, object]:
    """Where the detector's weights come from, and what they may be used for."""
    network, config = load_detector(detector)
    run = read_run(folder)
    bundled = json.loads((weights_folder() / f"{PERSON_DETECTOR}.json").read_text(encoding="utf-8"))
    return {
        "name": detector.stem,
        "network": "person_detector",
        "parameters": sum(each.numel() for each in network.parameters()),
        "input_size": [config.side, config.side],
        "config": asdict(config.config),
        "data": run.data.name,
        "begins_with": PERSON_DETECTOR,
        "terms": f"{run.data.terms}; those of {PERSON_DETECTOR}, with which it begins: {bundled['terms']}",
        "commit": run.data.provenance.get("commit"),
    }
