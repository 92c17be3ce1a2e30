"""A folder that holds a whole model: a training run, or what `export` made of one.

`model.json` names the files and says how the scores of people are calibrated:

    {"schema": "hevitpose.model/1", "pose": "pose.onnx", "detector": "detector.onnx" or null,
     "person_score": {"slope": 2.1, "half": 0.2} or null}

A run that has not ended has none: its best weights so far are its model, without a detector.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.io.json_files import read_json

MODEL = "model.json"
SCHEMA = "hevitpose.model/1"
POSE, DETECTOR = "pose.onnx", "detector.onnx"
"""The files of an exported model."""
BEST, LAST = "best.safetensors", "last.safetensors"
"""The weights of a run."""


@dataclass(frozen=True)
class Calibration:
    """Makes the product of detector's and keypoints' scores the probability that there is a person.

    It is a logistic of the score's logarithm: `half` becomes 0.5, and `slope` says how fast it rises there.

    >>> Calibration(3.7, 0.104)(np.array([0.05, 0.104, 0.3])).round(2)
    array([0.06, 0.5 , 0.98])
    """

    slope: float
    half: float

    def __call__(self, scores: Floats) -> Floats:
        powers = scores**self.slope
        return np.asarray(powers / (powers + self.half**self.slope))


@dataclass(frozen=True)
class ModelFolder:
    """The files of a model; `detector` is None without one of its own, `person_score` where it is not calibrated."""

    pose: Path
    detector: Path | None = None
    person_score: Calibration | None = None

    def to_json(self) -> dict[str, object]:
        """The content of `model.json` in the folder of `pose`."""
        detector = self.detector and self.detector.relative_to(self.pose.parent).as_posix()
        score = self.person_score and asdict(self.person_score)
        return {"schema": SCHEMA, "pose": self.pose.name, "detector": detector, "person_score": score}


def read_model_folder(folder: Path) -> ModelFolder:
    """The model in this folder. Raises InputError where there is none, or a damaged one."""
    if (folder / MODEL).is_file():
        return _read(folder, folder / MODEL)
    weights = next((folder / name for name in (BEST, LAST) if (folder / name).is_file()), None)
    if weights is None:
        raise InputError(folder, f"holds no model (looked for {MODEL}, {BEST} and {LAST})")
    return ModelFolder(weights)


def _read(folder: Path, path: Path) -> ModelFolder:
    content = read_json(path)
    try:
        if content["schema"] != SCHEMA:
            raise InputError(path, f"has the schema {content['schema']}, this version reads {SCHEMA}")
        detector, score = content["detector"], content["person_score"]
        calibration = Calibration(float(score["slope"]), float(score["half"])) if score else None
        found = ModelFolder(folder / content["pose"], folder / detector if detector else None, calibration)
    except (LookupError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, f"does not describe a model ({type(error).__name__}: {error})") from error
    for file in filter(None, (found.pose, found.detector)):
        if not file.is_file():
            raise InputError(file, f"is missing, {path} names it")
    return found
