"""MPII Human Pose as its site distributes it, and as HRNet's authors do.

Both count pixels from 1, as MATLAB does; that is undone here, once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import ImageFile, LabelledPeople, labelled_people
from hevitpose.core.results import Predictions
from hevitpose.core.skeleton import MPII16
from hevitpose.data.coco import FARTHEST_PIXEL, errors_about, mpii_boxes, read_numbers
from hevitpose.io import atomic
from hevitpose.io.folders import is_file
from hevitpose.io.json_files import read_json, read_text
from hevitpose.metrics.pck import head_size

JOINTS = MPII16.num_keypoints
FIRST_PIXEL = 1
PersonRow = tuple[int, Floats, float, Floats, float]
"""A person: image, centre (2,), scale, joints (16, 3) with visibility, head size."""


def read_mpii(path: Path, folder: Path, name: str, subset: Path | None = None) -> LabelledPeople:
    """The labelled people of `mpii_human_pose_v1_u12_1.mat`, with images in `folder`.

    `subset`: a text file with the names of the images to take, one a line; without it, all that have joints (those
    of the training half). People without joints, scale or centre are left out. Raises InputError.
    """
    wanted = set(read_text(subset).split()) if subset else None
    files: list[str] = []
    rows: list[PersonRow] = []
    for position, (image, _) in enumerate(annotation_list(path), start=1):
        try:
            file = str(image.image.name)
            people = list(_people(image)) if wanted is None or file in wanted else []
        except (AttributeError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise InputError(path, f"annolist({position}): {type(error).__name__} {error}") from error
        if people:
            rows += [(len(files), *person) for person in people]
            files.append(file)
    return mpii_people(name, path, folder, files, rows)


def annotation_list(path: Path) -> list[tuple[Any, bool]]:
    """The images of the site's file, RELEASE.annolist, and whether each is one to train on. Raises InputError."""
    release = _load_mat(path, as_objects=True).get("RELEASE")
    if release is None or not hasattr(release, "annolist"):
        raise InputError(path, "not MPII's annotation file: it has no RELEASE.annolist")
    images = np.atleast_1d(release.annolist)
    halves = np.atleast_1d(getattr(release, "img_train", np.ones(len(images))))
    if len(halves) != len(images):
        raise InputError(path, f"RELEASE.img_train has {len(halves)} entries for {len(images)} images")
    return [(image, bool(half)) for image, half in zip(images, halves, strict=True)]


def place_of(rect: Any) -> tuple[Floats, float] | None:
    """Centre (2,), counted from 0, and scale of a person; None where one is missing."""
    position: Any = getattr(rect, "objpos", None)
    scale: Any = getattr(rect, "scale", ())
    if not hasattr(position, "x") or not np.size(scale):
        return None
    return np.array([position.x, position.y], dtype=np.float64) - FIRST_PIXEL, float(scale)


def _people(image: Any) -> Iterator[tuple[Floats, float, Floats, float]]:
    """Centre, scale, joints (16, 3) and head size of each usable person of one image, all counted from 0."""
    for rect in np.atleast_1d(getattr(image, "annorect", [])):
        points = getattr(getattr(rect, "annopoints", None), "point", None)
        place = place_of(rect)
        if points is None or not np.size(points) or place is None:
            continue
        joints = np.zeros((JOINTS, 3))
        for point in np.atleast_1d(points):
            # MATLAB's number, its character or, at the head, nothing.
            hidden = np.size(getattr(point, "is_visible", ())) > 0 and int(point.is_visible) == 0
            if int(point.id) not in range(JOINTS):
                raise ValueError(f"joint {point.id} must be 0 to {JOINTS - 1}")
            joints[int(point.id)] = (point.x - FIRST_PIXEL, point.y - FIRST_PIXEL, 1 if hidden else 2)
        corners = [getattr(rect, key, ()) for key in ("x1", "y1", "x2", "y2")]
        size = head_size(np.array(corners, dtype=np.float64)) if all(np.size(c) for c in corners) else np.nan
        yield *place, joints, float(size)


def read_mpii_hrnet(path: Path, folder: Path, name: str, ground_truth: Path | None = None) -> LabelledPeople:
    """The people of HRNet's `train.json` or `valid.json`; `ground_truth` is its `gt_valid.mat`, which PCKh needs.

    With it, joints, their presence and the head sizes are those of the ground truth. Raises InputError where a file is
    not in this form or the two do not have the same people.
    """
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise InputError(path, "not HRNet's MPII file: it needs a list of people")
    index: dict[str, int] = {}
    rows: list[PersonRow] = []
    for position, person in enumerate(content):
        with errors_about(path, f"person {position}"):
            file, center, scale, joints = _hrnet_person(person)
        rows.append((index.setdefault(file, len(index)), center, scale, joints, np.nan))
    people = mpii_people(name, path, folder, list(index), rows)
    return people if ground_truth is None else _with_ground_truth(people, ground_truth)


