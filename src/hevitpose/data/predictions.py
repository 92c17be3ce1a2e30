"""Predictions for a labelled set as COCO results, written and read again."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.keypoint_names import require_names
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.results import SCHEMA, Predictions
from hevitpose.data.coco import errors_about, read_numbers, short, whole
from hevitpose.data.detections import PERSON, names_of
from hevitpose.io import atomic
from hevitpose.io.folders import files_below, is_folder, normalize_path
from hevitpose.io.json_files import read_json, read_text


def coco_results(people: LabelledPeople, found: Predictions) -> list[dict[str, object]]:
    """COCO results: one entry a person, x, y and score of every keypoint."""
    triples = np.concatenate([found.joints.round(3), found.keypoint_scores[..., None].round(4)], axis=-1)
    return [
        {
            "image_id": people.image_ids[image],
            "category_id": people.category_ids[0],
            "keypoints": triples[n].ravel().tolist(),
            "score": float(found.scores[n]),
        }
        for n, image in enumerate(found.image_index.tolist())
    ]


def write_predictions(path: Path, people: LabelledPeople, found: Predictions) -> None:
    """A list of COCO results; `annotation_id` names the labelled person of its box where that is known."""
    entries = coco_results(people, found)
    if found.person_of is not None:
        for entry, person in zip(entries, found.person_of, strict=True):
            entry["annotation_id"] = int(people.ids[person])
    atomic.write(path, json.dumps(entries) + "\n")


def read_predictions(path: Path, people: LabelledPeople) -> tuple[Predictions, list[str]]:
    """The people that a list of COCO results has found in the images of a labelled set, and what is missing.

    What `predict` writes will do, too: JSON (a file or a folder of them), CSV (where a person scores the mean of the
    keypoints) and labels to correct. An entry has `file_name` (which decides) or `image_id`, `keypoints` (x, y, score
    of each) and `score`; those of another category than the set's, or COCO's of people, are left out. The labelled
    person of each entry is known if all entries have `annotation_id`, or if every image has one labelled person and at
    most one entry. Raises InputError, naming the entry, on another image, another number of keypoints, or a value that
    is not finite.
    """
    content = _entries(path, people)
    place = _names(people)
    images, triples, scores, persons = [], [], [], []
    of_id = {str(n): k for k, n in enumerate(people.ids)}
    categories = {str(category) for category in (PERSON, *people.category_ids)}
    for position, entry in enumerate(content):
        with errors_about(path, f"entry {position}"):
            found = _entry(entry, categories, place, of_id, people.skeleton.num_keypoints)
        if found is None:
            continue
        image, keypoints, score, person = found
        if person is not None and image != people.image_index[person]:
            raise InputError(path, f"entry {position}: annotation {people.ids[person]} is in another image")
        images.append(image)
        triples.append(keypoints)
        scores.append(score)
        persons.append(person)
    if content and not images:
        raise InputError(path, f"has no entry of the category {' or '.join(sorted(categories))}")
    image_index = np.array(images, dtype=np.int64)
    joints = np.array(triples).reshape(len(images), people.skeleton.num_keypoints, 3)
    person_of = _person_of(path, people, image_index, persons)
    stated = "labels, by annotation_id" if persons and None not in persons else f"not stated by {path.name}"
    places = joints[..., :2]
    boxes = geometry.corner_frame(np.concatenate([places.min(axis=1), places.max(axis=1)], axis=-1))
    read = Predictions(image_index, boxes, places, joints[..., 2], np.array(scores), person_of, stated)
    return read, _notes(people, read, len(content))


def _entries(path: Path, people: LabelledPeople) -> list[Any]:
    """The entries of COCO results, or those that the files of `predict` amount to."""
    if is_folder(path):
        return [entry for file in files_below(path, {".json"}) for entry in _entries(file, people)]
    if path.suffix == ".csv":
        return _csv_entries(path, people)
    content = read_json(path)
    if isinstance(content, Mapping) and isinstance(content.get("annotations"), list):
        try:
            return list(_label_entries(content, people, path))
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(path, f"not a COCO file ({type(error).__name__}: {error})") from error
    if isinstance(content, Mapping) and content.get("schema") == SCHEMA:
        try:
            return [_coco_result(content["file"], person, people, path) for person in content["people"]]
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(path, f"not a result of hevitpose ({type(error).__name__}: {error})") from error
    if not isinstance(content, list):
        raise InputError(path, "not COCO results: it needs a list of entries with image_id, keypoints and score")
    return content


def _label_entries(content: Mapping[str, Any], people: LabelledPeople, path: Path) -> Iterator[dict[str, object]]:
    """The people of a COCO file of labels; keypoints that are labelled score 1."""
    files = {image["id"]: image["file_name"] for image in content["images"]}
    names = {category["id"]: category.get("keypoints", ()) for category in content["categories"]}
    for each in content["annotations"]:
        triples = np.array(each["keypoints"]).reshape(-1, 3).tolist()
        keypoints = {
            name: {"x": x, "y": y, "score": float(v > 0)}
            for name, (x, y, v) in zip(names[each["category_id"]], triples, strict=True)
        }
        person = {"keypoints": keypoints, "score": each.get("score", 1)}
        yield _coco_result(files[each["image_id"]], person, people, path)


def _csv_entries(path: Path, people: LabelledPeople) -> list[Any]:
    """The people of a CSV file of `predict`, each with the mean score of the keypoints that are present."""
    found: dict[tuple[str, str], dict[str, dict[str, float | None]]] = defaultdict(dict)
    try:
        for row in csv.DictReader(StringIO(read_text(path))):
            x, y = (float(row[axis]) if row[axis] else None for axis in ("x", "y"))
            found[row["file"], row["person"]][row["keypoint"]] = {"x": x, "y": y, "score": float(row["score"])}
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise InputError(path, f"not a CSV file of hevitpose ({type(error).__name__}: {error})") from error
    entries = []
    for (file, _), keypoints in found.items():
        present = [point["score"] or 0 for point in keypoints.values() if point["x"] is not None]
        person = {"keypoints": keypoints, "score": sum(present) / max(len(present), 1)}
        entries.append(_coco_result(file, person, people, path))
    return entries


def _coco_result(file: str, person: Mapping[str, Any], people: LabelledPeople, path: Path) -> dict[str, object]:
    """A person of `predict`, with the keypoints of the set; what is absent is at (0, 0). Raises InputError."""
    points = list(person["keypoints"].values())
    order = require_names(people.skeleton.keypoints, list(person["keypoints"]), people.name, str(path))
    keypoints = [(points[k]["x"] or 0, points[k]["y"] or 0, points[k]["score"]) for k in order]
    return {"file_name": file, "keypoints": keypoints, "score": person["score"]}


def _names(people: LabelledPeople) -> dict[str, int]:
    """The image of each id and file name, and of each end of its path and stem where only one image has it."""
    every: dict[str, set[int]] = defaultdict(set)
    for k, file in enumerate(people.images):
        for key in names_of(Path(file.name)):
            every[str(key)].add(k)
    place = {key: images.pop() for key, images in every.items() if len(images) == 1}
    place |= {normalize_path(file.name): k for k, file in enumerate(people.images)}
    return place | {str(image_id): k for k, image_id in enumerate(people.image_ids)}


def _notes(people: LabelledPeople, found: Predictions, entries: int) -> list[str]:
    """What is odd about the people found, of this number of entries."""
    notes = []
    if missing := len(set(people.image_index.tolist()) - set(found.image_index.tolist())):
        notes.append(f"{missing} images with labelled people have no prediction")
    if found.person_of is not None and (missing := len(people) - len(found.person_of)):
        notes.append(f"{missing} labelled persons have no prediction: all their keypoints count as missed")
    if others := entries - len(found.scores):
        notes.append(f"{others} entries of another category_id are left out")
    if strange := int(((found.scores < 0) | (found.scores > 1)).sum()):
        notes.append(f"{strange} entries have a score that is not between 0 and 1")
    return notes


def _entry(
    entry: Any, categories: set[str], place: Mapping[str, int], of_id: Mapping[str, int], num_keypoints: int
) -> tuple[int, Any, float, int | None] | None:
    """Image, keypoints, score and labelled person of an entry; None where it is of another category."""
    if not isinstance(entry, Mapping):
        raise ValueError("an entry is a table of names and values")
    if str(whole(entry.get("category_id", PERSON))) not in categories:
        return None
    name, number = entry.get("file_name"), whole(entry.get("image_id"))
    if name is None and number is None:
        raise ValueError("image_id is missing")
    # A number can be another program's; a name, or the end of its path, says more.
    names = [] if name is None else names_of(Path(str(name)))
    numbers = [] if number is None else [number, *names_of(Path(str(number)))]
    key = next((str(key) for key in (*names, *numbers) if str(key) in place), None)
    if key is None:
        raise ValueError(f"image {short(str(number if name is None else name))} is not in the set")
    keypoints, score = read_numbers(entry, "keypoints", 3 * num_keypoints), float(read_numbers(entry, "score", 1)[0])
    annotation = whole(entry.get("annotation_id"))
    if annotation is not None and str(annotation) not in of_id:
        raise ValueError(f"annotation_id {short(annotation)} is not a labelled person of the set")
    return place[key], keypoints, score, None if annotation is None else of_id[str(annotation)]


def _person_of(path: Path, people: LabelledPeople, image_index: Any, persons: list[int | None]) -> Any:
    """The labelled person of each prediction; None where that is not known."""
    if all(person is not None for person in persons):
        twice = np.flatnonzero(np.bincount(np.array(persons, dtype=np.int64)) > 1)
        if len(twice):
            raise InputError(path, f"two entries have the annotation_id {people.ids[twice[0]]}")
        return np.array(persons, dtype=np.int64)
    alone = len(np.unique(people.image_index)) == len(people) and len(np.unique(image_index)) == len(image_index)
    if not alone or not np.isin(image_index, people.image_index).all():
        return None
    of_image = np.zeros(len(people.images), dtype=np.int64)
    of_image[people.image_index] = np.arange(len(people))
    return of_image[image_index]
