import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from hevitpose.training.fabric import Hardware, make_fabric, process_arguments


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_one_line(refused):
    with refused("`device=cuda`", "cannot be used ("):
        make_fabric(Hardware(device="cuda"))


@pytest.mark.parametrize(
    ("precision", "dtype", "name"), [("fp32", torch.float32, "float32"), ("bf16", torch.bfloat16, "bfloat16")]
)
def test_products_are_of_the_precision_that_is_logged(precision, dtype, name, caplog):
    with caplog.at_level("INFO"):
        fabric = make_fabric(Hardware(device="cpu", precision=precision))
    assert f"device: cpu; {name}" in caplog.messages
    network = torch.nn.Linear(2, 2)
    model, _ = fabric.setup(network, torch.optim.SGD(network.parameters()))
    with fabric.autocast():
        assert model.module.weight.dtype == torch.float32
        assert torch.nn.functional.linear(torch.ones(1, 2), model.module.weight).dtype == dtype


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"devices": 1}),
        ({"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}, {"devices": 2, "num_nodes": 2}),
    ],
)
def test_processes_are_those_of_torchrun(monkeypatch, environment, expected):
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = process_arguments()
    strategy = found.pop("strategy", None)
    assert found == expected
    assert (strategy is not None) == bool(environment)


def train(two, folder, *options, processes=1, port=0):
    """A short run of the command."""
    launcher = ["torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", str(port), "-m"]
    command = [sys.executable, "-m", *(launcher if processes > 1 else ()), "hevitpose", "train", *options]
    command += ["--data", str(two / "two.toml"), "--out", str(folder), "--epochs", "1", "--device", "cpu"]
    command += ["--batch-size", "8", "--size", "32", "--precision", "fp32", "--lr", "4e-5", "--recipe", "paper"]
    run = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def two(dots):
    """The data set with a second validation set, of one person: fewer than there are processes."""
    content = json.loads((dots / "dots.json").read_text())
    (dots / "one.json").write_text(json.dumps(content | {"annotations": content["annotations"][:1]}))
    one = '[validation.one]\nannotations = "one.json"\nmetric = "pckh"\n'
    (dots / "two.toml").write_text((dots / "dots.toml").read_text() + one)
    return dots


def test_two_processes_train_as_one_with_two_micro_batches(two, tmp_path, free_port):
    """On CPUs, where each process normalises its own part of the batch. Only running statistics differ."""
    train(two, tmp_path / "1", "--micro-batch-size", "4")
    printed = train(two, tmp_path / "2", processes=2, port=free_port())
    histories = [json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[-1]) for name in "12"]
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)
    assert histories[0].keys() == histories[1].keys()
    one, both = (load_file(tmp_path / name / "checkpoint.safetensors") for name in "12")
    assert one.keys() == both.keys()
    # Adam's first steps divide rounding errors by themselves where a gradient is zero but for them: in front of norms.
    for name in one:
        if name.startswith("model.") and "num_batches" not in name and "running" not in name:
            assert torch.allclose(one[name], both[name], atol=1e-5, rtol=1e-4), name
    assert printed.count("epoch 1: ") == 1  # only the first process prints
