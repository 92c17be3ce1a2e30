import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from hevitpose import PoseEstimator
from hevitpose.inference.network import PAPER_T

PAPER = {"t": ("3.21", "1.75"), "s": ("5.88", "3.64"), "b": ("10.63", "5.58")}


@pytest.mark.parametrize("model", ["t", "s", "b"])
def test_info_prints_the_papers_figures(hevitpose, model):
    status, printed, _ = hevitpose("info", model)
    assert status == 0
    total = next(line for line in printed.splitlines() if "total" in line)
    assert tuple(total.split()[1:3]) == PAPER[model]
    assert [line.split()[:2] for line in printed.splitlines() if "stage" in line] == [["stage", n] for n in "123"]


def test_info_as_json_adds_up(hevitpose):
    _, printed, _ = hevitpose("info", "t", "--json", "--keypoints", "17", "--height", "256", "--width", "192")
    parts = json.loads(printed)
    whole = parts.pop("total")
    for key in ("parameters", "paper_operations", "multiply_accumulates"):
        assert whole[key] == sum(part[key] for part in parts.values())


def test_info_of_a_variant_is_that_of_its_row(hevitpose):
    status, printed, _ = hevitpose("info", "b-g222")
    total = next(line for line in printed.splitlines() if "total" in line)
    assert (status, total.split()[1:3]) == (0, ["13.72", "5.80"])
    assert "HEViTPose-B, groups=2-2-2, 16 keypoints" in printed
    status, _, errors = hevitpose("info", "alexnet")
    assert (status, errors.startswith("error: alexnet: no network 'alexnet' (known: t, s, b, ")) == (1, True)


def test_info_refuses_a_size_that_cannot_be(hevitpose):
    status, _, errors = hevitpose("info", "t", "--height", "250")
    assert (status, errors) == (
        1,
        "error: HEViTPose-T: input of 250 x 256: both sides must be multiples of 32\n",
    )


@pytest.fixture
def data(skier, empty_folder):  # noqa: ARG001
    """A data set of eight copies of one person, in the current folder."""
    with Image.open(skier) as photo:
        photo.reduce(4).save("photo.png")
    from hevitpose.core.skeleton import MPII16

    keypoints = [v for k in range(16) for v in (80 + k, 20 + 4 * k, 2)]
    person = {
        "image_id": 1,
        "category_id": 1,
        "bbox": [70, 11, 55, 87],
        "keypoints": keypoints,
        "head_box": [0, 0, 9, 9],
    }
    content = {
        "images": [{"id": 1, "file_name": "photo.png"}],
        "annotations": [{"id": n, **person} for n in range(8)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(MPII16.keypoints)}],
    }
    Path("people.json").write_text(json.dumps(content))
    Path("people.toml").write_text(
        '[train]\nannotations = "people.json"\n[validation.val]\nannotations = "people.json"\nmetric = "pckh"\n'
    )


