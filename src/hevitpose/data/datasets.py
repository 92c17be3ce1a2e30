"""A data set: its annotation files, and how results on them are measured."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from hevitpose.core.errors import InputError
from hevitpose.core.labels import LabelledPeople
from hevitpose.data.coco import read_coco
from hevitpose.data.deeplabcut import read_deeplabcut
from hevitpose.data.label_studio import read_label_studio
from hevitpose.data.labelme import read_labelme
from hevitpose.data.mpii import read_mpii, read_mpii_hrnet
from hevitpose.data.skeletons import SkeletonTable, category_of, skeleton_from_coco
from hevitpose.data.yolo import read_yolo
from hevitpose.io.folders import files_below, is_folder
from hevitpose.metrics.names import Metric

Format = Literal["coco", "mpii", "hrnet", "yolo", "deeplabcut", "labelme", "label_studio"]
LABEL_SUFFIXES = frozenset({".csv", ".json", ".txt", ".yaml", ".yml"})
"""Of files below a data set's folder that may hold its labels."""


@dataclass(frozen=True)
class Split:
    """One annotation file, the folder of its images, and how results on it are measured.

    `metric`: "pckh" (PCKh@0.5 and @0.1, needs head sizes), "pck" (PCK@0.2 of the torso), "pck_box" (PCK@0.05 and @0.1
    of the box's longer side, for any keypoints) or "oks" (COCO's AP, needs sigmas); None where it is not given.
    `format`: "coco"; "mpii", the site's .mat, of which `subset` names the images to take; "hrnet", HRNet's MPII JSON,
    with its gt_valid.mat as `ground_truth`; "yolo", a data.yaml, which may name `further_images`, folders and lists;
    "deeplabcut", a CSV file (also Lightning Pose's) or a project's folder; "labelme", a folder of its files;
    "label_studio", its JSON export.
    `skeleton` overrides what the file says of its keypoints; with `repair` a missing or empty box of a COCO file
    becomes one around the joints; `category` is the name of the one to read, where such a file has several skeletons.
    """

    name: str
    annotations: Path
    images: Path
    metric: Metric | None = None
    format: Format = "coco"
    subset: Path | None = None
    ground_truth: Path | None = None
    skeleton: SkeletonTable | None = None
    repair: bool = False
    further_images: tuple[Path, ...] = ()
    category: str | None = None

    @cached_property
    def people(self) -> LabelledPeople:
        """Its people, read once. Raises InputError."""
        return self.read()

    def with_metric(self, metric: Metric) -> "Split":
        """The same set measured by another metric; people that were read are not read again."""
        split = replace(self, metric=metric)
        vars(split).update({key: value for key, value in vars(self).items() if key == "people"})
        return split

    def files(self) -> Iterator[Path]:
        """All files that it is read from, where it can be read."""
        yield from filter(None, (self.annotations, self.subset, self.ground_truth))
        if is_folder(self.annotations) or self.format == "yolo":
            folder = self.annotations if is_folder(self.annotations) else self.annotations.parent
            yield from files_below(folder, LABEL_SUFFIXES)
        with suppress(InputError):
            yield from (file.folder / (file.archive or file.name) for file in self.people.images)

    def read(self) -> LabelledPeople:
        """Its people. Raises InputError."""
        match self.format:
            case "coco":
                return read_coco(self.annotations, self.images, self.name, self.skeleton, self.repair, self.category)
            case "mpii":
                people = read_mpii(self.annotations, self.images, self.name, self.subset)
            case "hrnet":
                people = read_mpii_hrnet(self.annotations, self.images, self.name, self.ground_truth)
            case "yolo":
                return read_yolo(self.annotations, (self.images, *self.further_images), self.name, self.skeleton)
            case "deeplabcut":
                return read_deeplabcut(self.annotations, self.name, self.skeleton)
            case "label_studio":
                return read_label_studio(self.annotations, self.images, self.name, self.skeleton)
            case "labelme":
                return read_labelme(self.annotations, self.name, self.skeleton)
        if self.skeleton is None:
            return people
        skeleton = skeleton_from_coco(category_of(people.skeleton), str(self.annotations), self.skeleton)
        return replace(people, skeleton=skeleton)


@dataclass(frozen=True)
class Dataset:
    """A data set for training, with the sets it is validated on; `terms` of use go into the card of what it trains."""

    name: str
    train: Split | None
    validation: tuple[Split, ...]
    terms: str = "unknown"
