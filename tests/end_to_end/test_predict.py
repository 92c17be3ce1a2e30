import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.skeleton import COCO17, MPII16, PEOPLE21
from hevitpose.data.coco import read_coco
from hevitpose.inference.network import PAPER_T
from hevitpose.io import images

SKIER_BOX = (280.79, 44.73, 218.7, 346.68)
# COCO's annotation of the same person (CC BY 4.0, COCO Consortium), by MPII's names.
SKIER_KEYPOINTS = {
    "l_shoulder": (399, 108),
    "r_shoulder": (358, 129),
    "l_elbow": (433, 142),
    "r_elbow": (341, 159),
    "l_wrist": (449, 165),
    "r_wrist": (309, 178),
    "l_hip": (424, 203),
    "r_hip": (393, 214),
    "l_knee": (429, 294),
    "r_knee": (367, 273),
    "l_ankle": (466, 362),
    "r_ankle": (396, 341),
}


def test_one_photo_gives_json_and_a_printed_table(hevitpose, skier):
    status, printed, _ = hevitpose("predict", skier, "--verbose")
    assert status == 0
    result = json.loads(Path("out/skier.json").read_text())
    assert (result["schema"], result["width"], result["height"]) == ("hevitpose.pose/1", 640, 425)
    (person,) = result["people"]
    assert tuple(person["keypoints"]) == PEOPLE21.keypoints
    assert all(0 <= keypoint["score"] <= 1 for keypoint in person["keypoints"].values())
    assert [line.split()[0] for line in printed.splitlines()[1:22]] == list(PEOPLE21.keypoints)
    assert sorted(p.name for p in Path("out").iterdir()) == ["skier.json"]


def test_draw_writes_the_image_with_its_skeleton(hevitpose, skier):
    status, _, _ = hevitpose("predict", skier, "--draw", "--output", "here")
    assert status == 0
    drawn, plain = images.read("here/skier.png"), images.read(skier)
    assert drawn.shape == plain.shape
    assert 500 < (drawn != plain).any(axis=2).sum() < plain[..., 0].size / 5


@pytest.mark.parametrize("box", [(), ("--box", ",".join(map(str, SKIER_BOX)))])
def test_the_skiers_joints_lie_where_coco_says(hevitpose, skier, box):
    hevitpose("predict", skier, *box)
    keypoints = json.loads(Path("out/skier.json").read_text())["people"][0]["keypoints"]
    near = [
        np.hypot((keypoints[name]["x"] or 0) - x, (keypoints[name]["y"] or 0) - y) < 20
        for name, (x, y) in SKIER_KEYPOINTS.items()
    ]
    assert sum(near) >= 10


