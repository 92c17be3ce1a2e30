"""Find images that look like an image of another set, so that what is trained on holds nothing of what measures.

    python tools/near_duplicates.py detections.json --root data/sports \
        --against data/people16/lsp_val.json data/coco17/val.json data/photos --output duplicates.json

All arguments are COCO files, lists of COCO detections (with `file_name`, images below --root) or folders of images.
Whole images and the boxes of their people are shrunk to grey squares of 24 x 24 pixels, also mirrored, and compared
by correlation, so that a crop, another size or a stretched copy is found too. The result lists the pairs.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import ImageFile
from hevitpose.io import atomic
from hevitpose.io import images as image_files
from hevitpose.io.json_files import read_json

SIDE = 24
ALIKE = 0.9
"""Different images seldom correlate like this; copies that were scaled, squeezed and compressed correlate at .97."""
MIN_CONTRAST = 8.0
"""A thumbnail with a smaller standard deviation, of 255, shows too little to be compared."""


@dataclass(frozen=True, eq=False)
class BoxedImage:
    """An image, the boxes (N, 4) x1, y1, x2, y2 of people in it, and its id where it has one."""

    file: ImageFile
    boxes: Floats
    image_id: int | str | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("images", type=Path, help="COCO file, list of detections, or folder")
    parser.add_argument("--root", type=Path, help="folder of the images of a list of detections")
    parser.add_argument("--against", type=Path, nargs="+", required=True, help="COCO files, or folders of images")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        ours, thumbnails = thumbnails_of(boxed_images(options.images, options.root))
        pairs = []
        for source in options.against:
            theirs, their_thumbnails = thumbnails_of(boxed_images(source))
            found = [(ours[a], theirs[b], score) for a, b, score in alike(thumbnails, their_thumbnails)]
            print(f"{source}: {len({file for file, _, _ in found})} images are like one of it")
            pairs += found
    except InputError as error:
        raise SystemExit(f"error: {error}") from error
    pairs.sort(key=lambda pair: -pair[2])
    entries = [{"file_name": a.name, "like": str(b), "correlation": round(score, 3)} for a, b, score in pairs]
    atomic.write(options.output, json.dumps(entries, indent=1) + "\n")


def boxed_images(path: Path, root: Path | None = None) -> list[BoxedImage]:
    """The images of a COCO file, a list of detections (below `root`) or a folder. Raises InputError."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in image_files.SUFFIXES)
        return [BoxedImage(ImageFile(file.name, path), np.zeros((0, 4))) for file in files]
    content, folder = read_json(path), root or path.parent
    of_image = isinstance(content, dict)
    boxes = defaultdict(list)
    for entry in content["annotations"] if of_image else content:
        if not entry.get("iscrowd"):
            boxes[entry["image_id"] if of_image else entry["file_name"]].append(entry["bbox"])
    entries = content["images"] if of_image else {entry["file_name"]: entry for entry in content}.values()
    images = []
    for entry in entries:
        key = entry["id"] if of_image else entry["file_name"]
        within = folder if "archive" in entry or not (folder / "images").is_dir() else folder / "images"
        file = ImageFile(entry["file_name"], within, entry.get("archive"))
        xywh = np.array(boxes[key], dtype=np.float64).reshape(-1, 4)
        images.append(BoxedImage(file, geometry.xyxy_from_xywh(xywh), entry.get("id")))
    return images


def thumbnails_of(images: list[BoxedImage]) -> tuple[list[ImageFile], NDArray[np.float32]]:
    """Thumbnails (M, 24, 24) of whole images and of their boxes, of mean 0 and length 1, and the file of each."""
    files, thumbnails = [], []
    for image in images:
        grey = Image.fromarray(image_files.read(image.file)).convert("L")
        whole = geometry.image_box((grey.height, grey.width))
        for box in (whole, *image.boxes):
            corners = np.clip(box, 0, [grey.width, grey.height] * 2)
            if (corners[2:] - corners[:2] < 1).any():
                continue
            small = grey.resize((SIDE, SIDE), Image.Resampling.BOX, box=tuple(corners))
            pixels = np.asarray(small, dtype=np.float32)
            pixels -= pixels.mean()
            if pixels.std() >= MIN_CONTRAST:
                files.append(image.file)
                thumbnails.append(pixels / np.linalg.norm(pixels))
    return files, np.stack(thumbnails) if thumbnails else np.zeros((0, SIDE, SIDE), np.float32)


def alike(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> list[tuple[int, int, float]]:
    """For each of our thumbnails that correlates with one of theirs, plain or mirrored: both indices, and how much."""
    found = []
    flat = theirs.reshape(len(theirs), SIDE * SIDE).T
    for index, thumbnail in enumerate(ours):
        if len(theirs):
            both = np.stack([thumbnail.ravel(), thumbnail[:, ::-1].ravel()])
            correlations = (both @ flat).max(axis=0)
            best = int(correlations.argmax())
            if correlations[best] >= ALIKE:
                found.append((index, best, float(correlations[best])))
    return found


if __name__ == "__main__":
    main()
