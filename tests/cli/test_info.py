import json
import shutil
import subprocess
import sys

import pytest

from hevitpose.cli.info import describe_run, describe_weights, entries, info
from hevitpose.inference.model_folder import DETECTOR, POSE, Calibration, ModelFolder
from hevitpose.inference.network import PAPER_T, PERSON_DETECTOR, weights_folder


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_a_weight_file_is_described_with_its_card(suffix):
    path = weights_folder() / f"{PAPER_T}{suffix}"
    found = describe_weights(path)
    card = json.loads(path.with_suffix(".json").read_text())
    assert found["card"] == card
    assert (found["network"], found["parameters"]) == ("t", card["parameters"])
    assert list(found["keypoints"]) == card["keypoints"]
    assert (list(found["input_size"]), found["codec"]) == (card["input_size"], card["codec"])
    rows = dict(entries(path.name, found).rows)
    assert rows["input_size"] == ", ".join(map(str, card["input_size"]))
    assert rows["card.terms"] == card["terms"]
    assert "card.recipe" not in rows


def test_the_number_of_parameters_is_read_without_a_card(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes((weights_folder() / f"{PAPER_T}.safetensors").read_bytes())
    (tmp_path / "card.json").write_text(json.dumps({"name": "best"}))
    found = describe_weights(path)
    assert (found["card"], found["parameters"]) == (None, 3_209_520)


def test_weights_are_described_without_torch():
    code = (
        "import sys\nfrom hevitpose.cli.info import describe_weights\nfrom hevitpose.inference.network import *\n"
        f"describe_weights(weights_folder() / '{PAPER_T}.safetensors')\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.safetensors", b""),
        ("a.safetensors", b"\xff" * 16),
        ("a.safetensors", b"\x02" + bytes(7) + b"[]"),
        ("a.safetensors", b"\x02" + bytes(7) + b"{}"),
        ("a.safetensors", b"\x08" + bytes(7) + b'{"a": 1}'),
        ("a.onnx", b"no graph"),
    ],
)
def test_a_broken_weight_file_is_refused(name, content, tmp_path, refused):
    (tmp_path / name).write_bytes(content)
    with refused(tmp_path / name):
        describe_weights(tmp_path / name)


def test_the_detector_is_described():
    found = describe_weights(weights_folder() / "person_detector.onnx")
    assert found["detector"]["input_size"] == found["card"]["input_size"]
    assert "research" in found["card"]["terms"]


@pytest.mark.parametrize("with_detector", [True, False])
def test_an_exported_model_is_described_file_by_file(tmp_path, capsys, with_detector):
    shutil.copy(weights_folder() / f"{PAPER_T}.onnx", tmp_path / POSE)
    detector = tmp_path / DETECTOR if with_detector else None
    if detector:
        shutil.copy(weights_folder() / f"{PERSON_DETECTOR}.onnx", detector)
    model = ModelFolder(tmp_path / POSE, detector, Calibration(3.0, 0.25) if detector else None)
    (tmp_path / "model.json").write_text(json.dumps(model.to_json()))
    info(str(tmp_path), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["pose"]["network"] == "t"
    assert (found["detector"] is not None) == with_detector
    if with_detector:
        assert found["detector"]["detector"]["input_size"] == [320, 320]
        assert found["person_score"] == {"slope": 3.0, "half": 0.25}
    rows = dict(entries("exported", found).rows)
    assert rows["pose.network"] == "t"
    assert rows.get("detector", "found") == ("found" if with_detector else "-")


def test_a_folder_without_a_model_is_refused(tmp_path, refused):
    with refused(tmp_path, "holds no model"):
        info(str(tmp_path))


def test_a_run_is_described_by_its_recipe_and_best_epoch(tmp_path, refused):
    with refused(tmp_path):
        describe_run(tmp_path)
    recipe = {"model": "t", "variant": "query_reduction=true", "epochs": 9, "codec": {"sigma": 2.0}}
    row = {"size": "64x64", "learning_rate": 1e-3, "loss": 0.5, "images_per_second": 10.0}
    rows = [row | {"epoch": n, "val AP": ap} for n, ap in ((1, 1.0), (2, 3.0), (3, 2.0))]
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    (tmp_path / "data.json").write_text(json.dumps({"name": "mice", "persons": 36_000}))
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = describe_run(tmp_path)
    assert found == {
        "run": str(tmp_path),
        "model": "t:query_reduction=true",
        "data": "mice",
        "epochs": "3/9",
        "input": "64x64",
        "score": "val AP",
        "best": 3.0,
        "at epoch": 2,
        "last": 2.0,
        "loss": 0.5,
        "hours": 3.0,
        "recipe": recipe,
    }
    assert ["recipe.codec.sigma", "2.0"] in entries("run", found).rows
