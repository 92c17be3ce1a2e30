"""Make the person detector's training set out of three sets of images and the opinions of two other detectors.

    python tools/detector_data.py --root data --teachers nanodet.onnx ssd.tflite --output detector_data \
        --more voc/labels.json sports/labels.json --extents people16/people16_train.json

Reads below --root: coco17 (people with keypoints are labelled, others are not), person_boxes, coco17's images
without labelled people, and the other sets; images that look like one of coco17/val, coco_people or photos are dropped.
Writes train.json
and val.json (held out of person_boxes) in COCO's format, and the teachers' opinions, which the next call reads again.
The archive of an image is relative to --root. A crowd annotation marks a region where people may be unlabelled: neither
person nor background. Prints what was dropped, filled in and ignored.

A person without a label is filled in where both teachers agree or NanoDet is sure, and ignored where one of them sees
somebody who is not a part of a labelled person. Images
of coco17 without labelled people are backgrounds where neither teacher sees a person, and are left out elsewhere. Large
labels of person_boxes that the SSD does not see are ignored (Open Images has classes of its own for sculptures), and so
is what it sees beside them; the held-out images keep their labels. In the other sets, too, people are filled in; of a
set without any labels, images in which nobody is sure are left out. A box of --extents becomes the teacher's that fits.
"""

import argparse
import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from detector_peers import load_peer
from hevitpose.metrics.detection import iou

HASH_SIDE = 16
ALIKE = 40
"""Hashes (256 bits) that differ in fewer bits are of the same image."""
HELD_OUT = 300
TEACHERS = ("nanodet", "ssd")
SURE, SURE_ALONE = {"nanodet": 0.35, "ssd": 0.2}, 0.5
"""Scores at which NanoDet's box fills in a person: that the SSD sees as well, and by itself."""
UNSURE = {"nanodet": 0.25, "ssd": 0.3}
"""Scores at which a teacher's box is not background."""
VETO, VETO_AREA = {"nanodet": 0.1, "ssd": 0.1}, 0.02
"""A label of person_boxes is ignored where no teacher's box of this score overlaps it by SEEN, and it is larger than
this share of its image: the teacher misses small people."""
AGREE, SEEN, OTHER_PERSON = 0.5, 0.3, 0.3
"""IoU of the teachers' boxes with each other, of a label with any of them, and, below it, of another person's box."""
COVERED = 0.7
"""The share of a doubtful box inside a known one from which it is a part of that person."""
MIN_SIDE = 4
"""Smaller boxes (pixels) are ignored regions: no detector of this size can see them."""
FITS = 0.5
"""A teacher's box with this IoU replaces the extent of a person's keypoints."""
Boxes = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, required=True, help="folder of coco17, person_boxes, coco_people, photos")
    parser.add_argument("--teachers", type=Path, nargs=2, required=True, metavar=("NANODET", "SSD"))
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--more", nargs="*", default=[], help="COCO files below --root, whose images are in archives")
    parser.add_argument("--extents", nargs="*", default=[], help="the same, whose boxes are the extent of keypoints")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()

    coco, boxes = (read_set(options.root, name) for name in ("coco17/train.json", "person_boxes/train.json"))
    empty = unlabelled(options.root)
    more = [read_set(options.root, name) for name in options.more]
    extents = [image for name in options.extents for image in read_set(options.root, name)]
    everything = [image for images in (coco, boxes, empty, extents, *more) for image in images]
    dropped = drop_alike(options.root, everything, counts)
    coco, boxes, empty, extents, *more = (
        [each for each in images if each["key"] not in dropped] for images in (coco, boxes, empty, extents, *more)
    )
    both = [image for images in (coco, empty, *more) for image in images]
    opinions = ask(options.root, options.teachers, both, options.output / "teachers.json")
    opinions |= ask(options.root, options.teachers[1:], [*boxes, *extents], options.output / "ssd.json")

    backgrounds = [each for each in empty if not any(len(boxes) for boxes in seen(opinions[each["key"]], UNSURE))]
    counts["images without people kept as background"] = len(backgrounds)
    counts["images in which a teacher sees an unlabelled person, left out"] = len(empty) - len(backgrounds)

    order = np.random.default_rng(0).permutation(len(boxes))
    held_out, rest = ([boxes[i] for i in part] for part in (order[:HELD_OUT], order[HELD_OUT:]))
    for image in rest:
        veto(image, opinions[image["key"]], counts)
    for image in extents:
        fit_to_teachers(image, opinions[image["key"]], counts)
    rest += extents
    for image in [*coco, *rest]:
        fill_in(image, opinions[image["key"]], counts)
    for images in more:
        labelled = any(image["boxes"] for image in images)
        for image in images:
            fill_in(image, opinions[image["key"]], counts)
        rest += [image for image in images if labelled or not all(crowd for _, crowd in image["boxes"])]
    for name, images in (("train", [*coco, *rest, *backgrounds]), ("val", held_out)):
        (options.output / f"{name}.json").write_text(json.dumps(as_coco(images, counts, name)))
    for what, count in counts.items():
        print(f"{count:6d} {what}")