@pytest.mark.usefixtures("data")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_from_training_to_an_onnx_file_that_is_evaluated(hevitpose, skier):
    arguments = ["train", "--data", "people.toml", "--epochs", 1, "--size", "32", "--batch-size", 4, "--out", "run"]
    arguments += ["--half-body", 0.25, "--color-jitter", 0.3, "--cutout", 0.5, "--grey", 0.1, "--shift", 0.2]
    arguments += ["--no-detector"]
    status, printed, errors = hevitpose(*arguments)
    assert (status, "val PCKh@0.5" in printed) == (0, True)
    augmentation = json.loads(Path("run/recipe.json").read_text())["augmentation"]
    assert [augmentation[name] for name in ("half_body", "color_jitter", "cutout", "grey")] == [0.25, 0.3, 0.5, 0.1]
    assert (augmentation["shift"], augmentation["shift_probability"]) == (0.16, 0.2)
    assert "epoch 1/1: 2 of 2, loss 0." in errors
    left = {file.name for file in Path("run").iterdir()}
    assert left >= {"best.safetensors", "last.safetensors", "curve.png", "keypoints.csv", "worst_val.png", "log.csv"}
    scores, card = (json.loads(Path("run", name).read_text()) for name in ("scores.json", "card.json"))
    assert f"best weights, val PCKh@0.5: {scores['val']['scores']['PCKh@0.5']['mean']}" in printed
    assert (card["data"], card["scores"]["val"], card["device"]) == ("people: 8 persons", scores["val"], "cpu")
    status, _, errors = hevitpose(*arguments)
    assert (status, errors.splitlines()[-1]) == (
        1,
        "error: run: already holds a run: continue it with --resume, or choose another folder",
    )
    assert hevitpose(*arguments, "--resume")[0] == 0
    status, printed, _ = hevitpose("runs", ".", "--json")
    (run,) = json.loads(printed)["runs"]
    assert (status, run["run"], run["epochs"], run["score"]) == (0, "run", "1/1", "val PCKh@0.5")
    status, printed, _ = hevitpose("export", "run/last.safetensors", "--output", "run/t.onnx", "--check", skier)
    assert status == 0
    assert printed.startswith("run/t.onnx: ")
    in_8_bits = ["--int8", "--calibrate", "people.json", "--score", "people.toml/val", "--max-loss", "100"]
    status, printed, _ = hevitpose(
        "export", "run/last.safetensors", "--output", "run/int8.onnx", "--check", skier, *in_8_bits
    )
    assert status == 0
    assert re.match(r"run/int8.onnx: 4.* MB, PCKh@0.5 on val \(8 persons\) .* in 8 bits, .* in float; ", printed)
    scores = []
    for weights in ("run/last.safetensors", "run/t.onnx"):
        status, printed, _ = hevitpose(
            "evaluate", "--data", "people.json", "--metric", "pckh", "--model", weights, "--json"
        )
        assert status == 0
        scores.append(json.loads(printed)["scores"]["PCKh@0.5"])
    assert scores[0] == scores[1]


def test_a_dry_run_needs_no_data_and_leaves_nothing(hevitpose, empty_folder):
    status, printed, _ = hevitpose("train", "--recipe", "coco/t:shared_weights=false", "--dry-run", "--device", "cpu")
    assert status == 0
    start = "coco/t:shared_weights=false: HEViTPose-T, shared_weights=false, 3.98 M parameters: 2 steps of 2 people"
    assert printed.startswith(start)
    assert "4 people with 17 keypoints evaluated with flip test, AP " in printed
    assert not list(empty_folder.iterdir())


@pytest.mark.usefixtures("data")
def test_evaluate_prints_each_joint_and_writes_what_it_printed(hevitpose):
    status, printed, _ = hevitpose("evaluate", "--data", "people.json", "--metric", "pckh", "--output", "scores.json")
    assert status == 0
    assert "r_ankle" in printed
    result = json.loads(Path("scores.json").read_text())
    assert (result["persons"], result["boxes"], result["flip_test"]) == (8, "labels", True)
    assert f"{result['scores']['PCKh@0.5']['mean']:.2f}" in printed


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("file", ["found.json", "pred.mat"])
def test_saved_predictions_score_as_the_network_did(hevitpose, file):
    common = ("evaluate", "--data", "people.json", "--metric", "pckh", "--json")
    _, first, _ = hevitpose(*common, "--no-flip-test", "--save-predictions", file)
    _, again, _ = hevitpose(*common, "--predictions", file, "--baseline", file)
    for option in (("--boxes", "boxes.json"), ("--nms", "soft"), ("--no-flip-test",), ("--model", "other")):
        refused = hevitpose(*common, "--predictions", file, *option)
        name = "--flip-test" if option == ("--no-flip-test",) else option[0]
        assert refused[::2] == (1, f"error: {name}: cannot be combined with --predictions\n")
    assert hevitpose(*common, "--nms", "soft")[2].startswith("error: --nms: is for oks in given boxes")
    assert json.loads(again)["scores"] == json.loads(first)["scores"]
    assert json.loads(again)["notes"][-1] == f"not compared with {file}: that needs two images with labels"


