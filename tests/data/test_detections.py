import json
from pathlib import Path

import numpy as np
import pytest

from hevitpose.data.detections import meets_image, read_detections

BOX = [10, 20, 30, 40]


@pytest.fixture
def detections(tmp_path):
    """Writes a file of these entries and reads it."""

    def read(*entries):
        (tmp_path / "boxes.json").write_text(json.dumps(entries))
        return read_detections(tmp_path / "boxes.json")

    return read


def test_a_image_without_entry_has_nobody(detections):
    for file in (detections(), detections({"file_name": "b.jpg", "bbox": BOX})):
        nobody = file.find(Path("a.jpg"))
        assert (nobody.boxes.shape, nobody.scores.shape) == ((0, 4), (0,))


def test_boxes_by_their_edges_and_scores_in_the_order_of_the_file(detections):
    entries = [
        {"file_name": "a.jpg", "bbox": BOX, "score": 0.25},
        {"file_name": "b.jpg", "bbox": [0, 0, 1, 1]},
        {"file_name": "a.jpg", "bbox": [0, 0, 5, 5], "category_id": 2, "score": 0.9},
        {"file_name": "a.jpg", "bbox": [0, 0, 640, 480], "category_id": 1},
    ]
    found = detections(*entries).find(Path("a.jpg"))
    assert found.boxes.tolist() == [[10, 20, 40, 60], [0, 0, 640, 480]]
    assert found.scores.tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("key", "path", "there"),
    [
        ({"file_name": "a.jpg"}, "a.jpg", True),
        ({"file_name": "a.jpg"}, "photos/2024/a.jpg", True),
        ({"file_name": "2024/a.jpg"}, "photos/2024/a.jpg", True),
        ({"file_name": "./2024//a.jpg"}, "photos/2024/a.jpg", True),
        ({"file_name": "/photos/2024/a.jpg"}, "/photos/2024/a.jpg", True),
        ({"file_name": "a"}, "photos/a.jpg", True),
        ({"file_name": "2023/a.jpg"}, "photos/2024/a.jpg", False),
        ({"file_name": "a.jpg"}, "photos/ba.jpg", False),
        ({"image_id": 139}, "val2017/000000000139.jpg", True),
        ({"image_id": 139}, "COCO_val2014_000000000139.jpg", True),
        ({"image_id": "000000000139"}, "val2017/000000000139.jpg", True),
        ({"image_id": 9}, "000000000139.jpg", False),
        ({"image_id": 7, "file_name": "a.jpg"}, "7.jpg", False),
        ({"image_id": 7, "file_name": None}, "7.jpg", True),
    ],
)
def test_an_entry_names_its_image(detections, key, path, there):
    assert len(detections({**key, "bbox": BOX}).find(Path(path)).boxes) == there


def test_the_longest_end_of_the_path_decides(detections):
    entries = [{"file_name": name, "bbox": [0, 0, n, n]} for n, name in enumerate(["a.jpg", "y/a.jpg", "z/a.jpg"], 1)]
    file = detections(*entries)
    sides = [np.ptp(file.find(Path(path)).boxes[0, [0, 2]]) for path in ("x/a.jpg", "x/y/a.jpg", "z/a.jpg")]
    assert sides == [1, 2, 3]


GOOD = {"file_name": "a.jpg", "bbox": BOX, "score": 0.5}
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (None, "table"),
        (5, "table"),
        ("a.jpg\n", "table"),
        ([BOX], "table"),
        ({}, "file_name"),
        ({"bbox": BOX}, "image_id"),
        ({"file_name": "a.jpg"}, "'bbox' is missing"),
        *((GOOD | {"file_name": name}, "file_name") for name in (["a.jpg"], 1.5, {})),
        *(({"image_id": name, "bbox": BOX}, "image_id") for name in (None, [1], 1.5)),
        *((GOOD | {"category_id": category}, "category_id") for category in (None, [1])),
        *((GOOD | {"score": score}, "score") for score in (None, "high", [0.5], {}, -0.01, 1.01, NAN, INF, 10**400)),
        *(
            (GOOD | {"bbox": box}, "bbox")
            for box in (None, "abc", {}, 5, [], [1], [1, 2, 3], [1, 2, 3, 4, 5], [BOX, BOX])
        ),
        *((GOOD | {"bbox": [1, 2, wrong, 4]}, "bbox") for wrong in (None, "x", [3], NAN, INF, 1e300, 10**400)),
        *((GOOD | {"bbox": box}, "no area") for box in ([1, 2, -3, 4], [1, 2, 0, -4])),
    ],
    ids=lambda v: f"{v!r:.60}",
)
def test_a_wrong_entry_is_one_line_with_its_place(detections, tmp_path, refused, entry, word):
    with refused(tmp_path / "boxes.json", "entry 1: ", word):
        detections(GOOD, entry)


@pytest.mark.parametrize("name", ["images", "categories"])
def test_what_should_be_a_list_of_a_coco_file_and_is_none_is_passed_over(tmp_path, name):
    content = {"annotations": [{"image_id": 3, "bbox": BOX}], name: 0.5}
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    assert list(read_detections(tmp_path / "boxes.json").of) == [3]


@pytest.mark.parametrize("content", ["null", "{}", '{"annotations": {}}', "5"])
def test_json_that_is_no_list_is_one_line(tmp_path, refused, content):
    (tmp_path / "boxes.json").write_text(content)
    with refused(tmp_path / "boxes.json", "list"):
        read_detections(tmp_path / "boxes.json")


