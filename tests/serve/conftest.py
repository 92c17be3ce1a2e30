"""A service on a free port of this machine, in a thread, with a network that needs no training."""

import http.client
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import Network
from hevitpose.serve.app import build_app
from hevitpose.serve.server import listen, make_server
from hevitpose.serve.settings import ServeSettings

SKELETON = Skeleton("dots", ("left_dot", "right_dot", "nose"), (1, 0, 2))
JPEG = {"Content-Type": "image/jpeg"}


class Brightness:
    """Keypoints that depend on the crop alone: at a place that its mean gives. It waits where `gate` is closed."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.batches = []

    def __call__(self, crops):
        assert self.gate.wait(20)
        self.batches.append(len(crops))
        means = crops.mean(axis=(1, 2))  # (N, 3)
        joints = np.stack([means, means[:, ::-1]], axis=-1) / 255 * 31
        return joints, np.full((len(crops), 3), 0.5) + means / 600


@pytest.fixture
def network():
    return Brightness()


@pytest.fixture
def estimator(network):
    config = ModelConfig("t", SKELETON, (32, 32), 1.25)
    return PoseEstimator(Network("dots", None, config, network), detector="whole", batch_size=4)


@dataclass
class Client:
    port: int
    server: object

    def __call__(self, method, target, body=None, headers=JPEG):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers

    def pose(self, body, query="", headers=JPEG):
        return self("POST", f"/v1/pose?{query}", body, headers)


@pytest.fixture
def serving(estimator):
    """Serve the estimator: `with serving(max_requests=3) as client`."""

    @contextmanager
    def start(page=None, **settings):
        chosen = ServeSettings(**settings)
        with listen("127.0.0.1", 0) as own:
            server = make_server(build_app(estimator, chosen, page), chosen)
            thread = threading.Thread(target=server.run, args=([own],))
            thread.start()
            try:
                until(lambda: server.started)
                yield Client(own.getsockname()[1], server)
            finally:
                server.should_exit = True
                thread.join(30)
        assert not thread.is_alive()

    return start


def until(condition, seconds=20):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(name="until")
def until_fixture():
    return until


@pytest.fixture(scope="session")
def photos():
    """Eight small images as JPEG."""
    random = np.random.default_rng(0)
    files = []
    for side in range(40, 120, 10):
        pixels = random.integers(0, 255, (3, 4, 3), dtype=np.uint8)
        file = BytesIO()
        Image.fromarray(pixels).resize((side, 60), Image.Resampling.BICUBIC).save(file, "JPEG")
        files.append(file.getvalue())
    return files
