"""AP of the bundled default on people who are small, hidden, cut or blurred, beside the others of the same set.

    python benchmarks/kinds_of_people.py coco17/val.json --output results/benchmark_kinds_of_people.json

In the boxes of the labels, with flip test. People of no kind stay out of a row altogether: they are neither found nor
missed. `blurred` is that of the file's images.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.labels import LabelledPeople
from hevitpose.data.crops import cut_people
from hevitpose.data.find import find_split
from hevitpose.evaluation.predict import predict_in_label_boxes
from hevitpose.evaluation.score import LIMB_SCORES, score
from hevitpose.inference.network import DEFAULT, load_network
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance

SMALL_PX = 96
"""The longer side of a small person's box, half of the crop's."""
HIDDEN_SHARE = 1 / 3
"""Of the labelled keypoints of a person who is partly hidden."""
CUT_PX = 2
"""The distance from an edge at which a box ends there."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="COCO file with the five keypoints of the face")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    people, network = find_split(str(options.data), None).read(), load_network(options.model)
    found = predict_in_label_boxes(
        network, people, cut_people(people, network.config.input_size, network.config.padding), True, 16
    )
    rows = []
    for kind, chosen in kinds(people, options.data).items():
        row: dict[str, object] = {"kind": kind}
        for of_kind, name in ((chosen, "of the kind"), (~chosen, "others")):
            persons = np.flatnonzero(of_kind)
            theirs = replace(found.select(persons), person_of=np.arange(len(persons)))
            scores = score(people.subset(persons), theirs, "oks").scores
            row[name] = {
                "people": len(persons),
                "AP": round(scores["AP"].mean or 0, 1),
                "limbs AP": round(scores[f"{LIMB_SCORES} AP"].mean or 0, 1),
            }
        rows.append(row)
        print(json.dumps(row), flush=True)
    if options.output:
        content = {"model": options.model, "data": people.name, "rows": rows, "provenance": provenance()}
        atomic.write(options.output, json.dumps(content, indent=1) + "\n")


def kinds(people: LabelledPeople, file: Path) -> dict[str, NDArray[np.bool_]]:
    """Which people (N,) are of each kind."""
    images = {image["id"]: image for image in json.loads(file.read_text())["images"]}
    of_person = [images[people.image_ids[index]] for index in people.image_index]
    sizes = np.array([(image["width"], image["height"]) for image in of_person])
    sides = people.boxes[:, 2:] - people.boxes[:, :2]
    hidden = (people.visibility == 1).sum(axis=1) / np.maximum(people.labelled.sum(axis=1), 1)
    at_edge = (people.boxes[:, :2] < CUT_PX).any(axis=1) | (people.boxes[:, 2:] > sizes - CUT_PX).any(axis=1)
    return {
        f"box under {SMALL_PX} pixels": sides.max(axis=1) < SMALL_PX,
        "a third of the keypoints hidden": hidden >= HIDDEN_SHARE,
        "box at the image's edge": at_edge,
        "image blurred": np.array([bool(image.get("blurred")) for image in of_person]),
    }


if __name__ == "__main__":
    main()
