"""What comes out of a clip: JSON lines, CSV, MOT and COCO results, and the drawn clip."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np

from hevitpose.core.geometry import xywh_from_xyxy
from hevitpose.core.results import ImagePoses, Person, rounded
from hevitpose.core.skeleton import Skeleton
from hevitpose.data.clip_poses import CLIP_SCHEMA
from hevitpose.inference.exports import NumpyArchive, OpenPoseFiles
from hevitpose.inference.inputs import Frame
from hevitpose.inference.overlap import Behind
from hevitpose.inference.writers import FileWriter, OneFile, PoseWriter, coco_keypoints
from hevitpose.io.images import Image
from hevitpose.io.video_writer import Sound, VideoWriter

ClipFormat = Literal["jsonl", "csv", "mot", "coco", "openpose", "npz"]
CLIP_SUFFIXES: dict[ClipFormat, str] = {
    "jsonl": ".jsonl",
    "csv": ".csv",
    "mot": ".txt",
    "coco": ".json",
    "openpose": "_openpose",
    "npz": ".npz",
}
"""What follows the name of the clip; of OpenPose's, a folder."""
CSV_COLUMNS = ("frame", "time_s", "id", "person_score", "keypoint", "x", "y", "score")
SMOOTHED_COLUMNS = ("raw_x", "raw_y", "filled")


@dataclass(frozen=True)
class ClipHeader:
    """What the results say of the whole clip; `fps` is None where the file does not state it."""

    file: str
    model: str
    size_wh: tuple[int, int]
    fps: float | None
    skeleton: Skeleton


def clip_writer(format: ClipFormat, path: Path, header: ClipHeader) -> PoseWriter:
    """The writer of this format."""
    if format == "jsonl":
        return JsonLines(path, header)
    if format == "openpose":
        return OpenPoseFiles(path, path.name.removesuffix(CLIP_SUFFIXES[format]))
    writers: dict[ClipFormat, Callable[[Path], PoseWriter]] = {
        "csv": ClipCsv,
        "mot": MotFile,
        "coco": ClipCoco,
        "npz": NumpyArchive,
    }
    return writers[format](path)


class JsonLines(FileWriter):
    """A header, then a line per frame with its people (docs/video.md)."""

    def __init__(self, path: Path, header: ClipHeader) -> None:
        first = {
            "schema": CLIP_SCHEMA,
            "model": header.model,
            "file": header.file,
            "width": header.size_wh[0],
            "height": header.size_wh[1],
            "fps": None if header.fps is None else round(header.fps, 6),
            "keypoints": list(header.skeleton.keypoints),
        }
        self.output = OneFile(path, json.dumps(first) + "\n")

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        line = {"frame": frame.index, "time_s": rounded(frame.time_s or 0.0, 6), "people": clip_people(poses)}
        self.output.append(json.dumps(line) + "\n")


def clip_people(poses: ImagePoses) -> list[dict[str, object]]:
    """The people of a frame as JSON: as those of images, with `id`, None until it is confirmed."""
    people = []
    for number, (of_image, person) in enumerate(zip(poses.to_json()["people"], poses, strict=True)):
        entry = {"id": person.track_id or None} | of_image
        if poses.filled is not None:
            for name in np.array(poses.skeleton.keypoints)[poses.filled[number]].tolist():
                entry["keypoints"][name]["filled"] = True
        if poses.raw_keypoints is not None:
            raw = zip(poses.skeleton.keypoints, poses.raw_keypoints[number], strict=True)
            entry["raw"] = {name: {"x": rounded(x, 2), "y": rounded(y, 2)} for name, (x, y) in raw}
        people.append(entry)
    return people


class ClipCsv(FileWriter):
    """A line per keypoint of each person in each frame, x and y empty where it is absent, id until it is confirmed."""

    def __init__(self, path: Path) -> None:
        self.output, self.begun = OneFile(path), False

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        text = StringIO()
        lines = csv.writer(text, lineterminator="\n")
        if not self.begun:
            self.begun = True
            lines.writerow(CSV_COLUMNS + (SMOOTHED_COLUMNS if poses.raw_keypoints is not None else ()))
        for number, person in enumerate(poses):
            lines.writerows(self._rows(frame, poses, number, person))
        self.output.append(text.getvalue())

    def _rows(self, frame: Frame, poses: ImagePoses, number: int, person: Person) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        beginning = (frame.index, rounded(frame.time_s or 0.0, 6), person.track_id or None, rounded(person.score, 4))
        for k, name in enumerate(poses.skeleton.keypoints):
            (x, y), score = person.keypoints[k], rounded(person.keypoint_scores[k], 4)
            row: tuple[object, ...] = (*beginning, name, rounded(x, 2), rounded(y, 2), score)
            if poses.raw_keypoints is not None:
                raw_x, raw_y = poses.raw_keypoints[number, k]
                is_filled = poses.filled is not None and poses.filled[number, k]
                row = (*row, rounded(raw_x, 2), rounded(raw_y, 2), int(is_filled))
            rows.append(row)
        return rows


class MotFile(FileWriter):
    """The boxes in MOTChallenge's form: frame and id from 1, box from the corner of the image, which is 1 there, score.

    People whose id is not confirmed are left out; `left_out` counts them.
    """

    def __init__(self, path: Path) -> None:
        self.output, self.left_out = OneFile(path), 0

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        lines = []
        for person in poses:
            if not person.track_id:
                self.left_out += 1
                continue
            x, y, width, height = (round(float(v), 2) for v in xywh_from_xyxy(person.box))
            box = f"{x + 1:.2f},{y + 1:.2f},{width:.2f},{height:.2f}"
            lines.append(f"{frame.index + 1},{person.track_id},{box},{person.score:.4f},-1,-1,-1\n")
        self.output.append("".join(lines))


class ClipCoco(FileWriter):
    """COCO results in one file: `image_id` is the frame from 0, `track_id` the identity where it is confirmed."""

    def __init__(self, path: Path) -> None:
        self.output, self.separator = OneFile(path, "[", "]\n"), ""

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        self.output.append("")  # a clip without people is a file, too
        for person in poses:
            entry: dict[str, object] = {
                "image_id": frame.index,
                "category_id": 1,
                "keypoints": coco_keypoints(person),
                "bbox": [rounded(v, 2) for v in xywh_from_xyxy(person.box)],
                "score": round(person.score, 4),
            }
            if person.track_id:
                entry["track_id"] = person.track_id
            self.output.append(self.separator + json.dumps(entry))
            self.separator = ",\n"


class ClipDrawing:
    """The clip as MP4 with what `draw` puts on each frame, drawn and encoded by a thread of its own.

    `whole` is to be set where the clip was read to its end, so that the rest of its sound is kept.
    """

    def __init__(
        self,
        path: Path,
        draw: Callable[[Image, ImagePoses, float], Image],
        fps: float | None,
        sound: Sound | None = None,
    ) -> None:
        self.video, self.draw, self.whole = VideoWriter(path, fps, sound), draw, False
        self._worker: Behind[tuple[Frame, ImagePoses]] = Behind(self._write)

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        self._worker.put((frame, poses))

    def _write(self, entry: tuple[Frame, ImagePoses]) -> None:
        frame, poses = entry
        time_s = frame.time_s or 0.0
        self.video.write(self.draw(frame.image, poses, time_s), time_s)

    def close(self) -> None:
        try:
            self._worker.finish()
        except BaseException:
            self.video.abandon()
            raise
        self.video.close(self.whole)