@pytest.mark.parametrize("box", [[1, 2, 0, 4], [1, 2, 3, 0], [0, 0, 0, 0]])
def test_an_empty_box_is_counted_and_left_out(detections, box):
    file = detections(GOOD, GOOD | {"bbox": box}, {"file_name": "b.jpg", "bbox": box})
    assert file.empty == 2
    assert len(file.find(Path("a.jpg")).boxes) == 1
    assert file.match([Path("b.jpg")]) == ["b.jpg"]
    assert file.find(Path("b.jpg")).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("names", "paths", "keys"),
    [
        (["a.jpg"], ["x/a.jpg", "x/b.jpg"], ["a.jpg", None]),
        (["/data/x/a.jpg"], ["x/a.jpg"], ["/data/x/a.jpg"]),
        (["y/a.jpg"], ["x/a.jpg"], ["y/a.jpg"]),
        (["y/a.jpg"], ["x/a.jpg", "z/a.jpg"], [None, None]),
        (["y/a.jpg", "z/a.jpg"], ["x/a.jpg"], [None]),
        (["y/a.jpg"], ["x/a.jpg", "y/a.jpg"], [None, "y/a.jpg"]),
    ],
)
def test_a_name_in_another_folder_is_taken_where_it_is_unique(detections, names, paths, keys):
    file = detections(*({"file_name": name, "bbox": BOX} for name in names))
    assert file.match([Path(path) for path in paths]) == keys


def test_the_image_id_is_the_files_own(detections):
    file = detections({"file_name": "a.jpg", "image_id": 7, "bbox": BOX}, {"image_id": 9, "bbox": BOX}, GOOD)
    assert [file.image_id(key) for key in ("a.jpg", 9, "b.jpg", None)] == [7, 9, None, None]


def test_which_boxes_meet_the_image():
    boxes = np.array([[-9, -9, 1, 1], [-9, -9, 0, 9], [63.9, 47.9, 99, 99], [64, 0, 99, 9], [0, 48, 9, 99]])
    assert meets_image(boxes, (48, 64)).tolist() == [True, False, True, False, False]
    assert meets_image(np.zeros((0, 4)), (48, 64)).shape == (0,)


@pytest.mark.parametrize("name", ["C:\\pics\\e\u0301 a.jpg", "./\xe9%20a.jpg", "pics/\xe9 a.jpg"])
@pytest.mark.parametrize("path", ["\xe9 a.jpg", "e\u0301 a.jpg", "pics/\xe9%20a.jpg"])
def test_every_spelling_of_a_name_is_the_same_image(detections, name, path):
    file = detections(GOOD | {"file_name": name})
    (key,) = file.match([Path(path)])
    assert len(file.of[key].boxes) == 1


@pytest.mark.parametrize("image_id", ["im_7", "im_7.jpg", "photos/im_7", 7, 7.0])
def test_image_ids_are_numbers_names_or_stems(detections, image_id):
    assert len(detections({"image_id": image_id, "bbox": BOX}).find(Path("photos/im_7.jpg")).boxes) == 1


def test_the_only_category_counts_whatever_its_number(detections):
    file = detections(GOOD | {"category_id": 0}, GOOD | {"category_id": 0.0})
    assert (len(file.find(Path("a.jpg")).boxes), file.other) == (2, 0)


def test_boxes_of_other_categories_are_counted(detections, tmp_path, refused):
    file = detections(GOOD, GOOD | {"category_id": 3})
    assert (len(file.find(Path("a.jpg")).boxes), file.other) == (1, 1)
    with refused(tmp_path / "boxes.json", "no box of category 1, only of 0, 3"):
        detections(GOOD | {"category_id": 0}, GOOD | {"category_id": 3})


def test_a_file_without_any_box_of_width_and_height_is_refused(detections, tmp_path, refused):
    with refused(tmp_path / "boxes.json", "no box with width and height"):
        detections(GOOD | {"bbox": [1, 2, 0, 4]})


def test_the_category_of_the_keypoints_comes_first(tmp_path, refused):
    names = {1: "cage", 2: "Bug", 3: "person"}
    content = {
        "images": [{"id": 5, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 5, "category_id": k, "bbox": [k, 0, 9, 9]} for k in names],
        "categories": [{"id": k, "name": name} for k, name in names.items()],
    }
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    found = [read_detections(path, subject).find(Path("a.jpg")).boxes[:, 0].tolist() for subject in ("bug", "mouse")]
    assert found == [[2], [3]]
    path.write_text(json.dumps(content | {"categories": content["categories"][:2]}))
    with refused(path, "several categories ('cage', 'Bug'), and none is called mouse"):
        read_detections(path, "mouse")


def test_the_boxes_of_labels_are_those_of_its_people_without_crowds(tmp_path):
    content = {
        "images": [{"id": 5, "file_name": "a.jpg"}],
        "annotations": [
            {"image_id": 5, "category_id": 2, "bbox": BOX, "iscrowd": crowd, "keypoints": [1, 2, 2]} for crowd in (0, 1)
        ]
        + [{"image_id": 5, "category_id": 1, "bbox": BOX}],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "mouse", "keypoints": ["nose"]}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(content))
    file = read_detections(tmp_path / "labels.json")
    assert (len(file.find(Path("a.jpg")).boxes), file.crowds, file.other) == (1, 1, 1)


def test_boxes_of_a_coco_file_are_those_of_people(tmp_path):
    content = {
        "images": [{"id": 5, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 5, "category_id": k, "bbox": [k, 0, 9, 9]} for k in (2, 1, 1)],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "Person"}, {"id": 3, "name": "mouse"}],
    }
    (tmp_path / "boxes.json").write_text("\ufeff" + json.dumps(content))
    file = read_detections(tmp_path / "boxes.json")
    assert (len(file.find(Path("x/a.jpg")).boxes), file.other) == (1, 2)
