"""tools/pseudo_labels.py and tools/near_duplicates.py on images whose content is known."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.errors import InputError
from hevitpose.data.coco import read_coco

TOOLS = str(Path(__file__).parents[1] / "tools")


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    import join_labels
    import near_duplicates
    import pseudo_labels

    yield pseudo_labels, near_duplicates, join_labels
    for name in ("pseudo_labels", "near_duplicates", "join_labels"):
        sys.modules.pop(name)


def scene(seed, size=(120, 90)):
    """An image of smooth random patches."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def test_copies_are_found_whole_squeezed_mirrored_and_cropped(tools, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    for seed in range(20):
        scene(seed).save(theirs / f"{seed}.png")
        scene(100 + seed).save(ours / f"other{seed}.png")
    scene(3).resize((64, 64)).save(ours / "squeezed.png")
    scene(4).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(ours / "mirrored.jpg", quality=60)
    around = Image.new("RGB", (300, 200), (90, 20, 160))
    around.paste(scene(5), (150, 40))
    around.save(ours / "around.png")
    Image.new("RGB", (40, 40), (1, 2, 3)).save(ours / "plain.png")
    (tmp_path / "ours.json").write_text(
        json.dumps([{"file_name": file.name, "bbox": [149, 41, 120, 88]} for file in ours.iterdir()])
    )
    files, thumbnails = tools[1].thumbnails_of(tools[1].boxed_images(tmp_path / "ours.json", ours))
    like, their_thumbnails = tools[1].thumbnails_of(tools[1].boxed_images(theirs))
    found = {(files[a].name, like[b].name) for a, b, _ in tools[1].alike(thumbnails, their_thumbnails)}
    assert found == {("squeezed.png", "3.png"), ("mirrored.jpg", "4.png"), ("around.png", "5.png")}


def opinions(tools, count=3):
    points = np.random.default_rng(0).uniform(0, 100, (count, len(tools[2].KEYPOINTS), 2))
    return [np.concatenate([points + shift, np.full((*points.shape[:2], 1), 0.9)], axis=-1) for shift in (-1, 0, 0, 1)]


def test_joints_are_labelled_where_all_are_sure_and_near_each_other(tools):
    views, lengths = opinions(tools), np.array([100.0, 100.0, 10.0])
    views[2][0, 4, 0] += 8  # within a tenth of every other
    views[3][0, 5, 1] += 12
    views[1][0, 6, 2] = 0.2
    joints = tools[0].agreed(views, lengths)
    assert joints[1, :, :2] == pytest.approx(views[1][1, :, :2])
    assert (joints[1, :, 2] == 2).all()
    assert joints[0, 4, 0] == pytest.approx(views[1][0, 4, 0] + 2)
    assert not joints[0, [5, 6]].any()
    assert (joints[0, :, 2] == 0).sum() == 2
    assert not joints[2].any()


@pytest.fixture
def people(tools, tmp_path):
    """Of two boxes in an image the second is small, and there is one in an image to leave out."""
    images = tmp_path / "images"
    images.mkdir()
    canvas = np.zeros((100, 140, 3), dtype=np.uint8)
    canvas[60, 40], canvas[70, 80] = 255, 200
    for name in ("a.png", "b.png"):
        Image.fromarray(canvas).save(images / name)
    boxes = [("a.png", [20, 10, 80, 80]), ("a.png", [5, 5, 20, 20]), ("b.png", [20, 10, 80, 80])]
    entries = [{"file_name": name, "bbox": bbox, "score": 0.5} for name, bbox in boxes]
    (tmp_path / "detections.json").write_text(json.dumps(entries))
    return tools[0].candidates(tmp_path / "detections.json", images, {"b.png"}, 64)


def test_boxes_left_out_are_counted(people, tools, tmp_path):
    assert people[0].boxes.tolist() == [[20, 10, 100, 90]]
    assert people[1] == {"below 64 pixels": 1, "in images like one that measures": 1}
    with pytest.raises(InputError, match="no box of a person is left"):
        tools[0].candidates(tmp_path / "detections.json", tmp_path / "images", {"a.png", "b.png"}, 64)


def test_the_mirrored_image_names_the_same_places(people, tools):
    """Of the two bright spots the finder calls the one further left the right knee, as in a person seen from ahead."""
    knees = [tools[2].KEYPOINTS.index(name) for name in ("r_knee", "l_knee")]

    def find(crops):
        joints, scores = np.zeros((len(crops), 21, 2)), np.zeros((len(crops), 21))
        for n, crop in enumerate(crops[..., 0].astype(float)):
            half = crop.shape[1] // 2
            for side, knee in zip((crop[:, :half], crop[:, half:]), knees, strict=True):
                y, x = np.unravel_index(side.argmax(), side.shape)
                joints[n, knee], scores[n, knee] = (x + half * (knee == knees[1]), y), 0.8
        return joints, scores

    plain, mirrored = tools[0].both_views(find, people[0], (200, 200))
    assert plain[0, knees, :2] == pytest.approx(np.array([[40, 60], [80, 70]]), abs=0.6)
    assert mirrored[0, knees] == pytest.approx(plain[0, knees], abs=0.6)
    joints = tools[0].agreed([plain, mirrored], np.array([80.0]))
    assert np.flatnonzero(joints[0, :, 2]).tolist() == sorted(knees)


def test_a_person_is_labelled_where_both_networks_agree_on_enough(people, tools):
    seen = []

    def finder(name, shift, known):
        def find(crops):
            seen.append((name, len(crops)))
            points = np.full((len(crops), 21, 2), 50.0)  # in the middle of the crop, so that mirrored ones agree
            points[..., 1] = 40 + shift
            return points, np.where(np.arange(21) < known, 0.9, 0.0) * np.ones((len(crops), 1))

        return find, (101, 101)

    label = tools[0].label
    joints = label(people[0], [finder("first", 0, 21), finder("second", 4, 16)], 16)
    assert (joints[0, :16, 2] == 2).all()
    assert not joints[0, 16:].any()
    assert [name for name, _ in seen] == ["first"] * 2 + ["second"] * 2
    assert not label(people[0], [finder("first", 0, 21), finder("second", 4, 16)], 17).any()
    assert not label(people[0], [finder("first", 0, 21), finder("far", 40, 21)], 1).any()
    seen.clear()
    assert not label(people[0], [finder("first", 0, 5), finder("second", 0, 21)], 6).any()
    assert seen == [("first", 1)] * 2


def test_the_result_is_a_set_of_21_keypoints(people, tools, tmp_path):
    joints = np.zeros((1, 21, 3))
    joints[0, :9] = [30, 40, 2]
    content = tools[0].coco_file(people[0], joints, np.array([0]), "sports")
    (tmp_path / "labels.json").write_text(json.dumps(content))
    labelled = read_coco(tmp_path / "labels.json", tmp_path / "images", "sports")
    assert labelled.skeleton == tools[2].PEOPLE21
    assert labelled.labelled[0].sum() == content["annotations"][0]["num_keypoints"] == 9
    assert [str(file) for file in labelled.images] == [str(tmp_path / "images" / "a.png")]
    assert labelled.boxes == pytest.approx(people[0].boxes)


def test_unknown_keypoints_score_nothing(tools):
    joints, scores = tools[0].spread(np.ones((2, 2, 2)), np.full((2, 2), 0.7), (1, None, 0))
    assert joints.shape == (2, 3, 2)
    assert scores.tolist() == [[0.7, 0, 0.7]] * 2