@pytest.mark.usefixtures("data")
def test_a_graph_with_its_own_flip_test_is_said_to_flip_and_seven_images_are_enough_to_check_it(hevitpose):
    Path("photos").mkdir()
    for n in range(7):
        Path(f"photos/{n}.png").write_bytes(Path("photo.png").read_bytes())
    Path("photos/8.png").write_text("no image")
    status, printed, errors = hevitpose(
        *("export", "hevitpose_t_people16", "--flip-test", "--check", "photos"),
        *("--output", "flips.onnx"),
    )
    assert status == 0, errors
    assert printed.startswith(f"flips.onnx: {Path('flips.onnx').stat().st_size / 1e6:.2f} MB, ")
    _, printed, _ = hevitpose(
        "evaluate", "--data", "people.json", "--metric", "pckh", "--model", "flips.onnx", "--no-flip-test", "--json"
    )
    assert json.loads(printed)["flip_test"] is True
    shifted = ["evaluate", "--data", "people.json", "--metric", "pckh", "--model", "flips.onnx", "--flip-shift", 1]
    assert hevitpose(*shifted)[::2] == (
        1,
        "error: --flip-shift: flips mirrors within its graph, which no option changes\n",
    )


@pytest.mark.usefixtures("data")
def test_errors_and_scores_are_drawn(hevitpose):
    status, printed, _ = hevitpose("evaluate", "--data", "people.json", "--metric", "pckh", "--plot", "errors.png")
    assert status == 0
    assert re.search(r"joints: right [\d.]+ %, jitter [\d.]+ %, inversion", printed)
    with Image.open("errors.png") as image:
        assert image.width > 1000


def test_a_submission_to_mpii(hevitpose, skier):
    joints = {"scale": 1.7, "objpos": {"x": 389.0, "y": 190.0}}
    images = np.zeros(1, dtype=[("image", object), ("annorect", object)])
    images[0] = ({"name": skier.name}, joints)
    savemat("mpii.mat", {"RELEASE": {"annolist": images, "img_train": [0]}})
    arguments = ("submit", "--data", "mpii.mat", "--root", skier.parent, "--output", "pred_keypoints_mpii.mat")
    status, printed, _ = hevitpose(*arguments)
    assert (status, printed.splitlines()[-1]) == (0, "pred_keypoints_mpii.mat: 1 people")
    pred = loadmat("pred_keypoints_mpii.mat", squeeze_me=True, struct_as_record=False)["pred"]
    # From 1, as MATLAB counts: the centre is at pixel 388, 189 + 15 * 1.7, the side 200 * 1.7.
    pose = PoseEstimator.from_pretrained(flip_test=True)(skier, [[388.5 - 170, 215 - 170, 388.5 + 170, 215 + 170]])
    points = {point.id: (point.x - 1, point.y - 1) for point in pred.annorect.annopoints.point}
    assert np.array([points[k] for k in range(16)]) == pytest.approx(pose.people[0].all_keypoints[:16], abs=1e-6)


