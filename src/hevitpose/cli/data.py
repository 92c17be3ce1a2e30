"""`hevitpose data check`, `show` and `convert`."""

import dataclasses
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from hevitpose.cli.common import Root, fault_lines, mirror_note
from hevitpose.cli.progress import show_progress
from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import BOX_PADDING
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.sampling import evenly_spaced
from hevitpose.data.check.rules import Fault, check_sets
from hevitpose.data.convert import write_coco, write_yolo
from hevitpose.data.datasets import Split
from hevitpose.data.find import find_splits
from hevitpose.io import atomic, images
from hevitpose.io.images import Image
from hevitpose.view.contact_sheet import contact_sheet
from hevitpose.view.tables import Table

EXAMPLES = """
Examples:\n
  hevitpose data check mice/\n
  hevitpose data show mice/ --flip --output flipped.png\n
  hevitpose data convert yolo/data.yaml --split train --output mice.json
"""
SAMPLES = 24
CROP_HW = (192, 192)

app = typer.Typer(no_args_is_help=True, help="Check, draw and convert labelled data.", epilog=EXAMPLES)
Data = Annotated[str, typer.Argument(help="Data to read: folder, label file, TOML file, data.yaml or people16.")]
SplitName = Annotated[str | None, typer.Option("--split", help="Set to use, by name (train: that for training).")]


@app.command(epilog=EXAMPLES)
def check(
    data: Data,
    root: Root = None,
    quick: Annotated[bool, typer.Option("--quick", help="Check labels only, without opening images.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all faults as JSON.")] = False,
) -> None:
    """Check labels and images; report each fault with its repair. Exit status 1 on errors."""
    with show_progress() as on_progress:
        splits = tuple(find_splits(data, root).values())
        faults = check_sets(splits, not quick, on_progress)
    errors = sum(fault.level == "error" for fault in faults)
    if as_json:
        counts = {"errors": errors, "warnings": len(faults) - errors}
        print(json.dumps(counts | {"faults": [dataclasses.asdict(fault) for fault in faults]}, indent=1))
    else:
        print_faults(faults)
        if note := mirror_note(splits):
            print(f"note: {note}", file=sys.stderr)
    sys.exit(1 if errors else 0)


def print_faults(faults: list[Fault]) -> None:
    """A line for each fault, and how many there are of each kind."""
    for line in fault_lines(faults, "--json"):
        print(line)
    if not faults:
        print("no faults found")
        return
    counts = Counter((fault.level, fault.kind) for fault in faults)
    rows = [[kind, level, str(count)] for (level, kind), count in counts.items()]
    Console().print(Table(["fault", "level", "how many"], rows, "llr").grid())


@app.command(epilog=EXAMPLES)
def show(
    data: Data,
    output: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("sheet.png"),
    root: Root = None,
    split: SplitName = None,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror people as training and the flip test do.")] = False,
    count: Annotated[int, typer.Option(min=1, help="Number of people, spread evenly over the set.")] = SAMPLES,
) -> None:
    """Draw labelled people on one sheet. With --flip, orange must still be the person's own left."""
    people = read_set(_chosen(find_splits(data, root), data, split), output, data)
    if flip and (note := people.skeleton.mirror_note):
        print(f"note: {note}", file=sys.stderr)
    sheet = people_sheet(people, evenly_spaced(len(people), count), flip)
    images.write_png(output, sheet)
    print(f"{output}: {min(count, len(people))} of {len(people)} of {people.name}")


@app.command(epilog=EXAMPLES)
def convert(
    source: Data,
    output: Annotated[
        Path, typer.Option(help="FILE.json for COCO keypoints, or a folder for YOLO-pose with all sets.")
    ],
    root: Root = None,
    split: SplitName = None,
) -> None:
    """Convert labels (YOLO-pose, DeepLabCut, LabelMe, MPII ...) to COCO keypoints or YOLO-pose."""
    splits = find_splits(source, root)
    if output.suffix == ".json":
        sets = [read_set(_chosen(splits, source, split or (None if len(splits) == 1 else "")), output, source)]
        write_coco(sets[0], output)
    else:
        chosen = splits.values() if split is None else [_chosen(splits, source, split)]
        sets = [read_set(one, output, source) for one in chosen]
        write_yolo(sets, output)
    print(f"{output}: {', '.join(f'{len(people)} of {people.name}' for people in sets)}")


def people_sheet(people: LabelledPeople, persons: NDArray[np.int64], flip: bool = False) -> Image:
    """The labels of the persons with these indices, captioned with id and image.

    With `flip` the crops are mirrored and every joint is drawn as its mirror partner, as in training. Raises InputError
    if an image cannot be read.
    """
    shown = people.subset(persons)
    boxes = geometry.crop_box(shown.boxes, BOX_PADDING, CROP_HW[1] / CROP_HW[0])
    matrices = geometry.crop_matrix(boxes, CROP_HW, 0.0, flip)
    joints = np.where(shown.labelled[..., None], geometry.transform(matrices, shown.keypoints), np.nan)
    joints = joints[:, list(shown.skeleton.mirror)] if flip else joints
    files = [shown.images[k] for k in shown.image_index]
    crops = [images.cut(images.read(file), matrix, CROP_HW) for file, matrix in zip(files, matrices, strict=True)]
    captions = [f"{n} {Path(file.name).name}" for n, file in zip(shown.ids, files, strict=True)]
    return contact_sheet(crops, joints, captions, shown.skeleton)


def read_set(split: Split, output: Path, data: str) -> LabelledPeople:
    """Its people, those without a box in one around their joints; what was left out is printed.

    Raises InputError, also where `output` is one of its files or `data`, which describes it.
    """
    split = dataclasses.replace(split, repair=True)
    people = split.people
    atomic.refuse_inputs([output], [*filter(Path.is_file, [Path(data)]), *split.files()])
    for _, record, problem in people.findings:
        print(f"note: {f'{record}: ' if record else ''}{problem}", file=sys.stderr)
    return people


def _chosen(splits: dict[str, Split], data: str, name: str | None) -> Split:
    """The set of this name, the first one without it. Raises InputError where there is none."""
    if name is None:
        return next(iter(splits.values()))
    if name not in splits:
        raise InputError(data, f"say which set: --split {' or '.join(splits)}")
    return splits[name]
