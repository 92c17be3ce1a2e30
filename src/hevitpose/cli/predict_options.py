"""The options of `hevitpose predict` that are for clips and cameras, or for images, alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hevitpose.cli.keypoints import KeypointSet
from hevitpose.core.choices import ColorBy, PersonChoice, Smoothing
from hevitpose.core.errors import InputError
from hevitpose.io.video import SUFFIXES

AnyFormat = Literal["json", "jsonl", "csv", "coco", "coco-labels", "mot", "openpose", "npz"]


@dataclass(frozen=True)
class ClipOptions:
    """The options of the command line that are for clips, and for cameras; None where they were not given."""

    start: float | None = None
    end: float | None = None
    every: float | None = None
    detect_every: int | None = None
    smooth: Smoothing | None = None
    person: PersonChoice | int | None = None
    color_by: ColorBy | None = None
    keypoints: KeypointSet | None = None

    def refuse(self) -> None:
        """Raise InputError where one was given that images do not have."""
        for name, value in vars(self).items():
            if value is not None and name not in ("person", "keypoints"):
                raise InputError(f"--{name.replace('_', '-')}", "is for clips")
        if isinstance(self.person, int):
            raise InputError(f"--person {self.person}", "is for clips: people in images have no ids")


@dataclass(frozen=True)
class ImageOptions:
    """The options of the command line that are for images."""

    box: list[str] | None = None
    boxes: Path | None = None
    verbose: bool = False
    resume: bool = False
    shard: str | None = None

    def refuse(self, reason: str) -> None:
        """Raise InputError where one was given."""
        for name, value in vars(self).items():
            if value:
                raise InputError(f"--{name}", reason)


@dataclass(frozen=True)
class Request:
    """What images, clips and cameras are asked for alike.

    `output` is a folder, or the file of results that are one; `format` is None for the default of the source;
    `estimator` are arguments of `PoseEstimator.from_pretrained`.
    """

    output: Path
    draw: bool
    format: AnyFormat | None
    model: str
    estimator: Mapping[str, Any]
    for_clips: ClipOptions
    for_images: ImageOptions


def is_clip(path: Path) -> bool:
    """Whether a path of the command line is taken for a clip."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def parse_person(text: str | None) -> PersonChoice | int | None:
    """What --person says: a name, an id, or None. Raises InputError."""
    choices: dict[str | None, PersonChoice | None] = {None: None, "largest": "largest", "center": "center"}
    if text in choices:
        return choices[text]
    if text and text.isdecimal() and int(text):
        return int(text)
    raise InputError(f"--person {text}", "must be largest, center, or in clips an id from 1 on")