def test_a_submission_needs_the_keypoints_of_the_server(hevitpose, skier):
    images = [{"id": 1, "file_name": skier.name}]
    Path("info.json").write_text(json.dumps({"images": images}))
    Path("boxes.json").write_text("[]")
    arguments = ("submit", "--data", "info.json", "--root", skier.parent, "--output", "x.zip")
    status, _, errors = hevitpose(*arguments)
    assert (status, errors) == (1, "error: info.json: has no boxes: name those of a detector with --boxes\n")
    status, _, errors = hevitpose(*arguments, "--boxes", "boxes.json", "--model", PAPER_T)
    missing = "nose, left_eye, right_eye, left_ear, right_ear"
    assert status == 1
    assert errors == f"error: {PAPER_T}: lacks {missing}, keypoints of info\n"


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["train", "--data", "none.toml"],
            "error: none.toml: no such TOML file or folder, and no data set of that name",
        ),
        (["train", "--data", "people16"], "error: people16: say where its files are: --root FOLDER, or HEVITPOSE_DATA"),
        (
            ["train", "--data", "people.toml", "--size", "100"],
            "error: --size 100: 100 is not a multiple of 32; the nea",
        ),
        (["train"], "error: --data: name the data to train on"),
        (["train", "--dry-run", "--data", "people.toml"], "error: --data: a dry run makes up its own people"),
        (["train", "--recipe", "mpii/s", "--model", "t"], "error: --model t: the recipe mpii/s names its network"),
        (["evaluate", "--data", "none.json", "--metric", "pck"], "error: none.json: no such file"),
        (
            ["evaluate", "--data", "people.json"],
            "error: people.json: its metric is unknown: choose --metric from pckh, pck",
        ),
        (
            ["evaluate", "--data", "people.json", "--metric", "oks"],
            "error: people: its keypoints have no sigmas, which OKS needs",
        ),
        (
            ["evaluate", "--data", "people.json", "--metric", "pckh", "--boxes", "people.json"],
            "error: --boxes: cannot be combined with pckh",
        ),
        (
            ["evaluate", "--data", "people.json", "--metric", "pckh", "--flip-shift", "48"],
            "error: --flip-shift 48: must be 0 to 47: heatmaps are 48 cells wide",
        ),
        (
            ["evaluate", "--data", "people.json", "--metric", "pckh", "--flip-shift", "-1"],
            "error: --flip-shift -1: must be 0 to 47",
        ),
        (["evaluate", "--data", "nothing"], "error: nothing: no such validation set"),
        (
            ["evaluate", "--data", "people.toml/val", "--output", "x.json", "--save-predictions", "./x.json"],
            "error: x.json: two results would be this file",
        ),
        (["evaluate", "--data", "people.toml/val", "--output", "."], "error: .: is a folder, not a file to write"),
        (
            ["evaluate", "--data", "people.toml/val", "--save-predictions", "photo.png/a.json"],
            "error: photo.png: cannot be written (",
        ),
        (
            ["evaluate", "--data", "people.toml/val", "--plot", "x.foo"],
            "error: x.foo: must end in .png or .svg",
        ),
        (
            ["submit", "--data", "mpii.mat", "--output", "photo.png/a.mat"],
            "error: photo.png: cannot be written (",
        ),
        (
            ["evaluate", "--data", "people.json", "--metric", "pckh", "--model", PAPER_T, "--runtime", "torch"]
            + ["--device", "cuda:7"],
            "error: --device cuda:7: cannot be used (",
        ),
        (
            ["export", "none.safetensors", "--output", "x.onnx", "--check", "photo.png"],
            "error: none.safetensors: no such",
        ),
        (
            ["export", "hevitpose_t_people16", "--output", "x.onnx", "--check", "photo.png", "--int8"],
            "error: --int8: needs people for the ranges of values and for the score: --calibrate, --score",
        ),
        (
            ["export", "hevitpose_t_people16", "--output", "x.onnx", "--check", "photo.png", "--score", "mpii_val"],
            "error: --score: is for --int8",
        ),
        (
            ["export", "hevitpose_t_people16", "--output", "x.onnx", "--check", "photo.png", "--max-loss", "1"],
            "error: --max-loss: is for --int8",
        ),
        (
            ["export", "hevitpose_t_people16", "--output", "x.onnx", "--check", "photo.png", "--int8"]
            + ["--precision", "int8"],
            "error: --precision: is not for --int8",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_1(hevitpose, arguments, line, monkeypatch):
    monkeypatch.delenv("HEVITPOSE_DATA", raising=False)
    status, _, errors = hevitpose(*arguments)
    assert status == 1
    assert errors.startswith(line)
    assert errors.count("\n") == 1


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("source", "output", "arguments"),
    [
        ("people.json", "out.json", ["predict", "photo.png", "--boxes", "people.json", "--format", "coco"]),
        ("people.json", "out/photo.json", ["predict", "photo.png", "--boxes", "people.json"]),
        ("net.onnx", "out.csv", ["predict", "photo.png", "--model", "net.onnx", "--format", "csv"]),
        ("people.json", "out.json", ["evaluate", "--data", "people.toml/val"]),
        ("photo.png", "out.png", ["evaluate", "--data", "people.toml/val", "--plot", "out.png"]),
        ("net.onnx", "out.json", ["evaluate", "--data", "people.toml/val", "--model", "net.onnx"]),
        ("people.json", "out.zip", ["submit", "--data", "people.json"]),
        ("people.toml", "out.png", ["data", "show", "people.toml"]),
        ("photo.png", "out.png", ["data", "show", "people.json"]),
        ("people.json", "out.json", ["data", "convert", "people.toml", "--split", "val"]),
        ("people.json", "data.json", ["train", "--data", "people.toml", "--out", "."]),
        (
            "people.json",
            "compare.json",
            ["compare", "--models", "t", "--data", "people.toml", "--budget", "1", "--out", "."],
        ),
        ("net.onnx", "out.json", ["benchmark", "--models", "net.onnx"]),
        ("results/t.json", "out.json", ["table", "2", "--results", "results"]),
        ("net.safetensors", "out.onnx", ["export", "net.safetensors", "--check", "photo.png"]),
        ("net/model.json", "out.json", ["predict", "photo.png", "--model", "net", "--format", "coco"]),
        ("list.txt", "out.csv", ["predict", "@list.txt", "--format", "csv"]),
        ("people.json", "out/photo.png", ["predict", "photo.png", "--boxes", "people.json", "--draw"]),
        (
            "net.onnx",
            "out.json",
            ["evaluate", "--data", "people.toml/val", "--end-to-end", "--detector", "net.onnx"],
        ),
        ("photo.png", "out.zip", ["submit", "--data", "people.json", "--boxes", "people.json"]),
        ("clip.mp4", "out.json", ["benchmark", "--video", "clip.mp4"]),
        ("results/t.json", "out.png", ["figure", "1", "--of", "runs", "--results", "results"]),
        (
            "net.safetensors",
            "last.safetensors",
            ["train", "--data", "people.toml", "--out", ".", "--weights", "net.safetensors"],
        ),
    ],
)
@pytest.mark.parametrize("link", ["soft", "hard"])
def test_no_command_writes_over_an_input_through_a_link(hevitpose, source, output, arguments, link):
    path = Path(source)
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text("{}")
    Path(output).parent.mkdir(exist_ok=True)
    Path(output).symlink_to(path.resolve()) if link == "soft" else Path(output).hardlink_to(path)
    content = path.read_bytes()
    if output.startswith("out") and output not in arguments:
        arguments = [*arguments, "--output", output if output.count("/") == 0 else "out"]
    status, _, errors = hevitpose(*arguments)
    assert (status, errors) == (1, f"error: {output}: is one of the inputs: choose another output\n")
    assert path.read_bytes() == Path(output).read_bytes() == content


