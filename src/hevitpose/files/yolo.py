"""YOLO-pose data sets: a data.yaml, pictures under `images`, and a text file of the same name under `labels`.

Everything is a share of the upright picture's width and height, as the converter of Ultralytics writes it: keypoints
are COCO's x and y divided by them without a shift of half a pixel, boxes are centre and size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.person import LabelledPeople, PictureFile
from hevitpose.core.skeleton import COCO17, Skeleton, SkeletonTable, category_with, mirror_of, skeleton_from_coco
from hevitpose.files import pictures
from hevitpose.files.annotations import read_joints, short, with_area
from hevitpose.files.texts import read_text

LARGEST_SHARE = 2.0
"""What is further out is no share of a picture's width: often pixels."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The table in a YAML file, of plain values only. Raises InputError."""
    try:
        import yaml
    except ImportError as error:
        raise InputError(path, 'a YAML file needs PyYAML: pip install "hevitpose[train]"') from error
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except Exception as error:  # values that are not what their tag says raise nearly every type
        raise InputError(path, f"cannot be read as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise InputError(path, "not a table of names and values")
    return content


def yolo_pictures(path: Path) -> dict[str, Path]:
    """Where the pictures of `train` and `val` lie, as a data.yaml says. Raises InputError."""
    content = read_yaml(path)
    base = path.parent / str(content.get("path") or "")
    found = {}
    for key in ("train", "val"):
        value = content.get(key)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(value, str | None):
            raise InputError(path, f"{key} must be one folder or text file, found {short(value)}")
        if value:
            # Roboflow writes ../train/images for what lies in train/images.
            places = (base / value, path.parent / value, path.parent / value.removeprefix("../"))
            found[key] = next((place for place in places if place.exists()), places[0])
    if not found:
        raise InputError(path, "names neither train nor val")
    return found


def read_yolo(path: Path, folder: Path, name: str, table: SkeletonTable | None = None) -> LabelledPeople:
    """People of the pictures in `folder`, or in the list of pictures if that is a text file, by the data.yaml `path`.

    Keypoint names are its `kpt_names`, else those of `table`, else COCO's where number and partners (`flip_idx`) are
    COCO's, else keypoint_0 and so on. `download` and other commands of it are ignored. Raises InputError.
    """
    content = read_yaml(path)
    skeleton, values = _skeleton(content, path, table)
    files: list[PictureFile] = []
    rows: list[tuple[int, Floats, Floats]] = []
    for picture in _pictures(folder):
        labels = _labels_of(picture)
        if not labels.is_file():
            continue
        file = PictureFile(picture.name, picture.parent)
        size_wh, _ = pictures.read_size(file)
        files.append(file)
        for number, line in enumerate(read_text(labels).splitlines(), start=1):
            try:
                person = _person(line, skeleton.num_keypoints, values, np.array(size_wh)) if line.strip() else None
            except ValueError as error:
                raise InputError(labels, f"line {number}: {error}") from error
            if person:
                rows.append((len(files) - 1, *person))
    if not rows:
        raise InputError(folder, f"no labelled keypoint in the labels of its {len(files)} pictures")
    picture_of, boxes, joints = (np.array(column) for column in zip(*rows, strict=True))
    unknown = np.full(len(rows), np.nan)
    return LabelledPeople(
        name,
        skeleton,
        tuple(files),
        tuple(range(len(files))),
        picture_of,
        np.arange(len(rows)),
        boxes,
        joints[..., :2],
        joints[..., 2].astype(np.int8),
        unknown,
        unknown,
    )


def _skeleton(content: Mapping[str, Any], path: Path, table: SkeletonTable | None) -> tuple[Skeleton, int]:
    """The keypoints, and how many values the labels have for each."""
    match content.get("kpt_shape"):
        case [int(count), (2 | 3) as values] if 0 < count < 10_000:
            pass
        case shape:
            raise InputError(path, f"kpt_shape must be [keypoints, 2 or 3], found {short(shape)}")
    partners = content.get("flip_idx")
    if partners is not None and (
        not isinstance(partners, list) or sorted(map(str, partners)) != sorted(map(str, range(count)))
    ):
        raise InputError(
            path, f"flip_idx must be the numbers 0 to {count - 1} in another order, found {short(partners)}"
        )
    names = content.get("kpt_names")
    names = next(iter(names.values()), None) if isinstance(names, dict) else names
    if names is None and table and table.keypoints:
        names = list(table.keypoints)
    if names is None and (count, tuple(partners or COCO17.mirror)) == (COCO17.num_keypoints, COCO17.mirror):
        names = list(COCO17.keypoints)
    if names is None:
        names = [f"keypoint_{k}" for k in range(count)]
    if not isinstance(names, list) or len(names) != count:
        raise InputError(path, f"kpt_shape says {count} keypoints, their names are {short(names)}")
    match content.get("names"):
        case dict(classes) if classes:
            title = next(iter(classes.values()))
        case [title, *_]:
            pass
        case _:
            title = "person"
    names = [str(keypoint) for keypoint in names]
    mirror = mirror_of(names) if partners is None else partners
    category = {"name": title, "keypoints": names}
    try:
        Skeleton(str(title), tuple(names), tuple(mirror))  # flip_pairs could not say that these are no pairs
    except InputError as error:
        raise InputError(path, f"flip_idx: {error.reason}") from error
    if {tuple(mirror), mirror_of(names)} != {tuple(range(count))}:  # which tools write where nobody thought of pairs
        category["flip_pairs"] = [[a, b] for a, b in enumerate(mirror) if a < b]
    if names == list(COCO17.keypoints):
        category["skeleton"] = [[a + 1, b + 1] for a, b in COCO17.limbs]
    return skeleton_from_coco(category_with(category, table) if table else category, str(path)), values


def _pictures(folder: Path) -> list[Path]:
    if folder.suffix == ".txt":
        return [folder.parent / line.strip() for line in read_text(folder).splitlines() if line.strip()]
    if not folder.is_dir():
        raise InputError(folder, "no such folder")
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in pictures.SUFFIXES)


def _labels_of(picture: Path) -> Path:
    """The same path under `labels` instead of the last `images`; beside the picture where there is no such folder."""
    parts = list(picture.parts)
    for k in range(len(parts) - 2, -1, -1):
        if parts[k] == "images":
            parts[k] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _person(line: str, count: int, values: int, size_wh: Floats) -> tuple[Floats, Floats] | None:
    """Box (4,) and joints (K, 3) in pixels of one line; None where no joint is labelled. Raises ValueError."""
    numbers = np.array([float(word) for word in line.split()])
    if len(numbers) != 5 + values * count:
        raise ValueError(f"needs {5 + values * count} numbers (class, box, {count} x {values}), found {len(numbers)}")
    if not (abs(numbers[1:5]) < LARGEST_SHARE).all():
        raise ValueError(f"its box must be shares of width and height (0 to 1), found {numbers[1:5].tolist()}")
    box = geometry.box_from_center(numbers[1:3] * size_wh - 0.5, numbers[3:5] * size_wh)
    places = numbers[5:].reshape(count, values)
    visibility = places[:, 2] if values == 3 else 2 * places.any(axis=1)
    joints = read_joints({"keypoints": np.column_stack([places[:, :2] * size_wh, visibility]).tolist()}, count)
    return (with_area(box), joints) if joints[:, 2].any() else None