def read_set(root: Path, name: str) -> list[dict[str, Any]]:
    """The images of a COCO file, each with its `boxes` (xywh) and the `key` by which it is found."""
    content, folder = json.loads((root / name).read_text()), Path(name).parent
    images = {image["id"]: new_image(folder, image) for image in content["images"]}
    for annotation in content["annotations"]:
        images[annotation["image_id"]]["boxes"].append((annotation["bbox"], bool(annotation.get("iscrowd"))))
    return list(images.values())


def new_image(folder: Path, image: dict[str, Any]) -> dict[str, Any]:
    place = folder / image["archive"] if "archive" in image else folder / "images"
    size = {"width": image["width"], "height": image["height"]}
    stretched = folder.name == "person_boxes" or bool(image.get("squashed"))
    key = f"{place}/{image['file_name']}"
    file_config = {"key": key, "file_name": image["file_name"], "archive": str(place), "stretched": stretched}
    return file_config | size | {"boxes": []}


def unlabelled(root: Path) -> list[dict[str, Any]]:
    """The images of coco17 in which nobody is labelled; squashed to squares."""
    archive = "coco17/unlabelled_1.zip"
    file_config = {"archive": "unlabelled_1.zip", "width": 256, "height": 256, "squashed": True}
    names = sorted(opened(root / archive).namelist())
    return [new_image(Path("coco17"), {"file_name": name} | file_config) for name in names]


@cache
def opened(path: Path) -> ZipFile:
    return ZipFile(path)


def read_image(root: Path, key: str) -> Image.Image:
    """The image of a key: a member of an archive, or a file."""
    archive, _, member = key.partition(".zip/")
    content = BytesIO(opened(root / f"{archive}.zip").read(member)) if member else root / key
    with Image.open(content) as image:
        return image.convert("RGB")


def drop_alike(root: Path, images: list[dict[str, Any]], counts: Counter[str]) -> set[str]:
    """Keys of the images that look like one that is measured on, as it is or mirrored."""
    measured = [image["key"] for image in read_set(root, "coco17/val.json")]
    for folder in ("coco_people/images", "photos"):
        measured += [str(path.relative_to(root)) for path in sorted((root / folder).glob("*.jpg"))]
    theirs = np.concatenate([difference_hashes(read_image(root, key)) for key in measured])  # both ways round
    dropped: set[str] = set()
    for image in images:
        bits = (difference_hashes(read_image(root, image["key"]))[:1] != theirs).sum(axis=1)
        if bits.min() < ALIKE:
            dropped.add(image["key"])
            counts[f"images of {image['archive'].split('/')[0]} dropped: like a measured one"] += 1
            print(f"dropped {image['key']}: {bits.min()} bits from {measured[int(bits.argmin()) // 2]}")
    return dropped


def difference_hashes(image: Image.Image) -> NDArray[np.bool_]:
    """Whether each of 16 x 16 cells is darker than its right neighbour (2, 256): of the image, and of it mirrored."""
    grey = np.asarray(image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX), dtype=np.int64)
    return np.stack([(side[:, :-1] < side[:, 1:]).ravel() for side in (grey, grey[:, ::-1])])


def ask(root: Path, files: list[Path], images: list[dict[str, Any]], store: Path) -> dict[str, dict[str, Any]]:
    """What each teacher sees in each image: rows of x1, y1, x2, y2, score; asked once and kept in `store`."""
    known: dict[str, dict[str, Any]] = json.loads(store.read_text()) if store.exists() else {}
    asked = [image["key"] for image in images if image["key"] not in known]
    with ProcessPoolExecutor(2, initializer=_load_teachers, initargs=(root, files)) as pool:
        answers = pool.map(_opinion, asked, chunksize=8)
        for number, (key, opinion) in enumerate(zip(asked, answers, strict=True), start=1):
            known[key] = opinion
            if number % 500 == 0 or number == len(asked):
                store.write_text(json.dumps(known))
                print(f"{number} of {len(asked)} images shown to the teachers", file=sys.stderr, flush=True)
    return known


_STATE: dict[str, Any] = {}


def _load_teachers(root: Path, files: list[Path]) -> None:
    opened.cache_clear()  # a file handle that forked processes share has one position
    _STATE.update(root=root, teachers=[load_peer(path) for path in files])


