import math
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

KILLS = 20
SERVERS = 2
"""Runs at a time, each on one core."""
SERVER = """
import os, sys
from pathlib import Path
import matplotlib.backends.backend_agg, matplotlib.figure, torch.utils.tensorboard, torch.utils.flop_counter
import hevitpose.training.report
from hevitpose import Recipe, find_dataset, train
from hevitpose.training.fabric import Hardware
from hevitpose.training.recipes import InputSize
recipe = Recipe(epochs=2, batch_size=8, input_sizes=(InputSize(32, 32), InputSize(64, 64, 0.5)), warmup_steps=4)
hardware = Hardware(device="cpu", precision="fp32", checkpoint_minutes=0)
for line in sys.stdin:  # everything is imported once; each life is a process of its own
    if not (process := os.fork()):
        status = 1
        try:
            train(recipe, find_dataset(sys.argv[1]), Path(line.strip()), hardware, resume=True)
            status = 0
        finally:
            os._exit(status)
    print(process, flush=True)
    _, status, used = os.wait4(process, 0)
    print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, flush=True)
"""


@pytest.fixture
def servers(dots):
    """Functions, one a server, that start or resume the run in a folder.

    Each gives the process, and a function that waits for its end: exit status and processor seconds.
    """
    command = [sys.executable, "-c", SERVER, str(dots / "dots.toml")]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    options["env"] = os.environ | {"OMP_NUM_THREADS": "1"}
    servers = [subprocess.Popen(command, **options) for _ in range(SERVERS)]

    def starter(server):
        def start(folder):
            server.stdin.write(f"{folder}\n")
            server.stdin.flush()
            return int(server.stdout.readline()), wait

        def wait():
            status, seconds = server.stdout.readline().split()
            return int(status), float(seconds)

        return start

    yield [starter(server) for server in servers]
    for server in servers:
        server.stdin.close()
        server.wait()
        server.stdout.close()


def processor_seconds(process):
    """What a process has used: other than a clock, this does not depend on how busy the machine is."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended already
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_to_its_end(start, folder):
    """The processor seconds of a run that nobody kills, and its weights."""
    status, seconds = start(folder)[1]()
    assert status == 0
    return seconds, load_file(folder / "last.safetensors")


def kill_once(start, folder, after):
    """Kill the run after these processor seconds, resume it to its end; whether it was killed, and the weights."""
    process, wait = start(folder)
    while processor_seconds(process) < after:
        time.sleep(0.005)
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    status, _ = wait()
    assert status in (0, -signal.SIGKILL)
    if status != 0:
        run_to_its_end(start, folder)
    assert not list(folder.glob(".*"))
    return status != 0, load_file(folder / "last.safetensors")


@pytest.mark.slow
def test_twenty_runs_killed_at_any_moment_end_with_the_same_weights(servers, tmp_path):
    whole = [tmp_path / f"whole{n}" for n in range(SERVERS)]
    with ThreadPoolExecutor(SERVERS) as pool:
        (seconds, weights), (_, again) = pool.map(run_to_its_end, servers, whole)
        draw = random.Random(0)
        # One in each twentieth: in cropping, in a step, in the writing of a checkpoint, between epochs, in the report.
        moments = [(n + draw.random()) / KILLS * seconds for n in range(KILLS)]

        def kill_each(number):
            return [kill_once(servers[number], tmp_path / str(n), moments[n]) for n in range(number, KILLS, SERVERS)]

        ends = [end for of_server in pool.map(kill_each, range(SERVERS)) for end in of_server]
    for resumed in (again, *(of_run for _, of_run in ends)):
        assert weights.keys() == resumed.keys()
        assert all(torch.equal(resumed[name], weights[name]) for name in weights)
    assert len(ends) == KILLS
    assert sum(killed for killed, _ in ends) > KILLS / 2  # the others had ended
