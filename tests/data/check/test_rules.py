import json
import re
import time
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.progress import Progress
from hevitpose.data.check.rules import RULES, check_sets
from hevitpose.data.datasets import Split

MOUSE = {"id": 1, "name": "mouse", "keypoints": ["snout", "leftear", "rightear"]}
PERSON = {
    "id": 3,
    "image_id": 1,
    "category_id": 1,
    "bbox": [5, 5, 10, 10],
    "area": 50,
    "keypoints": [6, 7, 2, 14, 8, 1, 10, 9, 2],
}


OTHER = PERSON | {"id": 5, "bbox": [15, 5, 10, 10], "keypoints": [16, 7, 2, 24, 8, 1, 20, 9, 2]}


TWO = {"annotations": [PERSON, OTHER | {"image_id": 2}]}


def apart(*people):
    """Each person in an image of its own, and the images."""
    images = [{"id": n, "file_name": f"{n or 'a'}.png", "width": 40, "height": 20} for n in range(len(people))]
    return [person | {"image_id": n} for n, person in enumerate(people)], {"images": images}


@pytest.fixture
def faults(tmp_path):
    """The faults of a file of these annotations on an image of 40 x 20; other parts of the file by name."""

    def check(*annotations, open_images=False, repair=False, **parts):
        images = [{"id": 1, "file_name": "a.png", "width": 40, "height": 20}]
        content = {"images": images, "annotations": list(annotations), "categories": [MOUSE]} | parts
        (tmp_path / "mice.json").write_text(json.dumps(content))
        for name in set(re.findall(r'"((?:a|\d+)\.png)"', json.dumps(content["images"]))):
            if not (tmp_path / name).exists():
                Image.new("RGB", (40, 20)).save(tmp_path / name)
        return check_sets([Split("mice", tmp_path / "mice.json", tmp_path, repair=repair)], open_images)

    return check


def test_a_sound_file_has_no_faults(faults):
    assert faults(PERSON, PERSON | {"id": 4, "iscrowd": 1, "keypoints": []}, open_images=True) == []


@pytest.mark.parametrize(
    ("change", "kind", "record", "words"),
    [
        ({"area": 0}, "area", "annotation 3", "area is 0"),
        ({"area": None}, "area", "annotation 3", "area is missing"),
        ({"bbox": [5, 5, 0, 10]}, "box", "annotation 3", "no area"),
        ({"bbox": None}, "box", "annotation 3", "bbox must be 4 numbers"),
        ({"keypoints": [0, 0, 0] * 3}, "nothing labelled", "annotation 3", "no labelled joint"),
        ({"keypoints": []}, "nothing labelled", "annotation 3", "no labelled joint"),
        ({"keypoints": [6, 7, 2, 14, 8, 1]}, "keypoints", "annotation 3", "9 numbers"),
        ({"keypoints": [6, 7, 3, 14, 8, 1, 0, 0, 0]}, "keypoints", "annotation 3", "not 0, 1 or 2"),
        ({"keypoints": [6, float("nan"), 2, 14, 8, 1, 0, 0, 0]}, "not a number", "annotation 3", "NaN"),
        ({"keypoints": [6, 7, 2, 42, 8, 1, 0, 0, 0]}, "outside image", "annotation 3", "leftear (42.0, 8.0)"),
        ({"keypoints": [-1.5, 7, 2, 14, 8, 1, 0, 0, 0]}, "outside image", "annotation 3", "snout (-1.5, 7.0)"),
        ({"keypoints": [6, 7, 2, 30, 8, 1, 0, 0, 0]}, "outside box", "annotation 3", "leftear (30.0, 8.0)"),
        ({"category_id": 2}, "category_id", "annotation 3", "category 2"),
        ({"image_id": 9}, "image_id", "annotation 3", "9"),
        ({"image_id": None}, "image_id", "annotation 3", "None"),
        ({"id": "3"}, "id as text", "annotation '3'", "id is text"),
        ({"image_id": "1", "category_id": "1"}, "id as text", "annotation 3", "image_id and category_id are text"),
        ({"id": "three"}, "annotation", "annotation 'three'", "not a whole number"),
        ({"id": None}, "annotation", "annotation None", "not a whole number"),
        ({"id": 10**30}, "annotation", f"annotation {10**30}", "not a whole number of 64 bits"),
        ({"head_size": "x"}, "annotation", "annotation 3", "head_size must be a number"),
    ],
)
def test_each_fault_of_an_annotation_is_named_with_its_repair(faults, tmp_path, change, kind, record, words):
    found = {fault.kind: fault for fault in faults(PERSON | change, OTHER)}
    fault = found.pop(kind)
    assert (fault.level, fault.repair) == RULES[kind]
    assert (fault.file, fault.record) == (str(tmp_path / "mice.json"), record)
    assert words in fault.problem
    assert set(found) <= {"id as text"}


