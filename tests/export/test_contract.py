"""The lines of docs/export.md that use a file without hevitpose, run as they are printed."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.geometry import xyxy_from_xywh
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import MPII16
from hevitpose.export.fuse import fuse
from hevitpose.export.onnx import CONTRACT, to_onnx
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import DEFAULT, find_weights
from hevitpose.models.hevitpose import HEViTPose

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "export.md").read_text()
SKIER = ROOT / "examples" / "skier.jpg"
BOXES = [(280.8, 44.7, 218.7, 346.7), (300, 150, 90, 60), (-40, -30, 400, 480.5), (560, 300, 120, 90)]
"""One that is halved, one that is enlarged, two that go beyond the image on other sides."""


@pytest.fixture(scope="module")
def estimator():
    return PoseEstimator.from_pretrained()


def code(language):
    """The block of the page in this language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    return block


@pytest.mark.parametrize("box", BOXES)
def test_the_python_lines_give_the_joints_of_the_estimator(estimator, box):
    lines = code("python").replace("mine.onnx", str(find_weights(DEFAULT))).replace("photo.jpg", str(SKIER))
    printed = re.search(r"= (.*?)  # the person's box", lines)[1]
    found = {}
    exec(lines.replace(printed, repr(box)), found)
    (person,) = estimator(SKIER, [xyxy_from_xywh(box)]).people
    assert found["joints"] == pytest.approx(person.all_keypoints, abs=0.01)
    assert found["scores"][0] == pytest.approx(person.keypoint_scores, abs=1e-4)


@pytest.mark.slow  # web assembly takes half a minute on a busy machine
def test_the_javascript_lines_give_nearly_the_same(estimator, tmp_path):
    modules = [path for path in (ROOT / "web" / "node_modules", ROOT / "node_modules") if path.is_dir()]
    runtime = [path / name for path in modules for name in ("onnxruntime-node", "onnxruntime-web")]
    found = next((path for path in runtime if path.is_dir()), None)
    if not shutil.which("node") or found is None:
        pytest.skip("needs node and onnxruntime-node or onnxruntime-web")
    config = estimator.network.config
    image = Image.open(SKIER).convert("RGBA")
    (tmp_path / "image.rgba").write_bytes(image.tobytes())
    script = f"""
        const fs = require("fs"), ort = require({json.dumps(str(found))});
        {code("js")}
        (async () => {{
          const session = await ort.InferenceSession.create(fs.readFileSync({json.dumps(str(find_weights(DEFAULT)))}));
          const image = {{data: fs.readFileSync("image.rgba"), width: {image.width}, height: {image.height}}};
          const all = [];
          for (const box of {json.dumps(BOXES)})
            all.push(await pose(ort, session, image, box, {json.dumps(config.input_size)}, {config.padding}));
          fs.writeFileSync("out.json", JSON.stringify(all.map(p => ({{...p, scores: Array.from(p.scores)}}))));
        }})();
    """
    (tmp_path / "run.cjs").write_text(script)
    run = subprocess.run(
        ["node", "run.cjs"], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    moved = []
    for box, found_here in zip(BOXES, json.loads((tmp_path / "out.json").read_text()), strict=True):
        (person,) = estimator(SKIER, [xyxy_from_xywh(box)]).people
        sure = person.keypoint_scores >= 0.5
        moved += np.linalg.norm(np.array(found_here["joints"])[sure] - person.all_keypoints[sure], axis=1).tolist()
    assert len(moved) > 15
    assert np.mean(np.array(moved) < 1) > 0.75
    assert max(moved) < 2


def test_a_file_says_how_it_is_used():
    config = ModelConfig("t", MPII16, (64, 64), 1.25)
    proto = to_onnx(fuse(HEViTPose(16, (32, 64, 96), (1, 1, 1)).eval()), config)
    assert proto.doc_string == CONTRACT
    assert CONTRACT in PAGE
