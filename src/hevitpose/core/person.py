"""The typed records that travel between the steps."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.core.skeleton import Skeleton


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture on disk, or inside a ZIP archive."""

    name: str
    folder: Path
    archive: str | None = None

    def __str__(self) -> str:
        return str(self.folder / (self.archive or "") / self.name)


@dataclass(frozen=True, eq=False)
class Ignored:
    """M regions where a prediction is neither right nor wrong (OKS): crowds, and people without a labelled joint.

    `picture_of` (M,), `boxes` (M, 4), `areas` (M,) in square pixels, `crowds` (M,): whether it is more than a person.
    """

    picture_of: NDArray[np.int64]
    boxes: Floats
    areas: Floats
    crowds: NDArray[np.bool_]


NOTHING_IGNORED = Ignored(np.zeros(0, dtype=np.int64), np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.bool_))


@dataclass(frozen=True, eq=False)
class LabelledPeople:
    """N persons with K joints each, in pixels of their pictures (upright, origin at the centre of the top left pixel).

    `boxes` (N, 4) x1, y1, x2, y2 without padding; `keypoints` (N, K, 2); `visibility` (N, K): 0 not labelled, 1 hidden,
    2 visible; `picture_of` (N,) indexes `pictures`; `head_sizes` (N,) and `areas` (N,) are NaN where unknown; `ignored`
    are the people that are in the pictures but not among the N; `category_ids` are those of their COCO file.
    """

    name: str
    skeleton: Skeleton
    pictures: tuple[PictureFile, ...]
    picture_ids: tuple[int, ...]
    picture_of: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: Floats
    keypoints: Floats
    visibility: NDArray[np.int8]
    head_sizes: Floats
    areas: Floats
    ignored: Ignored = NOTHING_IGNORED
    category_ids: tuple[int | str, ...] = (1,)

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, persons: NDArray[np.int64]) -> "LabelledPeople":
        """Only the persons with these indices, in this order; all pictures stay."""
        per_person = ("picture_of", "ids", "boxes", "keypoints", "visibility", "head_sizes", "areas")
        return replace(self, **{name: getattr(self, name)[persons] for name in per_person})

    @property
    def digest(self) -> str:
        """Changes with who is labelled where, and in which pictures."""
        sha = hashlib.sha256("".join(f"{file.name}\n" for file in self.pictures).encode())
        for array in (self.picture_of, self.ids, self.boxes, self.keypoints, self.visibility, self.head_sizes):
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()[:16]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(N, K): which joints there is a truth for."""
        return self.visibility > 0


@dataclass(frozen=True, eq=False)
class Found:
    """M persons found in the pictures of `LabelledPeople`, to be scored.

    `picture_of` (M,) indexes its pictures; `boxes` (M, 4) without padding; `joints` (M, K, 2) in picture pixels and
    their `keypoint_scores` (M, K); `scores` (M,) rate the persons. `person_of` (M,) says in which labelled person's box
    each was looked for; None where that is not known. `source` says in words whose boxes these were.
    """

    picture_of: NDArray[np.int64]
    boxes: Floats
    joints: Floats
    keypoint_scores: Floats
    scores: Floats
    person_of: NDArray[np.int64] | None
    source: str


@dataclass(frozen=True, eq=False)
class Detections:
    """The people in a picture: boxes `xyxy` (N, 4) in its pixels, without padding, and the detector's `scores` (N,)."""

    xyxy: Floats
    scores: Floats


@dataclass(frozen=True, eq=False)
class Person:
    """One person found: `keypoints` (K, 2) in picture pixels, `scores` (K,) in [0, 1], `box` (4,) x1, y1, x2, y2.

    A keypoint that scores below the estimator's `min_score` is absent: NaN. `all_keypoints` (K, 2) has these too, for
    evaluation, which wants a guess for every joint. `score` in [0, 1] rates the person.
    """

    keypoints: Floats
    scores: Floats
    box: Floats
    score: float
    all_keypoints: Floats


@dataclass(frozen=True, eq=False)
class Pose:
    """What was found in one picture of `size_wh` pixels; `file` is None for an array."""

    skeleton: Skeleton
    size_wh: tuple[int, int]
    people: Sequence[Person]
    file: str | None = None
