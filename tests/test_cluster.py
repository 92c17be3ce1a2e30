"""Parts on one machine, and with Ray where an actor or the driver is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hevitpose import cluster
from hevitpose.cluster import Written, inputs_of, parts_of, predict_list

EXAMPLES = Path(__file__).parents[1] / "examples"
IMAGES, PART_SIZE = 60, 3
WHOLE = {"detector": "whole"}


def test_parts_hold_every_image_once_and_in_order(tmp_path, refused):
    images = tmp_path / "list.txt"
    images.write_bytes("".join(f"ä{n}.jpg\r\n{'' if n % 3 else chr(10)}" for n in range(11)).encode())
    for part_size in (1, 4, 11, 100):
        parts = parts_of(images, part_size)
        found = [each for part in parts for each in inputs_of(images, part)]
        assert [(each.target, each.index) for each in found] == [(f"ä{n}.jpg", n) for n in range(11)]
        assert {part.size for part in parts[:-1]} <= {part_size}
    with refused("`part_size=0`", "must be 1 or more"):
        parts_of(images, 0)
    with refused(tmp_path / "none", "cannot be read"):
        parts_of(tmp_path / "none")


def test_what_cannot_be_predicted_is_refused_at_once(tmp_path, refused):
    with refused("`actors=0`", "must be 1 or more"):
        predict_list(tmp_path / "none", tmp_path, actors=0)
    pytest.importorskip("pyarrow")
    with refused(tmp_path / "none", "cannot be read"):
        predict_list(tmp_path / "none", tmp_path)


@pytest.fixture
def images(tmp_path):
    """A list of sixty images, two of them broken."""
    for name in ("skier.jpg", "street.jpg"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    names = ["broken.jpg" if n in (7, 40) else ("skier.jpg", "street.jpg")[n % 2] for n in range(IMAGES)]
    (tmp_path / "list.txt").write_text("\n".join(names))
    return tmp_path / "list.txt"


def rows(folder):
    """All rows of a folder of parts."""
    parquet = pytest.importorskip("pyarrow.parquet")
    return [row for file in sorted(folder.glob("*.parquet")) for row in parquet.read_table(file).to_pylist()]


def check_equal(found, expected):
    """The same rows, each once."""
    assert [row["image_id"] for row in found] == list(range(1, IMAGES + 1))
    for one, other in zip(found, expected, strict=True):
        people, others = one.pop("people"), other["people"]
        assert one == {name: value for name, value in other.items() if name != "people"}
        for person, same in zip(people, others, strict=True):
            assert person["box"] == pytest.approx(same["box"], abs=0.02)
            for keypoint, its in zip(person["keypoints"], same["keypoints"], strict=True):
                assert keypoint == pytest.approx(its, abs=0.02)


@pytest.mark.slow
def test_one_machine_writes_parts_and_leaves_finished_ones_alone(images, tmp_path, refused):
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "here"
    written = list(predict_list(images, folder, part_size=30, **WHOLE))
    assert [(part.images, part.unreadable) for part in written] == [(30, 1), (30, 1)]
    found = rows(folder)
    assert [row["image_id"] for row in found if row["error"]] == [8, 41]
    assert found[0]["width"] == 640
    assert len(found[0]["people"][0]["keypoints"]) == 21
    about = json.loads(parquet.read_schema(folder / "part-000000.parquet").metadata[b"hevitpose"])
    assert about["keypoints"][0] == "r_ankle"
    (folder / "part-000001.parquet").unlink()
    assert [part.number for part in predict_list(images, folder, part_size=30, **WHOLE)] == [1]
    assert rows(folder) == found
    with refused("`detector=auto`", "was whole"):
        list(predict_list(images, folder, part_size=30, detector="auto"))
    images.write_text("skier.jpg\n")
    with pytest.raises(ValueError, match="in the run to resume"):
        list(predict_list(images, folder, part_size=30, **WHOLE))


def test_a_start_that_failed_may_be_corrected_until_there_are_parts(images, tmp_path, refused, monkeypatch):
    def touch(_, part, folder, estimator):  # noqa: ARG001
        part.file(folder).touch()
        return Written(part.number, part.size, 0, 0)

    monkeypatch.setattr(cluster, "_need", lambda _: None)  # no part is really written
    monkeypatch.setattr(cluster, "write_part", touch)
    with refused("`detector=hole`"):
        list(predict_list(images, tmp_path / "new", detector="hole"))
    assert len(list(predict_list(images, tmp_path / "new", part_size=30, **WHOLE))) == 2
    with refused("`detector=person`", "was whole"):
        list(predict_list(images, tmp_path / "new", part_size=30, detector="person"))


@pytest.fixture
def one_machine(images, tmp_path):
    """The rows that one machine without Ray gives."""
    pytest.importorskip("ray")
    list(predict_list(images, tmp_path / "alone", part_size=PART_SIZE, **WHOLE))
    return rows(tmp_path / "alone")


@pytest.mark.slow
def test_an_actor_that_is_killed_costs_no_row(images, tmp_path, one_machine):
    import ray

    ray.init(log_to_driver=False)  # a cluster of this machine, or that of RAY_ADDRESS
    killed, written = [], []
    try:
        for part in predict_list(images, tmp_path / "ray", part_size=PART_SIZE, actors=2, **WHOLE):
            written.append(part)
            if len(list((tmp_path / "ray").glob("*.parquet"))) >= 4 and not killed:
                os.kill(part.process, signal.SIGKILL)
                killed.append(part.process)
    finally:
        ray.shutdown()
    assert killed
    assert len({part.process for part in written}) > 2
    check_equal(rows(tmp_path / "ray"), one_machine)


@pytest.mark.slow
def test_a_driver_that_is_killed_is_started_again(images, tmp_path, one_machine):
    folder = tmp_path / "ray"
    command = [sys.executable, str(EXAMPLES / "predict_ray.py"), str(images), str(folder), "--detector", "whole"]
    command += ["--part-size", str(PART_SIZE), "--actors", "2"]
    environment = os.environ | {"RAY_DEDUP_LOGS": "0", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(command, env=environment, start_new_session=True) as driver:
        end = time.monotonic() + 300
        while len(list(folder.glob("*.parquet"))) < 4:
            assert driver.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        os.killpg(driver.pid, signal.SIGKILL)
    before = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.parquet")}
    assert len(before) < IMAGES // PART_SIZE
    subprocess.run(command, env=environment, check=True, start_new_session=True)
    after = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.parquet")}
    assert before.items() <= after.items()
    check_equal(rows(folder), one_machine)