@pytest.mark.parametrize(
    ("parts", "kind", "words"),
    [
        ({"annotations": [7, PERSON]}, "annotation", "needs id and category_id: 7"),
        ({"annotations": []}, "file", "no person with a labelled keypoint"),
        ({"annotations": [PERSON, OTHER | {"id": 3}]}, "duplicate annotation", "its id"),
        ({"images": [{"id": 1, "file_name": "a.png"}] * 2}, "duplicate image", "a.png"),
        ({"images": [{"id": n, "file_name": "a.png"} for n in (1, 2)]} | TWO, "image twice", "is also image 1 (a.png)"),
        (
            {"images": [{"id": n, "file_name": name} for n, name in ((1, "a.png"), (2, "x/a.png"))]} | TWO,
            "two names of an image",
            "x/a.png is also image 1 (a.png)",
        ),
        ({"images": [{"id": "1", "file_name": "a.png"}]}, "id as text", "the text '1'"),
        ({"images": [{"id": 1, "file_name": "a.png"}, {"id": 2}]}, "image", "needs id and file_name"),
        ({"images": [{"id": 1, "file_name": "b.png"}]}, "missing image", "b.png"),
        ({"images": [{"id": 1, "file_name": "b" * 5000}]}, "missing image", "bbb"),
        ({"images": [{"id": 1, "file_name": "a.png", "archive": "a.zip"}]}, "missing image", "a.zip"),
        ({"categories": [MOUSE | {"flip_pairs": []}]}, "mirror partner", "is itself, not rightear"),
        ({"categories": [MOUSE | {"flip_pairs": [[0, 1]]}]}, "mirror partner", "is snout, not rightear"),
        ({"categories": [MOUSE | {"flip_pairs": [[0, 1], [1, 2]]}]}, "file", "must be pairs"),
        ({"categories": [MOUSE | {"keypoints": ["1", "2", "3"]}]}, "no flip pairs", "images are not flipped"),
        ({"categories": [MOUSE | {"sigmas": [0.05, 0.2, 0.2]}]}, "large sigma", "0.2 gives half the score at 47%"),
        ({"categories": []}, "file", "category with keypoint names"),
        ({"images": {}}, "file", "not a COCO file"),
    ],
)
def test_each_fault_of_the_rest_is_named_with_its_repair(faults, parts, kind, words):
    found = faults(**{"annotations": [PERSON]} | parts)
    assert {fault.kind for fault in found} == {kind}
    assert words in found[0].problem
    assert (found[0].level, found[0].repair) == RULES[kind]


def test_a_side_without_partner_is_named(faults):
    skeleton = MOUSE | {"keypoints": ["snout", "leftear", "tail"]}
    partner, flips = faults(PERSON, categories=[skeleton])
    assert (partner.kind, partner.record) == ("no mirror partner", "keypoint leftear")
    assert (flips.kind, flips.record) == ("no flip pairs", "category mouse")
    assert faults(PERSON, categories=[MOUSE | {"keypoints": ["1", "2", "3"], "flip_pairs": []}]) == []


def test_a_box_that_is_repaired_is_only_a_warning(faults):
    (fault,) = faults({k: v for k, v in PERSON.items() if k != "bbox"}, repair=True)
    assert (fault.level, fault.kind, fault.problem) == ("warning", "box from joints", "has no bbox")


