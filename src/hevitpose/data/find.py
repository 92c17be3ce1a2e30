"""Finding a data set: by a TOML file, in the folder of an annotation tool, or by the name of one in this package."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from hevitpose.core.errors import InputError
from hevitpose.data.datasets import Dataset, Format, Split
from hevitpose.data.deeplabcut import LABELS, sheets_in
from hevitpose.data.label_studio import is_label_studio
from hevitpose.data.labelme import is_labelme
from hevitpose.data.skeletons import skeleton_table
from hevitpose.data.yolo import yolo_images
from hevitpose.io.folders import is_clutter, is_file, is_folder
from hevitpose.io.json_files import first_character, read_toml, text_or_nothing
from hevitpose.metrics.names import Metric, suitable_metric

FILES = (".json", ".csv", ".mat")
"""Files that are one set of people."""
ROOT_VARIABLE = "HEVITPOSE_DATA"
TRAIN = ("train.json", "*_train.json", "train/_annotations.coco.json", "annotations/*[Tt]rain*.json")
VALIDATION = ("val.json", "valid.json", "*_val.json", "val*/_annotations.coco.json", "annotations/*[Vv]al*.json")
UNSPLIT = ("annotations/*_default.json", "result.json", "_annotations.coco.json", "*.json")
"""Where annotations lie in a folder: COCO's own names, and the exports of Roboflow, CVAT and Label Studio."""


def find_dataset(name: str, root: Path | None = None) -> Dataset:
    """The data set that a TOML file or YOLO's data.yaml describes, that of this name in this package, or in a folder.

    Files lie beside the TOML file, or in `root` where it is given. For a data set of this package, `root` is the
    folder that holds the data (or that holds a folder of the data set's name); without it HEVITPOSE_DATA names it.
    A folder is searched as `dataset_in` does. Raises InputError.
    """
    path = Path(name)
    if path.suffix == ".toml" and is_file(path):
        return _read(path.stem, read_toml(path), root or path.parent, path)
    if path.suffix in (".yaml", ".yml"):
        return _yolo(path)
    stem, bundled = name.removesuffix(".toml"), _bundled()
    if stem not in bundled and name and is_folder(path):
        return dataset_in(path, root)
    if stem not in bundled:
        known = ", ".join(sorted(bundled))
        raise InputError(name, f"no such TOML file or folder, and no data set of that name (known: {known})")
    given = root or (Path(os.environ[ROOT_VARIABLE]) if os.environ.get(ROOT_VARIABLE) else None)
    if given is None:
        raise InputError(name, f"say where its files are: `root=FOLDER`, or {ROOT_VARIABLE} in the environment")
    folder = given / stem if (given / stem).is_dir() else given
    return _read(stem, bundled[stem], folder, Path(f"{stem}.toml"))


def dataset_in(folder: Path, root: Path | None = None) -> Dataset:
    """The data set in a folder: by its TOML file where there is one, else YOLO's by its data.yaml (any YAML file with
    `kpt_shape`), DeepLabCut's and Lightning Pose's by `labeled-data`, LabelMe's by its JSON files,
    COCO files by their names.

    Without any of these it is the data set in the one folder inside that has some. Validation sets found by name are
    measured by "oks" where sigmas and areas are known, as with COCO's own, else by "pck_box", which suits any
    keypoints. Raises InputError where there is no annotation file, or more than one to train on.
    """
    described = _first_found(folder, ("*.toml",))
    if len(described) == 1:
        return _read(described[0].stem, read_toml(described[0]), root or folder, described[0])
    yaml = _yolo_file(folder)
    if yaml:
        return _yolo(yaml)
    name = folder.resolve().name
    if labels := _deeplabcut(folder, name):
        return labels
    if any(map(is_labelme, _first_found(folder, ("*.json",))[:1])):
        return Dataset(name, Split(name, folder, folder, "pck_box", "labelme"), ())
    train = _all_found(folder, TRAIN)
    validation = [file for file in _all_found(folder, VALIDATION) if file not in train]
    train = train or [file for file in _first_found(folder, UNSPLIT) if file not in validation]
    if not train and not validation:
        folders = (place for place in sorted(folder.iterdir()) if place.is_dir() and not is_clutter(place.name))
        inside = [place for place in folders if _holds_sets(place)]
        if len(inside) == 1:
            return dataset_in(inside[0], root)
        if inside:
            raise InputError(folder, f"holds several data sets: name one of {', '.join(map(str, inside))}")
        raise InputError(folder, f"has no annotation file (looked for {', '.join((*TRAIN, *VALIDATION, *UNSPLIT))})")
    if len(train) > 1:
        names = ", ".join(str(file.relative_to(folder)) for file in train)
        raise InputError(folder, f"has several files to train on ({names}): name one in a TOML file")
    return Dataset(
        name,
        _split_found(folder, train[0], name) if train else None,
        tuple(_by_suitable_metric(_split_found(folder, file, _split_name(file))) for file in validation),
    )


