import dataclasses
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from hevitpose.core import geometry
from hevitpose.core.geometry import BOX_PADDING
from hevitpose.core.labels import ImageFile, LabelledPeople
from hevitpose.core.skeleton import Skeleton
from hevitpose.data import crops as crops_module
from hevitpose.data.crops import cut_people, cut_people_at
from hevitpose.io import images

DOTS = Skeleton("dots", ("red", "green", "blue"), (0, 1, 2))
SIZE_WH = (230, 180)


def people_with(folder, names, image_index, joints, boxes):
    number = len(boxes)
    return LabelledPeople(
        name="dots",
        skeleton=DOTS,
        images=tuple(ImageFile(name, folder) for name in names),
        image_ids=tuple(range(len(names))),
        image_index=np.array(image_index, dtype=np.int64),
        ids=np.arange(number),
        boxes=np.array(boxes, dtype=float).reshape(-1, 4),
        keypoints=joints,
        visibility=np.full((number, 3), 2, dtype=np.int8),
        head_sizes=np.full(number, np.nan),
        areas=np.full(number, np.nan),
    )


@pytest.fixture
def dots(tmp_path):
    """Six persons in three of four images, not in their order; a soft dot of its own colour at each joint."""
    random = np.random.default_rng(5)
    image_index = [3, 0, 1, 3, 0, 3]
    corners = random.uniform(5, 70, (6, 2))
    boxes = np.concatenate([corners, corners + random.uniform(50, 90, (6, 2))], axis=1)
    joints = boxes[:, None, :2] + random.uniform(0.3, 0.7, (6, 3, 2)) * (boxes[:, None, 2:] - boxes[:, None, :2])
    y, x = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]]
    for n in range(4):
        image = np.zeros((*SIZE_WH[::-1], 3))
        # One person an image shows its dots, so that none disturbs another's: the last one of the image.
        for person in [p for p, owner in enumerate(image_index) if owner == n][-1:]:
            for k, (joint_x, joint_y) in enumerate(joints[person]):
                image[..., k] = 250 * np.exp(-((x - joint_x) ** 2 + (y - joint_y) ** 2) / (2 * 4.0**2))
        Image.fromarray(image.round().astype(np.uint8)).save(tmp_path / f"{n}.png")
    return people_with(tmp_path, [f"{n}.png" for n in range(4)], image_index, joints, boxes)


@pytest.mark.parametrize(("size_hw", "padding"), [((96, 96), 1.25), ((128, 96), 1.0), ((32, 48), 2.0)])
def test_joints_land_on_their_dots(dots, size_hw, padding):
    crops = cut_people(dots, size_hw, padding)
    assert (crops.pixels.shape, crops.pixels.dtype) == ((6, *size_hw, 3), np.uint8)
    y, x = np.mgrid[: size_hw[0], : size_hw[1]]
    for person in (2, 4, 5):
        expected = geometry.transform(crops.matrices[person], dots.keypoints[person])
        for k in range(3):
            light = crops.pixels[person, ..., k].astype(float)
            centroid = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
            # In crop pixels.
            assert np.abs(centroid - expected[k]).max() < 0.05


def test_every_person_has_its_own_matrix_and_crop(dots):
    crops = cut_people(dots, (64, 48))
    for person, owner in enumerate(dots.image_index):
        box = geometry.crop_box(dots.boxes[person], BOX_PADDING, 48 / 64)
        assert crops.matrices[person] == pytest.approx(geometry.crop_matrix(box, (64, 48)))
        alone = images.cut(images.read(dots.images[owner]), crops.matrices[person], (64, 48))
        assert (crops.pixels[person] == alone).all()


