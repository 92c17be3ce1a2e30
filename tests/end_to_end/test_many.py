"""`hevitpose predict` on lists, patterns, parts and standard input."""

import json
import re
import shutil
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hevitpose.inference.network import PAPER_T

MEMORY_GROWTH = 1.1


@pytest.fixture
def copies(empty_folder, skier, street):  # noqa: ARG001
    """Five small photos, named in list.txt; the third is broken."""
    Path("photos").mkdir()
    names = [f"photos/{number}.jpg" for number in range(5)]
    for number, name in enumerate(names):
        shutil.copy((skier, street)[number % 2], name)
    Path(names[2]).write_bytes(b"no image")
    Path("list.txt").write_text("\n".join(names))
    return names


def results(folder):
    """The keypoints of each file below a folder."""
    texts = {path.name: json.loads(path.read_text()) for path in Path(folder).rglob("*.json")}
    return {
        name: np.array([[(k["x"], k["y"]) for k in p["keypoints"].values()] for p in text["people"]], dtype=float)
        for name, text in texts.items()
    }


def test_parts_of_a_list_are_the_whole_and_a_run_is_continued(hevitpose, copies):
    options = ("--detector", "whole")
    status, printed, errors = hevitpose("predict", "@list.txt", "--output", "whole", *options)
    assert status == 3
    assert "1 of 5 images in folders and lists were skipped" in errors
    whole = results("whole")
    assert sorted(whole) == [f"{number}.jpg.json" for number in (0, 1, 3, 4)]
    for part in ("1/2", "2/2"):
        hevitpose("predict", "@list.txt", "--output", "parts", "--shard", part, *options)
    parts = results("parts")
    assert sorted(parts) == sorted(whole)
    for name, keypoints in whole.items():
        assert parts[name] == pytest.approx(keypoints, abs=0.02, nan_ok=True)
    Path("whole/photos/3.jpg.json").unlink()
    shutil.copy(copies[0], copies[2])
    status, printed, errors = hevitpose("predict", "@list.txt", "--output", "whole", "--resume", *options)
    assert status == 0
    assert "note: 3 images have their results already" in errors
    assert re.findall(r"photos/(\d).jpg: person 1", printed) == ["2", "3"]
    status, _, errors = hevitpose("predict", "@list.txt", "--output", "whole", "--resume", "--detector", "person")
    assert (status, errors) == (
        1,
        "error: --detector person: was whole in the run to resume: start without --resume\n",
    )
    assert hevitpose("predict", "@list.txt", "--format", "csv", "--output", "a.csv", "--resume")[0] == 1
    # One image of the folder's, made otherwise, makes the others' results old.
    hevitpose("predict", copies[0], "--output", "whole", "--detector", "person")
    _, printed, errors = hevitpose("predict", "@list.txt", "--output", "whole", "--resume", "--detector", "person")
    assert "note: 0 images have their results already" in errors
    _, printed, _ = hevitpose("predict", "@list.txt", "--output", "whole", "--shard", "9/9", "--detector", "person")
    assert (printed, hevitpose("predict", copies[0], "--output", "whole", "--shard", "2/2")[2]) == (
        "",
        "note: shard 2/2 has no image\n",
    )
    Path("whole/.predict-options").write_text("[1]")
    assert hevitpose("predict", "@list.txt", "--output", "whole")[2] == (
        "error: whole/.predict-options: must hold a JSON object\n"
    )


@pytest.mark.usefixtures("copies")
def test_a_run_is_continued_after_a_start_that_failed(hevitpose):
    hevitpose("predict", "@list.txt", "--detector", "whole")
    before = Path("out/.predict-options").read_text()
    for wrong in (
        ["--detector", "missing.onnx"],
        ["--padding", "0"],
        ["--model", "none"],
        ["--detector", "whole", "--tiles", "2"],
        ["--model", PAPER_T, "--keypoints", "coco17"],
    ):
        assert hevitpose("predict", "@list.txt", *wrong)[0] == 1
        assert Path("out/.predict-options").read_text() == before, wrong
    _, _, errors = hevitpose("predict", "@list.txt", "--detector", "whole", "--resume")
    assert "note: 4 images have their results already" in errors


@pytest.mark.usefixtures("copies")
def test_image_ids_are_the_numbers_in_the_list_also_in_parts(hevitpose):
    hevitpose(
        *("predict", "@list.txt", "--shard", "2/2", "--format", "coco", "--output", "a.json", "--detector", "whole")
    )
    assert [each["image_id"] for each in json.loads(Path("a.json").read_text())] == [2, 4]


def test_one_image_is_read_from_standard_input(hevitpose, skier, monkeypatch):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(skier.read_bytes())))
    assert hevitpose("predict", "-")[0] == 0
    hevitpose("predict", skier, "--output", "file")
    found, named = (json.loads(Path(name).read_text()) for name in ("out/stdin.json", "file/skier.json"))
    assert found == named | {"file": "-"}
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"")))
    assert hevitpose("predict", "-")[2].startswith("error: -: ")


MEASURED = """
import resource, sys
import numpy as np
from hevitpose.cli.main import main
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.skeleton import MPII16
from hevitpose.inference.estimator import PoseEstimator
from hevitpose.inference.network import Network

# The real networks are in memory, but one that takes no time is asked, so that 11,000 images take a minute.
real = PoseEstimator.from_pretrained()
real(np.zeros((64, 64, 3), dtype=np.uint8))


def keypoints(crops):
    return np.full((len(crops), 16, 2), 9.0), np.ones((len(crops), 16))

network = Network("fast", None, ModelConfig("t", MPII16, (192, 192), 1.25), keypoints)
PoseEstimator.from_pretrained = lambda *_, **__: PoseEstimator(network, "whole")
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in kB")
@pytest.mark.parametrize(
    ("source", "form"), [("@list.txt", "csv"), ("@list.txt", "coco"), ("tiny", "coco"), ("tiny/*.png", "csv")]
)
@pytest.mark.usefixtures("empty_folder")
def test_memory_does_not_depend_on_the_number_of_images(source, form):
    Path("tiny").mkdir()
    Image.new("RGB", (32, 32), "grey").save("tiny/0.png")
    content = Path("tiny/0.png").read_bytes()
    peaks = []
    output = {"csv": "out.csv", "coco": "out.json"}[form]
    for count in (1_000, 10_000):
        for number in range(count):
            Path(f"tiny/{number}.png").write_bytes(content)
        Path("list.txt").write_text("".join(f"tiny/{number}.png\n" for number in range(count)))
        command = [sys.executable, "-c", MEASURED, "predict", source, "--format", form, "--output", output]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(run.stderr.split()[-1]) / 1000)
        assert run.stdout.count("person 1") == count
    print(f"{source} {form}: peak memory, MB: {peaks}, {peaks[1] / peaks[0]:.3f}")
    assert peaks[1] <= MEMORY_GROWTH * peaks[0]
