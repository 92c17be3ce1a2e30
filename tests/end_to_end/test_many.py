"""`hevitpose predict` on lists, patterns, parts and standard input."""

import json
import os
import re
import shutil
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


@pytest.mark.slow
@pytest.mark.parametrize("form", ["list", "folder"])
def test_memory_does_not_depend_on_the_number_of_images(empty_folder, form):
    Path("tiny").mkdir()
    Image.new("RGB", (32, 32), "grey").save("tiny/0.png")
    content = Path("tiny/0.png").read_bytes()
    peaks = []
    for count in (1_000, 10_000):
        for number in range(count):
            Path(f"tiny/{number}.png").write_bytes(content)
        Path("list.txt").write_text("".join(f"tiny/{number}.png\n" for number in range(count)))
        source = "@list.txt" if form == "list" else "tiny"
        script = "import resource, sys\nfrom hevitpose.cli.main import main\ntry: main()\nfinally: print(resource."
        script += "getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        command = [sys.executable, "-c", script, "predict", source, "--box", "4,4,24,24", "--format", "csv"]
        run = subprocess.run(
            [*command, "--output", "out.csv"], capture_output=True, text=True, check=True, env=dict(os.environ)
        )
        peaks.append(int(run.stderr.split()[-1]) / 1000)
        assert len({line.split(",")[0] for line in Path("out.csv").read_text().splitlines()[1:]}) == count
    print(f"{form}: peak memory, MB: {peaks}")
    assert peaks[1] < MEMORY_GROWTH * peaks[0]
    assert empty_folder.exists()
