import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MOUSE = {"id": 1, "name": "mouse", "keypoints": ["snout", "leftear", "rightear"], "skeleton": [[1, 2], [1, 3]]}


@pytest.fixture
def mice(empty_folder):
    """A data set as annotation tools write it, of eight and four mice, in the folder `mice`."""
    random = np.random.default_rng(0)
    folder = empty_folder / "mice"
    for split, count in (("train", 8), ("val", 4)):
        (folder / "images" / split).mkdir(parents=True)
        annotations, images = [], []
        for n in range(1, count + 1):
            Image.fromarray(random.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(
                folder / f"images/{split}/{n}.png"
            )
            images.append({"id": n, "file_name": f"{n}.png", "width": 64, "height": 48})
            joints = [30 + n, 10, 2, 26, 20, 2, 36, 20, 2]
            annotation = {"id": n, "image_id": n, "category_id": 1, "bbox": [20, 5, 25, 30], "keypoints": joints}
            annotations.append(annotation | {"area": 300})
        content = {"images": images, "annotations": annotations, "categories": [MOUSE]}
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def spoilt(mice):
    """The same with two errors and a warning."""
    content = json.loads((mice / "train.json").read_text())
    content["annotations"][2]["image_id"] = 99
    content["annotations"][3]["keypoints"][0] = None
    content["annotations"][4]["area"] = 0
    (mice / "train.json").write_text(json.dumps(content))
    return mice


def test_a_sound_folder(hevitpose, mice):
    status, printed, errors = hevitpose("data", "check", mice)
    assert (status, printed) == (0, "no faults found\n")
    assert errors.endswith("note: mirrored images exchange leftear and rightear, but not snout\n")


def test_each_fault_is_a_sentence_and_errors_are_status_1(hevitpose, spoilt):
    status, printed, _ = hevitpose("data", "check", spoilt)
    assert status == 1
    lines = [line for line in printed.splitlines() if ": " in line]
    places = [f"error: {spoilt}/train.json: annotation 3: ", f"error: {spoilt}/train.json: annotation 4: "]
    sentences = [
        "image_id 99 is not an image of this file; correct it, or add the image",
        "keypoints hold NaN or null; write 0, 0, 0 for a joint that is not labelled",
    ]
    assert lines[:2] == [place + sentence for place, sentence in zip(places, sentences, strict=True)]
    assert lines[2].startswith(f"warning: {spoilt}/train.json: annotation 5: area is 0; write ")
    assert len(lines) == 3
    assert [line.split() for line in printed.splitlines() if line.startswith("area ")] == [["area", "warning", "1"]]
    _, printed, _ = hevitpose("data", "check", spoilt, "--json", "--quick")
    result = json.loads(printed)
    assert (result["errors"], result["warnings"]) == (2, 1)
    assert {key: result["faults"][2][key] for key in ("kind", "record")} == {"kind": "area", "record": "annotation 5"}


def test_warnings_alone_are_status_0_and_many_of_a_kind_are_cut_short(hevitpose, mice):
    content = json.loads((mice / "train.json").read_text())
    people = [content["annotations"][0] | {"id": n, "area": 0} for n in range(13)]
    (mice / "train.json").write_text(json.dumps(content | {"annotations": people}))
    status, printed, _ = hevitpose("data", "check", mice)
    assert (status, printed.count("area is 0")) == (0, 10)
    assert "warning: area: and 3 more (--json lists all)" in printed


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_folder_trains_and_evaluates_with_one_command_each(hevitpose, mice):
    arguments = ["train", "--data", mice, "--epochs", 1, "--size", "32", "--batch-size", 4, "--out", "run"]
    arguments.append("--no-detector")
    status, printed, errors = hevitpose(*arguments)
    assert (status, "val PCKbox@0.05" in printed) == (0, True)
    assert errors.startswith("data check: no faults\n")
    status, printed, _ = hevitpose("evaluate", "--data", mice, "--model", "run/last.safetensors", "--json")
    result = json.loads(printed)
    assert (status, result["persons"], list(result["scores"])) == (0, 4, ["PCKbox@0.05", "PCKbox@0.1"])
    content = json.loads((mice / "train.json").read_text())
    content["annotations"][4]["area"] = 0
    (mice / "train.json").write_text(json.dumps(content))
    _, _, errors = hevitpose(*arguments, "--resume")
    assert errors.startswith(f"data check: 1 x area (hevitpose data check {mice})\n")


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_without_mirror_pairs_nothing_is_flipped_and_every_command_says_so(hevitpose, mice):
    for file in ("train.json", "val.json"):
        content = json.loads((mice / file).read_text())
        content["categories"][0]["keypoints"] = ["a", "b", "c"]
        (mice / file).write_text(json.dumps(content))
    _, printed, _ = hevitpose("data", "check", mice)
    assert f"warning: {mice}/train.json: category mouse: no mirror pairs: images are not flipped; write " in printed
    arguments = ["train", "--data", mice, "--epochs", 1, "--size", "32", "--batch-size", 4, "--out", "run"]
    arguments.append("--no-detector")
    assert hevitpose(*arguments)[2].startswith("data check: 2 x no flip pairs (")
    card = json.loads(Path("run/card.json").read_text())
    assert card["scores"]["protocol"] == "boxes of the labels, no flip test"
    evaluation = ["evaluate", "--data", mice, "--model", "run/last.safetensors", "--json"]
    for more, notes in (([], ["no mirror pairs: images are not flipped"]), (["--no-flip-test"], [])):
        result = json.loads(hevitpose(*evaluation, *more)[1])
        assert (result["flip_test"], result["notes"]) == (False, notes)
    predict = ["predict", mice / "images/val/1.png", "--model", "run/last.safetensors", "--flip-test"]
    assert "note: no mirror pairs: images are not flipped\n" in hevitpose(*predict)[2]
    export = ["export", "run/last.safetensors", "--output", "run/flips.onnx", "--check", mice / "images", "--flip-test"]
    assert hevitpose(*export)[::2] == (1, "error: --flip-test: no mirror pairs: images are not flipped\n")


def test_training_refuses_errors_before_it_begins(hevitpose, spoilt):
    status, _, errors = hevitpose("train", "--data", spoilt, "--out", "run")
    assert (status, Path("run").exists()) == (1, False)
    assert errors == (
        f"error: {spoilt}/train.json: annotation 3: image_id 99 is not an image of this file; correct it, or add the "
        f"image (1 more errors: hevitpose data check {spoilt})\n"
    )


def test_a_sheet_of_the_labels(hevitpose, mice):
    assert hevitpose("data", "show", mice)[:2] == (0, "sheet.png: 8 of 8 of mice\n")
    assert hevitpose("data", "show", mice, "--split", "val", "--flip", "--output", "val.png", "--count", 3)[0] == 0
    with Image.open("sheet.png") as six_wide, Image.open("val.png") as three_wide:
        assert six_wide.width == 2 * three_wide.width - 6
    (mice / "images" / "train" / "1.png").unlink()
    status, _, errors = hevitpose("data", "show", mice)
    assert (status, errors) == (1, f"error: {mice}/images/train/1.png: no such file\n")


def test_from_coco_to_yolo_and_back(hevitpose, mice):
    assert hevitpose("data", "convert", mice, "--output", "yolo")[:2] == (0, "yolo: 8 of mice, 4 of val\n")
    assert hevitpose("data", "check", "yolo")[0] == 0
    assert hevitpose("data", "convert", "yolo", "--split", "val", "--output", "back/val.json")[0] == 0
    before, after = (json.loads(Path(file).read_text()) for file in (mice / "val.json", "back/val.json"))
    for one, other in zip(before["annotations"], after["annotations"], strict=True):
        assert one["keypoints"] == pytest.approx(other["keypoints"], abs=1e-3)
        assert one["bbox"] == pytest.approx(other["bbox"], abs=1e-3)
    assert hevitpose("data", "check", "back/val.json")[:2] == (0, "no faults found\n")


def test_people_without_a_box_are_shown_and_converted(hevitpose, mice):
    content = json.loads((mice / "train.json").read_text())
    del content["annotations"][0]["bbox"]
    (mice / "one.json").write_text(json.dumps(content | {"annotations": content["annotations"][:1]}))
    assert hevitpose("data", "check", mice / "one.json", "--root", mice / "images" / "train")[0] == 1
    assert hevitpose("data", "show", mice / "one.json", "--root", mice / "images" / "train")[0] == 0
    converted = hevitpose("data", "convert", mice / "one.json", "--root", mice / "images/train", "--output", "one.json")
    assert converted[0] == 0
    status, printed, _ = hevitpose("data", "check", "one.json")
    assert (status, "7 of 8 images have no labelled person" in printed) == (0, True)


def test_deeplabcut_becomes_coco(hevitpose, mice):
    sheet = mice / "CollectedData_me.csv"
    sheet.write_text("scorer,me,me\nbodyparts,snout,snout\ncoords,x,y\nimages/train/1.png,12,13.5\n")
    assert hevitpose("data", "convert", sheet, "--output", "dlc.json")[:2] == (0, "dlc.json: 1 of CollectedData_me\n")
    content = json.loads(Path("dlc.json").read_text())
    assert content["annotations"][0]["keypoints"] == [12, 13.5, 2]
    assert content["images"] == [{"id": 1, "file_name": "mice/images/train/1.png", "width": 64, "height": 48}]


def test_what_is_left_out_is_said_and_inputs_are_kept(hevitpose, mice):
    sheet = mice / "CollectedData_me.csv"
    sheet.write_text("scorer,me,me\nbodyparts,snout,snout\ncoords,x,y\nimages/train/1.png,12,13.5\nother.png,,\n")
    _, _, notes = hevitpose("data", "convert", sheet, "--output", "dlc.json")
    assert notes.startswith("note: 8 of 9 images have no labels (")
    before = (mice / "train.json").read_bytes()
    for output in (mice / "train.json", mice / "images" / ".." / "train.json"):
        status, _, errors = hevitpose("data", "convert", mice / "train.json", "--output", output)
        assert (status, errors) == (1, f"error: {output}: is one of the inputs: choose another output\n")
    status, _, errors = hevitpose("data", "show", mice, "--output", mice / "images" / "train" / "1.png")
    assert (status, errors.endswith("choose another output\n")) == (1, True)
    assert (mice / "train.json").read_bytes() == before


def test_a_validation_set_is_not_shown_as_the_one_for_training(hevitpose, mice):
    (mice / "train.json").unlink()
    status, _, errors = hevitpose("data", "show", mice, "--split", "train")
    assert (status, errors) == (1, f"error: {mice}: say which set: --split val\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["convert", "mice", "--output", "all.json"], "error: mice: say which set: --split train or val\n"),
        (["convert", "mice", "--output", "mice"], "error: mice: is not an empty folder\n"),
        (["show", "mice", "--split", "test"], "error: mice: say which set: --split train or val\n"),
        (["check", "none.json"], None),
        (["check", "nothing"], "error: nothing: no such validation set\n"),
        (["show", "mice", "--output", "mice/val.json/x.png"], "error: mice/val.json/x.png: cannot be written"),
    ],
)
@pytest.mark.usefixtures("mice")
def test_what_cannot_be_used_is_one_line(hevitpose, arguments, line):
    status, printed, errors = hevitpose("data", *arguments)
    assert status == 1
    if line is None:
        assert printed.startswith("error: none.json: no such file; ")
    else:
        assert errors.startswith(line)


