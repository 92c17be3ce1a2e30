"""Evaluations as JSON, and the scores in a folder of results."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from hevitpose.core.errors import InputError
from hevitpose.evaluation.score import Difference, Evaluation, Score
from hevitpose.inference.network import weights_folder
from hevitpose.io.json_files import read_json
from hevitpose.metrics.error_types import CalibrationBin, ErrorAnalysis, ErrorShares, calibration_error

NETWORK_KEYS = ("predictions", "model", "flip_test", "flip_shift", "architecture", "nms")
"""Fields of `Evaluation` that its JSON has only where they are known."""


def evaluation_to_json(evaluation: Evaluation) -> dict[str, object]:
    """The JSON object of an evaluation; percentages are rounded to three digits."""
    of_network = {name: getattr(evaluation, name) for name in NETWORK_KEYS}
    content: dict[str, object] = {name: value for name, value in of_network.items() if value is not None}
    content |= {
        "data": evaluation.data,
        "metric": evaluation.metric,
        "boxes": evaluation.boxes,
        "persons": evaluation.persons,
        "persons_left_out": evaluation.persons_left_out,
        "labelled": dict(evaluation.labelled),
        "scores": {name: _score_to_json(score) for name, score in evaluation.scores.items()},
        "notes": list(evaluation.notes),
    }
    if evaluation.found is not None:
        content["found"] = {name: three_digits(value) for name, value in evaluation.found.items()}
    if difference := evaluation.difference:
        content["difference"] = {
            name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(difference).items()
        }
    return content | (_errors_to_json(evaluation.errors) if evaluation.errors else {})


def evaluation_from_json(content: Any, source: str | PathLike[str]) -> Evaluation:
    """The evaluation that `evaluation_to_json` wrote. Raises InputError, about `source`, for other content."""
    try:
        return Evaluation(
            **{name: content[name] for name in ("data", "metric", "boxes", "persons", "persons_left_out", "labelled")},
            scores={name: Score(s["mean"], s.get("per_keypoint")) for name, s in content["scores"].items()},
            notes=tuple(content["notes"]),
            errors=_errors_from_json(content) if "errors" in content else None,
            found=content.get("found"),
            difference=Difference(**content["difference"]) if "difference" in content else None,
            **{name: content.get(name) for name in NETWORK_KEYS},
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise InputError(source, f"not an evaluation ({type(error).__name__}: {error})") from error


def _score_to_json(score: Score) -> dict[str, object]:
    mean = three_digits(score.mean)
    if score.per_keypoint is None:
        return {"mean": mean}
    return {"mean": mean, "per_keypoint": {name: three_digits(value) for name, value in score.per_keypoint.items()}}


def three_digits(percent: float | None) -> float | None:
    """A percentage as files have it."""
    return None if percent is None else round(percent, 3)


def _errors_to_json(errors: ErrorAnalysis) -> dict[str, object]:
    def shares(of: ErrorShares) -> dict[str, float]:
        return {name: round(value, 2) for name, value in asdict(of).items()}

    # Rounded first, so that the error is that of the bins as they are read again.
    bins = [
        replace(each, mean_score=round(each.mean_score, 4), share_right=round(each.share_right, 4))
        for each in errors.calibration
    ]
    return {
        "errors": {
            "persons": errors.persons,
            "all": shares(errors.all_keypoints),
            "per_keypoint": {name: shares(each) for name, each in errors.per_keypoint.items()},
        },
        "calibration": {
            "error": round(calibration_error(bins), 4),
            "bins": [
                {"from": b.low, "to": b.high, "joints": b.joints}
                | {"mean_score": b.mean_score, "share_right": b.share_right}
                for b in bins
            ],
        },
    }


def _errors_from_json(content: Mapping[str, Any]) -> ErrorAnalysis:
    errors = content["errors"]
    return ErrorAnalysis(
        errors["persons"],
        ErrorShares(**errors["all"]),
        {name: ErrorShares(**each) for name, each in errors["per_keypoint"].items()},
        tuple(
            CalibrationBin(b["from"], b["to"], b["joints"], b["mean_score"], b["share_right"])
            for b in content["calibration"]["bins"]
        ),
    )


@dataclass(frozen=True)
class ScoreRecord:
    """A score in a file of results.

    `network` is a name or title, `data` the validation set, `file` relative to the folder. `flip_test` is False only
    if the file says so.
    """

    network: str
    metric: str
    value: float
    data: str
    file: str
    epochs: int | None = None
    flip_test: bool = True

    def __str__(self) -> str:
        trained = f", {self.epochs} epochs" if self.epochs else ""
        how = "" if self.flip_test else ", without flip test"
        return f"{self.value:.1f} {self.metric} on {self.data}{trained}{how} ({self.file})"


def find_score_records(folder: Path) -> list[ScoreRecord]:
    """Every score in the JSON files below `folder`, or in one file; an empty list if it does not exist.

    Reads evaluations and the results of compared runs (`network`, `data`, `epochs`, `scores` by set and metric), and
    skips other files. Raises InputError for a file that is not JSON.
    """
    found: list[ScoreRecord] = []
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*.json")):
        content = read_json(path)
        if isinstance(content, dict) and isinstance(scores := content.get("scores"), dict):
            file = path.relative_to(folder) if path != folder else Path(path.name)
            found += _scores(content, scores, file.as_posix())
    return found


def _scores(content: Mapping[str, object], scores: Mapping[str, object], file: str) -> list[ScoreRecord]:
    """The scores of one evaluation or compared run."""
    network = content.get("network") or content.get("architecture") or _title_of_bundled(content.get("model"))
    if not isinstance(network, str):
        return []
    data, epochs = str(content.get("data", "?")), content.get("epochs")
    epochs = epochs if isinstance(epochs, int) else None
    found = []
    for name, value in scores.items():
        if "mean" in (inner := value if isinstance(value, dict) else {}):
            inner, where = {name: inner["mean"]}, data
        else:
            where = f"{name} of {data}"
        found += [
            ScoreRecord(network, metric, float(score), where, file, epochs, content.get("flip_test") is not False)
            for metric, score in inner.items()
            if isinstance(score, int | float)
        ]
    return found


def _title_of_bundled(model: object) -> str | None:
    """The network of bundled weights, from their card."""
    card = weights_folder() / f"{model}.json"
    title = read_json(card).get("network") if card.is_file() else None
    return title if isinstance(title, str) else None