def _holds_sets(folder: Path) -> bool:
    """Whether a data set lies in this folder by its own names: any JSON file would not do."""
    own_names = ("*.toml", f"labeled-data/*/{LABELS}", *TRAIN, *VALIDATION, *UNSPLIT[:-1])
    return bool(_first_found(folder, own_names) or _yolo_file(folder))


def _yolo_file(folder: Path) -> Path | None:
    """YOLO's data.yaml, also under another name if it is the only one; None where there is none."""
    if (folder / "data.yaml").is_file():
        return folder / "data.yaml"
    found = [file for file in _first_found(folder, ("*.y*ml",)) if "kpt_shape" in text_or_nothing(file)]
    if len(found) > 1:
        raise InputError(folder, f"has several data sets of YOLO ({', '.join(file.name for file in found)}): name one")
    return found[0] if found else None


def _deeplabcut(folder: Path, name: str) -> Dataset | None:
    """A project of DeepLabCut, or of Lightning Pose: one CSV file beside `labeled-data`, others are to validate on."""
    if sheets_in(folder):
        return Dataset(name, Split(name, folder, folder, "pck_box", "deeplabcut"), ())
    own = _first_found(folder, (LABELS,)) if (folder / "labeled-data").is_dir() else []
    if own:
        first, *others = (
            Split(name if k == 0 else sheet.stem, sheet, folder, "pck_box", "deeplabcut") for k, sheet in enumerate(own)
        )
        return Dataset(name, first, tuple(others))
    if hdf5 := _first_found(folder, ("labeled-data/*/CollectedData*.h5",)):
        raise InputError(hdf5[0], "labels are read from the CSV file that DeepLabCut writes beside it; it is missing")
    return None


def _by_suitable_metric(split: Split) -> Split:
    """The set by the metric that suits its people, if they can be read: what is wrong is said when they are used."""
    with suppress(InputError):
        return split.with_metric(suitable_metric(split.people))
    return split


def _yolo(path: Path) -> Dataset:
    name = path.parent.resolve().name
    found = {
        key: Split(name if key == "train" else key, path, first, "pck_box", "yolo", further_images=tuple(others))
        for key, (first, *others) in yolo_images(path).items()
    }
    return Dataset(name, found.get("train"), (found["val"],) if "val" in found else ())


def _first_found(folder: Path, patterns: Sequence[str]) -> list[Path]:
    for pattern in patterns:
        found = sorted(folder.glob(pattern))
        if wanted := [file for file in found if not any(map(is_clutter, file.relative_to(folder).parts))]:
            return wanted
    return []


def _all_found(folder: Path, patterns: Sequence[str]) -> list[Path]:
    return list(dict.fromkeys(file for pattern in patterns for file in _first_found(folder, (pattern,))))


def _split_name(file: Path) -> str:
    return file.parent.name if file.name.startswith("_annotations") else file.stem


def _split_found(folder: Path, file: Path, name: str) -> Split:
    """A COCO file of a tool; images lie beside it, or in a folder named after the split (`person_keypoints_val`)."""
    own = _split_name(file).rpartition("_")[2]
    candidates = (folder / "images" / own, folder / own)
    beside = folder if file.parent.name == "annotations" else file.parent
    images = next((place for place in candidates if place.is_dir()), beside)
    form: Format = "label_studio" if is_label_studio(file) else "coco"
    return Split(name, file, images, "pck_box", form, repair=True)


