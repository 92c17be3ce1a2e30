import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hevitpose.benchmark.models import prepare_model
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import MPII16
from hevitpose.inference.network import DEFAULT, find_weights
from hevitpose.models.hevitpose import hevitpose_t
from hevitpose.models.weights import save_model

pytestmark = pytest.mark.usefixtures("once")
QUICK = ("--size", "64", "--seconds", "0.1", "--threads", "1")


@pytest.fixture
def once(monkeypatch):
    """Repeat nothing."""
    monkeypatch.setattr("hevitpose.benchmark.timing.MAX_TRIES", 1)
    monkeypatch.setattr("hevitpose.benchmark.pipeline.CROPS", 1)
    monkeypatch.setattr("hevitpose.benchmark.pipeline.MIN_ROUNDS", 1)
    monkeypatch.setattr("hevitpose.cli.benchmark.STARTS", 1)


def test_networks_and_files_in_two_runtimes(hevitpose):
    import onnx
    from onnx import TensorProto, helper

    info = helper.make_tensor_value_info
    sides = [info(name, TensorProto.FLOAT, [1, 3, "height", "width"]) for name in ("pixels", "positive")]
    graph = helper.make_graph([helper.make_node("Relu", ["pixels"], ["positive"])], "relu", sides[:1], sides[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    onnx.save(model, "relu.onnx")
    Path("scores.json").write_text(json.dumps({"network": "t", "data": "d", "scores": {"v": {"AP": 80.0}}}))
    status, printed, errors = hevitpose(
        "benchmark", "--models", "t,relu.onnx", "--runtimes", "onnx,openvino", "--precisions", "fp32,bf16",
        "--output", "b.json", "--plot", "b.png", "--accuracy", "scores.json", *QUICK,
    )  # fmt: skip
    assert status == 0, errors
    assert "left out: bf16 in onnx: ONNX Runtime has no bfloat16 on processors" in errors.splitlines()
    result = json.loads(Path("b.json").read_text())
    rows = {(row["model"], row["runtime"]): row for row in result["rows"] if row["precision"] == "fp32"}
    assert set(rows) == {(model, runtime) for model in ("t", "relu") for runtime in ("onnx", "openvino")}
    for (model, _), row in rows.items():
        assert (row["random"], row["batch"], row["threads"]) == (model == "t", 1, 1)
        assert (row["ratio"] == 1) if model == "t" else (row["ratio"] < 0.5)
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert str(row["title"]) in printed
    assert rows["t", "onnx"]["memory_mb"] > 10
    assert {"processor", "versions"} <= set(result["provenance"])
    assert Path("b.png").exists()


def test_a_file_that_fails_as_it_runs_leaves_the_others(hevitpose):
    import onnx
    from onnx import TensorProto, helper

    info = helper.make_tensor_value_info
    pixels = info("pixels", TensorProto.FLOAT, [1, 3, "height", "width"])
    seven = helper.make_tensor("shape", TensorProto.INT64, [1], [7])
    for name, node in (
        ("good", helper.make_node("Relu", ["pixels"], ["out"])),
        ("bad", helper.make_node("Reshape", ["pixels", "shape"], ["out"])),
    ):
        graph = helper.make_graph([node], name, [pixels], [info("out", TensorProto.FLOAT, None)], [seven])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        model.ir_version = 8
        onnx.save(model, f"{name}.onnx")
    status, printed, errors = hevitpose("benchmark", "--models", "good.onnx,bad.onnx", "--output", "b.json", *QUICK)
    assert (status, "Traceback" in errors, "left out: bad in onnx" in errors, "good" in printed) == (
        1,
        False,
        True,
        True,
    ), errors
    assert [row["model"] for row in json.loads(Path("b.json").read_text())["rows"]] == ["good"]


def test_two_files_of_one_name_are_two_models(hevitpose):
    names = ["a/last.onnx", "b/last.onnx"]
    for name in names:
        Path(name).parent.mkdir()
        Path(name).write_bytes(find_weights(DEFAULT).read_bytes())
    status, _, errors = hevitpose(
        "benchmark", "--models", ",".join(names), "--reference", names[1], "--output", "b.json", *QUICK
    )
    assert status == 0, errors
    rows = json.loads(Path("b.json").read_text())["rows"]
    assert [row["model"] for row in rows] == [row["title"] for row in rows] == names
    assert rows[1]["ratio"] == 1


def test_two_weight_files_of_one_name_are_exported_to_two_files(tmp_path):
    files = []
    for seed, folder in enumerate(("a", "b")):
        torch.manual_seed(seed)
        path = tmp_path / folder / "last.safetensors"
        path.parent.mkdir()
        save_model(path, hevitpose_t().state_dict(), ModelConfig("t", MPII16, (64, 64), 1.25))
        files.append(prepare_model(str(path), ["onnx"], 64, tmp_path).files["onnx"])
    assert files[0].read_bytes() != files[1].read_bytes()


def test_torch_and_what_has_no_score(hevitpose):
    status, printed, errors = hevitpose("benchmark", "--models", "t", "--runtimes", "torch", "--plot", "b.png", *QUICK)
    assert status == 0, errors
    assert "random weights" in printed
    assert errors.splitlines()[-1] == "no figure: results/compare holds no score of HEViTPose-T"
    assert not Path("b.png").exists()


def test_the_steps_of_prediction(hevitpose, skier):
    status, printed, _ = hevitpose(
        "benchmark", "--pipeline", skier, "--people", 2, "--threads", 1, "--output", "p.json"
    )
    result = json.loads(Path("p.json").read_text())
    assert (result["runtime"], result["weights"]) == ("onnx", DEFAULT)
    (row,) = result["pipeline"]
    assert f"hevitpose predict skier.jpg: {result['command_s']:.2f} s" in printed
    assert (status, row["people"]) == (0, 2)
    assert 0 < row["heatmaps_share"] < row["others_share"]
    assert f"{row['ms']['network']:.1f}" in printed


def test_a_clip_in_terms_of_crops(hevitpose, make_clip, skier, monkeypatch):
    monkeypatch.setattr("hevitpose.benchmark.clip.CROP_RUNS", 1)
    with Image.open(skier) as photo:
        clip = make_clip([np.asarray(photo.convert("RGB").resize((160, 120)))] * 3)
    status, printed, _ = hevitpose(
        "benchmark", "--video", clip, "--threads", 1, "--detect-every", 2, "--output", "v.json"
    )
    result = json.loads(Path("v.json").read_text())
    assert status == 0
    assert (result["frames"], result["size_wh"], result["detect_every"]) == (3, [160, 120], 2)
    assert result["encoder"] == "libx264"
    assert f"a frame costs {result['crops_per_frame']:.2f} crops" in printed
    assert result["crops_per_frame"] > 1
    assert sorted(file.name for file in Path.cwd().iterdir()) == ["clip.mp4", "v.json"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "--models: use either this, --pipeline or --video"),
        (["--models", "alexnet"], "--models alexnet: no network 'alexnet' (known: t, s, b, "),
        (["--models", "none.onnx"], "none.onnx: no such file"),
        (["--models", "t", "--runtimes", "tvm"], "--runtimes tvm: 'tvm' is not one of onnx, openvino, torch"),
        (["--models", "t", "--batch", "0"], "--batch 0: must be whole numbers above 0, such as 1,2"),
        (["--models", "t", "--reference", "b"], "--reference b: is not one of --models"),
        (["--pipeline", "none.jpg"], "none.jpg: no such file"),
        (["--video", "none.mp4"], "none.mp4: no such file"),
    ],
)
def test_bad_input_is_one_line(hevitpose, options, line):
    status, printed, errors = hevitpose("benchmark", *options)
    assert (status, printed) == (1, "")
    assert errors.startswith(f"error: {line}")
    assert errors.count("\n") == 1


def test_a_file_that_cannot_be_run_is_left_out(hevitpose):
    Path("broken.onnx").write_bytes(b"no graph")
    status, _, errors = hevitpose("benchmark", "--models", "broken.onnx", *QUICK)
    assert (status, errors.count("\n")) == (1, 1)
    assert errors.startswith("left out: broken in onnx, batch 1: cannot be loaded as a network")