@pytest.mark.usefixtures("data")
def test_boxes_for_several_images_are_said_to_be_those_of_each(hevitpose, skier):
    shutil.copy(skier, "other.jpg")
    status, _, errors = hevitpose("predict", "photo.png", "other.jpg", "--box", "70,11,55,87")
    assert (status, errors.splitlines()[0]) == (0, "note: the boxes of --box are looked at in each of 2 images")


def test_a_missing_extra_names_the_install_command(hevitpose, monkeypatch):
    from hevitpose.core import extras

    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    status, _, errors = hevitpose("info", "t")
    assert (status, errors) == (
        1,
        'error: train: needs packages that are not installed: pip install "hevitpose[train]"\n',
    )


@pytest.mark.parametrize("command", ["predict", "train", "compare", "evaluate", "submit", "export", "info"])
def test_every_help_text_has_examples(hevitpose, command):
    status, printed, _ = hevitpose(command, "--help")
    assert status == 0
    assert f"hevitpose {command} " in printed.split("Examples:")[1]


def test_a_runtime_that_is_not_installed_names_the_install_command(hevitpose, skier, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    status, _, errors = hevitpose("predict", skier, "--model", PAPER_T, "--runtime", "torch")
    assert (status, errors) == (1, 'error: torch: is not installed: pip install "hevitpose[train]"\n')


def test_python_m_hevitpose_is_the_command():
    run = subprocess.run([sys.executable, "-m", "hevitpose", "--help"], capture_output=True, text=True, check=True)
    assert "predict" in run.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--epochs", 2, "--time-budget", "30m"), "--epochs: cannot be combined with --time-budget"),
        (("--imagenet", "a.safetensors", "--pretrained"), "--imagenet: cannot be combined with --pretrained"),
        (("--dry-run", "--resume"), "--resume: is not for a dry run"),
        (("--lr", "nan"), "--lr nan: must be a finite number"),
    ],
)
def test_options_of_train_that_cannot_both_be_honoured_are_refused(hevitpose, options, reason):
    assert hevitpose("train", "--data", "mice/", *options)[::2] == (1, f"error: {reason}\n")
