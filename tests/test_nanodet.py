"""benchmarks/nanodet.py and its network in detector_peers.py: from outputs to boxes, from images to detections."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import detector_peers
    import nanodet

    yield nanodet, detector_peers
    for name in ("nanodet", "detector_peers"):
        sys.modules.pop(name)


@pytest.fixture
def outputs(tools, monkeypatch):
    """The network's scores and logits, all 0 until a test sets them, which a session returns for every image."""
    cells = sum((tools[1].NANODET_SIDE // stride) ** 2 for stride in tools[1].NANODET_STRIDES)
    scores = np.zeros((1, cells, 1), np.float32)
    logits = np.zeros((1, cells, 4 * tools[1].NANODET_BINS), np.float32)

    class Session:
        def __init__(self, *_):
            pass

        def run(self, *_):
            return scores, logits

    monkeypatch.setattr(tools[1].onnxruntime, "InferenceSession", Session)
    cell = 52**2 + 3 * 26 + 5  # of the second stride, 16, centred at (88, 56)
    for side, distance in enumerate((1, 2, 3, 4)):
        logits[0, cell].reshape(4, -1)[side, distance] = 50
    logits[0, cell, 2] = 50  # between one and two strides to the left
    scores[0, cell] = 0.8
    return scores, logits


BOX = np.array([88 - 24, 56 - 32, 88 + 48, 56 + 64])


@pytest.mark.usefixtures("outputs")
def test_boxes_lie_at_their_distances_from_the_cells_centre(tools):
    boxes, found = tools[1].load_peer(Path("nanodet.onnx"))(np.zeros((208, 832, 3), np.uint8))
    assert boxes == pytest.approx(BOX[None] * [2, 0.5, 2, 0.5], abs=1e-3)
    assert found == pytest.approx([0.8])


def test_detections_name_their_images(tools, outputs, tmp_path, monkeypatch):
    outputs[0][0, 0] = 0.29
    Image.new("RGB", (416, 416)).save(tmp_path / "a.png")
    arguments = ["nanodet", "nanodet.onnx", "--data", str(tmp_path), "--output", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", arguments)
    tools[0].main()
    (found,) = json.loads((tmp_path / "out.json").read_text())
    assert found["file_name"] == "a.png"
    assert found["bbox"] == pytest.approx([64, 24, 72, 96], abs=0.01)
