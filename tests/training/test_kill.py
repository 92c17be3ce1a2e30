import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file

KILLS = 20
SERVER = """
import os, sys
from pathlib import Path
from hevitpose import Recipe, find_dataset, train
from hevitpose.training.fabric import Hardware
from hevitpose.training.recipes import InputSize
recipe = Recipe(epochs=4, batch_size=8, input_sizes=(InputSize(32, 32), InputSize(64, 64, 0.5)), warmup_steps=4)
hardware = Hardware(device="cpu", precision="fp32", checkpoint_minutes=0)
for line in sys.stdin:  # torch is imported once; each life is a process of its own
    if not (process := os.fork()):
        status = 1
        try:
            train(recipe, find_dataset(sys.argv[1]), Path(line.strip()), hardware, resume=True)
            status = 0
        finally:
            os._exit(status)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


@pytest.fixture
def start(dots):
    """Starts or resumes the run in a folder; gives the process, and a function that waits for its exit status."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(dots / "dots.toml")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    def life(folder):
        server.stdin.write(f"{folder}\n")
        server.stdin.flush()
        return int(server.stdout.readline()), lambda: int(server.stdout.readline())

    yield life
    server.stdin.close()
    server.wait()
    server.stdout.close()


@pytest.mark.slow
def test_twenty_runs_killed_at_any_moment_end_with_the_same_weights(start, tmp_path):
    began = time.monotonic()
    assert start(tmp_path / "whole")[1]() == 0
    seconds, moments, killed = time.monotonic() - began, random.Random(0), 0
    whole = load_file(tmp_path / "whole" / "last.safetensors")
    for n in range(KILLS):
        folder, status = tmp_path / str(n), None
        while status != 0:
            process, wait = start(folder)
            if status is None:  # in cropping, in a step, in the writing of a checkpoint, between epochs, in the report
                time.sleep(moments.uniform(0, seconds))
                with suppress(ProcessLookupError):  # it has ended already
                    os.kill(process, signal.SIGKILL)
            status = wait()
            killed += status == -signal.SIGKILL
            assert status in (0, -signal.SIGKILL)
        resumed = load_file(folder / "last.safetensors")
        assert all(torch.equal(resumed[name], whole[name]) for name in whole)
        assert not list(folder.glob(".*"))
    assert killed > KILLS / 2  # the others had ended


@pytest.mark.slow
def test_the_same_seed_twice_gives_identical_weights(start, tmp_path):
    for name in ("first", "second"):
        assert start(tmp_path / name)[1]() == 0
    first, second = (load_file(tmp_path / name / "last.safetensors") for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
