import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.labels import ImageFile, LabelledPeople
from hevitpose.core.skeleton import Skeleton
from hevitpose.data.coco import read_coco
from hevitpose.data.convert import coco_content, unique_names, write_coco, write_yolo
from hevitpose.data.find import find_dataset

MOUSE = Skeleton("mouse", ("snout", "ear_a", "ear_b"), (0, 2, 1), ((0, 1),), (0.05, 0.1, 0.1))


@pytest.fixture
def mice(tmp_path):
    """Two mice in the second of two images of 40 x 20."""
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 20), (name == "b.png" and "red") or "blue").save(tmp_path / "photos" / name)
    return LabelledPeople(
        name="mice",
        skeleton=MOUSE,
        images=tuple(ImageFile(name, tmp_path / "photos") for name in ("a.png", "b.png")),
        image_ids=(7, 8),
        image_index=np.array([1, 1]),
        ids=np.array([5, 5]),
        boxes=np.array([[-0.5, 1.5, 19.5, 11.5], [3, 4, 13, 14]]),
        keypoints=np.array([[[1, 2.25], [3, 4], [99, 99]], [[10, 11], [0, 0], [12, 13]]]),
        visibility=np.array([[2, 1, 0], [2, 0, 2]], dtype=np.int8),
        head_sizes=np.array([np.nan, 9.0]),
        areas=np.array([55.0, np.nan]),
    )


def same(read, mice):
    assert read.skeleton.keypoints == mice.skeleton.keypoints
    assert read.skeleton.mirror == mice.skeleton.mirror
    assert read.boxes == pytest.approx(mice.boxes, abs=1e-3)
    assert read.keypoints == pytest.approx(np.where(mice.labelled[..., None], mice.keypoints, 0), abs=1e-3)
    assert read.visibility.tolist() == mice.visibility.tolist()


def test_a_coco_file_reads_back(tmp_path, mice):
    write_coco(mice, tmp_path / "out" / "mice.json")
    content = json.loads((tmp_path / "out" / "mice.json").read_text())
    assert content["images"][1] == {"id": 2, "file_name": "../photos/b.png", "width": 40, "height": 20}
    # Numbered anew; an area from the box where there was none.
    assert [person["id"] for person in content["annotations"]] == [1, 2]
    assert [person["area"] for person in content["annotations"]] == [55, 53]
    read = read_coco(tmp_path / "out" / "mice.json", tmp_path / "out", "mice")
    same(read, mice)
    assert (read.skeleton, read.skeleton.sigmas) == (MOUSE, MOUSE.sigmas)
    assert read.head_sizes.tolist() == pytest.approx([np.nan, 9], nan_ok=True)
    assert read.images[1].folder.joinpath(read.images[1].name).samefile(tmp_path / "photos" / "b.png")


def test_images_of_an_archive_stay_there(tmp_path, mice):
    file = ImageFile("b.png", tmp_path / "photos", "all.zip")
    images = coco_content(replace(mice, images=(file, file)), tmp_path, [(4, 3)] * 2)["images"]
    assert images[0] == {"id": 1, "file_name": "b.png", "archive": "photos/all.zip", "width": 4, "height": 3}


def test_a_yolo_data_set_reads_back(tmp_path, mice):
    write_yolo([mice, replace(mice, name="near")], tmp_path / "yolo")
    found = find_dataset(str(tmp_path / "yolo"))
    for split in (found.train, found.validation[0]):
        read = split.read()
        same(read, mice)
        assert read.skeleton.name == "mouse"
        assert read.image_index.tolist() == [1, 1]
    assert (tmp_path / "yolo" / "images" / "near" / "b.png").read_bytes() == (tmp_path / "photos/b.png").read_bytes()


def test_every_set_of_a_yolo_data_set_has_its_name(tmp_path, mice):
    write_yolo([mice, replace(mice, name="test"), replace(mice, name="val")], tmp_path / "yolo")
    lines = (tmp_path / "yolo" / "data.yaml").read_text().splitlines()
    assert lines[:3] == ['train: "images/train"', 'test: "images/test"', 'val: "images/val"']


def test_what_cannot_be_written_is_one_line(tmp_path, mice, refused):
    with refused(tmp_path, "not an empty folder"):
        write_yolo([mice], tmp_path)
    other = replace(mice, name="other", skeleton=replace(MOUSE, keypoints=("nose", "ear_a", "ear_b")))
    with refused("other", "other keypoints than mice"):
        write_yolo([mice, other], tmp_path / "yolo")
    lost = replace(mice, images=(mice.images[0], ImageFile("lost.png", tmp_path)))
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for folder in ("lost", "empty", "new/lost"):
        with refused(tmp_path / "lost.png", "no such file"):
            write_yolo([lost], tmp_path / folder)
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != "new"] == before
    with refused(tmp_path / "photos" / "a.png" / "x.json", "cannot be written"):
        write_coco(mice, tmp_path / "photos" / "a.png" / "x.json")


def test_images_of_the_same_name_get_their_folders_name(tmp_path, mice):
    for folder in ("v1", "v2"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (40, 20)).save(tmp_path / folder / "0.png")
    twins = replace(mice, images=tuple(ImageFile(f"{folder}/0.png", tmp_path) for folder in ("v1", "v2")))
    write_yolo([twins], tmp_path / "yolo")
    assert sorted(p.name for p in (tmp_path / "yolo" / "images" / "train").iterdir()) == ["v1_0.png", "v2_0.png"]
    same(find_dataset(str(tmp_path / "yolo")).train.read(), mice)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([], []),
        (["a/0.png", "b/1.png"], ["0.png", "1.png"]),
        (["a/x/0.png", "b/x/0.png", "b/x/1.png"], ["a_x_0.png", "b_x_0.png", "1.png"]),
        (["a/0.png", "a/0.jpg"], ["a_0.png", "a_0_2.jpg"]),
    ],
)
def test_names_become_unique_with_as_few_folders_as_possible(paths, names):
    assert unique_names([ImageFile(path, Path()) for path in paths]) == names