def test_a_folder_mirrors_its_names_and_skips_what_is_broken(hevitpose, skier, street, tmp_path):
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    shutil.copy(skier, folder / "a.jpg")
    shutil.copy(street, folder / "deeper" / "a.jpg")
    Image.open(street).save(folder / "deeper" / "a.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("not for us")
    status, printed, errors = hevitpose("predict", folder)
    assert status == 3
    found = sorted(str(p.relative_to("out")) for p in Path("out").rglob("*.json"))
    assert found == ["a.json", "deeper/a.jpg.json", "deeper/a.png.json"]
    assert f"warning: skipped {folder / 'broken.jpg'}: not an image" in errors
    assert "1 of 4 images in folders and lists were skipped" in errors
    assert printed.count("person 1, score") == 3


@pytest.mark.parametrize("name", ["broken.jpg", "missing.jpg"])
def test_a_broken_image_that_was_named_is_an_error_and_the_rest_goes_on(hevitpose, skier, tmp_path, name):
    (tmp_path / "broken.jpg").write_bytes(b"")
    status, _, errors = hevitpose("predict", name, skier)
    assert status == 1
    assert errors.startswith(f"error: {name}: ")
    assert errors.count("\n") == 1
    assert Path("out/skier.json").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none.jpg"], "error: none.jpg: no such file"),
        (["SKIER", "--box", "1,2,3"], "error: --box 1,2,3: must be x,y,w,h in pixels below 1000000, w and h"),
        (
            ["SKIER", "--box", "1,2,0,4"],
            "error: --box 1,2,0,4: must be x,y,w,h in pixels below 1000000, w and h",
        ),
        (
            ["SKIER", "--box", "a,b,c,d"],
            "error: --box a,b,c,d: must be x,y,w,h in pixels below 1000000, w and h",
        ),
        (["SKIER", "--box", "1,2,3,4", "--boxes", "b.json"], "error: --boxes: cannot be used together with --box"),
        (["SKIER", "--box", "1,2,3,4", "--tiles", "2"], "error: --tiles: has no effect with --box or --boxes"),
        (
            ["SKIER", "--box", "1,2,3,4", "--detector", "a.onnx"],
            "error: --detector: has no effect with --box or --boxes",
        ),
        (
            ["-", "--format", "coco-labels", "--output", "a.json"],
            "error: --format coco-labels: needs images with names",
        ),
        (["SKIER", "--output", "a.json"], "error: a.json: must be a folder: --format json writes a file per image"),
        (["SKIER", "--boxes", "none.json"], "error: none.json: no such file"),
        (["SKIER", "--format", "coco"], "error: out: --format coco writes one file: --output FILE.json"),
        (["SKIER", "--box", "1e6,0,9,9"], "error: --box 1e6,0,9,9: must be x,y,w,h in pixels below 1000000"),
        (["SKIER", "--box", "0,0,9,9", "--box", "5000,5000,9,9"], "error: SKIER: --box 5000,5000,9,9 lies outside of"),
        (
            ["SKIER", "--format", "csv", "--output", "a.json"],
            "error: a.json: --format csv writes one file",
        ),
        (["SKIER", "--output", "FILE"], "error: FILE: cannot be written (a file is where a folder is needed)"),
        (
            ["SKIER", "--output", "/dev/full"],
            "error: /dev/full: cannot be written (a file is where a folder is needed)",
        ),
        (["SKIER", "--boxes", "strangers.json"], "error: strangers.json: has no box for SKIER"),
        (
            ["BROKEN", "SKIER", "--boxes", "strangers.json"],
            "error: strangers.json: has no box for any of these",
        ),
        (["HEIC"], "error: HEIC: no image in this folder but 1 in HEIC: convert them to JPEG"),
        (["SKIER", "--padding", "0"], "error: --padding 0.0: must lie between 0.1 and 10"),
        (["SKIER", "--model", "none"], "error: none: neither a weight file (.onnx, .xml, .safetensors) nor"),
        (["EMPTY"], "error: EMPTY: no image in this folder"),
        ([""], "error: arguments: one of them is empty (a variable that is not set?)"),
        (["SKIER", "--output="], "error: arguments: one of them is empty (a variable that is not set?)"),
        (["https://example.org/a.jpg"], "error: https://example.org/a.jpg: is an address: download it first"),
        (["clip.mp4"], "error: clip.mp4: no such file"),
        (["0"], 'error: 0: no such file; a camera is --camera 0 (pip install "hevitpose[camera]")'),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_1(hevitpose, skier, tmp_path, arguments, line):
    for folder in ("EMPTY", "HEIC"):
        (tmp_path / folder).mkdir()
    for name in ("FILE", "BROKEN", "HEIC/a.heic"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "strangers.json").write_text(json.dumps([{"file_name": "b.jpg", "bbox": SKIER_BOX}]))
    status, _, errors = hevitpose("predict", *(skier if a == "SKIER" else a for a in arguments))
    assert status == 1
    assert errors.startswith(line.replace("SKIER", str(skier)))
    assert errors.count("\n") == 1
    assert not Path("out").exists()


def test_several_boxes_give_several_people_in_their_order(hevitpose, skier):
    hevitpose("predict", skier, "--box", "0,0,100,100", "--box", ",".join(map(str, SKIER_BOX)))
    people = json.loads(Path("out/skier.json").read_text())["people"]
    assert [person["box"] for person in people] == [[0, 0, 100, 100], pytest.approx(SKIER_BOX, abs=0.01)]
    assert people[1]["score"] > people[0]["score"]


def test_a_detection_file_gives_the_boxes_and_coco_results_come_out(hevitpose, skier, street):
    detections = [
        {"file_name": "skier.jpg", "bbox": SKIER_BOX, "score": 0.5, "category_id": 1},
        {"file_name": "skier.jpg", "bbox": [0, 0, 50, 50], "score": 0.9, "category_id": 2},
        {"file_name": "000000000785.jpg", "bbox": [0, 0, 50, 50], "score": 0.9},
    ]
    Path("boxes.json").write_text(json.dumps(detections))
    status, _, _ = hevitpose(
        "predict", skier, street, "--boxes", "boxes.json", "--format", "coco", "--output", "results/coco.json"
    )
    assert status == 0
    (person,) = json.loads(Path("results/coco.json").read_text())
    assert (person["image_id"], person["category_id"], person["file_name"]) == (1, 1, str(skier))
    assert len(person["keypoints"]) == 3 * COCO17.num_keypoints
    assert 0 < person["score"] <= 0.5


def test_labels_pass_the_check_and_can_be_read_back(hevitpose, skier, street, tmp_path):
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    shutil.copy(skier, folder / "a.jpg")
    shutil.copy(street, folder / "deeper" / "b.jpg")
    labels = folder / "labels.json"
    status, _, _ = hevitpose("predict", folder, "--format", "coco-labels", "--output", labels)
    assert status == 0
    assert [image["file_name"] for image in json.loads(labels.read_text())["images"]] == ["a.jpg", "deeper/b.jpg"]
    status, printed, errors = hevitpose("data", "check", labels)
    assert status == 0, printed + errors
    people = read_coco(labels, folder, "labels")
    assert len(people) >= 2
    assert people.skeleton.mirror == PEOPLE21.mirror
    status, _, _ = hevitpose("predict", folder, "--boxes", labels, "--format", "csv", "--output", "again.csv")
    assert status == 0


def test_an_evaluation_end_to_end_finds_the_people_that_prediction_found(hevitpose, skier, tmp_path):
    shutil.copy(skier, tmp_path / "a.jpg")
    hevitpose("predict", "a.jpg", "--max-people", "1", "--format", "coco-labels", "--output", "labels.json")
    status, printed, errors = hevitpose(
        "evaluate", "--data", "labels.json", "--end-to-end", "--metric", "pck_box", "--no-flip-test", "--json"
    )
    assert status == 0, errors
    result = json.loads(printed)
    assert result["boxes"] == "end to end, found by person_detector"
    assert result["scores"]["PCKbox@0.05"]["mean"] == 100
    assert (result["found"]["people"], result["found"]["found"], result["found"]["right people"]) == (1, 100, 100)
    status, _, errors = hevitpose("evaluate", "--data", "labels.json", "--detector", "whole")
    assert (status, errors) == (1, "error: --detector: is used with --end-to-end only\n")


def test_image_ids_are_the_numbers_that_names_end_with(hevitpose, skier):
    shutil.copy(skier, "000000000785.jpg")
    Path("boxes.json").write_text(json.dumps([{"image_id": 785, "bbox": SKIER_BOX}]))
    hevitpose("predict", "000000000785.jpg", "--boxes", "boxes.json", "--format", "coco", "--output", "coco.json")
    (person,) = json.loads(Path("coco.json").read_text())
    assert person["image_id"] == 785


def test_a_rotated_photo_gives_the_joints_of_the_upright_one(hevitpose, skier):
    upright = Image.open(skier)
    sideways, exif = upright.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    upright.save("upright.png")
    sideways.save("sideways.png", exif=exif)
    hevitpose("predict", "upright.png", "sideways.png")
    a, b = (json.loads(Path(f"out/{name}.json").read_text()) for name in ("upright", "sideways"))
    assert (a["width"], a["height"], a["people"]) == (b["width"], b["height"], b["people"])


def test_no_image_is_ever_overwritten(hevitpose, skier):
    Image.open(skier).save("skier.png")
    before = Path("skier.png").read_bytes()
    status, _, errors = hevitpose("predict", "skier.png", "--draw", "--output", ".")
    assert status == 1
    assert "is one of the inputs: choose another output" in errors
    assert Path("skier.png").read_bytes() == before


def test_options_do_what_they_say(hevitpose, skier):
    hevitpose("predict", skier, "--detector", "person", "--min-score", "1", "--threads", "100000")
    nobody = json.loads(Path("out/skier.json").read_text())["people"]
    hevitpose("predict", skier, "--min-score", "0", "--flip-test", "--threads", "1", "--batch-size", "1")
    (person,) = json.loads(Path("out/skier.json").read_text())["people"]
    assert nobody == []
    assert all(keypoint["x"] is not None for keypoint in person["keypoints"].values())


def test_every_runtime_writes_the_same_joints(hevitpose, skier):
    results = []
    for runtime in ("torch", "onnx", "openvino"):
        hevitpose("predict", skier, "--model", PAPER_T, "--runtime", runtime)
        keypoints = json.loads(Path("out/skier.json").read_text())["people"][0]["keypoints"].values()
        results.append(np.array([(k["x"] or 0, k["y"] or 0) for k in keypoints]))
    assert results[1] == pytest.approx(results[0], abs=0.05)
    assert results[2] == pytest.approx(results[0], abs=0.05)


def test_image_ids_hold_whatever_else_is_in_the_folder(hevitpose, skier, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("4.jpg", "b.jpg", "c.jpg", "im_7.jpg"):
        shutil.copy(skier, folder / name)
    (folder / "a.jpg").write_bytes(b"broken")
    entries = [{"file_name": f"./{name}.jpg", "bbox": SKIER_BOX} for name in ("4", "b", "im_7")]
    Path("boxes.json").write_text(json.dumps([*entries, {"file_name": "c.jpg", "image_id": 7, "bbox": SKIER_BOX}]))
    _, _, errors = hevitpose("predict", folder, "--boxes", "boxes.json", "--format", "coco", "--output", "coco.json")
    ids = {Path(p["file_name"]).name: p["image_id"] for p in json.loads(Path("coco.json").read_text())}
    assert ids == {"4.jpg": 4, "b.jpg": 3, "c.jpg": 7, "im_7.jpg": 5}
    assert "note: 1 of 5 images have no box in boxes.json" in errors


def test_boxes_that_are_empty_or_outside_are_left_out_with_a_line(hevitpose, skier):
    boxes = [SKIER_BOX, [0, 0, 0, 9], [700, 0, 9, 9]]
    Path("boxes.json").write_text(json.dumps([{"file_name": "skier.jpg", "bbox": box} for box in boxes]))
    status, _, errors = hevitpose("predict", skier, "--boxes", "boxes.json")
    assert status == 0
    assert len(json.loads(Path("out/skier.json").read_text())["people"]) == 1
    assert errors.splitlines() == [
        "note: 1 boxes without width or height in boxes.json were left out",
        f"warning: {skier}: skipped 1 boxes outside of the image",
    ]
    Path("boxes.json").write_text(json.dumps([{"file_name": "skier.jpg", "bbox": boxes[2]}]))
    assert hevitpose("predict", skier, "--boxes", "boxes.json")[0] == 1


def test_csv_has_a_line_for_each_keypoint(hevitpose, skier):
    box = ("--box", ",".join(map(str, SKIER_BOX)), "--box", "0,0,40,40")
    hevitpose("predict", skier, *box, "--format", "csv", "--output", "here/poses.csv")
    hevitpose("predict", skier, *box)
    lines = list(csv.reader(Path("here/poses.csv").read_text().splitlines()))
    people = json.loads(Path("out/skier.json").read_text())["people"]
    assert lines[0] == ["file", "person", "keypoint", "x", "y", "score"]
    assert lines[1:] == [
        [str(skier), str(number), name, *("" if k[c] is None else str(k[c]) for c in ("x", "y", "score"))]
        for number, person in enumerate(people, start=1)
        for name, k in person["keypoints"].items()
    ]
    assert "" in {line[3] for line in lines}


def test_a_second_run_leaves_the_first_ones_drawings_alone(hevitpose, skier):
    shutil.copy(skier, "a.jpg")
    runs = [hevitpose("predict", ".", "--draw") for _ in range(2)]
    assert [status for status, _, _ in runs] == [0, 0]
    assert sorted(str(p) for p in Path("out").rglob("*.*")) == ["out/a.json", "out/a.png"]
    assert runs[1][2] == "note: 1 images in out, the folder of the results, were left out\n"
    Path("b").mkdir()
    shutil.copy(skier, "b/a.jpg")
    status, _, errors = hevitpose("predict", "b", "--draw", "--output", "b")
    assert (status, errors) == (1, "error: b: drawings would lie among the images: choose another --output\n")


def test_drawings_of_an_earlier_run_are_no_input_wherever_they_lie(hevitpose, skier):
    shutil.copy(skier, "a.jpg")
    hevitpose("predict", "a.jpg", "--draw", "--output", ".")
    assert Path("a.png").is_file()
    status, printed, errors = hevitpose("predict", ".", "--format", "csv", "--output", "all.csv")
    assert (status, errors) == (0, "note: 1 drawings of an earlier run were left out\n")
    assert "a.png" not in printed
    Path("a.jpg").unlink()
    status, _, errors = hevitpose("predict", ".")
    assert (status, errors) == (1, "error: .: no image in this folder but 1 drawings of an earlier run\n")


def test_clips_in_a_folder_are_counted(hevitpose, skier, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("a.mp4", "b.MOV"):
        (folder / name).write_text("no clip")
    assert hevitpose("predict", folder)[2] == f"error: {folder}: no image in this folder but 2 clips: name them\n"
    shutil.copy(skier, folder)
    assert "note: 2 clips in folders were left out: name them\n" in hevitpose("predict", folder)[2]


def test_what_a_folder_lacks_or_nobody_can_read_is_counted(hevitpose, skier, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(skier, folder / "a.jpg")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "phone.HEIC").write_bytes(b"")
    status, _, errors = hevitpose("predict", folder)
    assert status == 3
    assert errors.splitlines() == [
        f"warning: skipped {folder / 'gone.jpg'}: no such file",
        "1 of 2 images in folders and lists were skipped",
        "1 images in HEIC were left out: convert them to JPEG",
    ]


def test_equal_names_are_refused_only_where_results_would_collide(hevitpose, skier, street, tmp_path):
    for folder, photo in (("x", skier), ("y", street)):
        (tmp_path / folder).mkdir()
        shutil.copy(photo, tmp_path / folder / "a.jpg")
    status, _, errors = hevitpose("predict", "x", "y")
    assert (status, errors.count("\n")) == (1, 1)
    assert "run once for each folder, each with its own --output" in errors
    status, _, _ = hevitpose("predict", "x", "y", "--format", "csv", "--output", "poses.csv")
    assert status == 0
    status, printed, _ = hevitpose("predict", "x/a.jpg", "y/../x/a.jpg", "x")
    assert (status, printed.count("a.jpg: ")) == (0, 1)


def test_a_name_that_is_too_long_is_one_line(hevitpose):
    name = "a" * 300
    status, _, errors = hevitpose("predict", name)
    assert (status, errors.count("\n"), errors.startswith(f"error: {name}: ")) == (1, 1, True)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_utf8(hevitpose, skier):
    name = os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(skier, name)
    status, _, errors = hevitpose("predict", ".", "--format", "csv", "--output", "all.csv")
    assert (status, b"caf\xe9.jpg" in Path("all.csv").read_bytes()) == (0, True), errors


def test_keypoints_chooses_what_is_written(hevitpose, skier):
    hevitpose("predict", skier, "--keypoints", "mpii16", "--output", "out")
    (person, *_) = json.loads(Path("out/skier.json").read_text())["people"]
    assert list(person["keypoints"]) == list(MPII16.keypoints)
    status, _, errors = hevitpose("predict", skier, "--model", PAPER_T, "--keypoints", "coco17")
    assert status == 1
    missing = "nose, left_eye, right_eye, left_ear, right_ear"
    assert errors == f"error: {PAPER_T}: lacks {missing}, keypoints of coco17\n"
