"""Poses for other tools: OpenPose's JSON files and a NumPy archive."""

import json
from collections.abc import Mapping, Sequence
from glob import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.keypoint_names import index_of_names
from hevitpose.core.results import ImagePoses, rounded
from hevitpose.inference.inputs import Frame
from hevitpose.inference.writers import PoseWriter
from hevitpose.io import atomic

BODY_25: Sequence[Sequence[str]] = (
    *(("nose",), ("neck", "upper neck", "thorax"), ("right shoulder",), ("right elbow",), ("right wrist",)),
    *(("left shoulder",), ("left elbow",), ("left wrist",), ("pelvis", "mid hip"), ("right hip",), ("right knee",)),
    *(("right ankle",), ("left hip",), ("left knee",), ("left ankle",), ("right eye",), ("left eye",)),
    *(("right ear",), ("left ear",), ("left big toe",), ("left small toe",), ("left heel",), ("right big toe",)),
    *(("right small toe",), ("right heel",)),
)
"""The keypoints of OpenPose's BODY_25 model in its order, by the names that they may have."""
MIDDLES: Mapping[int, tuple[str, str]] = {1: ("left shoulder", "right shoulder"), 8: ("left hip", "right hip")}
"""Neck and middle of the hips lie between these where a skeleton does not have them."""
OPENPOSE_VERSION = 1.3
EMPTY = (
    *("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d"),
    *("pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d"),
)
"""Keys that readers expect."""


class OpenPoseFiles(PoseWriter):
    """One JSON file per frame in a folder, as OpenPose writes them: NAME_000000000012_keypoints.json.

    Frames count from 0. The name is that of the results. Files of an earlier run are removed when the first is written.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._begun = False

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        if not self._begun:
            self._begun = True
            for old in self.folder.glob(f"{escape(self.name)}_{'[0-9]' * 12}_keypoints.json"):
                old.unlink()
        path = self.folder / f"{self.name}_{frame.index:012d}_keypoints.json"
        atomic.write(path, json.dumps(openpose_json(poses)) + "\n")


def openpose_json(poses: ImagePoses) -> dict[str, object]:
    """The people as OpenPose's JSON with the 25 keypoints of BODY_25; absent ones, and those unknown here, are 0, 0, 0.

    `person_id` is -1 without an id, as OpenPose has it.

    >>> from hevitpose import COCO17
    >>> openpose_json(ImagePoses.empty(COCO17, (640, 480)))
    {'version': 1.3, 'people': []}
    """
    people, index = [], index_of_names(poses.skeleton.keypoints)
    for person in poses:
        triples = np.column_stack([person.keypoints, person.keypoint_scores])
        triples[~person.present] = 0
        body = [_body_keypoint(number, triples, index) for number in range(len(BODY_25))]
        entry: dict[str, object] = {"person_id": [person.track_id or -1]}
        entry["pose_keypoints_2d"] = [rounded(value, 3) for triple in body for value in triple]
        people.append(entry | {name: [] for name in EMPTY})
    return {"version": OPENPOSE_VERSION, "people": people}


def _body_keypoint(number: int, triples: NDArray[np.float64], index: Mapping[str, int]) -> Sequence[float]:
    own = next((index[name] for name in BODY_25[number] if name in index), None)
    if own is not None:
        return [float(value) for value in triples[own]]
    ends = [index[name] for name in MIDDLES.get(number, ()) if name in index]
    if len(ends) == 2 and (triples[ends, 2] > 0).all():
        x, y = triples[ends, :2].mean(axis=0)
        return [float(x), float(y), float(triples[ends, 2].min())]
    return [0.0, 0.0, 0.0]


class NumpyArchive:
    """All people of all frames in one .npz file, a row per person and frame; the rows stay in memory until the end.

    `frame` (M,), `time_s` (M,), `id` (M,) with 0 where there is none, `box` (M, 4) xyxy, `score` (M,), `keypoints`
    (M, K, 2) with NaN where absent, `keypoint_scores` (M, K), `names` (K,) and `size_wh` (2,).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: dict[str, list[NDArray[Any]]] = {}
        self.clip: dict[str, NDArray[Any]] = {}

    def write(self, frame: Frame, poses: ImagePoses) -> None:
        count = len(poses)
        row = {
            "frame": np.full(count, frame.index, dtype=np.int64),
            "time_s": np.full(count, np.nan if frame.time_s is None else frame.time_s),
            "id": poses.ids,
            "box": poses.boxes,
            "score": poses.person_scores,
            "keypoints": poses.keypoints,
            "keypoint_scores": poses.keypoint_scores,
        }
        for name, values in row.items():
            self.columns.setdefault(name, []).append(values)
        self.clip = {"names": np.array(poses.skeleton.keypoints), "size_wh": np.array(poses.size_wh)}

    def close(self) -> None:
        if not self.clip:
            return
        arrays = {name: np.concatenate(parts) for name, parts in self.columns.items()} | self.clip
        content = BytesIO()
        np.savez_compressed(content, allow_pickle=False, **arrays)
        atomic.write(self.path, content.getvalue())
