import json

import numpy as np
import pytest

from hevitpose.data.coco import mpii_boxes, read_coco, read_json

MOUSE = {"id": 7, "name": "mouse", "keypoints": ["snout", "leftear", "rightear"], "skeleton": [[1, 2], [1, 3]]}
PERSON = {
    "id": 3,
    "image_id": 20,
    "category_id": 7,
    "bbox": [10, 20, 30, 40],
    "keypoints": [1, 2, 2, 3.5, 4, 1, 0, 0, 0],
}
IMAGES = [{"id": 10, "file_name": "a.jpg"}, {"id": 20, "file_name": "b/b.jpg", "archive": "b.zip"}]


@pytest.fixture
def people(tmp_path):
    """Reads a file of these annotations; other parts of it by name."""

    def read(*annotations, **parts):
        content = {"images": IMAGES, "annotations": list(annotations), "categories": [MOUSE]} | parts
        (tmp_path / "mice.json").write_text(json.dumps(content))
        return read_coco(tmp_path / "mice.json", tmp_path / "photos", "mice")

    return read


def test_a_labelled_mouse_is_read_whole(people, tmp_path):
    mice = people(PERSON | {"area": 55, "head_size": 4})
    assert (mice.name, len(mice), mice.image_ids) == ("mice", 1, (10, 20))
    assert [str(file) for file in mice.images] == [
        str(tmp_path / "photos" / "a.jpg"),
        str(tmp_path / "photos" / "b.zip" / "b/b.jpg"),
    ]
    assert (mice.image_index.tolist(), mice.ids.tolist(), mice.areas.tolist()) == ([1], [3], [55])
    # COCO's boxes are measured from the corner of the first pixel, keypoints are taken as they are.
    assert mice.boxes.tolist() == [[10, 20, 40, 60]]
    assert mice.keypoints.tolist() == [[[1, 2], [3.5, 4], [0, 0]]]
    assert mice.visibility.tolist() == [[2, 1, 0]]
    assert mice.labelled.tolist() == [[True, True, False]]


@pytest.mark.parametrize(
    ("category", "mirror"),
    [
        (MOUSE, (0, 2, 1)),
        (MOUSE | {"keypoints": ["snout", "ear_a", "ear_b"]}, (0, 1, 2)),
        (MOUSE | {"keypoints": ["snout", "ear_a", "ear_b"], "flip_pairs": [[1, 2]]}, (0, 2, 1)),
        (MOUSE | {"flip_pairs": []}, (0, 1, 2)),
    ],
)
def test_the_category_names_keypoints_partners_and_limbs(people, category, mirror):
    skeleton = people(PERSON, categories=[{"id": 1, "name": "cage"}, category]).skeleton
    assert skeleton.keypoints == tuple(category["keypoints"])
    assert skeleton.mirror == mirror
    assert skeleton.limbs == ((0, 1), (0, 2))


def test_only_labelled_mice_are_kept_in_their_order(people):
    left_out = [
        {"iscrowd": 1},
        {"category_id": 8},
        {"keypoints": []},
        {"keypoints": None},
        {"keypoints": [5, 5, 0] * 3},
        {"keypoints": [5, 5, 0] * 3, "bbox": [0, 0, 0, 0]},
    ]
    mice = people(PERSON | {"id": 9}, *(PERSON | change for change in left_out), PERSON | {"id": 4, "iscrowd": 0})
    assert mice.ids.tolist() == [9, 4]
    # What is of the category and has a place is neither right nor wrong.
    assert mice.ignored.crowds.tolist() == [True, False, False, False]
    assert mice.ignored.image_index.tolist() == [mice.image_index[0]] * 4
    assert (mice.ignored.boxes == mice.boxes[0]).all()


def test_center_and_scale_give_hrnets_box(people):
    # HRNet: the centre moves down by 15 * 1.5, the side is 200 * 1.5.
    expected = [100.5 - 150, 50.5 + 22.5 - 150, 100.5 + 150, 50.5 + 22.5 + 150]
    assert people(PERSON | {"center": [100, 50], "scale": 1.5}).boxes.tolist() == [expected]
    assert mpii_boxes(np.array([[100.0, 50]]), np.array([1.5])).tolist() == [expected]
    assert mpii_boxes(np.zeros((0, 2)), np.zeros(0)).shape == (0, 4)


def test_center_without_scale_leaves_the_bbox(people):
    assert people(PERSON | {"center": [100, 50], "scale": None}).boxes.tolist() == [[10, 20, 40, 60]]


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ({}, np.nan),
        ({"head_size": None, "head_box": None}, np.nan),
        ({"head_box": [10, 20, 40, 60]}, 0.6 * 50),
        ({"head_size": 12.5}, 12.5),
        ({"head_size": 12.5, "head_box": [0, 0, 3, 4]}, 12.5),
    ],
)
def test_head_size_is_given_or_follows_from_the_head_box(people, head, size):
    assert people(PERSON | head).head_sizes == pytest.approx([size], nan_ok=True)


def test_what_is_not_said_is_nan(people):
    mice = people(PERSON)
    assert np.isnan([mice.areas, mice.head_sizes]).all()


NO_NUMBERS = [None, "abc", {}, {"x": 1}, [], [1], [[1, 2], 3], [1, None], [1, "b"]]
NO_SIZE = ["abc", [], [1, 2], {}, -1, float("nan"), float("inf"), 10**400]


