"""DeepLabCut's labels, for one animal or several, and Lightning Pose's: CollectedData CSV files."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.core.labels import Finding, ImageFile, LabelledPeople
from hevitpose.data.coco import FARTHEST_PIXEL, errors_about, people_from_points, short, some
from hevitpose.data.skeletons import SkeletonTable
from hevitpose.io.folders import find_file, is_clutter, is_file, is_folder
from hevitpose.io.images import SUFFIXES
from hevitpose.io.json_files import read_csv, read_text, read_yaml

LABELS = "CollectedData*.csv"
HEADER = ("scorer", "individuals", "bodyparts", "coords")
UNIQUE = "single"
"""What DeepLabCut calls the individual of a project's unique body parts, such as the corners of a cage."""
Column = tuple[str, str, str]
"""Individual, body part, x or y."""
Animal = tuple[ImageFile, dict[str, tuple[float, float]]]
"""The image, and the places of the labelled parts."""


@dataclass(frozen=True)
class _Sheet:
    """One CSV file: body parts, labelled animals, all images that have a row, and the unique body parts left out."""

    parts: list[str]
    animals: list[Animal]
    images: list[ImageFile]
    unique: list[str]


def sheets_in(project: Path) -> list[Path]:
    """The label files of all videos of a project, of every scorer."""
    return [sheet for sheet in sorted(project.glob(f"labeled-data/*/{LABELS}")) if not is_clutter(sheet.name)]


def read_deeplabcut(path: Path, name: str, table: SkeletonTable | None = None) -> LabelledPeople:
    """The labelled animals of one file, or of all under the `labeled-data` of a project's folder.

    Where a video has the sheets of several scorers or copies of one, that of the config's `scorer` is read. Unique body
    parts are left out. Pixels are DeepLabCut's own, counted from the centre of the first one. Boxes are those round the
    labelled joints; limbs are the `skeleton` of config.yaml, which needs PyYAML. Raises InputError.
    """
    is_project = is_folder(path)
    config = (path if is_project else path.parent.parent.parent) / "config.yaml"
    chosen, findings = _chosen(sheets_in(path), _scorer(config)) if is_project else ([path], [])
    if not chosen:
        raise InputError(path, f"has no labeled-data/*/{LABELS}")
    sheets = [_read_sheet(sheet) for sheet in chosen]
    animals = [animal for sheet in sheets for animal in sheet.animals]
    if not animals:
        raise InputError(path, "no animal with a labelled joint")
    names = list(dict.fromkeys(part for sheet in sheets for part in sheet.parts))
    files = tuple(dict.fromkeys(file for file, _ in animals))
    position = {file: k for k, file in enumerate(files)}
    limbs, without_yaml = _limbs(config, names)
    if unique := list(dict.fromkeys(part for sheet in sheets for part in sheet.unique)):
        findings.append(Finding("unique body parts", "", f"{some(unique)} of individual {UNIQUE!r} are left out"))
    videos = list(path.glob("labeled-data/*")) if is_project else []
    for hdf5 in (file for video in videos for file in video.glob("CollectedData*.h5")):
        if not any(sheet.parent == hdf5.parent for sheet in chosen):
            findings.append(Finding("labels in HDF5", f"{hdf5.parent.name}/{hdf5.name}", "has no CSV file beside it"))
    findings += [*without_yaml, *_unlabelled(sheets, set(files), videos)]
    people = [(position[file], places, None) for file, places in animals]
    return people_from_points(name, path, files, people, table, findings, names, limbs)


def _chosen(sheets: list[Path], scorer: str | None) -> tuple[list[Path], list[Finding]]:
    """One sheet for each video: the scorer's, else the only one that is named after its own scorer."""
    of_video: dict[Path, list[Path]] = defaultdict(list)
    for sheet in sheets:
        of_video[sheet.parent].append(sheet)
    chosen, findings = [], []
    for video, candidates in of_video.items():
        own = [sheet for sheet in candidates if scorer and sheet.stem == f"CollectedData_{scorer}"]
        if not own and len(candidates) > 1:
            own = [sheet for sheet in candidates if sheet.stem == f"CollectedData_{_scorer_of(sheet)}"]
            if len(own) != 1:
                names = ", ".join(sheet.name for sheet in candidates)
                raise InputError(video, f"has labels of several scorers ({names}): name one as scorer in config.yaml")
        chosen += own or candidates
        findings += [
            Finding("other scorer", f"{video.name}/{sheet.name}", f"is left out: {own[0].name} is read")
            for sheet in candidates
            if own and sheet not in own
        ]
    return chosen, findings