def test_pixels_counted_from_1_are_noticed(faults):
    corners = PERSON | {"bbox": [0, 0, 40, 20], "keypoints": [1, 1, 2, 40, 20, 2, 40, 5, 2]}
    (fault,) = faults(corners)
    assert (fault.kind, fault.record) == ("pixels from 1", "")
    assert fault.problem.startswith("2 joints lie at the width or height of their image, hardly any at 0 (for ")
    assert "annotation 3" in fault.problem
    at_zero = PERSON | {"id": 4, "keypoints": [0, 3, 2, 5, 5, 2, 0, 0, 0], "bbox": [0, 0, 9, 9]}
    assert faults(at_zero, corners) == []
    # One joint that is lost somewhere does not hide it.
    lost = PERSON | {"id": 4, "keypoints": [6, 7, 2, 900, -60, 2, 0, 0, 2]}
    assert [fault.kind for fault in faults(corners, lost)] == ["outside image", "outside box", "pixels from 1"]


def test_pixels_counted_from_minus_1_are_noticed(faults):
    box = {"bbox": [-1, -1, 40, 20]}
    corners = PERSON | box | {"keypoints": [-1, 4, 2, 38, 18, 2, 5, -1, 2]}
    (fault,) = faults(corners)
    assert fault.kind == "pixels from -1"
    assert faults(corners, PERSON | box | {"id": 4, "keypoints": [39, 7, 2, 5, 5, 2, 6, 6, 2]}) == []


@pytest.mark.parametrize(
    ("keypoints", "words"),
    [
        ([90, 7, 2, 91, 8, 1, 0, 0, 0], "all its labelled joints lie outside its image"),
        ([0, 0, 2] * 3, "all its labelled joints are at (0, 0)"),
    ],
)
def test_a_person_of_whom_nothing_can_be_learned(faults, keypoints, words):
    (fault,) = faults(PERSON, PERSON | {"id": 4, "keypoints": keypoints})
    assert (fault.level, fault.kind, fault.record, fault.problem) == (
        "error",
        "all-zero targets",
        "annotation 4",
        words,
    )


def test_a_keypoint_that_nobody_has(faults):
    (fault,) = faults(PERSON | {"keypoints": [6, 7, 2, 14, 8, 1, 0, 0, 0]})
    assert (fault.level, fault.kind, fault.record) == ("warning", "never labelled", "keypoint rightear")
    kinds = [fault.kind for fault in faults(PERSON | {"keypoints": [6, 7, 2, 7, 8, 1, 0, 0, 2]})]
    assert kinds == ["all-zero targets"]  # and not outside its box, too


@pytest.mark.parametrize(("area", "kind"), [(-5, "wrong area"), ("x", "wrong area"), (0.0, "area"), (None, "area")])
def test_a_wrong_area_is_one_fault_and_an_error_only_where_training_refuses_it(faults, area, kind):
    (fault,) = faults(PERSON | {"area": area})
    assert (fault.kind, fault.level) == (kind, "error" if kind == "wrong area" else "warning")


def test_a_set_of_the_viewers_sides_is_noticed(faults):
    people_category = {"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye", "l_hip", "r_hip"]}
    facing = [20, 8, 2, 24, 4, 2, 16, 4, 2, 22, 15, 1, 18, 15, 2]
    viewers = [*facing[:3], *facing[6:9], *facing[3:6], *facing[12:], *facing[9:12]]
    people = [PERSON | {"id": n, "keypoints": viewers, "bbox": [14, 0, 12, 16]} for n in range(12)]
    people, images = apart(*people)
    (fault,) = faults(*people, categories=[people_category], open_images=True, **images)
    assert (fault.level, fault.kind, fault.record) == ("warning", "viewer's sides", "")
    assert fault.problem.startswith("left_eye, l_hip: on the left of the image in most of the 12 people ")
    sound = [person | {"keypoints": facing} for person in people]
    assert faults(*sound, categories=[people_category], open_images=True, **images) == []