WRONG = {
    "id": [None, "abc", [], {}, 1.5, float("nan"), 10**30],
    "image_id": [None, "21", 21, [20], {}, float("nan")],
    "keypoints": [
        *("abc", {"snout": [1, 2]}, 5, [1], [1, 2, 2] * 2, [1, 2, 2] * 4, [[1, 2, 2], [1, 2], [1, 2, 2]]),
        *([1, 2, "b"] * 3, [1, None, 2] * 3, [float("nan"), 2, 2] * 3, [float("inf"), 2, 2] * 3),
        *([1e9, 2, 2] * 3, [-1e300, 2, 2] * 3, [10**400, 2, 2] * 3),
        *([1, 2, 3] * 3, [1, 2, 0.9] * 3, [1, 2, -1] * 3, [1, 2, 258] * 3),
    ],
    "bbox": [
        *(*NO_NUMBERS, 5, [1, 2, 3], [1, 2, 3, 4, 5], [10, 20, 0, 40], [10, 20, 30, -40], [1, 2, 3, "x"]),
        *([1, float("nan"), 3, 4], [1, 2, float("inf"), 4], [-1e9, 2, 3, 4], [1, 2, 1e300, 4], [1, 2, 10**400, 4]),
    ],
    "center": [*NO_NUMBERS[1:], 5, [5], [[5]], [1, 2, 3], [1, float("nan")], [1, 1e300]],
    "scale": ["abc", [], [1, 2], {}, 0, -1, float("nan"), float("inf"), 1e300, 10**400],
    "head_box": [*NO_NUMBERS[1:], 5, [1, 2, 3], [1, 2, 3, float("nan")], [1, 2, 3, 1e300]],
    "head_size": NO_SIZE,
    "area": NO_SIZE,
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field in WRONG for value in WRONG[field]], ids=lambda v: f"{v!r:.20}"
)
def test_a_wrong_field_is_one_line_with_file_and_annotation(people, tmp_path, refused, field, value):
    by_center = {"center": [100, 50], "scale": 1.5} if field in ("center", "scale") else {}
    wrong = PERSON | by_center | {field: value}
    # A scale of 0 or -1 is a number, but the box that it makes has no area.
    word = "box" if field == "bbox" or (field, value) in (("scale", 0), ("scale", -1)) else field
    with refused(tmp_path / "mice.json", f"annotation {wrong['id']!r:.80}: ", word):
        people(PERSON, wrong)


@pytest.mark.parametrize("field", ["id", "image_id", "category_id", "bbox"])
def test_a_missing_field_is_named(people, tmp_path, refused, field):
    rest = {key: value for key, value in PERSON.items() if key != field}
    with refused(tmp_path / "mice.json", f"annotation {rest.get('id')}: '{field}' is missing"):
        people(rest)


@pytest.mark.parametrize("annotation", [None, 5, "abc\n", [], [PERSON]])
def test_an_annotation_that_is_no_table_is_one_line(people, tmp_path, refused, annotation):
    with refused(tmp_path / "mice.json", f"annotation {annotation!r:.80}"):
        people(annotation)


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"images": None}, "images"),
        ({"annotations": {}}, "annotations"),
        ({"categories": "mouse"}, "categories"),
        ({"categories": []}, "none"),
        ({"categories": [None, 5, {"keypoints": ["a"]}]}, "none"),
        (
            {"categories": [MOUSE | {"id": 8, "name": "a\nb"}, MOUSE | {"id": 9, "keypoints": ["a"]}]},
            "the same keypoint names",
        ),
        ({"categories": [MOUSE | {"keypoints": "snout"}]}, "keypoint names"),
        ({"categories": [MOUSE | {"keypoints": {"snout": 1}}]}, "keypoint names"),
        ({"categories": [MOUSE | {"flip_pairs": [[0, 9]]}]}, "flip_pairs"),
        ({"categories": [MOUSE | {"flip_pairs": [[0, 1], [1, 2]]}]}, "mirror"),
        ({"categories": [MOUSE | {"skeleton": 5}]}, "skeleton"),
        ({"images": [None]}, "image None"),
        ({"images": [{"file_name": "a.jpg"}]}, "needs id"),
        ({"images": [{"id": [1], "file_name": "a.jpg"}]}, "needs id"),
        ({"images": [{"id": 1, "file_name": None}]}, "file_name"),
        ({"images": [{"id": 1, "file_name": "a.jpg", "archive": 5}]}, "archive"),
        ({"images": [IMAGES[0], IMAGES[0]]}, "two images have the id 10"),
        ({"annotations": []}, "no person"),
        ({"annotations": [PERSON | {"iscrowd": 1}]}, "'mouse'"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(people, tmp_path, refused, parts, word):
    with refused(tmp_path / "mice.json", word):
        people(PERSON, **parts)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "JSON"),
        (b"[1, 2", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"1" * 5000, "JSON"),
        (b'{"a": "\xff"}', "cannot be read"),
        (None, "no such file"),
    ],
    ids=["empty", "cut", "deep", "long", "latin-1", "missing"],
)
def test_a_file_that_is_no_json_is_one_line(tmp_path, refused, content, reason):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with refused(tmp_path / "a.json", reason):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("content", ["null", "5", "[]", '"text"'])
def test_json_that_is_no_coco_file_is_one_line(tmp_path, refused, content):
    (tmp_path / "a.json").write_text(content)
    with refused(tmp_path / "a.json", "images, annotations and categories"):
        read_coco(tmp_path / "a.json", tmp_path, "a")
