"""The people that NanoDet-g detects in whole images, as COCO detections: the boxes for tools/pseudo_labels.py.

    python benchmarks/detector_peers.py human/package/models/nanodet.json nanodet.onnx
    python benchmarks/nanodet.py nanodet.onnx --data data/coco17/val.json --output detections.json

The graph is that of detector_peers.py; its other detectors are taken too. `--data`: COCO files, of which the images are
read (from their archives too; labels are not needed), or folders and ZIP archives of images. An entry of the result has
`file_name`, `image_id` and `archive` where there is one, `bbox` (x, y, width, height), and `score`.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

from detector_peers import load_peer
from hevitpose.core import geometry
from hevitpose.core.labels import ImageFile
from hevitpose.data.coco import read_coco_json
from hevitpose.io import atomic
from hevitpose.io import images as image_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("graph", type=Path, help="written by detector_peers.py")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="COCO files, folders or ZIP archives")
    parser.add_argument("--output", type=Path, required=True, help="list of COCO detections")
    parser.add_argument("--min-score", type=float, default=0.3)
    options = parser.parse_args()
    detect = load_peer(options.graph)
    entries: list[dict[str, Any]] = []
    for number, (file, image_id) in enumerate(images_of(options.data), start=1):
        boxes, scores = detect(image_files.read(file))
        sure = scores >= options.min_score
        name = {"file_name": file.name, "image_id": image_id, "archive": file.archive}
        name = {key: value for key, value in name.items() if value is not None}
        for box, score in zip(geometry.xywh_from_xyxy(boxes[sure]), scores[sure], strict=True):
            entries.append(name | {"category_id": 1, "bbox": box.round(2).tolist(), "score": round(float(score), 4)})
        if number % 100 == 0:
            print(f"{number} images, {len(entries)} people", flush=True)
    atomic.write(options.output, json.dumps(entries) + "\n")
    print(f"{len(entries)} people")


def images_of(sources: list[Path]) -> Iterator[tuple[ImageFile, Any]]:
    """The images of COCO files, folders and archives, with their ids where they have one."""
    for source in sources:
        if source.suffix == ".json":
            for image in read_coco_json(source)["images"]:
                yield ImageFile(image["file_name"], source.parent, image.get("archive")), image["id"]
        elif is_zipfile(source):
            with ZipFile(source) as archive:
                names = archive.namelist()
            yield from ((ImageFile(n, source.parent, source.name), None) for n in names if is_image(n))
        else:
            yield from ((ImageFile(p.name, source), None) for p in sorted(source.iterdir()) if is_image(p.name))


def is_image(name: str) -> bool:
    return Path(name).suffix.lower() in image_files.SUFFIXES


if __name__ == "__main__":
    main()
