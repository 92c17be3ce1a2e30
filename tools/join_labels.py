"""Join COCO keypoint files into one data set of 21 keypoints: MPII's 16, and COCO's nose, eyes and ears.

    python tools/join_labels.py --root data --output people21 \
        --train people16/people16_train.json:repeat=2 coco17/train.json:min_keypoints=5:min_side=48:hold_out=600 \
        coco_people/train.json:images=coco_people/images:min_keypoints=5:min_side=48 \
        --validation people16/lsp_val.json:metric=pck coco17/val.json:name=coco17_val:metric=oks

Keypoints are matched by name, however they are spelled; a keypoint that a file does not name is unlabelled in its
people. Images are read where they lie: beside the labels, or in `images`, a folder below --root. `--output` receives
train.json, a file for each validation set, and people21.toml, which `hevitpose train --data` takes.

For training, people are left out who are part of a crowd, have fewer labelled keypoints than `min_keypoints` (1), or
a box with a longer side below `min_side` pixels (0); the others appear `repeat` times an epoch. `hold_out` moves about
that many people, all of randomly chosen images, into the validation set dev, which is scored by OKS.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.core.keypoint_names import match_names
from hevitpose.core.skeleton import MPII16, PEOPLE21
from hevitpose.data.coco import is_crowd, keypoint_category, read_coco_json, whole
from hevitpose.data.rectangles import as_numbers
from hevitpose.data.skeletons import category_of
from hevitpose.io import atomic

KEYPOINTS = PEOPLE21.keypoints
FACE = KEYPOINTS[MPII16.num_keypoints :]
HELD_OUT = "dev"
NUMBERS = ("repeat", "min_keypoints", "min_side", "hold_out")


@dataclass(frozen=True)
class Source:
    """A COCO file of labels and its options; `images` is the folder of its images, below the root of all."""

    labels: Path
    images: Path
    name: str
    metric: str = "oks"
    repeat: int = 1
    min_keypoints: int = 1
    min_side: int = 0
    hold_out: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    files: dict[str, Any] = {"nargs": "+", "metavar": "FILE[:OPTION=VALUE...]"}
    parser.add_argument(
        "--train", **files, required=True, help="with images, repeat, min_keypoints, min_side, hold_out"
    )
    parser.add_argument("--validation", **files, default=[], help="with images, name (the file's) and metric (oks)")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of all labels and images")
    parser.add_argument("--output", type=Path, required=True, help="folder for the joined set")
    parser.add_argument("--terms", default="unknown", help="what the data may be used for")
    parser.add_argument("--seed", type=int, default=0, help="which images are held out")
    options = parser.parse_args()
    try:
        train = [parse(text, options.root) for text in options.train]
        validation = [parse(text, options.root) for text in options.validation]
        join(train, validation, options.root, options.output, options.terms, options.seed)
    except InputError as error:
        raise SystemExit(f"error: {error}") from error


def parse(text: str, root: Path) -> Source:
    """A source from "FILE:repeat=2:images=FOLDER". Raises InputError on an unknown option or a wrong number."""
    file, *words = text.split(":")
    changes: dict[str, Any] = {"images": Path(file).parent, "name": Path(file).stem}
    for word in words:
        key, _, value = word.partition("=")
        if key in NUMBERS:
            if not value.isdecimal():
                raise InputError(file, f"{key} must be a whole number, not {value!r}")
            changes[key] = int(value)
        elif key in ("images", "name", "metric") and value:
            changes[key] = Path(value) if key == "images" else value
        else:
            raise InputError(file, f"unknown option {word!r} (known: images, name, metric, {', '.join(NUMBERS)})")
    return Source(root / file, **changes)


def join(
    train: list[Source], validation: list[Source], root: Path, output: Path, terms: str = "unknown", seed: int = 0
) -> None:
    """Write the joined set into the folder `output` and print what each file gave. Raises InputError."""
    joined: dict[str, list[Any]] = {"images": [], "annotations": []}
    held_out: dict[str, list[Any]] = {"images": [], "annotations": []}
    for source in train:
        content = converted(source)
        kept, dev = split(content, source.hold_out, seed)
        selected, counts = select(kept["annotations"], source)
        append(joined, kept["images"], selected)
        append(held_out, dev["images"], dev["annotations"])
        counts[f"held out in {len(dev['images'])} images"] = len(dev["annotations"])
        print(f"{source.labels}: " + ", ".join(f"{what} {count}" for what, count in counts.items() if count))
    sets, metrics = {"train": joined}, {source.name: source.metric for source in validation}
    for source in validation:
        sets[source.name] = converted(source)
        print(f"{source.labels}: people {len(sets[source.name]['annotations'])}")
    if held_out["annotations"]:
        sets[HELD_OUT], metrics[HELD_OUT] = held_out, "oks"
    if len(sets) != 1 + len(validation) + bool(held_out["annotations"]):
        raise InputError(output, f"two sets have one name: {', '.join(s.name for s in validation)} (name=NAME)")
    output.mkdir(parents=True, exist_ok=True)
    for name, content in sets.items():
        atomic.write(output / f"{name}.json", json.dumps(content | {"categories": [category_of(PEOPLE21)]}) + "\n")
    atomic.write(output / "people21.toml", description(metrics, root.resolve(), terms))
    print(f"train: people {len(joined['annotations'])} in {len(joined['images'])} images")


def converted(source: Source) -> dict[str, list[Any]]:
    """Images and annotations of a COCO file in the 21 keypoints; images are named from the root. Raises InputError."""
    content = read_coco_json(source.labels)
    skeleton, categories = keypoint_category(content, source.labels)
    places = match_names(KEYPOINTS, skeleton.keypoints)
    if not any(place is not None for place in places):
        raise InputError(source.labels, f"none of its keypoints is one of {', '.join(KEYPOINTS)}")
    images = []
    for image in content["images"]:
        where = "archive" if image.get("archive") else "file_name"
        images.append({**image, where: (source.images / image[where]).as_posix()})
    annotations = []
    for one in content["annotations"]:
        numbers = as_numbers(one["keypoints"]) if one.get("keypoints") else np.zeros(3 * skeleton.num_keypoints)
        if str(whole(one.get("category_id"))) not in categories or len(numbers) != 3 * skeleton.num_keypoints:
            raise InputError(
                source.labels, f"annotation {one.get('id')}: not {skeleton.num_keypoints} keypoints x, y, v"
            )
        triples = [[0, 0, 0] if place is None else numbers[3 * place : 3 * place + 3].tolist() for place in places]
        changed = {
            "category_id": 1,
            "source": one.get("source", source.labels.parent.name),
            "keypoints": list(chain.from_iterable(triples)),
            "num_keypoints": sum(triple[2] > 0 for triple in triples),
        }
        annotations.append(one | changed)
    return {"images": images, "annotations": annotations}


def split(content: Mapping[str, list[Any]], count: int, seed: int) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """What is left, and randomly chosen images with `count` labelled people in all, or a few less."""
    people = Counter(one["image_id"] for one in content["annotations"] if one["num_keypoints"])
    chosen, missing = set(), count
    for index in np.random.default_rng(seed).permutation(len(content["images"])):
        image = content["images"][index]["id"]
        if 0 < people[image] <= missing:
            chosen.add(image)
            missing -= people[image]
    parts = (
        {
            "images": [image for image in content["images"] if (image["id"] in chosen) == held_out],
            "annotations": [one for one in content["annotations"] if (one["image_id"] in chosen) == held_out],
        }
        for held_out in (False, True)
    )
    return next(parts), next(parts)


def select(annotations: list[Any], source: Source) -> tuple[list[Any], Counter[str]]:
    """The annotations to train on, repeated as the source says, and how many were kept or left out, and why."""
    selected, counts = [], Counter[str]()
    for one in annotations:
        if is_crowd(one):
            counts["left out as crowds"] += 1
        elif one["num_keypoints"] < source.min_keypoints:
            counts[f"left out with fewer than {source.min_keypoints} keypoints"] += 1
        elif source.min_side and max(one["bbox"][2:]) < source.min_side:
            counts[f"left out below {source.min_side} pixels"] += 1
        else:
            counts["people"] += 1
            selected += [one] * source.repeat
    return selected, counts


def append(joined: dict[str, list[Any]], images: list[Any], annotations: list[Any]) -> None:
    """Add images and annotations under new ids, which count on from those before."""
    new_id = {image["id"]: len(joined["images"]) + number for number, image in enumerate(images, start=1)}
    joined["images"] += [{**image, "id": new_id[image["id"]]} for image in images]
    first = len(joined["annotations"]) + 1
    joined["annotations"] += [
        {**one, "id": number, "image_id": new_id[one["image_id"]]}
        for number, one in enumerate(annotations, start=first)
    ]


def description(metrics: Mapping[str, str], images: Path, terms: str) -> str:
    """The TOML file of the joined set, with the validation sets and the metric of each."""
    lines = [
        f"terms = {json.dumps(terms)}",
        "",
        "[train]",
        'annotations = "train.json"',
        f"images = {json.dumps(str(images))}",
    ]
    for name, metric in metrics.items():
        lines += ["", f"[validation.{name}]", f'annotations = "{name}.json"']
        lines += [f"images = {json.dumps(str(images))}", f'metric = "{metric}"']
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
