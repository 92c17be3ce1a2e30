"""Whom an 8-bit file is scored on."""

import json

from hevitpose.cli.export import scored_people
from hevitpose.core.skeleton import MPII16, PEOPLE21


def test_people_of_fewer_keypoints_are_enough_for_the_score(tmp_path, refused):
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "keypoints": [9, 9, 2] * 16}
    category = {"id": 1, "name": "person", "keypoints": MPII16.keypoints, "skeleton": []}
    images = [{"id": 1, "file_name": "a.jpg", "width": 50, "height": 50}]
    content = {"images": images, "annotations": [person], "categories": [category]}
    (tmp_path / "people.json").write_text(json.dumps(content))
    people, metric = scored_people(str(tmp_path / "people.json"), None, PEOPLE21, "all")
    assert (len(people), metric) == (1, "pck_box")
    without = PEOPLE21.keypoints[:3]
    fewer = type(PEOPLE21)("few", without, (2, 1, 0), ())
    with refused("few", "lacks l_hip"):
        scored_people(str(tmp_path / "people.json"), None, fewer, "few")