@pytest.mark.parametrize(
    ("size", "orientation", "kind"),
    [
        ((40, 20), 1, None),
        ((20, 40), 6, None),
        ((40, 20), 6, "unapplied EXIF"),
        ((80, 40), 1, "image size"),
        ((40, 20), 3, "EXIF orientation"),
        ((40, 20), 9, None),
    ],
)
def test_the_files_sizes_are_those_of_upright_images(faults, tmp_path, size, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(tmp_path / "a.png", exif=exif)
    assert [fault.kind for fault in faults(PERSON, open_images=True)] == ([kind] if kind else [])
    assert faults(PERSON) == []


def test_whether_labels_were_turned_with_the_image_is_not_known_without_its_size(faults, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 40)).save(tmp_path / "a.png", exif=exif)
    (fault,) = faults(PERSON, images=[{"id": 1, "file_name": "a.png"}], open_images=True)
    assert (fault.level, fault.kind, fault.record) == ("warning", "EXIF orientation", "image 1")
    assert "orientation 6" in fault.problem


def test_a_size_that_the_file_does_not_say_is_that_of_the_image(faults):
    images = [{"id": 1, "file_name": "a.png"}]
    outside = PERSON | {"bbox": [5, 5, 40, 10], "keypoints": [6, 7, 2, 44, 8, 1, 9, 9, 2]}
    assert faults(outside, images=images) == []
    (fault,) = faults(outside, images=images, open_images=True)
    assert fault.kind == "outside image"


def test_a_broken_image_is_found_when_images_are_opened(faults, tmp_path):
    Image.effect_noise((40, 20), 50).save(tmp_path / "a.jpg")
    images = [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 20}]
    whole = (tmp_path / "a.jpg").read_bytes()
    for content, words in ((b"no image", "not an image"), (whole[:-200], "truncated")):
        (tmp_path / "a.jpg").write_bytes(content)
        (fault,) = faults(PERSON, images=images, open_images=True)
        assert (fault.kind, fault.record) == ("unreadable image", "image 1")
        assert words in fault.problem
        assert faults(PERSON, images=images) == []


def test_the_progress_is_reported(faults, tmp_path):
    faults(PERSON)
    heard = []
    split = Split("mice", tmp_path / "mice.json", tmp_path)
    check_sets([split], True, heard.append)
    assert heard == [Progress("images of mice", 1, 1)]


def test_sides_that_disagree_with_the_others_are_found(faults):
    keypoints = [20, 2, 2, 16, 8, 2, 24, 8, 2]
    swapped = [20, 2, 2, 24, 8, 2, 16, 8, 2]
    people = [
        PERSON | {"id": n, "keypoints": swapped if n == 9 else keypoints, "bbox": [14, 0, 12, 10]} for n in range(30)
    ]
    people, images = apart(*people)
    (fault,) = faults(*people, open_images=True, **images)
    assert (fault.kind, fault.record) == ("left/right swap", "annotation 9")
    assert "leftear and rightear are the other way round than in 97%" in fault.problem


def test_errors_come_first_and_a_image_in_two_sets_is_noticed(faults, tmp_path):
    faults(PERSON | {"area": 0}, PERSON | {"id": 4, "image_id": 7})
    sets = [Split(name, tmp_path / "mice.json", tmp_path) for name in ("train", "val")]
    found = check_sets(sets)
    assert [fault.kind for fault in found] == ["image_id", "image_id", "area", "area", "in two sets"]
    assert found[-1].reason.startswith("image a.png: is also in train; ")


def test_other_formats_are_checked_by_what_is_read_of_them(tmp_path):
    sheet = tmp_path / "CollectedData_a.csv"
    sheet.write_text("scorer,a,a\nbodyparts,snout,snout\ncoords,x,y\na.png,3,4\n")
    split = Split("mouse", sheet, tmp_path, format="deeplabcut")
    assert [fault.kind for fault in check_sets([split])] == ["missing image", "no flip pairs"]
    sheet.write_text("")
    assert [(fault.kind, fault.file) for fault in check_sets([replace(split)])] == [("file", str(sheet))]


def test_images_in_an_archive_are_there(faults, tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "in/a.png")
    images = [{"id": k, "file_name": name, "archive": "all.zip"} for k, name in ((1, "in/a.png"), (2, "b.png"))]
    (fault,) = faults(PERSON, images=images, open_images=True)
    assert (fault.kind, fault.record) == ("missing image", "image 2")


