"""Reading the JSON lines that `hevitpose predict` writes of a clip."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import mirror_from_names
from hevitpose.core.skeleton import Skeleton
from hevitpose.io.json_files import read_text

CLIP_SCHEMA = "hevitpose.clip/1"


@dataclass(frozen=True, eq=False)
class ClipPoses:
    """M people of the frames of a clip, in the order of the file.

    `frames` (M,) from 0, `times_s` (M,), `track_ids` (M,) with 0 where there was none, `keypoints` (M, K, 2), NaN where
    absent, and `keypoint_scores` (M, K). `cut` says that the last line is not whole.
    """

    skeleton: Skeleton
    frames: NDArray[np.int64]
    times_s: Floats
    track_ids: NDArray[np.int64]
    keypoints: Floats
    keypoint_scores: Floats
    cut: bool = False

    def __len__(self) -> int:
        return len(self.frames)

    def of(self, track_id: int) -> "ClipPoses":
        """The rows of one person."""
        here, arrays = self.track_ids == track_id, ("frames", "times_s", "track_ids", "keypoints", "keypoint_scores")
        return replace(self, **{name: getattr(self, name)[here] for name in arrays})


def read_clip_poses(path: Path) -> ClipPoses:
    """The people in a file of JSON lines. Raises InputError, which names the line, where it is no such file.

    A last line that is cut, as by a full disk, is left out.
    """
    text = read_text(path)
    lines = text.splitlines()
    if not lines:
        raise InputError(path, "is empty")
    names = _names(path, lines[0])
    rows: list[tuple[int, float, int, Sequence[Sequence[float]]]] = []
    cut = False
    for number, line in enumerate(lines[1:], start=2):
        try:
            frame = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines) and not text.endswith("\n"):
                cut = True
                break
            raise InputError(path, f"line {number}: not valid JSON ({error})") from error
        try:
            rows += [_row(frame, person, names) for person in frame["people"]]
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise InputError(path, f"line {number}: not a frame of {CLIP_SCHEMA} ({error!r})") from error
    frames, times, ids, points = zip(*rows, strict=True) if rows else ((), (), (), ())
    triples = np.array(points, dtype=np.float64).reshape(-1, len(names), 3)
    skeleton = Skeleton(path.name, tuple(names), mirror_from_names(names))
    arrays = np.array(frames, dtype=np.int64), np.array(times, dtype=np.float64), np.array(ids, dtype=np.int64)
    return ClipPoses(skeleton, *arrays, triples[..., :2], triples[..., 2], cut)


def _names(path: Path, line: str) -> list[str]:
    """The names of the keypoints in the header."""
    wanted = f"its first line is not the header of {CLIP_SCHEMA}: write it with `hevitpose predict CLIP`"
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(path, wanted) from error
    if not isinstance(header, dict) or header.get("schema") != CLIP_SCHEMA:
        raise InputError(path, wanted)
    names = header.get("keypoints")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(path, "line 1: `keypoints` must be the names of the keypoints")
    return names


def _row(
    frame: Mapping[str, Any], person: Mapping[str, Any], names: Sequence[str]
) -> tuple[int, float, int, Sequence[Sequence[float]]]:
    points = [person["keypoints"][name] for name in names]
    triples = [[float("nan" if (v := point[key]) is None else v) for key in ("x", "y", "score")] for point in points]
    numbers = np.array([frame["frame"], person["id"] or 0], dtype=np.int64)  # which refuses what does not fit
    return int(numbers[0]), float(frame["time_s"]), int(numbers[1]), triples