def find_split(name: str, root: Path | None = None) -> Split:
    """The set to evaluate on: `DATASET/SPLIT`, a split of a data set in this package (`mpii_val`), a file of labels
    (COCO's or HRNet's JSON, MPII's .mat, DeepLabCut's .csv), or a folder or data.yaml with one validation set.

    Raises InputError.
    """
    path = Path(name)
    if path.suffix in FILES:
        by_suffix: dict[str, Format] = {".mat": "mpii", ".csv": "deeplabcut"}
        form = by_suffix.get(path.suffix) or ("hrnet" if first_character(path) == "[" else "coco")
        form = "label_studio" if form == "hrnet" and is_label_studio(path) else form
        return Split(path.stem, path, root or path.parent, format=form)
    if (name and is_folder(path)) or path.suffix in (".yaml", ".yml"):
        validation = find_dataset(name, root).validation
        if len(validation) != 1:
            names = ", ".join(split.name for split in validation) or "none"
            raise InputError(name, f"needs one validation set, found {names}: say FOLDER/NAME")
        return validation[0]
    dataset, _, wanted = name.rpartition("/")
    if dataset:
        found = find_dataset(dataset, root).validation
    else:
        holders = [stem for stem, table in _bundled().items() if wanted in table.get("validation", {})]
        found = find_dataset(holders[0], root).validation if holders else ()
    for split in found:
        if split.name == wanted:
            return split
    names = ", ".join(split.name for split in found)
    raise InputError(name, f"no such validation set{f' (there are {names})' if names else ''}")


def find_splits(name: str, root: Path | None = None) -> dict[str, Split]:
    """The sets of a data set by name, that for training first, as "train"; else the one that `find_split` finds.

    Raises InputError.
    """
    path = Path(name)
    if path.suffix in FILES or not (is_folder(path) or is_file(path) or name.removesuffix(".toml") in _bundled()):
        split = find_split(name, root)
        return {split.name: split}
    dataset = find_dataset(name, root)
    if not (dataset.train or dataset.validation):
        raise InputError(name, "has neither a [train] table nor a validation set")
    train = {"train": dataset.train} if dataset.train else {}
    return train | {split.name: split for split in dataset.validation}


def _bundled() -> dict[str, dict[str, Any]]:
    """The descriptions of the data sets of this package, by name."""
    files = [file for file in (resources.files("hevitpose") / "datasets").iterdir() if file.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): tomllib.loads(file.read_text(encoding="utf-8")) for file in files}


def _read(name: str, table: Mapping[str, Any], folder: Path, source: Path) -> Dataset:
    _refuse_unknown(table, {"terms", "train", "validation", "skeleton"}, source)
    train = _split("train", name, table["train"], folder, source) if "train" in table else None
    validation, skeleton = table.get("validation", {}), table.get("skeleton")
    if not isinstance(validation, dict):
        raise InputError(source, "validation must be tables: [validation.NAME]")
    if not isinstance(skeleton, dict | None):
        raise InputError(source, "skeleton must be a table: [skeleton]")
    keypoints = None if skeleton is None else skeleton_table(skeleton, str(source))
    splits = [_split(f"validation.{key}", key, value, folder, source) for key, value in validation.items()]
    return Dataset(
        name,
        train and replace(train, skeleton=keypoints),
        tuple(replace(split, skeleton=keypoints) for split in splits),
        str(table.get("terms", "unknown")),
    )


def _split(key: str, name: str, table: Any, folder: Path, source: Path) -> Split:
    if not isinstance(table, dict) or not isinstance(table.get("annotations"), str):
        raise InputError(source, f"{key} needs annotations = FILE")
    if "pictures" in table:  # the key's name before version 0.2
        table = {"images" if entry == "pictures" else entry: value for entry, value in table.items()}
    _refuse_unknown(
        table, {"annotations", "images", "metric", "format", "subset", "ground_truth", "repair", "category"}, source
    )
    for entry, known in (("metric", get_args(Metric)), ("format", get_args(Format))):
        if entry in table and table[entry] not in known:
            raise InputError(source, f"{entry} {table[entry]!r} of {key} must be one of {', '.join(known)}")
    for entry in ("images", "subset", "ground_truth", "category"):
        if not isinstance(table.get(entry, ""), str):
            raise InputError(source, f"{entry} of {key} must be a text, found {table[entry]!r}")
    repair = table.get("repair", False)
    if not isinstance(repair, bool):
        raise InputError(source, f"repair of {key} must be true or false, found {repair!r}")
    annotations = folder / table["annotations"]
    images = folder / table["images"] if "images" in table else annotations.parent
    subset, ground_truth = (folder / table[e] if e in table else None for e in ("subset", "ground_truth"))
    metric, form = table.get("metric"), table.get("format", "coco")
    return Split(
        name, annotations, images, metric, form, subset, ground_truth, repair=repair, category=table.get("category")
    )


def _refuse_unknown(table: Mapping[str, Any], known: set[str], source: Path) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise InputError(source, f"unknown key {unknown[0]!r} (known: {', '.join(sorted(known))})")
