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
from hevitpose.training.loop import Hardware
from hevitpose.training.recipes import InputSize
recipe = Recipe(epochs=6, batch_size=8, input_sizes=(InputSize(32, 32), InputSize(64, 64, 0.5)), warmup_steps=4)
data, folder = sys.argv[1:]
train(recipe, find_dataset(data), Path(folder), Hardware(device="cpu", checkpoint_minutes=0), resume=True)
"""


@pytest.mark.slow
def test_kill_9_at_any_moment_and_the_run_ends_with_the_same_weights(dots, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(dots / "dots.toml")]
    started = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    longest = time.monotonic() - started
    moments, killed = random.Random(0), 0
    while True:
        run = subprocess.Popen([*command, str(tmp_path / "killed")])
        try:
            assert run.wait(moments.uniform(0.3, 0.8) * longest) == 0
            break
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            killed += 1
    assert killed > 1
    whole, resumed = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


@pytest.mark.slow
def test_the_same_seed_twice_gives_identical_weights(dots, tmp_path):
    for name in ("first", "second"):
        subprocess.run([sys.executable, "-c", SCRIPT, str(dots / "dots.toml"), str(tmp_path / name)], check=True)
    first, second = (load_file(tmp_path / name / "last.safetensors") for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
