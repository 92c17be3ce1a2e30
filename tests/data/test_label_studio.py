import json

import pytest
from PIL import Image

from hevitpose.data.check.rules import check_sets
from hevitpose.data.coco import read_coco
from hevitpose.data.find import find_dataset, find_split

NAMES = ["snout", "tail"]


def point(label, x, y, parent=None):
    """A keypoint in percent of an image of 200 x 100."""
    value = {"x": x, "y": y, "width": 0.5, "keypointlabels": [label]}
    return region("keypointlabels", value) | ({"parentID": parent} if parent else {})


def rectangle(name, x, y, width, height, **changes):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": ["mouse"]}
    return region("rectanglelabels", value | changes) | {"id": name}


def region(kind, value):
    return {"id": "p", "type": kind, "value": value, "original_width": 200, "original_height": 100, "image_rotation": 0}


@pytest.fixture
def export(tmp_path):
    """Writes an export with one task for each list of regions."""

    def write(*tasks, **changes):
        (tmp_path / "images").mkdir(exist_ok=True)
        content = []
        for n, regions in enumerate(tasks):
            Image.new("RGB", (200, 100)).save(tmp_path / "images" / f"{n}.png")
            annotations = [{"id": n, "was_cancelled": False, "result": regions}] if regions is not None else []
            image = f"/data/upload/1/1a2b3c4d-{n}.png"
            content.append({"id": n, "annotations": annotations, "data": {"image": image}} | changes)
        path = tmp_path / "project-1-at-2026-01-01.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_keypoints_belong_to_their_rectangle(export, tmp_path):
    export(
        [rectangle("a", 10, 10, 40, 80), rectangle("b", 20, 20, 20, 20), point("snout", 25, 30), point("tail", 45, 80)],
        [
            rectangle("a", 0, 0, 50, 100),
            rectangle("b", 50, 0, 50, 100),
            point("snout", 10, 50, "b"),
            point("tail", 10, 50),
        ],
        [point("tail", 50, 50), point("snout", 60, 60)],
        [],
        None,
    )
    split = find_dataset(str(tmp_path)).train
    people = split.read()
    assert people.skeleton.keypoints == ("tail", "snout")
    assert people.image_index.tolist() == [0, 0, 1, 1, 2]
    assert people.boxes[:4].tolist() == [[20, 10, 100, 90], [40, 20, 80, 40], [0, 0, 100, 100], [100, 0, 200, 100]]
    assert people.keypoints[0].tolist() == [[90, 80], [0, 0]]
    assert people.keypoints[1].tolist() == [[0, 0], [50, 30]]
    assert [file.name for file in people.images] == [f"images/{n}.png" for n in range(5)]
    assert [fault.kind for fault in check_sets([split])] == ["no flip pairs", "outside box", "images without people"]


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        ([point("snout", 1, 1), point("snout", 9, 9)], "task 0: a second 'snout' of the same animal: draw a rectangle"),
        ([point("snout", 1, 1) | {"image_rotation": 90}], "task 0: its image was rotated"),
        ([rectangle("a", 1, 1, 5, 5, rotation=3)], "task 0: a rectangle is rotated"),
        ([{"type": "keypointlabels"}], "task 0: 'value' is missing"),
        ([point("snout", None, 1)], "task 0: x must be 1 numbers"),
        ([point("snout", 1, 1) | {"value": {"x": 1, "y": 1, "keypointlabels": []}}], "task 0: list index out of range"),
        ([], "no keypoint in 1 tasks"),
    ],
)
def test_what_cannot_be_read_is_named(export, refused, regions, words):
    path = export(regions)
    with refused(path, words):
        find_split(str(path)).read()


def test_second_annotations_and_other_shapes_are_reported_and_min_is_refused(export, refused):
    path = export([point("snout", 5, 5), region("polygonlabels", {"points": [[1, 1]]})])
    content = json.loads(path.read_text())
    content[0]["annotations"] *= 2
    path.write_text(json.dumps(content))
    problems = [finding.problem for finding in find_split(str(path)).read().findings]
    assert problems == [
        "1 more annotations are left out",
        "regions that are neither keypoints nor rectangles: 1 of polygonlabels",
    ]
    path.write_text(json.dumps([{"image": "a.png", "annotation_id": 1, "label": []}]))
    with refused(path, 'choose "JSON", not "JSON-MIN"'):
        find_split(str(path)).read()


@pytest.mark.parametrize(
    ("name", "bbox", "box"),
    [
        ("default", [20, 20, 10, 10], [10, 10, 50, 50]),  # as the COCO export writes it
        ("mouse", None, [10, 10, 50, 50]),
        ("default", [19, 15, 14, 30], [19, 15, 33, 45]),  # a box that somebody drew
        ("rat", [20, 20, 10, 10], [20, 20, 30, 30]),  # rectangles of something else
    ],
)
def test_rectangles_of_the_coco_export_are_boxes(tmp_path, name, bbox, box):
    people = [{"id": 1, "image_id": 0, "category_id": 1, "keypoints": [20, 20, 2, 30, 30, 2], "bbox": bbox}]
    if bbox is None:
        del people[0]["bbox"]
    boxes = [{"id": 2, "image_id": 0, "category_id": 0, "bbox": [10, 10, 40, 40], "area": 1600}]
    boxes += [boxes[0] | {"id": 3, "bbox": [0, 0, 90, 90]}, boxes[0] | {"id": 4, "image_id": 5}]
    content = {
        "images": [{"id": 0, "file_name": "a.png"}, {"id": 5, "file_name": "b.png"}],
        "annotations": [*boxes, *people],
        "categories": [{"id": 0, "name": "mouse"}, {"id": 1, "name": name, "keypoints": NAMES}],
    }
    (tmp_path / "result.json").write_text(json.dumps(content))
    read = read_coco(tmp_path / "result.json", tmp_path, "mice")
    assert read.boxes.tolist() == [box]
    assert len(read) == 1


def test_one_of_several_skeletons_in_a_file_is_chosen_by_its_name(tmp_path, refused):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    person = {"image_id": 0, "bbox": [1, 1, 30, 30], "area": 450}
    content = {
        "images": [{"id": 0, "file_name": "a.png"}],
        "annotations": [
            person | {"id": 1, "category_id": 1, "keypoints": [9, 9, 2, 5, 5, 2]},
            person | {"id": 2, "category_id": 2, "keypoints": [9, 9, 2]},
        ],
        "categories": [
            {"id": 1, "name": "mouse", "keypoints": NAMES},
            {"id": 2, "name": "ball", "keypoints": ["middle"]},
        ],
    }
    (tmp_path / "both.json").write_text(json.dumps(content))
    with refused(tmp_path / "both.json", "different ones in 'mouse', 'ball'", "category = NAME in a TOML file"):
        find_split(str(tmp_path / "both.json")).read()
    toml = tmp_path / "ball.toml"
    toml.write_text('[train]\nannotations = "both.json"\ncategory = "ball"\n')
    split = find_dataset(str(toml)).train
    assert split.read().skeleton.keypoints == ("middle",)
    faults = check_sets([split])
    assert [(fault.kind, fault.record, fault.problem) for fault in faults if fault.kind != "no flip pairs"] == [
        ("other category", "category mouse", "1 annotations")
    ]
    toml.write_text('[train]\nannotations = "both.json"\ncategory = "rat"\n')
    with refused(tmp_path / "both.json", "has no category 'rat' with keypoints (there are: mouse, ball)"):
        find_dataset(str(toml)).train.read()
