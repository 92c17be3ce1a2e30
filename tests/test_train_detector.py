"""tools/train_detector.py: the data that it reads, and the weights that it begins with."""

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from hevitpose.core.errors import InputError
from hevitpose.models.detector import Detector, DetectorConfig
from hevitpose.models.hevitpose import hevitpose_t


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "tools"))
    import train_detector

    yield train_detector
    sys.modules.pop("train_detector")


@pytest.fixture
def coco_file(tmp_path):
    Image.new("RGB", (80, 40)).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 3, "file_name": "a.png", "width": 160, "height": 80}],  # labels are of twice the size
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 7, "bbox": [20, 10, 40, 20]},
            {"id": 2, "image_id": 3, "category_id": 2, "bbox": [0, 0, 400, 400], "iscrowd": 1},
        ],
        "categories": [{"id": 7, "name": "mouse"}, {"id": 2, "name": "cat"}],
    }
    path = tmp_path / "set.json"
    path.write_text(json.dumps(content))
    return path


def test_read_detection_set(tool, coco_file):
    data = tool.read_detection_set(coco_file)
    assert data.class_names == ("cat", "mouse")
    assert data.boxes[0].xyxy.tolist() == [[10, 5, 30, 15], [0, 0, 80, 40]]
    assert data.boxes[0].classes.tolist() == [1, 0]
    assert data.boxes[0].ignored.tolist() == [False, True]


@pytest.mark.parametrize("box", [[1, 2, 3], [0, 0, -5, 4], [0, 0, float("nan"), 4]])
def test_what_is_no_box_is_refused(tool, coco_file, box):
    content = json.loads(coco_file.read_text())
    content["annotations"][0]["bbox"] = box
    coco_file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="annotation 1"):
        tool.read_detection_set(coco_file)


def test_init_from_pose_keeps_the_embedding_of_the_half_sized_image(tool):
    pose = hevitpose_t().eval()
    detector = Detector(DetectorConfig()).eval()
    filled = tool.init_from_pose(detector, pose.state_dict())
    assert "stages.2.blocks.0.dw0.branch.conv.weight" in filled
    assert "head.centers.0.weight" not in filled
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        half = pose.embedding(torch.nn.functional.avg_pool2d(image, 2))
        torch.testing.assert_close(detector.embedding(image), half, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(detector.detail(image), torch.zeros(1, 64, 8, 8))
