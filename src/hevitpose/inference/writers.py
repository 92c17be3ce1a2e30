"""What comes out of prediction: JSON, COCO results and labels, CSV and drawings, each written as its image is done."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import IO, Literal, Protocol

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.results import ImagePoses, Person, rounded
from hevitpose.data.skeletons import category_of
from hevitpose.inference.detectors import is_human
from hevitpose.inference.inputs import Frame
from hevitpose.io import atomic, images
from hevitpose.io.images import Image
from hevitpose.metrics.oks import AREA_OF_BOX

Format = Literal["json", "coco", "coco-labels", "csv"]
CSV_COLUMNS = ("file", "person", "keypoint", "x", "y", "score")


class PoseWriter(Protocol):
    """Writes the poses of one frame after the other; `close` finishes the file, also after an interruption."""

    def write(self, frame: Frame, poses: ImagePoses, /) -> None: ...

    def close(self) -> None:
        return  # where each frame has a file of its own


def image_writer(format: Format, output: Path, image_ids: Sequence[int]) -> PoseWriter:
    """The writer of this format; `output` is a folder for "json" and a file for the others.

    `image_ids` are COCO's of the images, by index.
    """
    match format:
        case "json":
            return JsonFiles(output)
        case "coco":
            return CocoResults(output, image_ids)
        case "coco-labels":
            return CocoLabels(output, image_ids)
        case "csv":
            return CsvFile(output)


class JsonFiles(PoseWriter):
    """One JSON file per image in a folder, in the form of `ImagePoses.to_json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        atomic.write(self.folder / f"{frame.target}.json", json.dumps(poses.to_json(), indent=1) + "\n")


class Drawings(PoseWriter):
    """Each image with its skeletons, as PNG in a folder."""

    def __init__(self, folder: Path, draw: Callable[[Image, ImagePoses], Image]) -> None:
        self.folder, self.draw = folder, draw

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        images.write_png(self.folder / f"{frame.target}.png", self.draw(frame.image, poses), is_drawing=True)


class OneFile:
    """A text file that grows beside its final name and takes it when it is whole, from `beginning` to `end`."""

    def __init__(self, path: Path, beginning: str = "", end: str = "") -> None:
        self.path, self.part, self.beginning, self.end = path, atomic.part_of(path), beginning, end
        self.file: IO[str] | None = None
        self.failed = False

    def append(self, text: str) -> None:
        if self.failed:  # as was said
            return
        try:
            if self.file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.file = self.part.open("w", encoding="utf-8", errors="surrogateescape", newline="")
                self.file.write(self.beginning)
            self.file.write(text)
            self.file.flush()
        except OSError as error:
            raise self._abandoned(error) from error

    def publish(self) -> None:
        """Give the file its name, unless some of it could not be written."""
        if self.file is not None:
            self.append(self.end)
            try:
                self.file.close()
                self.part.replace(self.path)
            except OSError as error:
                raise self._abandoned(error) from error
            self.file = None

    def _abandoned(self, error: OSError) -> InputError:
        """Remove what was written, and say why."""
        if self.file is not None:
            with suppress(OSError):  # it tries to write the rest again
                self.file.close()
            self.part.unlink(missing_ok=True)
        self.file, self.failed = None, True
        return InputError(self.path, f"cannot be written ({error.strerror})")


class FileWriter(PoseWriter):
    """Writes all frames to one text file."""

    output: OneFile

    def close(self) -> None:
        self.output.publish()


class CocoResults(FileWriter):
    """COCO results in one file: an entry per person, with a place and a score for absent keypoints too.

    `image_ids` are those of the frames, by index.
    """

    def __init__(self, path: Path, image_ids: Sequence[int]) -> None:
        self.output, self.image_ids, self.separator = OneFile(path, "[", "]\n"), image_ids, ""

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        self.output.append("")  # an image without people makes a file, too
        for person in poses:
            entry = {
                "image_id": self.image_ids[frame.index],
                "file_name": poses.file,
                "category_id": 1,
                "keypoints": coco_keypoints(person),
                "score": round(person.score, 4),
            }
            self.output.append(self.separator + json.dumps(entry))
            self.separator = ", "


def coco_keypoints(person: Person) -> list[float]:
    """x, y and score of every keypoint as in COCO results, the guesses for absent ones included."""
    triples = zip(person.all_keypoints.tolist(), person.keypoint_scores.tolist(), strict=True)
    return [value for (x, y), score in triples for value in (round(x, 2), round(y, 2), round(score, 4))]


class CocoLabels(FileWriter):
    """A COCO annotation file, to be corrected in a labelling tool and trained on.

    Images are named relative to the file. Keypoints that are present are visible (2), the others not labelled (0). A
    person's box also holds their keypoints and ends at the edges of the image.
    """

    def __init__(self, path: Path, image_ids: Sequence[int]) -> None:
        self.output, self.image_ids = OneFile(path), image_ids
        self.images: list[dict[str, object]] = []
        self.people = 0

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        if not self.images:
            category = category_of(poses.skeleton)
            category |= {"name": "person", "supercategory": "person"} if is_human(poses.skeleton) else {}
            info = {"description": f"Predicted by {poses.model} (hevitpose): to be corrected"}
            self.output.append(
                f'{{"info": {json.dumps(info)},\n"categories": {json.dumps([category])},\n"annotations": ['
            )
        image_id, (width, height) = self.image_ids[frame.index], poses.size_wh
        name = Path(os.path.relpath(poses.file or "", self.output.path.parent)).as_posix()
        self.images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for person in poses:
            self.output.append(",\n" if self.people else "\n")
            self.people += 1
            entry = {"id": self.people, "image_id": image_id, "category_id": 1, "iscrowd": 0}
            self.output.append(json.dumps(entry | _label(person, poses.size_wh)))

    def close(self) -> None:
        if self.images:
            self.output.append(f'],\n"images": {json.dumps(self.images)}}}\n')
        super().close()


def _label(person: Person, size_wh: tuple[int, int]) -> dict[str, object]:
    """The box, area, keypoints and score of a COCO annotation."""
    present, box = person.present, person.box
    if present.any():
        extent = geometry.keypoint_extent(person.keypoints[present])
        box = np.concatenate([np.minimum(box[:2], extent[:2]), np.maximum(box[2:], extent[2:])])
    bbox = geometry.xywh_from_xyxy(np.clip(box, 0, np.tile(size_wh, 2)))
    triples = [
        (round(x, 2), round(y, 2), 2) if seen else (0, 0, 0)
        for (x, y), seen in zip(person.keypoints.tolist(), present, strict=True)
    ]
    return {
        "bbox": [round(value, 2) for value in bbox.tolist()],
        "area": round(AREA_OF_BOX * float(bbox[2] * bbox[3]), 1),
        "keypoints": [value for triple in triples for value in triple],
        "num_keypoints": int(present.sum()),
        "segmentation": [],
        "score": round(person.score, 4),
    }


class CsvFile(FileWriter):
    """One line per keypoint of each person, x and y empty where it is absent; people count from 1 in an image."""

    def __init__(self, path: Path) -> None:
        self.output = OneFile(path, ",".join(CSV_COLUMNS) + "\n")

    def write(self, _: Frame, poses: ImagePoses) -> None:
        text = StringIO()
        lines = csv.writer(text, lineterminator="\n")
        for number, person in enumerate(poses, start=1):
            for name, (x, y), score in zip(
                poses.skeleton.keypoints, person.keypoints, person.keypoint_scores, strict=True
            ):
                lines.writerow((poses.file, number, name, rounded(x, 2), rounded(y, 2), rounded(score, 4)))
        self.output.append(text.getvalue())