@pytest.mark.parametrize("command", ["check", "show", "convert"])
def test_every_help_text_has_examples(hevitpose, command):
    status, printed, _ = hevitpose("data", command, "--help")
    assert status == 0
    assert f"hevitpose data {command} " in printed.split("Examples:")[1]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_folder_becomes_a_model_that_finds_and_is_exported(hevitpose, mice, monkeypatch):
    from hevitpose.training import own_detector

    monkeypatch.setattr(own_detector, "SHOWN", (8, 8))
    monkeypatch.setattr(own_detector, "SIDES", (64,))
    arguments = ["train", "--data", mice, "--epochs", 1, "--size", "32", "--out", "run"]

    def stopped(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(own_detector, "train_detector", stopped)
        status, _, errors = hevitpose(*arguments)
    assert status == 143
    command = f"hevitpose train --data {mice} --epochs 1 --size 32 --out run --resume"
    assert errors.splitlines()[-1] == f"interrupted; go on with: {command}"
    assert "  batch 8: 1 steps an epoch, nobody is left out\n" in errors
    assert "  about 0 minutes on this machine as it is now (keypoints 0, detector 0)\n" in errors
    status, printed, _ = hevitpose(*command.split()[1:])
    assert status == 0
    assert "\nend to end, val: " in printed
    assert printed.splitlines()[-1] == "next: hevitpose predict --model run --draw IMAGES"

    image = mice / "images/val/1.png"
    status, printed, _ = hevitpose("export", "run", "--output", "mine")
    assert (status, sorted(file.name for file in Path("mine").iterdir())) == (
        0,
        ["detector.onnx", "model.json", "pose.onnx"],
    )
    status, _, errors = hevitpose("export", "mine", "--output", "other")
    assert (status, errors) == (1, "error: mine/pose.onnx: torch does not read this file (.safetensors)\n")
    monkeypatch.setitem(sys.modules, "torch", None)  # as in the light installation
    for model in ("mine", Path("mine").resolve()):
        status, _, _ = hevitpose("predict", image, "--model", model, "--output", "found")
        assert (status, json.loads(Path("found/1.json").read_text())["model"]) == (0, "mine")
    status, printed, _ = hevitpose("evaluate", "--data", mice, "--model", "mine", "--json")
    assert (status, json.loads(printed)["model"]) == (0, "mine")
