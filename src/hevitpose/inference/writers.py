"""What comes out of prediction: JSON files, COCO results, CSV and drawings, each written as its image is done."""

import csv
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import IO, Literal, Protocol

from hevitpose.core.errors import InputError
from hevitpose.core.results import ImagePoses, rounded
from hevitpose.inference.inputs import Frame
from hevitpose.io import atomic, images
from hevitpose.io.images import Image

Format = Literal["json", "coco", "csv"]
CSV_COLUMNS = ("file", "person", "keypoint", "x", "y", "score")


class PoseWriter(Protocol):
    """Writes the poses of one frame after the other; `close` finishes the file, also after an interruption."""

    def write(self, frame: Frame, poses: ImagePoses) -> None: ...

    def close(self) -> None: ...


class JsonFiles:
    """One JSON file per image in a folder, in the form of `ImagePoses.to_json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        atomic.write(self.folder / f"{frame.target}.json", json.dumps(poses.to_json(), indent=1) + "\n")

    def close(self) -> None:
        """Each file is whole already."""


class Drawings:
    """Each image with its skeletons, as PNG in a folder."""

    def __init__(self, folder: Path, draw: Callable[[Image, ImagePoses], Image]) -> None:
        self.folder, self.draw = folder, draw

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        images.write_png(self.folder / f"{frame.target}.png", self.draw(frame.image, poses))

    def close(self) -> None:
        """Each file is whole already."""


class _OneFile:
    """A text file that grows beside its final name and takes it when it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{os.getpid()}-{path.name}.part")
        self.file: IO[str] | None = None
        self.failed = False

    def append(self, text: str) -> None:
        if self.failed:  # as was said
            return
        try:
            if self.file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.file = self.part.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            self.file.write(text)
            self.file.flush()
        except OSError as error:
            raise self._abandoned(error) from error

    def publish(self) -> None:
        """Give the file its name, unless some of it could not be written."""
        if self.file is not None:
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


class CocoResults:
    """COCO results in one file: an entry per person, with a place and a score for absent keypoints too.

    `image_ids` are those of the frames, by index.
    """

    def __init__(self, path: Path, image_ids: Sequence[int]) -> None:
        self.output, self.image_ids = _OneFile(path), image_ids
        self.begun, self.separator = False, ""

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        if not self.begun:
            self.output.append("[")
            self.begun = True
        for person in poses:
            triples = zip(person.all_keypoints.tolist(), person.keypoint_scores.tolist(), strict=True)
            entry = {
                "image_id": self.image_ids[frame.index],
                "file_name": poses.file,
                "category_id": 1,
                "keypoints": [v for (x, y), score in triples for v in (round(x, 2), round(y, 2), round(score, 4))],
                "score": round(person.score, 4),
            }
            self.output.append(self.separator + json.dumps(entry))
            self.separator = ", "

    def close(self) -> None:
        if self.begun:
            self.output.append("]\n")
        self.output.publish()


class CsvFile:
    """One line per keypoint of each person, x and y empty where it is absent; people count from 1 in an image."""

    def __init__(self, path: Path) -> None:
        self.output, self.begun = _OneFile(path), False

    def write(self, frame: Frame, poses: ImagePoses) -> None:  # noqa: ARG002 - the protocol's
        text = StringIO()
        lines = csv.writer(text, lineterminator="\n")
        if not self.begun:
            lines.writerow(CSV_COLUMNS)
            self.begun = True
        for number, person in enumerate(poses, start=1):
            for name, (x, y), score in zip(
                poses.skeleton.keypoints, person.keypoints, person.keypoint_scores, strict=True
            ):
                lines.writerow((poses.file, number, name, rounded(x, 2), rounded(y, 2), rounded(score, 4)))
        self.output.append(text.getvalue())

    def close(self) -> None:
        self.output.publish()
