import json

import numpy as np
import pytest

from hevitpose.core.results import ImagePoses, Person
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.writers import pose_as_json, poses_as_coco

MOUSE = Skeleton("mouse", ("snout", "tail"), (0, 1))
SURE = Person(
    keypoints=np.array([[10.123, 20.456], [np.nan, np.nan]]),
    scores=np.array([0.98765, 0.01]),
    box=np.array([9.5, 19.5, 39.5, 59.5]),
    score=0.5,
    all_keypoints=np.array([[10.123, 20.456], [-3.0, 7.891]]),
)


def pose(*people, file="a.jpg"):
    return ImagePoses(MOUSE, (640, 480), people, file)


@pytest.mark.parametrize("file", ["a.jpg", None])
def test_a_image_without_people(file):
    expected = {"schema": "hevitpose.pose/1", "model": "m", "file": file, "width": 640, "height": 480, "people": []}
    assert pose_as_json(pose(file=file), "m") == expected


def test_an_absent_keypoint_is_null_and_keeps_its_score():
    content = json.loads(json.dumps(pose_as_json(pose(SURE, SURE), "m"), allow_nan=False))
    person = {
        "score": 0.5,
        # COCO's x, y, width, height.
        "box": [10, 20, 30, 40],
        "keypoints": {
            "snout": {"x": 10.12, "y": 20.46, "score": 0.9877},
            "tail": {"x": None, "y": None, "score": 0.01},
        },
    }
    assert content["people"] == [person, person]


def test_coco_results_have_a_place_for_every_keypoint():
    assert poses_as_coco([], []) == []
    results = poses_as_coco([pose(SURE), pose(), pose(SURE, SURE, file=None)], [7, 8, "c"])
    entry = {"category_id": 1, "keypoints": [10.12, 20.46, 0.9877, -3.0, 7.89, 0.01], "score": 0.5}
    assert json.loads(json.dumps(results, allow_nan=False)) == [
        {"image_id": 7, "file_name": "a.jpg", **entry},
        {"image_id": "c", "file_name": None, **entry},
        {"image_id": "c", "file_name": None, **entry},
    ]