def _hrnet_person(person: Any) -> tuple[str, Floats, float, Floats]:
    """Image, centre, scale and joints (16, 3), counted from 0."""
    if not isinstance(person, Mapping) or not isinstance(person.get("image"), str):
        raise ValueError("it needs the name of its image")
    joints = read_numbers(person, "joints", 2 * JOINTS).reshape(JOINTS, 2) - FIRST_PIXEL
    present = read_numbers(person, "joints_vis", JOINTS)
    if not np.isin(present, (0, 1)).all():
        raise ValueError("a value of joints_vis is neither 0 nor 1")
    center, scale = read_numbers(person, "center", 2) - FIRST_PIXEL, read_numbers(person, "scale", 1)[0]
    return person["image"], center, float(scale), np.column_stack([joints, 2 * present])


def _with_ground_truth(people: LabelledPeople, path: Path) -> LabelledPeople:
    content = _load_mat(path, as_objects=False)
    arrays = []
    for key, shape in (("pos_gt_src", (JOINTS, 2)), ("jnt_missing", (JOINTS,)), ("headboxes_src", (2, 2))):
        array = content.get(key)
        if array is None:
            raise InputError(path, f"not HRNet's gt_valid.mat: {key} is missing")
        if array.shape != (*shape, len(people)) or array.dtype.kind not in "biuf":
            expected = (*shape, len(people))
            raise InputError(path, f"{key} has shape {array.shape}, the annotation file's people need {expected}")
        arrays.append(np.moveaxis(array, -1, 0).astype(np.float64))
    places, missing, heads = arrays
    return replace(
        people,
        keypoints=places - FIRST_PIXEL,
        visibility=np.where(missing, 0, 2).astype(np.int8),
        head_sizes=head_size(heads.reshape(-1, 4)),
    )


def write_pred_mat(path: Path, people: LabelledPeople, found: Predictions) -> None:
    """HRNet's `pred.mat`: the array `preds` (N, 16, 2) of the labelled people in their order, pixels counted from 1.

    Raises InputError where it is not known whom each is of, or somebody is missing.
    """
    if found.person_of is None:
        raise InputError(path, "pred.mat is of people in the boxes of their labels")
    if len(found.person_of) != len(people):
        raise InputError(path, f"pred.mat is of all {len(people)} people, here are {len(found.person_of)} (`nms=none`)")
    save_mat(path, {"preds": found.joints[np.argsort(found.person_of)] + FIRST_PIXEL})


def read_pred_mat(path: Path, people: LabelledPeople) -> tuple[Predictions, list[str]]:
    """What `write_pred_mat` or HRNet's code wrote for these people; nothing is said of scores, which are 1.

    Raises InputError where the array is of other people or joints, or holds a value that is not finite.
    """
    preds, shape = _load_mat(path, as_objects=False).get("preds"), (*people.visibility.shape, 2)
    if preds is None or preds.shape != shape or preds.dtype.kind not in "iuf":
        raise InputError(path, f"needs an array preds of {shape}, found {getattr(preds, 'shape', None)}")
    joints = preds.astype(np.float64) - FIRST_PIXEL
    if not np.isfinite(joints).all():
        raise InputError(path, f"person {int(np.argwhere(~np.isfinite(joints))[0, 0])} has a joint that is not finite")
    ones, everybody = np.ones(len(people)), np.arange(len(people))
    stated = f"not stated by {path.name}"
    return Predictions(people.image_index, people.boxes, joints, np.ones(shape[:2]), ones, everybody, stated), []


def save_mat(path: Path, content: Mapping[str, object]) -> None:
    """As MATLAB's -v7, compressed."""
    from scipy.io import savemat

    atomic.write_with(path, lambda temporary: savemat(temporary, content, appendmat=False, do_compression=True))


def _load_mat(path: Path, as_objects: bool) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingExtraError("train", f"{path}: a MATLAB file") from error
    if not is_file(path):
        raise InputError(path, "no such file")
    try:
        return dict(loadmat(path, squeeze_me=as_objects, struct_as_record=not as_objects))
    except Exception as error:  # On a broken file scipy raises nearly every type.
        raise InputError(path, f"cannot be read as a MATLAB file ({error})") from error


def mpii_people(name: str, path: Path, folder: Path, files: Iterable[str], rows: list[PersonRow]) -> LabelledPeople:
    """The people of `rows` in the images `files`. Raises InputError where there is none, or one is nowhere."""
    if not rows:
        raise InputError(path, "no person in it can be used")
    image_index, centers, scales, joints, head_sizes = (np.array(column) for column in zip(*rows, strict=True))
    images = tuple(ImageFile(file, folder) for file in files)
    boxes = mpii_boxes(centers, scales)
    places = np.concatenate([boxes, joints.reshape(len(rows), -1)], axis=1)
    usable = (abs(places) < FARTHEST_PIXEL).all(axis=1) & (scales > 0)
    if not usable.all():
        image = images[image_index[usable.argmin()]].name
        raise InputError(path, f"a person in {image} has a joint, centre or scale that cannot be used")
    return labelled_people(name, MPII16, images, image_index, joints, boxes, head_sizes=head_sizes)
