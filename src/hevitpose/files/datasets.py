"""Which files make a data set: a TOML description beside the data, or one of those in this package."""

import os
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from hevitpose.core.errors import InputError
from hevitpose.core.person import LabelledPeople
from hevitpose.files.annotations import read_coco
from hevitpose.files.mpii import read_mpii, read_mpii_hrnet

Metric = Literal["pckh", "pck"]
Format = Literal["coco", "mpii", "hrnet"]
ROOT_VARIABLE = "HEVITPOSE_DATA"


@dataclass(frozen=True)
class Split:
    """One annotation file, the folder of its pictures, and how results on it are measured.

    `metric`: "pckh" (PCKh@0.5 and @0.1, needs head sizes) or "pck" (PCK@0.2 of the torso); None where it is not said.
    `format`: "coco"; "mpii", the site's .mat, of which `subset` names the pictures to take; "hrnet", HRNet's MPII
    JSON, with its gt_valid.mat as `ground_truth`.
    """

    name: str
    annotations: Path
    pictures: Path
    metric: Metric | None = None
    format: Format = "coco"
    subset: Path | None = None
    ground_truth: Path | None = None

    def read(self) -> LabelledPeople:
        """Its people. Raises InputError."""
        match self.format:
            case "coco":
                return read_coco(self.annotations, self.pictures, self.name)
            case "mpii":
                return read_mpii(self.annotations, self.pictures, self.name, self.subset)
            case "hrnet":
                return read_mpii_hrnet(self.annotations, self.pictures, self.name, self.ground_truth)


@dataclass(frozen=True)
class Dataset:
    """A data set for training, with the sets it is validated on; `terms` of use go into the card of what it trains."""

    name: str
    train: Split | None
    validation: tuple[Split, ...]
    terms: str = "unknown"


def find_dataset(name: str, root: Path | None = None) -> Dataset:
    """The data set that a TOML file describes, or the one of that name in this package.

    Files lie beside the TOML file, or in `root` where it is given. For a data set of this package, `root` is the
    folder that holds the data (or that holds a folder of the data set's name); without it HEVITPOSE_DATA names it.
    Raises InputError.
    """
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return _read(path.stem, _text(path), root or path.parent, path)
    stem = name.removesuffix(".toml")
    shipped = {entry.name: entry for entry in (resources.files("hevitpose") / "datasets").iterdir()}
    entry = shipped.get(f"{stem}.toml")
    if entry is None:
        known = ", ".join(sorted(Path(n).stem for n in shipped if n.endswith(".toml")))
        raise InputError(name, f"no such TOML file, and no data set of that name (known: {known})")
    given = root or (Path(os.environ[ROOT_VARIABLE]) if os.environ.get(ROOT_VARIABLE) else None)
    if given is None:
        raise InputError(name, f"say where its files are: --root FOLDER, or {ROOT_VARIABLE} in the environment")
    folder = given / stem if (given / stem).is_dir() else given
    return _read(stem, entry.read_text(encoding="utf-8"), folder, Path(f"{stem}.toml"))


def find_split(name: str, root: Path | None = None) -> Split:
    """The set to evaluate on: `DATASET/SPLIT`, a split of a data set in this package (`mpii_val`), or a COCO file.

    Raises InputError.
    """
    path = Path(name)
    if path.suffix == ".json":
        return Split(path.stem, path, root or path.parent)
    dataset, _, wanted = name.rpartition("/")
    if dataset:
        found = find_dataset(dataset, root).validation
    else:
        descriptions = [e for e in (resources.files("hevitpose") / "datasets").iterdir() if ".toml" in e.name]
        tables = ((entry.name, tomllib.loads(entry.read_text(encoding="utf-8"))) for entry in descriptions)
        holders = [Path(file).stem for file, table in tables if wanted in table.get("validation", {})]
        found = find_dataset(holders[0], root).validation if holders else ()
    for split in found:
        if split.name == wanted:
            return split
    names = ", ".join(split.name for split in found)
    raise InputError(name, f"no such validation set{f' (there are {names})' if names else ''}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read ({error})") from error


def _read(name: str, text: str, folder: Path, source: Path) -> Dataset:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(source, f"not valid TOML ({error})") from error
    _refuse_unknown(table, {"terms", "train", "validation"}, source)
    train = _split("train", name, table["train"], folder, source) if "train" in table else None
    validation = table.get("validation", {})
    if not isinstance(validation, dict):
        raise InputError(source, "validation must be tables: [validation.NAME]")
    return Dataset(
        name,
        train,
        tuple(_split(f"validation.{key}", key, value, folder, source) for key, value in validation.items()),
        str(table.get("terms", "unknown")),
    )


def _split(key: str, name: str, table: Any, folder: Path, source: Path) -> Split:
    if not isinstance(table, dict) or not isinstance(table.get("annotations"), str):
        raise InputError(source, f"{key} needs annotations = FILE")
    _refuse_unknown(table, {"annotations", "pictures", "metric", "format", "subset", "ground_truth"}, source)
    for entry, known in (("metric", get_args(Metric)), ("format", get_args(Format))):
        if entry in table and table[entry] not in known:
            raise InputError(source, f"{entry} {table[entry]!r} of {key} is none of {', '.join(known)}")
    for entry in ("pictures", "subset", "ground_truth"):
        if not isinstance(table.get(entry, ""), str):
            raise InputError(source, f"{entry} of {key} must name a file or folder, found {table[entry]!r}")
    annotations = folder / table["annotations"]
    pictures = folder / table["pictures"] if "pictures" in table else annotations.parent
    subset, ground_truth = (folder / table[e] if e in table else None for e in ("subset", "ground_truth"))
    return Split(name, annotations, pictures, table.get("metric"), table.get("format", "coco"), subset, ground_truth)


def _refuse_unknown(table: dict[str, Any], known: set[str], source: Path) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise InputError(source, f"unknown key {unknown[0]!r} (known: {', '.join(sorted(known))})")
