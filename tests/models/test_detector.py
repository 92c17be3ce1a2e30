"""The detector's network and its decoding."""

import numpy as np
import pytest
import torch

from hevitpose.metrics.detection import iou
from hevitpose.models.detector import (
    STRIDE,
    Detector,
    DetectorConfig,
    boxes_of_cells,
    decode,
    pairwise_iou,
)


def maps(cells: int, classes: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((1, classes, cells, cells), -9.0), torch.ones(1, 4, cells, cells)


def test_shapes_and_prior() -> None:
    model = Detector(
        DetectorConfig(num_classes=3, channels=(16, 32, 64), heads=(1, 1, 1), depths=(1, 1, 1), width=16)
    ).eval()
    with torch.inference_mode():
        centers, distances = model(torch.randn(2, 3, 64, 128))
    assert centers.shape == (2, 3, 8, 16)
    assert distances.shape == (2, 4, 8, 16)
    assert (distances > 0).all()
    assert centers.sigmoid().mean() == pytest.approx(0.01, abs=0.005)
    with pytest.raises(ValueError, match="64"):
        model(torch.zeros(1, 3, 96, 64))


def test_person_detector_is_small() -> None:
    assert sum(parameter.numel() for parameter in Detector(DetectorConfig()).parameters()) < 2.2e6


def test_decode_finds_peaks_and_cuts_boxes_at_the_borders() -> None:
    centers, distances = maps(8)
    centers[0, 0, 1, 2], centers[0, 0, 1, 3], centers[0, 0, 6, 6] = 2.0, 1.0, 3.0  # the second is beside the first
    distances[0, :, 6, 6] = torch.tensor([1.0, 2.0, 9.0, 0.5])
    boxes, scores, classes = decode(centers, distances, top_k=3)
    assert scores[0].tolist() == pytest.approx([0.9526, 0.8808, 0], abs=1e-3)
    assert boxes[0, 0].tolist() == [44, 36, 64, 56]
    assert boxes[0, 1].tolist() == [12, 4, 28, 20]
    assert classes.tolist() == [[0, 0, 0]]


def test_decode_suppresses_duplicates_of_one_class_only() -> None:
    centers, distances = maps(8, classes=2)
    centers[0, 0, 3, 2], centers[0, 0, 3, 4], centers[0, 1, 3, 4] = 3.0, 2.0, 1.0
    distances[0, :, 3, 2] = distances[0, :, 3, 4] = torch.tensor([20.0, 20.0, 20.0, 20.0])
    _, scores, classes = decode(centers, distances, top_k=3)
    assert (scores[0] > 0.5).tolist() == [True, False, True]
    assert classes.tolist() == [[0, 0, 1]]


def test_boxes_of_cells_inverts_distances() -> None:
    box, cell = np.array([10.0, 20.0, 50.0, 44.0]), (4, 3)  # row, column
    center = (np.array(cell[::-1]) + 0.5) * STRIDE
    distances = torch.zeros(1, 4, 8, 8)
    distances[0, :, 4, 3] = torch.from_numpy(np.concatenate([center - box[:2], box[2:] - center]) / STRIDE)
    assert boxes_of_cells(distances)[0, :, 4, 3].tolist() == pytest.approx(box.tolist())


def test_pairwise_iou_is_that_of_the_metric() -> None:
    corner = np.random.default_rng(0).uniform(0, 50, (7, 2))
    boxes = np.concatenate([corner, corner[::-1] * 0.6 + corner + 1], axis=1)
    tensor = torch.from_numpy(boxes)[None]
    ours = pairwise_iou(tensor, tensor)[0]
    np.testing.assert_allclose(ours, iou(boxes, boxes))