def test_images_that_a_list_names_are_there(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (40, 20)).save(tmp_path / "images" / "a.png")
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .5 .5 .5 .5 2\n")
    (tmp_path / "data.yaml").write_text("train: list.txt\nkpt_shape: [1, 3]\n")
    (tmp_path / "list.txt").write_text("images/a.png\n")
    for images in ("list.txt", "images"):
        split = Split("mice", tmp_path / "data.yaml", tmp_path / images, format="yolo")
        assert [fault.kind for fault in check_sets([split], open_images=True)] == ["no flip pairs"]


def test_ten_thousand_people_take_a_second(faults):
    started = time.process_time()
    joints = np.tile(PERSON["keypoints"], (10_000, 1)) + np.arange(10_000)[:, None] / 1000 * ([1, 0, 0] * 3)
    box = {"bbox": [5, 5, 30, 10]}
    people = (PERSON | box | {"id": n, "keypoints": places.tolist()} for n, places in enumerate(joints))
    assert faults(*people) == []
    assert time.process_time() - started < 5  # 0.6 s; slow machines also pass


@pytest.mark.parametrize("shift", [0, 1.5])
def test_people_labelled_twice_are_named(faults, shift):
    joints = (np.array(PERSON["keypoints"]) + np.tile([shift, 0, 0], 3)).tolist()
    (fault,) = faults(PERSON, OTHER, PERSON | {"id": 7, "keypoints": joints})
    assert (fault.level, fault.kind, fault.record) == ("warning", "labelled twice", "annotation 7")
    assert fault.problem == "has the joints of annotation 3"
    half = PERSON | {"id": 7, "keypoints": [*PERSON["keypoints"][:3], 0, 0, 0, 0, 0, 0]}
    assert faults(PERSON, half) == []  # one joint of three may well be shared
    people, images = apart(PERSON, PERSON | {"id": 7})
    assert faults(*people, **images) == []


def test_corners_in_place_of_width_and_height_are_noticed(faults):
    people, images = apart(*(PERSON | {"id": n} for n in range(5)))
    corners = [person | {"bbox": [x, 5, x + 12, 18]} for x, person in zip((3, 4, 5, 4, 4), people, strict=True)]
    (fault,) = faults(*corners, **images)
    assert (fault.level, fault.kind, fault.record) == ("error", "corner boxes", "")
    assert fault.problem.startswith("5 of 5 boxes reach beyond their image (for example in annotation 0)")
    assert [fault.kind for fault in faults(*people[:4], corners[4], **images)] == []


def test_corners_in_place_of_yolos_centre_and_size_are_noticed(faults):
    people, images = apart(*(PERSON | {"id": n} for n in range(5)))
    # 4, 4, 24, 16 taken for centre, width and height
    (fault,) = faults(*(person | {"bbox": [-8, -4, 24, 16]} for person in people), **images)
    assert (fault.kind, fault.problem[:45]) == ("corner boxes", "5 of 5 boxes reach beyond their image (for ex")


@pytest.mark.parametrize(
    ("x1", "joint_x", "noticed"),
    [(15, 20, False), (15.1, 20, True), (16, 14.5, True), (16, 14.4, False)],
    ids=["just inside the image", "just beyond", "joint in the margin", "joint outside the corners"],
)
def test_corners_are_noticed_where_a_box_leaves_the_image_and_they_hold_the_joints(faults, x1, joint_x, noticed):
    people, images = apart(*(PERSON | {"id": n} for n in range(5)))
    wide = people[0] | {"bbox": [x1, 4, 26, 9], "keypoints": [joint_x, 7, 2, 0, 0, 0, 0, 0, 0]}
    others = [person | {"bbox": [4, 5, 16, 11]} for person in people[1:]]
    assert ("corner boxes" in {fault.kind for fault in faults(wide, *others, **images)}) == noticed


def test_a_box_that_lies_mostly_outside_is_named(faults):
    for x, outside in ((30, False), (30.1, True), (-10, False), (-10.1, True)):
        person = PERSON | {"bbox": [x, 0, 20, 20], "keypoints": [35 if x > 0 else 5, 7, 2, 0, 0, 0, 0, 0, 0]}
        kinds = {fault.kind for fault in faults(person, OTHER)}
        assert ("box outside image" in kinds) == outside, x
    (fault,) = faults(PERSON | {"bbox": [5, 5, 80, 40]}, OTHER)
    assert (fault.kind, fault.problem) == ("box outside image", "84% of its box lies outside its image")


