"""MPII Human Pose as its site distributes it, and as HRNet's authors do.

Both count pixels from 1, as MATLAB does; that is undone here, once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.person import LabelledPeople, PictureFile
from hevitpose.core.skeleton import MPII16
from hevitpose.files.annotations import mpii_boxes, read_json
from hevitpose.metrics.pck import head_size

JOINTS = MPII16.num_keypoints
FIRST_PIXEL = 1


def read_mpii(path: Path, folder: Path, name: str, subset: Path | None = None) -> LabelledPeople:
    """The labelled people of `mpii_human_pose_v1_u12_1.mat`, whose pictures lie in `folder`.

    `subset`: a text file with the names of the pictures to take, one a line; without it, all that have joints (those
    of the training half). People without joints, scale or centre are left out. Raises InputError.
    """
    release = _load_mat(path).get("RELEASE")
    if release is None or not hasattr(release, "annolist"):
        raise InputError(path, "not MPII's annotation file: it has no RELEASE.annolist")
    wanted = set(subset.read_text(encoding="utf-8").split()) if subset else None
    files: list[str] = []
    rows: list[tuple[int, Floats, float, Floats, float]] = []
    for image in np.atleast_1d(release.annolist):
        file = str(image.image.name)
        people = list(_people(image)) if wanted is None or file in wanted else []
        if people:
            rows += [(len(files), *person) for person in people]
            files.append(file)
    return _labelled(name, path, folder, files, rows)


def _people(image: Any) -> Iterator[tuple[Floats, float, Floats, float]]:
    """Centre, scale, joints (16, 3) and head size of each usable person of one picture, all counted from 0."""
    for rect in np.atleast_1d(getattr(image, "annorect", [])):
        points = getattr(getattr(rect, "annopoints", None), "point", None)
        position, scale = getattr(rect, "objpos", None), np.atleast_1d(getattr(rect, "scale", ()))
        if points is None or position is None or not hasattr(position, "x") or scale.size != 1:
            continue
        joints = np.zeros((JOINTS, 3))
        for point in np.atleast_1d(points):
            hidden = np.size(getattr(point, "is_visible", ())) > 0 and int(point.is_visible) == 0
            joints[int(point.id)] = (point.x - FIRST_PIXEL, point.y - FIRST_PIXEL, 1 if hidden else 2)
        corners = [getattr(rect, key, np.nan) for key in ("x1", "y1", "x2", "y2")]
        size = head_size(np.array(corners, dtype=np.float64)) if all(np.size(c) == 1 for c in corners) else np.nan
        center = np.array([position.x, position.y], dtype=np.float64) - FIRST_PIXEL
        yield center, float(scale[0]), joints, float(size)


def read_mpii_hrnet(path: Path, folder: Path, name: str, ground_truth: Path | None = None) -> LabelledPeople:
    """The people of HRNet's `train.json` or `valid.json`; `ground_truth` is its `gt_valid.mat`, which PCKh needs.

    With it, joints, their presence and the head sizes are those of the ground truth. Raises InputError where a file is
    not in this form or the two do not have the same people.
    """
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise InputError(path, "not HRNet's MPII file: it needs a list of people")
    index: dict[str, int] = {}
    rows: list[tuple[int, Floats, float, Floats, float]] = []
    for position, person in enumerate(content):
        try:
            joints = np.column_stack([person["joints"], np.array(person["joints_vis"]) * 2]).astype(np.float64)
            center, scale = np.array(person["center"], dtype=np.float64), float(person["scale"])
            file = str(person["image"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(path, f"person {position}: {type(error).__name__} {error}") from error
        if joints.shape != (JOINTS, 3) or center.shape != (2,):
            raise InputError(path, f"person {position}: joints {joints.shape}, {JOINTS} with x and y expected")
        joints[:, :2] -= FIRST_PIXEL
        rows.append((index.setdefault(file, len(index)), center - FIRST_PIXEL, scale, joints, np.nan))
    people = _labelled(name, path, folder, list(index), rows)
    return people if ground_truth is None else _with_ground_truth(people, ground_truth)


def _with_ground_truth(people: LabelledPeople, path: Path) -> LabelledPeople:
    content = _load_mat(path)
    try:
        places, missing, heads = (content[key] for key in ("pos_gt_src", "jnt_missing", "headboxes_src"))
    except KeyError as error:
        raise InputError(path, f"not HRNet's gt_valid.mat: {error} is missing") from error
    if places.shape != (JOINTS, 2, len(people)):
        raise InputError(path, f"has {places.shape[-1]} people, the annotation file {len(people)}")
    return replace(
        people,
        keypoints=places.transpose(2, 0, 1).astype(np.float64) - FIRST_PIXEL,
        visibility=np.where(missing.T, 0, 2).astype(np.int8),
        head_sizes=head_size(heads.astype(np.float64).transpose(2, 0, 1).reshape(-1, 4)),
    )


def _load_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        content: dict[str, Any] = loadmat(path, squeeze_me=True, struct_as_record=False)
    except FileNotFoundError as error:
        raise InputError(path, "no such file") from error
    except (OSError, ValueError, NotImplementedError, TypeError) as error:
        raise InputError(path, f"cannot be read as a MATLAB file ({error})") from error
    return content


def _labelled(
    name: str,
    path: Path,
    folder: Path,
    files: Iterable[str],
    rows: list[tuple[int, Floats, float, Floats, float]],
) -> LabelledPeople:
    if not rows:
        raise InputError(path, "no person with joints")
    picture_of, centers, scales, joints, head_sizes = (np.array(column) for column in zip(*rows, strict=True))
    pictures = tuple(PictureFile(file, folder) for file in files)
    return LabelledPeople(
        name,
        MPII16,
        pictures,
        tuple(range(len(pictures))),
        picture_of,
        np.arange(len(rows)),
        mpii_boxes(centers, scales),
        joints[..., :2],
        joints[..., 2].astype(np.int8),
        head_sizes,
        np.full(len(rows), np.nan),
    )
