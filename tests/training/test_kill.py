import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = """
import sys
from pathlib import Path
from hevitpose import Recipe, find_dataset, train
from hevitpose.training.fabric import Hardware
from hevitpose.training.recipes import InputSize
recipe = Recipe(epochs=12, batch_size=8, input_sizes=(InputSize(32, 32), InputSize(64, 64, 0.5)), warmup_steps=4)
data, folder = sys.argv[1:]
train(recipe, find_dataset(data), Path(folder), Hardware(device="cpu", checkpoint_minutes=0), resume=True)
"""


@pytest.mark.slow
def test_kill_9_at_any_moment_and_the_run_ends_with_the_same_weights(dots, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(dots / "dots.toml")]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    checkpoint, moments = tmp_path / "killed" / "checkpoint.safetensors", random.Random(0)
    for _ in range(4):
        before = modified(checkpoint)
        run = subprocess.Popen([*command, str(tmp_path / "killed")])
        while modified(checkpoint) == before:  # so that every life brings the run on
            time.sleep(0.01)
            assert run.poll() is None
        time.sleep(moments.uniform(0, 0.3))  # in a step, in the writing of a checkpoint, between epochs
        run.kill()
        assert run.wait() == -signal.SIGKILL
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    whole, resumed = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def modified(path):
    return path.stat().st_mtime_ns if path.exists() else None


@pytest.mark.slow
def test_the_same_seed_twice_gives_identical_weights(dots, tmp_path):
    for name in ("first", "second"):
        subprocess.run([sys.executable, "-c", SCRIPT, str(dots / "dots.toml"), str(tmp_path / name)], check=True)
    first, second = (load_file(tmp_path / name / "last.safetensors") for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