def _opinion(key: str) -> dict[str, Any]:
    pixels = np.asarray(read_image(_STATE["root"], key))
    found = (teacher(pixels) for teacher in _STATE["teachers"])
    rows = (np.column_stack([boxes, scores]).round(3).tolist() for boxes, scores in found)
    return dict(zip(TEACHERS[-len(_STATE["teachers"]) :], rows, strict=True))


def seen(opinion: dict[str, Any], least: dict[str, float]) -> list[Boxes]:
    """The boxes (N, 4) of each teacher that score at least so much."""
    arrays = [np.array(opinion.get(name, []), dtype=np.float64).reshape(-1, 5) for name in TEACHERS]
    return [rows[rows[:, 4] >= least[name], :4] for name, rows in zip(TEACHERS, arrays, strict=True)]


def veto(image: dict[str, Any], opinion: dict[str, Any], counts: Counter[str]) -> None:
    """Ignore the large labels that no teacher sees."""
    theirs = np.concatenate(seen(opinion, VETO))
    for place, (box, crowd) in enumerate(image["boxes"]):
        label = np.array([[*box[:2], box[0] + box[2], box[1] + box[3]]])
        large = box[2] * box[3] > VETO_AREA * image["width"] * image["height"]
        if large and not (iou(label, theirs) >= SEEN).any():
            image["boxes"][place] = (box, True)
            counts["labels of person_boxes ignored: no teacher sees them"] += not crowd


def fit_to_teachers(image: dict[str, Any], opinion: dict[str, Any], counts: Counter[str]) -> None:
    """Put the teacher's box that overlaps the extent of a person's keypoints best in its place."""
    theirs = np.concatenate(seen(opinion, SURE))
    for place, (box, crowd) in enumerate(image["boxes"]):
        overlaps = iou(np.array([[*box[:2], box[0] + box[2], box[1] + box[3]]]), theirs)[0]
        if len(theirs) and overlaps.max() >= FITS:
            image["boxes"][place] = (xywh(theirs[overlaps.argmax()]), crowd)
            counts["extents of keypoints replaced by a teacher's box"] += 1


def fill_in(image: dict[str, Any], opinion: dict[str, Any], counts: Counter[str]) -> None:
    """Add to `boxes` the people on whom the teachers agree, and regions that one of them takes for a person."""
    labels = np.array([box for box, _ in image["boxes"]], dtype=np.float64).reshape(-1, 4)
    labels = np.concatenate([labels[:, :2], labels[:, :2] + labels[:, 2:]], axis=1)
    sure, other = seen(opinion, SURE)
    alone = seen(opinion, {"nanodet": SURE_ALONE, "ssd": 1.0})[0]
    agreed = sure[(iou(sure, other) >= AGREE).any(axis=1) | (sure[:, None] == alone).all(axis=2).any(axis=1)]
    agreed = agreed[of_nobody(agreed, labels)]
    known = np.concatenate([labels, agreed])
    name = image["archive"].split("/")[0]
    counts[f"people of {name} labelled"] += len(labels)
    counts[f"people of {name} filled in"] += len(agreed)
    image["boxes"] += [(xywh(box), False) for box in agreed]
    for boxes in seen(opinion, UNSURE):
        doubtful = boxes[of_nobody(boxes, known)]
        known = np.concatenate([known, doubtful])
        counts[f"regions of {name} ignored: one teacher sees a person"] += len(doubtful)
        image["boxes"] += [(xywh(box), True) for box in doubtful]


def of_nobody(boxes: Boxes, known: Boxes) -> NDArray[np.bool_]:
    """(N,): which boxes are neither a known one nor a part of it."""
    apart, uncovered = iou(boxes, known) < OTHER_PERSON, iou(boxes, known, crowd=True) < COVERED
    return np.asarray((apart & uncovered).all(axis=1))


def xywh(box: Boxes) -> list[float]:
    return [float(value) for value in np.concatenate([box[:2], box[2:] - box[:2]]).round(2)]


def as_coco(images: list[dict[str, Any]], counts: Counter[str], name: str) -> dict[str, Any]:
    """The images in COCO's format."""
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, start=1):
        entries.append({"id": number} | {key: value for key, value in image.items() if key not in ("boxes", "key")})
        for box, crowd in image["boxes"]:
            ignored = crowd or min(box[2:]) < MIN_SIDE
            counts[f"{'regions ignored' if ignored else 'people'} in {name}.json"] += 1
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": int(ignored)}
            annotations.append(annotation | {"bbox": box, "area": box[2] * box[3]})
    counts[f"images in {name}.json"] = len(entries)
    return {"images": entries, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


if __name__ == "__main__":
    main()