def test_faults_of_other_formats_name_the_image(tmp_path):
    (tmp_path / "labels").mkdir()
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    lines = "0 .5 .5 .5 .5 .5 .5 2 .6 .6 2\n"
    (tmp_path / "a.txt").write_text(2 * lines)
    (tmp_path / "data.yaml").write_text("train: .\nkpt_shape: [2, 3]\nkpt_names: {0: [LF, RF]}\n")
    split = Split("mice", tmp_path / "data.yaml", tmp_path, format="yolo")
    for removed in (False, True):  # they are read once
        (fault,) = check_sets([split], open_images=True)
        assert (fault.kind, fault.record) == ("labelled twice", "person 2 of a.png")
        (tmp_path / "data.yaml").unlink(missing_ok=removed)


def test_several_images_in_a_file_are_noticed(faults, tmp_path):
    frames = [Image.new("L", (40, 20), n) for n in (0, 99)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    images = [{"id": 1, "file_name": "a.gif", "width": 40, "height": 20}]
    (fault,) = faults(PERSON, images=images, open_images=True)
    assert (fault.kind, fault.problem) == ("several images", "a.gif holds 2 images; only the first is used")


def test_ids_may_be_written_with_a_point(faults):
    images = [{"id": 1.0, "file_name": "a.png", "width": 40, "height": 20}]
    assert faults(PERSON | {"id": 3.0, "category_id": 1.0}, images=images) == []


def test_annotations_of_categories_without_keypoints_are_counted(faults):
    box = {"image_id": 1, "category_id": 2, "bbox": [1, 1, 9, 9]}
    categories = [MOUSE, {"id": 2, "name": "box"}]
    (fault,) = faults(PERSON, *(box | {"id": n} for n in (7, 8)), categories=categories)
    assert (fault.level, fault.kind, fault.record) == ("warning", "other category", "category box")
    assert fault.problem == "2 annotations without keypoints"


def test_what_differs_between_two_sets_is_said(tmp_path):
    """Mice from above: the second set calls left what the first calls right."""
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(10)]
    left_first, right_first = [6, 9, 2, 14, 6, 2, 14, 12, 2], [6, 9, 2, 14, 12, 2, 14, 6, 2]
    splits = []
    for name, joints, keypoints in (
        ("one", left_first, MOUSE["keypoints"]),
        ("same", left_first, MOUSE["keypoints"]),
        ("turned", right_first, MOUSE["keypoints"]),
        ("other", left_first, ["snout", "left_ear", "right_ear"]),
    ):
        people = [PERSON | {"id": n, "image_id": n, "keypoints": joints} for n in range(10)]
        content = {"images": images, "annotations": people, "categories": [MOUSE | {"keypoints": keypoints}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        splits.append(Split(name, tmp_path / f"{name}.json", tmp_path / name))
    found = [fault for fault in check_sets(splits) if fault.kind != "missing image"]
    assert [(fault.kind, Path(fault.file).stem, fault.problem) for fault in found] == [
        ("sides of two sets", "turned", "leftear and rightear stand the other way round than in one"),
        ("other keypoints", "other", "left_ear, leftear, right_ear ... are in only one of this set and one"),
    ]


def test_images_that_no_set_names_are_counted(faults, tmp_path):
    for name in ("0.png", "other.png"):
        Image.new("RGB", (40, 20)).save(tmp_path / name)
    (tmp_path / "._b.png").write_bytes(b"")
    (fault,) = [fault for fault in faults(PERSON) if fault.kind == "unlabelled images"]
    assert fault.problem == "2 images beside those of the labels are in no set (0.png, other.png)"


def test_images_without_people_are_counted(faults):
    images = [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 20} for n in (0, 1, 2)]
    (fault,) = faults(PERSON, OTHER | {"image_id": 2}, PERSON | {"id": 9, "image_id": 2}, images=images)
    assert (fault.kind, fault.problem) == ("images without people", "1 of 3 images have no labelled person")
