"""DeepLabCut's labels: CollectedData_SCORER.csv, for one animal or several."""

from pathlib import Path, PurePosixPath

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.labels import ImageFile, LabelledPeople, labelled_people
from hevitpose.data.coco import FARTHEST_PIXEL, boxes_around_joints, short
from hevitpose.data.skeletons import SkeletonTable, category_with, skeleton_from_coco
from hevitpose.io.json_files import read_csv, read_yaml

LABELS = "CollectedData_*.csv"
HEADER = ("scorer", "individuals", "bodyparts", "coords")
Column = tuple[str, str, str]
"""Individual, body part, x or y."""


def read_deeplabcut(path: Path, name: str, table: SkeletonTable | None = None) -> LabelledPeople:
    """The labelled animals of one file, or of all under the `labeled-data` of a project's folder.

    Pixels are DeepLabCut's own, counted from the centre of the first one. Boxes are those round the labelled joints;
    limbs are the `skeleton` of the project's config.yaml, where it is there. Raises InputError.
    """
    sheets = sorted((path / "labeled-data").glob(f"*/{LABELS}")) if path.is_dir() else [path]
    if not sheets:
        raise InputError(path, f"has no labeled-data/*/{LABELS}")
    keypoints: dict[str, None] = {}
    animals: list[tuple[ImageFile, dict[str, tuple[float, float]]]] = []
    for sheet in sheets:
        parts, found = _read_sheet(sheet)
        keypoints |= dict.fromkeys(parts)
        animals += found
    if not animals:
        raise InputError(path, "no animal with a labelled joint")
    names = list(keypoints)
    joints = np.zeros((len(animals), len(names), 3))
    for n, (_, places) in enumerate(animals):
        for part, place in places.items():
            joints[n, names.index(part)] = (*place, 2)
    files = tuple(dict.fromkeys(file for file, _ in animals))
    position = {file: k for k, file in enumerate(files)}
    project = path if path.is_dir() else path.parent.parent.parent
    category = {"name": "animal", "keypoints": names, "skeleton": _limbs(project / "config.yaml", names)}
    skeleton = skeleton_from_coco(category_with(category, table) if table else category, str(path))
    image_index = [position[file] for file, _ in animals]
    return labelled_people(name, skeleton, files, image_index, joints, boxes_around_joints(joints))


def _read_sheet(path: Path) -> tuple[list[str], list[tuple[ImageFile, dict[str, tuple[float, float]]]]]:
    """Body parts, and for each animal its image and the places of its labelled parts."""
    rows = read_csv(path)
    header = {row[0]: row for row in rows[: len(HEADER)] if row and row[0] in HEADER}
    if not {"bodyparts", "coords"} <= set(header) or len({len(row) for row in header.values()}) > 1:
        raise InputError(path, f"not DeepLabCut's labels: its first lines must begin with {', '.join(HEADER)}")
    width = len(header["coords"])
    first = next((c for c in range(1, width) if header["coords"][c]), width)
    individuals = header.get("individuals", [""] * width)
    columns = list(zip(individuals, header["bodyparts"], header["coords"], strict=True))[first:]
    animals = []
    for number, row in enumerate(rows[len(header) :], start=len(header) + 1):
        if not row or (len(row) == 1 and not row[0]):
            continue
        if len(row) != width:
            raise InputError(path, f"line {number}: {len(row)} cells, the header has {width}")
        file = _image("/".join(row[:first]).replace("\\", "/"), path)
        try:
            of_animal = _places(columns, row[first:])
        except ValueError as error:
            raise InputError(path, f"line {number}: {error}") from error
        animals += [(file, places) for places in of_animal.values()]
    return [part for _, part, _ in columns], animals


def _places(columns: list[Column], cells: list[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """The labelled places of each individual. Raises ValueError."""
    number: dict[Column, float] = {}
    for column, cell in zip(columns, cells, strict=True):
        value = float(cell or "nan")
        if abs(value) >= FARTHEST_PIXEL:
            raise ValueError(f"{column[1]} lies at {short(cell)}")
        number[column] = value
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for individual, part, axis in columns:
        place = (number[individual, part, "x"], number.get((individual, part, "y"), np.nan)) if axis == "x" else ()
        if place and not np.isnan(place).any():
            found.setdefault(individual, {})[part] = place
    return found


def _image(name: str, sheet: Path) -> ImageFile:
    """The image `labeled-data/VIDEO/img.png` of the project, or beside its sheet where the project was moved."""
    project, own = sheet.parent.parent.parent, PurePosixPath(name).name
    return ImageFile(name, project) if (project / name).is_file() else ImageFile(own, sheet.parent)


def _limbs(config: Path, names: list[str]) -> list[list[int]]:
    """The project's limbs between these body parts, counted from 1."""
    links = read_yaml(config).get("skeleton") if config.is_file() else None
    pairs = [link for link in (links if isinstance(links, list) else ()) if isinstance(link, list) and len(link) == 2]
    return [[names.index(a) + 1, names.index(b) + 1] for a, b in pairs if a in names and b in names]