def _scorer_of(sheet: Path) -> str:
    """The scorer that the first line of a sheet names."""
    return re.split(r"[,\r\n]", read_text(sheet)[:1000] + ",,,")[1]


def _scorer(config: Path) -> str | None:
    """The project's scorer. A plain line in what DeepLabCut writes, so that PyYAML is not needed."""
    if not is_file(config):
        return None
    found = re.search(r"^scorer:[ \t]*([^#\r\n]*)", read_text(config), re.MULTILINE)
    return found[1].strip().strip("'\"") or None if found else None


def _unlabelled(sheets: list[_Sheet], labelled: set[ImageFile], videos: Iterable[Path]) -> list[Finding]:
    """Images that have a row without labels, or lie in the folder of a video or beside labelled ones without a row."""
    rows = {file for sheet in sheets for file in sheet.images} - labelled
    paths = {file.folder / file.name for file in labelled}
    folders = {path.parent for path in paths} | {video for video in videos if not is_clutter(video.name)}
    inside = (p for folder in folders if is_folder(folder) for p in folder.iterdir())
    beside = {p for p in inside if p.suffix.lower() in SUFFIXES and not is_clutter(p.name)}
    without = sorted({str(path) for path in beside - paths} | {str(file) for file in rows})
    if not without:
        return []
    problem = f"{len(without)} of {len(without) + len(labelled)} images have no labels ({some(without)})"
    return [Finding("unlabelled images", "", problem)]


def _read_sheet(path: Path) -> _Sheet:
    rows = read_csv(path)
    header = {row[0]: row for row in rows[: len(HEADER)] if row and row[0] in HEADER}
    if not {"bodyparts", "coords"} <= set(header) or len({len(row) for row in header.values()}) > 1:
        raise InputError(path, f"not DeepLabCut's labels: its first lines must begin with {', '.join(HEADER)}")
    width = len(header["coords"])
    first = next((c for c in range(1, width) if header["coords"][c]), width)
    individuals = header.get("individuals", [""] * width)
    columns = list(zip(individuals, header["bodyparts"], header["coords"], strict=True))[first:]
    unique = {UNIQUE} if {UNIQUE} < {individual for individual, _, _ in columns} else set()
    animals, images = [], []
    for number, row in enumerate(rows[len(header) :], start=len(header) + 1):
        if not row or (len(row) == 1 and not row[0]):
            continue
        if len(row) != width:
            raise InputError(path, f"line {number}: {len(row)} cells, the header has {width}")
        images.append(_image("/".join(row[:first]).replace("\\", "/"), path))
        with errors_about(path, f"line {number}"):
            of_animal = _places(columns, row[first:])
        animals += [(images[-1], places) for individual, places in of_animal.items() if individual not in unique]
    return _Sheet(
        [part for individual, part, _ in columns if individual not in unique],
        animals,
        images,
        [part for individual, part, _ in columns if individual in unique],
    )


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
    """The image `labeled-data/VIDEO/img.png` of the project, or of the sheet's folder; beside its sheet where the
    project was moved."""
    own = PurePosixPath(name).name
    for folder, candidate in ((sheet.parent.parent.parent, name), (sheet.parent, name), (sheet.parent, own)):
        if found := find_file(folder, candidate):
            return ImageFile(found, folder)
    return ImageFile(own, sheet.parent) if sheet.parent.parent.name == "labeled-data" else ImageFile(name, sheet.parent)


def _limbs(config: Path, names: list[str]) -> tuple[list[list[int]], list[Finding]]:
    """The project's limbs between these body parts, counted from 1."""
    try:
        links = read_yaml(config).get("skeleton") if is_file(config) else None
    except MissingExtraError:
        problem = "its limbs are not drawn without PyYAML (pip install pyyaml)"
        return [], [Finding("no limbs", config.name, problem)]
    pairs = [link for link in (links if isinstance(links, list) else ()) if isinstance(link, list) and len(link) == 2]
    return [[names.index(a) + 1, names.index(b) + 1] for a, b in pairs if a in names and b in names], []
