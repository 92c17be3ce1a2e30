"""Labelled people, as every data format is read into."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hevitpose.core.errors import InputError
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


class Finding(NamedTuple):
    """Something odd about labels: a kind of `data.check.rules`, the record it is about (empty for all), the problem."""

    kind: str
    record: str
    problem: str


def _refuse_shapes(source: str, record: Any, expected: dict[str, tuple[int, ...]]) -> None:
    for field, shape in expected.items():
        found = np.shape(getattr(record, field))
        if found != shape:
            raise InputError(source, f"`{field}` must have shape {shape}, found {found}")


def _refuse_boxes(source: str, boxes: Floats) -> None:
    wrong = ~(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    if wrong.any():
        raise InputError(source, f"`boxes` must be finite with x2 > x1 and y2 > y1, found {boxes[wrong][0].tolist()}")


@dataclass(frozen=True, eq=False)
class Ignored:
    """M regions where a prediction is neither right nor wrong (OKS): crowds, and people without a labelled joint.

    `image_index` (M,), `boxes` (M, 4), `areas` (M,) in square pixels, `crowds` (M,): whether it is more than a person.
    Raises InputError on other shapes and on boxes without area.
    """

    image_index: NDArray[np.int64]
    boxes: Floats
    areas: Floats
    crowds: NDArray[np.bool_]

    def __post_init__(self) -> None:
        m = len(self.image_index)
        expected = {"image_index": (m,), "boxes": (m, 4), "areas": (m,), "crowds": (m,)}
        _refuse_shapes("ignored regions", self, expected)
        _refuse_boxes("ignored regions", self.boxes)


NOTHING_IGNORED = Ignored(np.zeros(0, dtype=np.int64), np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.bool_))


@dataclass(frozen=True, eq=False)
class LabelledPeople:
    """N persons with K joints each, in pixels of their images (upright, origin at the centre of the top left pixel).

    `boxes` (N, 4) x1, y1, x2, y2 without padding; `keypoints` (N, K, 2); `visibility` (N, K): 0 not labelled, 1 hidden,
    2 visible; `image_index` (N,) indexes `images`; `head_sizes` (N,) and `areas` (N,) are NaN where unknown; `ignored`
    are the people that are in the images but not among the N; `category_ids` are those of their COCO file; `findings`
    are what the reader left out. Raises InputError on other shapes, boxes without area, indices of no image, labelled
    joints that are not finite and visibilities other than 0, 1 and 2. `labelled_people` fills in what is unknown.
    """

    name: str
    skeleton: Skeleton
    images: tuple[ImageFile, ...]
    image_ids: tuple[int | str, ...]
    image_index: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: Floats
    keypoints: Floats
    visibility: NDArray[np.int8]
    head_sizes: Floats
    areas: Floats
    ignored: Ignored = NOTHING_IGNORED
    category_ids: tuple[int | str, ...] = (1,)
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        n, k = len(self.visibility), self.skeleton.num_keypoints
        expected = dict.fromkeys(("image_index", "ids", "head_sizes", "areas"), (n,))
        _refuse_shapes(self.name, self, {**expected, "boxes": (n, 4), "keypoints": (n, k, 2), "visibility": (n, k)})
        if len(self.image_ids) != len(self.images):
            raise InputError(self.name, f"`image_ids` are {len(self.image_ids)} for {len(self.images)} images")
        for index in (self.image_index, self.ignored.image_index):
            if len(index) and not 0 <= index.min() <= index.max() < len(self.images):
                wrong = index[(index < 0) | (index >= len(self.images))][0]
                raise InputError(self.name, f"`image_index` must be 0 to {len(self.images) - 1}, found {wrong}")
        _refuse_boxes(self.name, self.boxes)
        if not np.isin(self.visibility, (0, 1, 2)).all():
            wrong = self.visibility[~np.isin(self.visibility, (0, 1, 2))][0]
            raise InputError(self.name, f"`visibility` must be 0, 1 or 2, found {wrong}")
        if not np.isfinite(self.keypoints[self.labelled]).all():
            raise InputError(self.name, "`keypoints` must be finite where they are labelled")

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, persons: NDArray[np.int64]) -> "LabelledPeople":
        """Only the persons with these indices, in this order; all images stay."""
        per_person = ("image_index", "ids", "boxes", "keypoints", "visibility", "head_sizes", "areas")
        return replace(self, **{name: getattr(self, name)[persons] for name in per_person})

    @property
    def digest(self) -> str:
        """Changes with who is labelled where, and in which images."""
        sha = hashlib.sha256("".join(f"{file.name}\n" for file in self.images).encode(errors="surrogateescape"))
        for array in (self.image_index, self.ids, self.boxes, self.keypoints, self.visibility, self.head_sizes):
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()[:16]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(N, K): which joints there is a truth for."""
        return self.visibility > 0


def labelled_people(
    name: str,
    skeleton: Skeleton,
    images: Sequence[ImageFile],
    image_index: ArrayLike,
    joints: ArrayLike,
    boxes: ArrayLike,
    *,
    image_ids: Sequence[int | str] | None = None,
    ids: ArrayLike | None = None,
    head_sizes: ArrayLike | None = None,
    areas: ArrayLike | None = None,
    ignored: Ignored = NOTHING_IGNORED,
    category_ids: Sequence[int | str] = (1,),
    findings: Sequence[Finding] = (),
) -> LabelledPeople:
    """People from `joints` (N, K, 3) of x, y and COCO's visibility, and `boxes` (N, 4) of x1, y1, x2, y2.

    Args:
        name: the set's name, for reports and errors.
        skeleton: its K keypoints.
        images: the images, with people or without.
        image_index: (N,) the image of each person.
        joints: in pixels.
        boxes: the edges of each person's box in pixels.
        image_ids: of the annotation file; 0, 1, 2 ... by default.
        ids: (N,) of the annotation file; 0, 1, 2 ... by default.
        head_sizes: (N,) in pixels; unknown by default.
        areas: (N,) in square pixels; unknown by default.
        ignored: regions where predictions do not count.
        category_ids: of the annotation file.
        findings: what the reader left out.

    >>> from hevitpose.core.skeleton import Skeleton
    >>> mouse = Skeleton("mouse", ("snout", "tail"), (0, 1))
    >>> image, joints = ImageFile("a.png", Path()), [[3, 4, 2], [9, 9, 1]]
    >>> people = labelled_people("mice", mouse, [image], [0], [joints], [[0, 0, 9, 9]])
    >>> len(people), people.keypoints.shape
    (1, (1, 2, 2))
    """
    places = np.asarray(joints, dtype=np.float64).reshape(-1, skeleton.num_keypoints, 3)
    n = len(places)
    unknown = np.full(n, np.nan)
    return LabelledPeople(
        name,
        skeleton,
        tuple(images),
        tuple(range(len(images)) if image_ids is None else image_ids),
        np.asarray(image_index, dtype=np.int64),
        np.arange(n) if ids is None else np.asarray(ids, dtype=np.int64),
        np.asarray(boxes, dtype=np.float64).reshape(-1, 4),
        places[..., :2],
        places[..., 2].astype(np.int8),
        unknown if head_sizes is None else np.asarray(head_sizes, dtype=np.float64),
        unknown if areas is None else np.asarray(areas, dtype=np.float64),
        ignored,
        tuple(category_ids),
        tuple(findings),
    )
