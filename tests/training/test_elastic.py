"""Two agents of torchrun on one machine, as on two: a worker that is killed brings all back to the last checkpoint."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = """
import os, sys
from pathlib import Path
from hevitpose import Recipe, find_dataset, train
from hevitpose.training.fabric import Hardware
from hevitpose.training.recipes import InputSize
data, folder = sys.argv[1], Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
with (folder / "lives.txt").open("a") as lives:
    print(os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"], os.getpid(), file=lives)
recipe = Recipe(epochs=12, batch_size=8, input_sizes=(InputSize(32, 32),), warmup_steps=4)
train(recipe, find_dataset(data), folder, Hardware(device="cpu", precision="fp32", checkpoint_minutes=0), resume=True)
"""


def start(dots, folder, script, port, restarts=3):
    """Both agents; the folder is what the two machines share."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", folder.name]
    command += ["--max-restarts", str(restarts), str(script), str(dots / "dots.toml"), str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    return [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) for _ in range(2)]


@pytest.mark.slow
def test_a_killed_worker_is_restarted_and_nothing_is_lost(dots, tmp_path, free_port):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert [agent.wait(300) for agent in start(dots, whole, script, free_port())] == [0, 0]
    agents = start(dots, killed, script, free_port())
    checkpoint, deadline = killed / "checkpoint.safetensors", time.monotonic() + 300
    while not checkpoint.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    rank, _, process = next(line.split() for line in lives(killed) if line.startswith("1 "))
    os.kill(int(process), signal.SIGKILL)
    assert [agent.wait(300) for agent in agents] == [0, 0]
    assert f"{rank} 1" in {" ".join(line.split()[:2]) for line in lives(killed)}  # it was restarted once
    one, two = (load_file(folder / "last.safetensors") for folder in (whole, killed))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_a_worker_that_hangs_ends_the_run_within_two_minutes(dots, tmp_path, free_port):
    script, folder = tmp_path / "script.py", tmp_path / "hung"
    script.write_text(SCRIPT.replace("epochs=12", "epochs=100000"))
    agents = start(dots, folder, script, free_port(), restarts=0)
    checkpoint, deadline = folder / "checkpoint.safetensors", time.monotonic() + 600
    while not checkpoint.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (hung,) = (int(line.split()[2]) for line in lives(folder) if line.startswith("1 "))
    (waiting,) = (int(line.split()[2]) for line in lives(folder) if line.startswith("0 "))
    os.kill(hung, signal.SIGSTOP)
    began = time.monotonic()
    try:
        while Path(f"/proc/{waiting}").exists():
            assert time.monotonic() - began < 120 + 30
            time.sleep(0.5)
    finally:
        os.kill(hung, signal.SIGKILL)
    assert all(agent.wait(300) for agent in agents)


def lives(folder: Path) -> list[str]:
    return (folder / "lives.txt").read_text().splitlines()
