import json

import pytest
from PIL import Image

from hevitpose.data.check.rules import check_sets
from hevitpose.data.find import find_dataset
from hevitpose.data.labelme import read_labelme


def shape(label, *points, group=None, kind="point"):
    return {"label": label, "points": points, "group_id": group, "shape_type": kind}


@pytest.fixture
def write(tmp_path):
    """Writes the labels of an image of 40 x 20."""

    def labels(name, *shapes, image=None):
        Image.new("RGB", (40, 20)).save(tmp_path / f"{name}.png")
        content = {"version": "5", "imagePath": image or f"{name}.png", "shapes": shapes}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))

    return labels


def test_points_of_a_group_are_a_person(tmp_path, write):
    write("a", shape("snout", [1, 2], group=1), shape("tail", [3, 4], group=2), shape("tail", [5, 6], group=1))
    write("b", shape("tail", [7, 8]), shape("mouse", [30, 10], [2, 0], kind="rectangle"), image="C:\\x\\b.png")
    write("c")
    split = find_dataset(str(tmp_path)).train
    people = split.read()
    assert people.skeleton.keypoints == ("snout", "tail")
    assert people.image_index.tolist() == [0, 0, 1]
    assert people.keypoints.tolist() == [[[1, 2], [5, 6]], [[0, 0], [3, 4]], [[0, 0], [7, 8]]]
    assert people.visibility.tolist() == [[2, 2], [0, 2], [0, 2]]
    assert people.boxes[2].tolist() == [2.0, 0.0, 30.0, 10.0]
    assert [file.name for file in people.images] == ["a.png", "b.png", "c.png"]
    assert people.findings == ()
    Image.new("RGB", (40, 20)).save(tmp_path / "d.png")
    assert [f.problem for f in split.read().findings] == ["1 of 4 images have no labels (d.png)"]
    assert {fault.level for fault in check_sets([split], open_images=True)} == {"warning"}


def test_a_damaged_file_among_them_is_named_and_other_tools_files_are_passed_over(tmp_path, write, refused):
    write("a", shape("snout", [1, 2]))
    (tmp_path / "b.json").write_text(json.dumps({"project": {"shapes": [], "imagePath": "x"}}))
    assert len(read_labelme(tmp_path, "mice").images) == 1
    (tmp_path / "c.json").write_text((tmp_path / "a.json").read_text()[:-1])
    with refused(tmp_path / "c.json", "not valid JSON"):
        read_labelme(tmp_path, "mice")


def test_other_shapes_are_counted(tmp_path, write):
    write("a", shape("snout", [1, 2]), shape("fur", [1, 2], [3, 4], kind="polygon"))
    (finding,) = read_labelme(tmp_path, "mice").findings
    assert (finding.kind, "1 of polygon" in finding.problem) == ("other shapes", True)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ((shape("a", [1, 2]), shape("a", [3, 4])), ("shape 1", "second 'a'", "group_id")),
        ((shape("a", [1]),), ("shape 0", "points must be 2 numbers")),
        ((5,), ("shape 0", "needs shape_type")),
        (({"label": "a"},), ("shape 0", "needs shape_type")),
    ],
)
def test_a_wrong_shape_is_one_line(tmp_path, write, refused, shapes, words):
    write("a", *shapes)
    with refused(tmp_path / "a.json", *words):
        read_labelme(tmp_path, "mice")


def test_no_point_at_all_is_one_line(tmp_path, write, refused):
    write("a")
    with refused(tmp_path, "no point in the 1 files"):
        read_labelme(tmp_path, "mice")
