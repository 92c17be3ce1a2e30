"""Join people16 and COCO's people into sets of 21 keypoints: MPII's 16, and COCO's nose, eyes and ears.

    python tools/join_labels.py data/people16 data/coco_people --output people21

A keypoint that a set does not name is not labelled in its people. Writes train.json, lsp_val.json, mpii_val.json, and
people21.toml, which `hevitpose train --data` takes; images are read where they lie.
"""

import argparse
import json
import os
import tomllib
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any

from hevitpose.core.keypoint_names import mirror_from_names, normalize_name
from hevitpose.core.skeleton import MPII16
from hevitpose.io import atomic

FACE = ("nose", "l_eye", "r_eye", "l_ear", "r_ear")
KEYPOINTS = (*MPII16.keypoints, *FACE)
CATEGORY = {
    "id": 1,
    "name": "person",
    "keypoints": list(KEYPOINTS),
    "flip_pairs": [[k, partner] for k, partner in enumerate(mirror_from_names(KEYPOINTS)) if k < partner],
}
FEWEST = 5
"""COCO's people with fewer labelled keypoints are left out of the training."""
METRICS = {"lsp_val": "pck", "mpii_val": "pckh"}
COCO_TERMS = "COCO 2017 (annotations CC BY 4.0, images under their Flickr licences)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("people16", type=Path)
    parser.add_argument("coco", type=Path, help="folder with train.json and images/")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    common = Path(os.path.commonpath([options.people16.resolve(), options.coco.resolve()]))
    people16, coco = (folder.resolve().relative_to(common) for folder in (options.people16, options.coco))

    train = joined(options.people16 / "people16_train.json", people16)
    theirs = joined(options.coco / "train.json", coco / "images", first_id=len(train["annotations"]) + 1)
    train["images"] += theirs["images"]
    train["annotations"] += [one for one in theirs["annotations"] if one["num_keypoints"] >= FEWEST]
    sets = {"train": train} | {name: joined(options.people16 / f"{name}.json", people16) for name in METRICS}
    options.output.mkdir(parents=True, exist_ok=True)
    for name, content in sets.items():
        atomic.write(options.output / f"{name}.json", json.dumps(content) + "\n")
        print(f"{name}: {len(content['annotations'])} people")
    atomic.write(options.output / "people21.toml", description(common))


def joined(path: Path, folder: Path, first_id: int | None = None) -> dict[str, Any]:
    """A COCO file in the 21 keypoints, its images named from the common folder, crowds left out.

    Ids stay, or with `first_id` count on from it.
    """
    content = json.loads(path.read_text())
    theirs = [normalize_name(name) for name in content["categories"][0]["keypoints"]]
    places = [theirs.index(name) if name in theirs else None for name in map(normalize_name, KEYPOINTS)]
    new_id = {
        image["id"]: image["id"] if first_id is None else first_id + number
        for number, image in enumerate(content["images"])
    }
    images, annotations = [], []
    for image in content["images"]:
        where = "archive" if "archive" in image else "file_name"
        images.append({**image, "id": new_id[image["id"]], where: (folder / image[where]).as_posix()})
    for number, one in enumerate(one for one in content["annotations"] if not one.get("iscrowd")):
        triples = [[0, 0, 0] if place is None else one["keypoints"][3 * place : 3 * place + 3] for place in places]
        changed = {
            "id": one["id"] if first_id is None else first_id + number,
            "image_id": new_id[one["image_id"]],
            "category_id": CATEGORY["id"],
            "source": one.get("source", "coco"),
            "keypoints": list(chain.from_iterable(triples)),
            "num_keypoints": sum(triple[2] > 0 for triple in triples),
        }
        annotations.append(one | changed)
    return {"images": images, "annotations": annotations, "categories": [CATEGORY]}


def description(images: Path) -> str:
    """The TOML file of the joined set."""
    own = tomllib.loads((resources.files("hevitpose") / "datasets" / "people16.toml").read_text(encoding="utf-8"))
    lines = [f'terms = "{own["terms"]}, {COCO_TERMS}"', "", "[train]", 'annotations = "train.json"']
    lines.append(f'images = "{images}"')
    for name, metric in METRICS.items():
        lines += ["", f"[validation.{name}]", f'annotations = "{name}.json"', f'images = "{images}"']
        lines.append(f'metric = "{metric}"')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
