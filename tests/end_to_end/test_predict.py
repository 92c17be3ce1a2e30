import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.skeleton import MPII16
from hevitpose.files import pictures

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
    status, printed, _ = hevitpose("predict", skier)
    assert status == 0
    result = json.loads(Path("out/skier.json").read_text())
    assert (result["schema"], result["width"], result["height"]) == ("hevitpose.pose/1", 640, 425)
    (person,) = result["people"]
    assert tuple(person["keypoints"]) == MPII16.keypoints
    assert all(0 <= keypoint["score"] <= 1 for keypoint in person["keypoints"].values())
    assert [line.split()[0] for line in printed.splitlines()[1:17]] == list(MPII16.keypoints)
    assert sorted(p.name for p in Path("out").iterdir()) == ["skier.json"]


def test_draw_writes_the_picture_with_its_skeleton(hevitpose, skier):
    status, _, _ = hevitpose("predict", skier, "--draw", "--output", "here")
    assert status == 0
    drawn, plain = pictures.read("here/skier.png"), pictures.read(skier)
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
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not for us")
    status, printed, errors = hevitpose("predict", folder)
    assert status == 3
    found = sorted(str(p.relative_to("out")) for p in Path("out").rglob("*.json"))
    assert found == ["a.json", "deeper/a.jpg.json", "deeper/a.png.json"]
    assert f"warning: skipped {folder / 'broken.jpg'}: not a picture" in errors
    assert "1 of 4 pictures could not be read" in errors
    assert printed.count("1 person") == 3


def test_a_broken_picture_that_was_named_is_an_error_and_the_rest_goes_on(hevitpose, skier, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"")
    status, _, errors = hevitpose("predict", "broken.jpg", skier)
    assert status == 1
    assert errors.splitlines()[0].startswith("error: broken.jpg: ")
    assert Path("out/skier.json").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none.jpg"], "error: none.jpg: no such file or folder"),
        (["SKIER", "--box", "1,2,3"], "error: --box 1,2,3: must be x,y,w,h in pixels with w and h above 0"),
        (["SKIER", "--box", "1,2,0,4"], "error: --box 1,2,0,4: must be x,y,w,h in pixels with w and h above 0"),
        (["SKIER", "--box", "a,b,c,d"], "error: --box a,b,c,d: must be x,y,w,h in pixels with w and h above 0"),
        (["SKIER", "--box", "1,2,3,4", "--boxes", "b.json"], "error: --boxes: cannot be used together with --box"),
        (["SKIER", "--boxes", "none.json"], "error: none.json: no such file"),
        (["SKIER", "--format", "coco"], "error: out: --format coco writes one file: --output FILE.json"),
        (["SKIER", "--padding", "0"], "error: --padding 0.0: must lie between 0.1 and 10"),
        (["SKIER", "--model", "none"], "error: none: neither a weight file (.onnx, .safetensors) nor a name that"),
        (["EMPTY"], "error: EMPTY: no picture in this folder"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_1(hevitpose, skier, tmp_path, arguments, line):
    (tmp_path / "EMPTY").mkdir()
    status, _, errors = hevitpose("predict", *(skier if a == "SKIER" else a for a in arguments))
    assert status == 1
    assert errors.startswith(line)
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
    assert len(person["keypoints"]) == 48
    assert 0 < person["score"] <= 0.5


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


def test_no_picture_is_ever_overwritten(hevitpose, skier):
    Image.open(skier).save("skier.png")
    before = Path("skier.png").read_bytes()
    status, _, errors = hevitpose("predict", "skier.png", "--draw", "--output", ".")
    assert status == 1
    assert "is one of the pictures: choose another --output" in errors
    assert Path("skier.png").read_bytes() == before


def test_options_do_what_they_say(hevitpose, skier):
    hevitpose("predict", skier, "--min-score", "1")
    nobody = json.loads(Path("out/skier.json").read_text())["people"]
    hevitpose("predict", skier, "--min-score", "0", "--flip-test", "--threads", "1", "--batch-size", "1")
    (person,) = json.loads(Path("out/skier.json").read_text())["people"]
    assert nobody == []
    assert all(keypoint["x"] is not None for keypoint in person["keypoints"].values())


def test_both_runtimes_write_the_same_joints(hevitpose, skier):
    results = []
    for runtime in ("onnx", "torch"):
        hevitpose("predict", skier, "--runtime", runtime)
        keypoints = json.loads(Path("out/skier.json").read_text())["people"][0]["keypoints"].values()
        results.append(np.array([(k["x"] or 0, k["y"] or 0) for k in keypoints]))
    assert results[0] == pytest.approx(results[1], abs=0.05)
