"""The command itself, with the bundled weights, under a storm of good and bad requests."""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from hevitpose.inference.estimator import PoseEstimator

EXAMPLES = Path(__file__).parents[2] / "examples"
REQUESTS, AT_A_TIME = 1000, 64
MEMORY_GROWTH = 1.1
THROUGHPUT = 0.9


@pytest.fixture
def service():
    """The command on a free port: its process and port."""
    command = [sys.executable, "-m", "hevitpose", "serve", "--port", "0", "--read-seconds", "2", "--max-megabytes", "2"]
    with subprocess.Popen([*command, "--answer-seconds", "120"], stdout=subprocess.PIPE, text=True) as process:
        port = int(re.search(r":(\d+) ", process.stdout.readline())[1])
        yield process, port
        process.kill()


def send(port, kind, photos):
    """A request of some kind: its status and body, None where the service can only close the connection."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
        connection.putrequest("POST", "/v1/pose")
        connection.putheader("Content-Type", "image/jpeg")
        body = photos[kind] if isinstance(kind, int) else photos[0]
        length = {"huge": 3_000_000, "slow": len(body), "truncated": len(body)}.get(kind, len(body))
        connection.putheader("Content-Length", str(length if kind != "broken" else length - 5000))
        connection.endheaders()
        if kind == "truncated":
            connection.send(body[:1000])
            connection.sock.shutdown(socket.SHUT_RDWR)
            return None, None
        if kind == "slow":
            connection.send(body[:1000])
        else:
            connection.send(bytes(length) if kind == "huge" else body[: -5000 if kind == "broken" else None])
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def resident(process):
    """Memory of a process in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000


def differences(found, expected):
    """By how many pixels each keypoint of each person differs."""
    assert len(found["people"]) == len(expected["people"])
    for one, other in zip(found["people"], expected["people"], strict=True):
        for name, keypoint in one["keypoints"].items():
            for axis in "xy":
                assert (keypoint[axis] is None) == (other["keypoints"][name][axis] is None)
                yield abs((keypoint[axis] or 0) - (other["keypoints"][name][axis] or 0))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_thousand_requests_at_a_time(service):
    process, port = service
    photos = [(EXAMPLES / name).read_bytes() for name in ("skier.jpg", "street.jpg")]
    estimator = PoseEstimator.from_pretrained()
    expected = [estimator(photo).to_json() for photo in photos]
    kinds = [0, 1] * 8 + ["broken", "huge", "slow", "truncated"]
    orders = [kinds[n % len(kinds)] for n in range(REQUESTS)]
    random.Random(0).shuffle(orders)
    statuses = {"broken": 422, "huge": 413, "slow": 408, "truncated": None, 0: 200, 1: 200}
    memory = []
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for start in range(0, REQUESTS, REQUESTS // 4):
            quarter = orders[start : start + REQUESTS // 4]
            answers = list(pool.map(lambda kind: send(port, kind, photos), quarter))
            memory.append(resident(process))
            assert [status for status, _ in answers] == [statuses[kind] for kind in quarter]
            good = [
                (found, expected[kind]) for kind, (status, found) in zip(quarter, answers, strict=True) if status == 200
            ]
            worst = max(difference for pair in good for difference in differences(*pair))
            assert worst <= 0.01
    print(f"memory after each quarter, MB: {memory}; largest difference {worst} px")
    assert memory[3] < MEMORY_GROWTH * memory[1]


@pytest.mark.slow
def test_requests_cost_little_more_than_a_plain_loop(service):
    """Both in turn, so that others on the machine slow both down."""
    _, port = service
    photos = [(EXAMPLES / name).read_bytes() for name in ("skier.jpg", "street.jpg")] * 16
    estimator = PoseEstimator.from_pretrained()
    with ThreadPoolExecutor(16) as pool:
        ratios = []
        for _ in range(7):
            start = time.perf_counter()
            for photo in photos:
                estimator(photo)
            between = time.perf_counter()
            answers = list(pool.map(lambda photo: send(port, 0, [photo]), photos))
            ratios.append((between - start) / (time.perf_counter() - between))
            assert {status for status, _ in answers} == {200}
    print(f"throughput, of a plain loop's: {sorted(ratios)}")
    assert sorted(ratios)[3] >= THROUGHPUT


@pytest.mark.slow
def test_sigterm_ends_after_the_answers(service):
    process, port = service
    photos = [(EXAMPLES / name).read_bytes() for name in ("skier.jpg", "street.jpg")]
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(send, port, 0, photos) for _ in range(16)]
        time.sleep(0.5)  # all are accepted
        os.kill(process.pid, signal.SIGTERM)
        assert [each.result()[0] for each in waiting] == [200] * 16
    assert process.wait(30) == -signal.SIGTERM
