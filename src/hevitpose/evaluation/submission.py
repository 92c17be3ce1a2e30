"""Files for the evaluation servers of COCO and MPII."""

import json
import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople, labelled_people
from hevitpose.core.results import Predictions
from hevitpose.core.skeleton import COCO17
from hevitpose.data.coco import image_file, is_image, short
from hevitpose.data.mpii import FIRST_PIXEL, JOINTS, PersonRow, annotation_list, mpii_people, place_of, save_mat
from hevitpose.data.predictions import coco_results
from hevitpose.io import atomic
from hevitpose.io.json_files import read_json

COCO_NAME = re.compile(r"person_keypoints_(val|test|test-dev|test-challenge)20\d\d_.+_results\.zip")
NO_DATE = (1980, 1, 1, 0, 0, 0)
"""The date of the file in a ZIP archive, so that equal results are equal bytes."""


def read_unlabelled_coco(path: Path, folder: Path) -> LabelledPeople:
    """The images of `image_info_test-dev2017.json` or any other COCO file, without people. Raises InputError."""
    content = read_json(path)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not images:
        raise InputError(path, "not a COCO file: it needs the list images")
    for image in images:
        if not is_image(image):
            raise InputError(path, f"image {short(image)} needs id and file_name")
    files, ids = [image_file(image, folder) for image in images], [image["id"] for image in images]
    return labelled_people(path.stem, COCO17, files, [], [], [], image_ids=ids)


def refuse_coco_name(path: Path) -> None:
    """Raise InputError if COCO's server would refuse the archive's name."""
    if not COCO_NAME.fullmatch(path.name):
        raise InputError(path, "COCO's server asks for a name like person_keypoints_test-dev2017_NAME_results.zip")


def write_coco_zip(path: Path, people: LabelledPeople, found: Predictions) -> None:
    """Write the ZIP archive of one JSON file that COCO's keypoint server takes. Raises InputError."""
    refuse_coco_name(path)
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo(f"{path.stem}.json", NO_DATE)
        archive.writestr(entry, json.dumps(coco_results(people, found)), zipfile.ZIP_DEFLATED)
    atomic.write(path, content.getvalue())


@dataclass(frozen=True, eq=False)
class MpiiTest:
    """MPII's test set: `people` without labelled joints, their indices `rect_of` (N,) in their image's `annorect`, and
    the number of `rects` of each image."""

    people: LabelledPeople
    rect_of: NDArray[np.int64]
    rects: tuple[int, ...]


def read_mpii_test(path: Path, folder: Path) -> MpiiTest:
    """The people in the test set of MPII's .mat file that have a centre and a scale. Raises InputError."""
    files: list[str] = []
    rows: list[PersonRow] = []
    rect_of: list[int] = []
    rects: list[int] = []
    for position, (image, is_train) in enumerate(annotation_list(path), start=1):
        if is_train:
            continue
        try:
            people = np.atleast_1d(getattr(image, "annorect", []))
            for number, rect in enumerate(people):
                if place := place_of(rect):
                    rows.append((len(files), *place, np.zeros((JOINTS, 3)), np.nan))
                    rect_of.append(number)
            files.append(str(image.image.name))
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(path, f"annolist({position}): {type(error).__name__} {error}") from error
        rects.append(len(people))
    return MpiiTest(mpii_people("mpii_test", path, folder, files, rows), np.array(rect_of), tuple(rects))


def write_mpii_test(path: Path, test: MpiiTest, joints: Floats) -> None:
    """Write the `pred_keypoints_mpii.mat` that MPII's organisers evaluate.

    It holds the test set's annotation list as the struct array `pred`, where each person of `joints` (N, 16, 2) has
    annopoints.point with x and y (from 1) and id (from 0).
    """
    people = test.people
    pred = np.empty(len(people.images), dtype=[("image", object), ("annorect", object)])
    for number, (file, count) in enumerate(zip(people.images, test.rects, strict=True)):
        rect = np.empty(count, dtype=[("annopoints", object)])
        rect["annopoints"] = [np.zeros((0, 0))] * count
        for person in np.flatnonzero(people.image_index == number):
            rect[test.rect_of[person]] = ({"point": _points(joints[person])},)
        pred[number] = ({"name": file.name}, rect)
    save_mat(path, {"pred": pred})


def _points(joints: Floats) -> Any:
    points = np.empty(JOINTS, dtype=[("x", object), ("y", object), ("id", object)])
    for k, (x, y) in enumerate((joints + FIRST_PIXEL).tolist()):
        points[k] = (x, y, float(k))
    return points
