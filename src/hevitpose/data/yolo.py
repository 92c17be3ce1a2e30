"""YOLO-pose data sets: a data.yaml, images under `images`, and a text file of each under `labels` or beside it.

Everything is a share of the upright image's width and height, as the converter of Ultralytics writes it: keypoints
are COCO's x and y divided by them without a shift of half a pixel, boxes are centre and size.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import mirror_from_names
from hevitpose.core.labels import Finding, ImageFile, LabelledPeople, labelled_people
from hevitpose.core.skeleton import COCO17, Skeleton
from hevitpose.data.coco import errors_about, read_keypoints, short, some, with_area
from hevitpose.data.skeletons import SkeletonTable, skeleton_from_coco
from hevitpose.io import images
from hevitpose.io.folders import files_below, find_file, is_file, is_folder
from hevitpose.io.json_files import read_text, read_yaml

LARGEST_SHARE = 2.0
"""What lies further out is not a share of an image's width, but often pixels."""
NOT_LABELS = ("classes.txt", "labels.txt", "notes.txt", "readme.txt", "README.txt")
"""Text files that tools put among labels."""


def yolo_images(path: Path) -> dict[str, tuple[Path, ...]]:
    """Where the images of `train` and `val` lie, as a data.yaml says: folders and text files of names.

    Raises InputError.
    """
    content = read_yaml(path)
    base = path.parent / str(content.get("path") or "")
    found = {}
    for key in ("train", "val"):
        value = content.get(key)
        values = value if isinstance(value, list) else [value] if value else []
        if not all(isinstance(one, str) and one for one in values):
            raise InputError(path, f"{key} must be folders or text files, found {short(value)}")
        if values:
            found[key] = tuple(_place(str(one).replace("\\", "/"), base, path.parent) for one in values)
    if not found:
        raise InputError(path, "names neither train nor val")
    return found


def _place(name: str, base: Path, beside: Path) -> Path:
    # Roboflow writes ../train/images for what lies in train/images.
    places = (base / name, beside / name, beside / name.removeprefix("../"))
    return next((place for place in places if is_folder(place) or is_file(place)), places[0])


def read_yolo(path: Path, sources: Sequence[Path], name: str, table: SkeletonTable | None = None) -> LabelledPeople:
    """People of the images in `sources`, folders or text files that list images, by the data.yaml `path`.

    Keypoint names are its `kpt_names`, else those of `table`, else COCO's where number and partners (`flip_idx`) are
    COCO's, else keypoint_0 and so on. `download` and other commands of it are ignored. Raises InputError.
    """
    content = read_yaml(path)
    skeleton, values = _skeleton(content, path, table)
    files: list[ImageFile] = []
    rows: list[tuple[int, Floats, Floats]] = []
    every = list(dict.fromkeys(image for source in sources for image in _images(source, path.parent)))
    labels_of = {image: _labels_of(image) for image in every}
    for image, labels in labels_of.items():
        if labels is None:
            continue
        file = ImageFile(image.name, image.parent)
        size_wh = np.array(images.read_size(file))
        files.append(file)
        for number, line in enumerate(read_text(labels).splitlines(), start=1):
            with errors_about(labels, f"line {number}"):
                person = _person(line, skeleton.num_keypoints, values, size_wh) if line.strip() else None
            if person:
                rows.append((len(files) - 1, *person))
    if not rows:
        where = f"{len(files)} of {len(every)} images have labels"
        raise InputError(sources[0], f"no labelled keypoint ({where})")
    image_index, boxes, joints = (np.array(column) for column in zip(*rows, strict=True))
    findings = _unmatched(sources, labels_of)
    return labelled_people(name, skeleton, files, image_index, joints, boxes, findings=findings)