def test_every_image_with_people_is_read_once(dots, monkeypatch):
    reads, done, read = [], [], images.read

    def counting(file):
        reads.append(file.name)
        return read(file)

    monkeypatch.setattr(images, "read", counting)
    cut_people(dots, (32, 32), on_progress=lambda progress: done.append((progress.done, progress.total)))
    assert Counter(reads) == {"0.png": 1, "1.png": 1, "3.png": 1}
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_crops_in_a_folder_are_the_same_and_are_found_again(dots, tmp_path, monkeypatch):
    in_memory = cut_people(dots, (64, 48))
    on_disk = cut_people(dots, (64, 48), folder=tmp_path / "cache")
    assert (on_disk.pixels == in_memory.pixels).all()
    monkeypatch.setattr(images, "read", lambda file: pytest.fail(f"{file} was read again"))
    again = cut_people(dots, (64, 48), folder=tmp_path / "cache")
    assert isinstance(again.pixels, np.memmap)
    assert (again.pixels == in_memory.pixels).all()


def test_what_a_crash_left_undone_is_cut_and_nothing_else(dots, tmp_path, monkeypatch):
    monkeypatch.setattr(crops_module, "IMAGES_PER_FLUSH", 1)
    read = images.read

    def breaking(file):
        if file.name == "3.png":
            raise KeyboardInterrupt
        return read(file)

    monkeypatch.setattr(images, "read", breaking)
    with pytest.raises(KeyboardInterrupt):
        cut_people(dots, (32, 32), folder=tmp_path / "cache")
    reads = []
    monkeypatch.setattr(images, "read", lambda file: (reads.append(file.name), read(file))[1])
    crops = cut_people(dots, (32, 32), folder=tmp_path / "cache")
    assert reads == ["3.png"]
    assert (crops.pixels == cut_people(dots, (32, 32)).pixels).all()


@pytest.mark.parametrize("what", ["boxes", "padding", "size", "image"])
def test_other_crops_are_not_taken_for_these(dots, tmp_path, what):
    cut_people(dots, (32, 32), folder=tmp_path / "cache")
    size_hw, padding = (32, 48) if what == "size" else (32, 32), 1.5 if what == "padding" else BOX_PADDING
    if what == "boxes":
        dots = dataclasses.replace(dots, boxes=dots.boxes + 3)
    if what == "image":
        Image.new("RGB", SIZE_WH, "white").save(tmp_path / "0.png")
    crops = cut_people(dots, size_hw, padding, folder=tmp_path / "cache")
    assert (crops.pixels == cut_people(dots, size_hw, padding).pixels).all()


def test_a_folder_that_cannot_be_written_is_one_line(dots, tmp_path, refused):
    (tmp_path / "cache").write_text("a file")
    with refused(tmp_path / "cache", "crops cannot be kept there"):
        cut_people(dots, (32, 32), folder=tmp_path / "cache")


def test_nobody_gives_no_crops(tmp_path):
    crops = cut_people(people_with(tmp_path, [], [], np.zeros((0, 3, 2)), []), (32, 24))
    assert (crops.pixels.shape, crops.matrices.shape) == ((0, 32, 24, 3), (0, 2, 3))


def test_a_image_that_cannot_be_read_is_one_line(dots, tmp_path, refused):
    for n in (1, 3):
        (tmp_path / f"{n}.png").write_bytes(b"no image")
    with refused(tmp_path / "1.png", "not an image", "(and 1 more)"):
        cut_people(dots, (32, 32))


def test_several_sizes_decode_each_image_once(dots, tmp_path, monkeypatch):
    sizes = [(32, 32), (64, 48)]
    alone = {size_hw: cut_people(dots, size_hw).pixels for size_hw in sizes}
    cut_people(dots, sizes[0], folder=tmp_path / "cache")
    reads, read = [], images.read
    monkeypatch.setattr(images, "read", lambda file: (reads.append(file.name), read(file))[1])
    for folder in (None, tmp_path / "cache"):  # which already holds the first size
        reads.clear()
        together = cut_people_at(sizes, dots, folder=folder)
        assert sorted(reads) == ["0.png", "1.png", "3.png"]
        assert all((together[size_hw].pixels == alone[size_hw]).all() for size_hw in sizes)
