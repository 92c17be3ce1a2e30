"""Files of each layout whose network always answers with one person at a known place, and a car."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hevitpose.inference import backends
from hevitpose.inference.backends import DEFAULT_OPTIONS, onnx_session
from hevitpose.inference.detectors import PersonDetector, load_detector
from hevitpose.inference.foreign_detectors import ForeignDetector
from hevitpose.inference.inputs import Frame
from hevitpose.inference.network import PERSON_DETECTOR, weights_folder

SIDE = 64
BOX = (8.0, 16.0, 40.0, 56.0)
"""Of the person, in pixels of the input."""
IMAGE = np.zeros((128, 256, 3), dtype=np.uint8)


def write(path, outputs, sizes=None, batch=1):
    """An ONNX file that gives these outputs for any image; a second input is of the type `sizes`."""
    nodes, infos = [], []
    for name, array in outputs.items():
        nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        infos.append(helper.make_tensor_value_info(name, kind, array.shape))
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])]
    if sizes:
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", sizes, [1, 2]))
    model = helper.make_model(
        helper.make_graph(nodes, "answers", inputs, infos), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 8
    onnx.save(model, path)
    return path


def cells(strides):
    y, x, steps = [], [], []
    for stride in strides:
        rows = np.arange(SIDE // stride)
        grid = np.meshgrid(rows, rows, indexing="ij")
        y.append(grid[0].ravel())
        x.append(grid[1].ravel())
        steps.append(np.full(len(rows) ** 2, stride))
    return np.concatenate(x), np.concatenate(y), np.concatenate(steps)


def nanodet(strides, center, bins):
    """Scores and logits of an answer at the cell of stride 8 at (3, 4)."""
    x, y, steps = cells(strides)
    (k,) = np.flatnonzero((x == 3) & (y == 4) & (steps == 8))
    at = np.array([(3 + center) * 8, (4 + center) * 8])
    sides = np.concatenate([at - BOX[:2], BOX[2:] - at]) / 8
    logits = np.zeros((len(x), 4, bins), dtype=np.float32)
    low = np.floor(sides).astype(int)
    logits[k] = -50
    logits[k, range(4), low] = np.log(1 - (sides - low) + 1e-9)
    logits[k, range(4), np.minimum(low + 1, bins - 1)] = np.log(sides - low + 1e-9)
    scores = np.zeros((len(x), 1), dtype=np.float32)
    scores[k] = 0.9
    return scores[None], logits.reshape(1, len(x), -1)


def nanodet_apart():
    scores, logits = nanodet((8, 16, 32), 0.5, 11)
    return {"scores": scores, "distances": logits}


def nanodet_plus():
    scores, logits = nanodet((8, 16, 32, 64), 0.0, 8)
    others = np.zeros((1, scores.shape[1], 79), dtype=np.float32)
    others[0, 0, 1] = 0.99
    return {"output": np.concatenate([scores, others, logits], axis=2)}


def yolox(decoded):
    x, y, steps = cells((8, 16, 32))
    rows = np.zeros((1, len(x), 85), dtype=np.float32)
    rows[0, :, 2:4] = np.stack([steps, steps], axis=1) if decoded else 0
    center, sides = (np.array([24.0, 36.0]), np.array([32.0, 40.0]))
    rows[0, 5, :4] = (*center, *sides) if decoded else (*(center / 8 - (x[5], y[5])), *np.log(sides / 8))
    rows[0, 5, 4:6] = 0.95, 0.95
    rows[0, 6, 4], rows[0, 6, 7] = 0.99, 0.99
    return {"output": rows}


def detr():
    boxes = np.array([[BOX, (0, 0, 9, 9)]], dtype=np.float32)
    return {"labels": np.array([[0, 2]]), "boxes": boxes, "scores": np.array([[0.9, 0.95]], dtype=np.float32)}


def transformers():
    center, sides = np.array([24.0, 36.0]) / SIDE, np.array([32.0, 40.0]) / SIDE
    boxes = np.array([[(*center, *sides), (0.1, 0.1, 0.1, 0.1)]], dtype=np.float32)
    logits = np.full((1, 2, 80), -9, dtype=np.float32)
    logits[0, 0, 0] = logits[0, 1, 3] = 2.2
    return {"logits": logits, "pred_boxes": boxes}


STRETCHED = np.array(BOX) * (4, 2, 4, 2)
LETTERBOXED = np.array([32, 64, 160, 128])
"""YOLOX keeps the image's shape: four pixels of the image are one of the input, whose lower half is grey."""


@pytest.mark.parametrize(
    ("outputs", "sizes", "box", "name"),
    [
        (nanodet_apart(), None, STRETCHED, "NanoDet"),
        (nanodet_plus(), None, STRETCHED, "NanoDet"),
        (yolox(False), None, LETTERBOXED, "YOLOX"),
        (yolox(True), None, LETTERBOXED, "YOLOX"),
        (detr(), TensorProto.INT64, STRETCHED, "D-FINE, RT-DETR"),
        (transformers(), None, STRETCHED, "D-FINE, RT-DETR (transformers)"),
    ],
)
def test_each_layout_is_recognized_and_gives_the_person(tmp_path, outputs, sizes, box, name):
    detector = load_detector(write(tmp_path / "theirs.onnx", outputs, sizes))
    assert isinstance(detector, ForeignDetector)
    assert detector.layout.name == name
    (found,) = detector([Frame(IMAGE)])
    assert found.boxes == pytest.approx(box[None], abs=0.1)
    assert found.scores == pytest.approx([0.9], abs=0.01)


def test_our_own_file_is_ours():
    assert isinstance(load_detector(), PersonDetector)


@pytest.mark.parametrize("ours", [True, False])
def test_a_file_is_opened_once(tmp_path, monkeypatch, ours):
    path = weights_folder() / f"{PERSON_DETECTOR}.onnx" if ours else write(tmp_path / "theirs.onnx", yolox(True))
    opened = []
    monkeypatch.setattr(backends, "onnx_session", lambda *given: opened.append(given) or onnx_session(*given))
    load_detector(path)
    assert opened == [(path, DEFAULT_OPTIONS)]


def test_a_file_of_none_of_these_is_one_line(tmp_path, refused):
    path = write(tmp_path / "other.onnx", {"mask": np.zeros((1, 1, 8, 8), dtype=np.float32)})
    with refused(path, "hevitpose, NanoDet, YOLOX, D-FINE, RT-DETR", "mask [1, 1, 8, 8]"):
        load_detector(path)


def test_rows_for_other_strides_are_refused(tmp_path, refused):
    path = write(tmp_path / "odd.onnx", {"output": np.zeros((1, 10, 85), dtype=np.float32)})
    with refused(path, "10 cells"):
        load_detector(path, DEFAULT_OPTIONS)([Frame(IMAGE)])


@pytest.mark.parametrize("changes", [{"batch": 4, "sizes": TensorProto.INT64}, {"sizes": TensorProto.FLOAT}])
def test_a_file_that_cannot_be_run_is_one_line(tmp_path, refused, changes):
    path = write(tmp_path / "other.onnx", detr(), **changes)
    with refused(path, "cannot be run"):
        load_detector(path)([Frame(IMAGE)])
