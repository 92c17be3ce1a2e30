import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hevitpose.training import distributed


def train(dots, folder, processes, port):
    """A short run of the command in so many processes."""
    command = [sys.executable, "-m"]
    if processes > 1:
        command += [
            "torch.distributed.run",
            "--nproc-per-node",
            str(processes),
            "--master-port",
            str(port),
            "-m",
        ]
    command += ["hevitpose", "train", "--data", str(dots / "two.toml"), "--out", str(folder), "--epochs", "2"]
    command += ["--batch-size", "8", "--size", "32", "--precision", "fp32", "--device", "cpu", "--lr", "0.01"]
    run = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert run.returncode == 0, run.stderr
    return run


@pytest.fixture(scope="module")
def two(dots):
    """The data set with a second validation set, of one person: fewer than there are processes."""
    content = json.loads((dots / "dots.json").read_text())
    (dots / "one.json").write_text(json.dumps(content | {"annotations": content["annotations"][:1]}))
    one = '[validation.one]\nannotations = "one.json"\nmetric = "pckh"\n'
    (dots / "two.toml").write_text((dots / "dots.toml").read_text() + one)
    return dots


def test_two_processes_are_one_of_twice_the_batch(two, tmp_path, free_port):
    runs = {processes: train(two, tmp_path / str(processes), processes, free_port()) for processes in (1, 2)}
    histories = [json.loads((tmp_path / str(p) / "log.jsonl").read_text().splitlines()[-1]) for p in (1, 2)]
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)
    for name in ("seen", "one"):
        assert histories[0][f"{name} PCKh@0.5"] == histories[1][f"{name} PCKh@0.5"]
    one, two = (load_file(tmp_path / str(p) / "checkpoint.safetensors") for p in (1, 2))
    assert one.keys() == two.keys()
    # Adam's first steps divide rounding errors by themselves where a gradient is zero but for them: in front of norms.
    for name in one:
        if name.startswith("model.") and "num_batches" not in name:
            assert torch.allclose(one[name], two[name], atol=1e-5, rtol=1e-4), name
    assert runs[2].stdout.count("epoch: 2") == 1  # one process speaks for all


def test_a_synced_batch_norm_is_a_batch_norm(monkeypatch):
    """In one process, where the sum over all is the sum itself."""
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: 1)
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda _: None)
    torch.manual_seed(0)
    plain, synced = nn.BatchNorm2d(5), nn.Sequential(nn.BatchNorm2d(5))
    distributed.synchronize_batch_norms(synced)
    x = torch.randn(4, 5, 6, 7, requires_grad=True)
    gradients = []
    for norm in (plain, synced):
        out = norm.train()(x)
        gradients.append((out, torch.autograd.grad(out.square().sum() + out[0].sum(), x)[0]))
    assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-6)
    assert torch.allclose(gradients[0][1], gradients[1][1], atol=1e-5)
    for name, value in plain.state_dict().items():
        assert torch.allclose(value.float(), synced[0].state_dict()[name].float(), atol=1e-6), name
    assert torch.equal(synced.eval()(x), nn.functional.batch_norm(x, *list(synced[0].buffers())[:2]))


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
    found = distributed.processes()
    strategy = found.pop("strategy", None)
    assert found == expected
    assert (strategy is not None) == bool(environment)
