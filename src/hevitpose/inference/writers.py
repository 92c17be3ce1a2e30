"""Poses as JSON of our own schema (docs/results.md), as COCO results and as CSV."""

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Any

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.results import ImagePoses

SCHEMA = "hevitpose.pose/1"
"""Changes in its number when a reader of the old form could misread the new one."""


def pose_as_json(pose: ImagePoses, model: str) -> dict[str, Any]:
    """An image's people. Coordinates are pixels of the upright image, (0, 0) the centre of its top left pixel.

    A keypoint that is absent has x and y null; its score still says how sure the network was.
    """
    width, height = pose.size_wh
    return {
        "schema": SCHEMA,
        "model": model,
        "file": pose.file,
        "width": width,
        "height": height,
        "people": [
            {
                "score": _rounded(person.score, 4),
                "box": [_rounded(v, 2) for v in geometry.xywh_from_xyxy(person.box)],
                "keypoints": {
                    name: {"x": _rounded(x, 2), "y": _rounded(y, 2), "score": _rounded(score, 4)}
                    for name, (x, y), score in zip(
                        pose.skeleton.keypoints, person.keypoints, person.scores, strict=True
                    )
                },
            }
            for person in pose.people
        ],
    }


def poses_as_coco(poses: Sequence[ImagePoses], image_ids: Sequence[int | str]) -> list[dict[str, Any]]:
    """COCO results: one entry a person, with a place and a score for every keypoint, the absent ones too."""
    return [
        {
            "image_id": image_id,
            "file_name": pose.file,
            "category_id": 1,
            "keypoints": [
                value
                for (x, y), score in zip(person.all_keypoints.tolist(), person.scores.tolist(), strict=True)
                for value in (round(x, 2), round(y, 2), round(score, 4))
            ],
            "score": round(person.score, 4),
        }
        for pose, image_id in zip(poses, image_ids, strict=True)
        for person in pose.people
    ]


def poses_as_csv(poses: Sequence[ImagePoses]) -> str:
    """A line for each keypoint of each person, x and y empty where it is absent. People count from 1 in an image."""
    text = StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("file", "person", "keypoint", "x", "y", "score"))
    for pose in poses:
        for number, person in enumerate(pose.people, start=1):
            for name, (x, y), score in zip(pose.skeleton.keypoints, person.keypoints, person.scores, strict=True):
                lines.writerow((pose.file, number, name, _rounded(x, 2), _rounded(y, 2), _rounded(score, 4)))
    return text.getvalue()


def _rounded(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
