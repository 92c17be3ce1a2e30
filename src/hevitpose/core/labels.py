"""Labelled people, as every data format is read into."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats
from hevitpose.core.skeleton import Skeleton


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image on disk, or inside a ZIP archive."""

    name: str
    folder: Path
    archive: str | None = None

    def __str__(self) -> str:
        return str(self.folder / (self.archive or "") / self.name)


@dataclass(frozen=True, eq=False)
class Ignored:
    """M regions where a prediction is neither right nor wrong (OKS): crowds, and people without a labelled joint.

    `image_index` (M,), `boxes` (M, 4), `areas` (M,) in square pixels, `crowds` (M,): whether it is more than a person.
    """

    image_index: NDArray[np.int64]
    boxes: Floats
    areas: Floats
    crowds: NDArray[np.bool_]


NOTHING_IGNORED = Ignored(np.zeros(0, dtype=np.int64), np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.bool_))


@dataclass(frozen=True, eq=False)
class LabelledPeople:
    """N persons with K joints each, in pixels of their images (upright, origin at the centre of the top left pixel).

    `boxes` (N, 4) x1, y1, x2, y2 without padding; `keypoints` (N, K, 2); `visibility` (N, K): 0 not labelled, 1 hidden,
    2 visible; `image_index` (N,) indexes `images`; `head_sizes` (N,) and `areas` (N,) are NaN where unknown; `ignored`
    are the people that are in the images but not among the N; `category_ids` are those of their COCO file.
    """

    name: str
    skeleton: Skeleton
    images: tuple[ImageFile, ...]
    image_ids: tuple[int, ...]
    image_index: NDArray[np.int64]
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
        """Only the persons with these indices, in this order; all images stay."""
        per_person = ("image_index", "ids", "boxes", "keypoints", "visibility", "head_sizes", "areas")
        return replace(self, **{name: getattr(self, name)[persons] for name in per_person})

    @property
    def digest(self) -> str:
        """Changes with who is labelled where, and in which images."""
        sha = hashlib.sha256("".join(f"{file.name}\n" for file in self.images).encode())
        for array in (self.image_index, self.ids, self.boxes, self.keypoints, self.visibility, self.head_sizes):
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()[:16]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(N, K): which joints there is a truth for."""
        return self.visibility > 0
