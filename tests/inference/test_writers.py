import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.inputs import Frame
from hevitpose.inference.writers import CocoLabels, CocoResults, CsvFile, JsonFiles

MOUSE = Skeleton("mouse", ("snout", "tail"), (0, 1))
IMAGE = np.zeros((480, 640, 3), dtype=np.uint8)
ENTRY = {"category_id": 1, "keypoints": [10.12, 20.46, 0.9877, -3.0, 7.89, 0.01], "score": 0.5}


def poses(count, file="a.jpg"):
    """`count` times the same mouse, whose tail is absent."""
    keypoints = np.array([[10.123, 20.456], [np.nan, np.nan]])
    return ImagePoses(
        MOUSE,
        (640, 480),
        np.tile([10.0, 20, 40, 60], (count, 1)),
        np.tile(keypoints, (count, 1, 1)),
        np.tile([0.98765, 0.01], (count, 1)),
        np.full(count, 0.5),
        np.tile([[10.123, 20.456], [-3.0, 7.891]], (count, 1, 1)),
        file,
        "m",
    )


def write(writer, *counts):
    for index, count in enumerate(counts):
        writer.write(Frame(IMAGE, index=index, target=f"{index}"), poses(count, f"{index}.jpg"))
    writer.close()


def test_a_json_file_per_image(tmp_path):
    write(JsonFiles(tmp_path), 0, 2)
    none, two = (json.loads((tmp_path / f"{n}.json").read_text()) for n in range(2))
    header = {"schema": "hevitpose.pose/1", "model": "m", "width": 640, "height": 480}
    assert none == header | {"file": "0.jpg", "people": []}
    person = {
        "score": 0.5,
        "box": [10, 20, 30, 40],
        "keypoints": {
            "snout": {"x": 10.12, "y": 20.46, "score": 0.9877},
            "tail": {"x": None, "y": None, "score": 0.01},
        },
    }
    assert two["people"] == [person, person]


@pytest.mark.parametrize("counts", [(0,), (1, 0, 2)])
def test_coco_results_hold_every_keypoint(tmp_path, counts):
    write(CocoResults(tmp_path / "new" / "r.json", [7, 8, 9]), *counts)
    entries = [ENTRY | {"image_id": 7 + n, "file_name": f"{n}.jpg"} for n, k in enumerate(counts) for _ in range(k)]
    assert json.loads((tmp_path / "new" / "r.json").read_text()) == entries


@pytest.mark.parametrize("counts", [(0,), (1, 0, 2)])
def test_coco_labels_hold_images_categories_and_people(tmp_path, counts):
    write(CocoLabels(tmp_path / "labels.json", [7, 8, 9]), *counts)
    content = json.loads((tmp_path / "labels.json").read_text())
    assert [(image["id"], image["width"], image["height"]) for image in content["images"]] == [
        (7 + n, 640, 480) for n in range(len(counts))
    ]
    (category,) = content["categories"]
    assert (category["name"], category["keypoints"]) == ("mouse", ["snout", "tail"])
    assert [each["id"] for each in content["annotations"]] == list(range(1, sum(counts) + 1))
    for each in content["annotations"]:
        assert (each["keypoints"], each["num_keypoints"]) == ([10.12, 20.46, 2, 0, 0, 0], 1)
        assert (each["bbox"], each["iscrowd"], each["score"]) == ([10.0, 20.0, 30.0, 40.0], 0, 0.5)
        assert each["area"] == pytest.approx(0.53 * 1200)


def test_the_box_of_a_label_holds_its_keypoints_and_ends_at_the_edge(tmp_path):
    writer = CocoLabels(tmp_path / "labels.json", [1])
    wide = replace(poses(1), boxes=np.array([[40.0, -9, 700, 60]]))
    writer.write(Frame(IMAGE), wide)
    writer.close()
    (one,) = json.loads((tmp_path / "labels.json").read_text())["annotations"]
    assert one["bbox"] == pytest.approx([10.62, 0, 640 - 10.62, 60], abs=0.01)


def test_csv_has_a_line_per_keypoint(tmp_path):
    write(CsvFile(tmp_path / "r.csv"), 1, 0)
    assert list(csv.reader((tmp_path / "r.csv").read_text().splitlines())) == [
        ["file", "person", "keypoint", "x", "y", "score"],
        ["0.jpg", "1", "snout", "10.12", "20.46", "0.9877"],
        ["0.jpg", "1", "tail", "", "", "0.01"],
    ]


@pytest.mark.parametrize("make", [lambda path: CocoResults(path, [1]), CsvFile, lambda path: CocoLabels(path, [1])])
def test_the_file_before_stays_until_the_new_one_is_whole(tmp_path, make):
    path = tmp_path / "results.txt"
    write(make(path), 1)
    whole = path.read_text()
    path.write_text("before")
    make(path).close()
    assert path.read_text() == "before"
    writer = make(path)
    writer.write(Frame(IMAGE), poses(1, "0.jpg"))
    assert path.read_text() == "before"
    writer.close()
    assert path.read_text() == whole
    assert [file.name for file in tmp_path.iterdir()] == ["results.txt"]


def test_results_may_have_a_name_as_long_as_names_may_be(tmp_path):
    write(CsvFile(tmp_path / f"{'a' * 251}.csv"), 1)
    assert [len(file.name) for file in tmp_path.iterdir()] == [255]


@pytest.mark.parametrize("make", [lambda path: CocoResults(path, [1, 2, 3]), CsvFile])
def test_a_disk_that_fills_at_any_byte_leaves_the_former_results(tmp_path, full_disk, make):
    """`predict_files` closes its writers also after an error."""
    path = tmp_path / "results"
    write(make(path), 1, 2, 1)
    whole = path.stat().st_size
    path.write_text("former")
    for size in range(0, whole, 3):
        writer = make(path)
        with pytest.raises(InputError, match="cannot be written"), full_disk(size):
            write(writer, 1, 2, 1)
        with full_disk(size):
            writer.close()
        assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("results", "former")]
