"""The exported detector says what torch says, for any number of images, and what it is."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hevitpose.core.errors import InputError
from hevitpose.core.model_config import DETECTOR_KEY
from hevitpose.export import detector as export
from hevitpose.inference.detectors import letterbox
from hevitpose.models.detector import Detector, DetectorConfig, decode
from hevitpose.models.detector_weights import DetectorFileConfig, load_detector, save_detector
from hevitpose.models.input import normalize

CONFIG = DetectorConfig(2, (16, 32, 64), (1, 1, 1), heads=(1, 1, 1), width=16, detail=8)


def lively(config: DetectorConfig, side: int) -> tuple[Detector, DetectorFileConfig]:
    """A network of random weights in which every part has a say and many cells score."""
    torch.manual_seed(0)
    network = Detector(config).eval()
    for parameter in network.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 0.5, 0.5)
        elif (parameter == 0).all() or parameter.std() < 0.01:
            torch.nn.init.normal_(parameter, std=0.1)
    return network, DetectorFileConfig(config, side, ("person", "mouse")[: config.num_classes])


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    network, file_config = lively(CONFIG, 128)
    save_detector(tmp_path / "weights.safetensors", network.state_dict(), file_config)
    return tmp_path / "weights.safetensors"


def squares(crops: np.ndarray, side: int) -> np.ndarray:
    return np.stack([letterbox(crop, (side, side))[0] for crop in crops])


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_the_file_agrees_with_torch(weights: Path, real_crops: np.ndarray, precision: str) -> None:
    images = squares(real_crops[:3], 128)
    export.export_detector(weights, weights.with_suffix(".onnx"), images, precision)
    session = onnxruntime.InferenceSession(weights.with_suffix(".onnx"))
    for count in (1, 3):
        boxes, scores, classes = session.run(None, {"images": images[:count]})
        assert (boxes.shape, scores.shape, classes.shape) == ((count, 100, 4), (count, 100), (count, 100))
    network, _ = load_detector(weights)
    with torch.inference_mode():
        expected = decode(*network(normalize(torch.from_numpy(images).permute(0, 3, 1, 2))))
    assert (expected[1] > 0.05).sum() > 30  # there is something to compare
    assert (expected[1] == 0).any()  # and a duplicate
    if precision == "float32":
        np.testing.assert_allclose(scores, expected[1], atol=1e-4)
        assert (classes == expected[2].numpy())[scores > 1e-3].mean() > 0.99


def test_any_shape_of_multiples_of_64(weights: Path, real_crops: np.ndarray) -> None:
    network, file_config = load_detector(weights)
    content = export.detector_to_onnx(network, file_config).SerializeToString()
    for size in ((64, 192), (256, 128)):
        inputs = np.stack([letterbox(crop, size)[0] for crop in real_crops[:2]])
        box_error, score_error = export.parity(content, network, inputs)
        assert box_error < 0.01
        assert score_error < 1e-4


def test_metadata_say_what_it_is(weights: Path, real_crops: np.ndarray) -> None:
    export.export_detector(weights, weights.with_suffix(".onnx"), squares(real_crops[:1], 128))
    metadata = {entry.key: entry.value for entry in onnx.load(weights.with_suffix(".onnx")).metadata_props}
    said = json.loads(metadata[DETECTOR_KEY])
    assert said["architecture"] == "detector"
    assert said["input_size"] == [128, 128]
    assert said["class_names"] == ["person", "mouse"]
    assert "upper left" in said["letterbox"]


def test_fewer_cells_than_boxes() -> None:
    network, file_config = lively(CONFIG, 64)
    random = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    content = export.detector_to_onnx(network, file_config).SerializeToString()
    box_error, score_error = export.parity(content, network, random)
    assert box_error < 0.01
    assert score_error < 1e-4
    one = Detector(DetectorConfig(1, *[getattr(CONFIG, name) for name in ("channels", "depths")], heads=(1, 1, 1)))
    session = onnxruntime.InferenceSession(
        export.detector_to_onnx(one.eval(), DetectorFileConfig(one.config, 64, ("person",))).SerializeToString()
    )
    assert session.run(["scores"], {"images": random})[0].shape == (2, 64)


def test_a_file_that_differs_is_not_written(
    weights: Path, real_crops: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_LOG_DISTANCE", 0.1)  # a graph that cuts distances where torch does not
    with pytest.raises(InputError, match="not written"):
        export.export_detector(weights, weights.with_suffix(".onnx"), squares(real_crops[:1], 128))
    assert not weights.with_suffix(".onnx").exists()