def _unmatched(sources: Sequence[Path], labels_of: Mapping[Path, Path | None]) -> list[Finding]:
    """Images without labels, labels without an image, and labels of several images."""
    findings = []
    without = [image for image, labels in labels_of.items() if labels is None]
    if without:
        problem = f"{len(without)} of {len(labels_of)} images have no labels ({some(image.name for image in without)})"
        findings.append(Finding("unlabelled images", "", problem))
    used = Counter(labels for labels in labels_of.values() if labels)
    folders = {_counterpart(source) for source in sources if is_folder(source)} | {labels.parent for labels in used}
    every = {file for folder in folders if is_folder(folder) for file in files_below(folder, {".txt"})}
    places = {labels.resolve() for labels in used}
    lost = [file for file in sorted(every) if file.name not in NOT_LABELS and file.resolve() not in places]
    if lost and all(is_folder(source) for source in sources):  # a list of images may leave out some
        findings.append(
            Finding("labels without image", "", f"labels without an image: {len(lost)} ({some(map(str, lost))})")
        )
    findings += [
        Finding("shared labels", labels.name, f"{count} images have these labels: only their suffixes differ")
        for labels, count in used.items()
        if count > 1
    ]
    return findings


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
    mirror = mirror_from_names(names) if partners is None else partners
    category = {"name": title, "keypoints": names}
    try:
        Skeleton(str(title), tuple(names), tuple(mirror))  # flip_pairs could not say that these are no pairs
    except InputError as error:
        raise InputError(path, f"flip_idx: {error.reason}") from error
    if {tuple(mirror), mirror_from_names(names)} != {
        tuple(range(count))
    }:  # which tools write where nobody thought of pairs
        category["flip_pairs"] = [[a, b] for a, b in enumerate(mirror) if a < b]
    if names == list(COCO17.keypoints):
        category["skeleton"] = [[a + 1, b + 1] for a, b in COCO17.limbs]
    return skeleton_from_coco(category, str(path), table), values


def _images(source: Path, beside: Path) -> list[Path]:
    if is_folder(source):
        if source.resolve() == Path(source.resolve().anchor):
            raise InputError(source, "is the root of all folders: name the folder of the images")
        return files_below(source, images.SUFFIXES)
    if source.suffix != ".txt":
        raise InputError(source, "no such folder")
    found = []
    for name in filter(None, map(str.strip, read_text(source).splitlines())):
        folder = source.parent if find_file(source.parent, name) else beside
        found.append(folder / (find_file(folder, name) or name))
    return found


def _labels_of(image: Path) -> Path | None:
    """The text file of the same name under `labels` instead of the last `images` of the path, else beside the image."""
    for folder in (_counterpart(image.parent), image.parent):
        if name := find_file(folder, f"{image.stem}.txt"):
            return folder / name
    return None


def _counterpart(folder: Path) -> Path:
    """The folder with `labels` instead of its last `images`; the folder itself where it has none."""
    parts = list(folder.parts)
    for k in range(len(parts) - 1, -1, -1):
        if parts[k] == "images":
            return Path(*parts[:k], "labels", *parts[k + 1 :])
    return folder


def _person(line: str, count: int, values: int, size_wh: Floats) -> tuple[Floats, Floats] | None:
    """Box (4,) and joints (K, 3) in pixels of one line; None where no joint is labelled. Raises ValueError."""
    numbers = np.array([float(word) for word in line.split()])
    if len(numbers) != 5 + values * count:
        raise ValueError(f"needs {5 + values * count} numbers (class, box, {count} x {values}), found {len(numbers)}")
    if not (abs(numbers[1:5]) < LARGEST_SHARE).all():
        raise ValueError(f"its box must be shares of width and height (0 to 1), found {numbers[1:5].tolist()}")
    box = geometry.box_from_center(numbers[1:3] * size_wh, numbers[3:5] * size_wh)
    places = numbers[5:].reshape(count, values)
    visibility = places[:, 2] if values == 3 else 2 * places.any(axis=1)
    joints = read_keypoints({"keypoints": np.column_stack([places[:, :2] * size_wh, visibility]).tolist()}, count)
    return (with_area(box), joints) if joints[:, 2].any() else None
