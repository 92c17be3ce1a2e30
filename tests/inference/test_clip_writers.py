import csv
import json

import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import Skeleton
from hevitpose.inference.clip_writers import ClipCoco, ClipCsv, ClipDrawing, ClipHeader, JsonLines, MotFile
from hevitpose.inference.inputs import Frame

MOUSE = Skeleton("mouse", ("snout", "tail"), (0, 1))
HEADER = ClipHeader("c.mp4", "m", (640, 480), 29.97002997, MOUSE)
IMAGE = np.zeros((48, 64, 3), dtype=np.uint8)


def poses(*track_ids):
    """The same mouse, whose tail is absent, once for each id."""
    count = len(track_ids)
    keypoints = np.tile([[10.123, 20.456], [np.nan, np.nan]], (count, 1, 1))
    return ImagePoses(
        MOUSE,
        (640, 480),
        np.tile([10.0, 20, 40, 60], (count, 1)),
        keypoints,
        np.tile([0.98765, 0.01], (count, 1)),
        np.full(count, 0.5),
        np.tile([[10.123, 20.456], [-3.0, 7.891]], (count, 1, 1)),
        "c.mp4",
        "m",
        np.array(track_ids, dtype=np.int64),
    )


def smoothed(*track_ids):
    """Both keypoints are there after smoothing."""
    its = poses(*track_ids)
    return its.with_keypoints(its.all_keypoints, np.tile([False, True], (len(its), 1)))


def write(writer, *frames):
    for index, its in enumerate(frames):
        writer.write(Frame(IMAGE, "c.mp4", index, index / 3), its)
    writer.close()
    return writer


def test_json_lines_have_a_header_and_a_line_per_frame(tmp_path):
    write(JsonLines(tmp_path / "new" / "r.jsonl", HEADER), poses(0, 7), poses())
    header, first, second = map(json.loads, (tmp_path / "new" / "r.jsonl").read_text().splitlines())
    assert header == {
        "schema": "hevitpose.clip/1",
        "model": "m",
        "file": "c.mp4",
        "width": 640,
        "height": 480,
        "fps": 29.97003,
        "keypoints": ["snout", "tail"],
    }
    person = {
        "id": None,
        "score": 0.5,
        "box": [10, 20, 30, 40],
        "keypoints": {
            "snout": {"x": 10.12, "y": 20.46, "score": 0.9877},
            "tail": {"x": None, "y": None, "score": 0.01},
        },
    }
    assert first == {"frame": 0, "time_s": 0, "people": [person, person | {"id": 7}]}
    assert second == {"frame": 1, "time_s": 0.333333, "people": []}


def test_json_lines_of_smoothed_clips_keep_what_was_before(tmp_path):
    write(JsonLines(tmp_path / "r.jsonl", HEADER), smoothed(1))
    (person,) = json.loads((tmp_path / "r.jsonl").read_text().splitlines()[1])["people"]
    assert person["keypoints"]["snout"] == {"x": 10.12, "y": 20.46, "score": 0.9877}
    assert person["keypoints"]["tail"] == {"x": -3.0, "y": 7.89, "score": 0.01, "filled": True}
    assert person["raw"] == {"snout": {"x": 10.12, "y": 20.46}, "tail": {"x": None, "y": None}}


def test_csv_has_a_line_per_keypoint(tmp_path):
    write(ClipCsv(tmp_path / "r.csv"), poses(0), poses(), poses(2))
    assert list(csv.reader((tmp_path / "r.csv").read_text().splitlines())) == [
        ["frame", "time_s", "id", "person_score", "keypoint", "x", "y", "score"],
        ["0", "0.0", "", "0.5", "snout", "10.12", "20.46", "0.9877"],
        ["0", "0.0", "", "0.5", "tail", "", "", "0.01"],
        ["2", "0.666667", "2", "0.5", "snout", "10.12", "20.46", "0.9877"],
        ["2", "0.666667", "2", "0.5", "tail", "", "", "0.01"],
    ]
    write(ClipCsv(tmp_path / "s.csv"), smoothed(2))
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert [(row["x"], row["raw_x"], row["filled"]) for row in rows] == [("10.12", "10.12", "0"), ("-3.0", "", "1")]


def test_mot_counts_frames_and_pixels_from_one(tmp_path):
    writer = write(MotFile(tmp_path / "r.txt"), poses(0, 3), poses(), poses(3))
    line = "3,11.00,21.00,30.00,40.00,0.5000,-1,-1,-1"
    assert (tmp_path / "r.txt").read_text().splitlines() == [f"1,{line}", f"3,{line}"]
    assert writer.left_out == 1


@pytest.mark.parametrize("frames", [[()], [(0, 4), (), (4,)]])
def test_coco_results_have_frames_as_images(tmp_path, frames):
    write(ClipCoco(tmp_path / "r.json"), *[poses(*its) for its in frames])
    entries = json.loads((tmp_path / "r.json").read_text())
    assert [(entry["image_id"], entry.get("track_id")) for entry in entries] == [
        (frame, track_id or None) for frame, its in enumerate(frames) for track_id in its
    ]
    for entry in entries:
        assert entry["keypoints"] == [10.12, 20.46, 0.9877, -3.0, 7.89, 0.01]
        assert entry["bbox"] == [10, 20, 30, 40]


@pytest.mark.parametrize("make", [lambda path: JsonLines(path, HEADER), ClipCsv, MotFile, ClipCoco])
def test_the_file_before_stays_until_the_new_one_is_whole(tmp_path, make):
    path = tmp_path / "results"
    write(make(path), poses(1))
    whole = path.read_text()
    path.write_text("before")
    writer = make(path)
    writer.write(Frame(IMAGE, time_s=0.0), poses(1))
    assert path.read_text() == "before"
    writer.close()
    assert path.read_text() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_drawing_is_raised_and_leaves_nothing(tmp_path):
    pytest.importorskip("av")

    def draw(image, _, time_s):
        if time_s > 1:
            raise InputError("drawing", "failed")
        return image

    drawing = ClipDrawing(tmp_path / "r.mp4", draw, 3)
    with pytest.raises(InputError, match="failed"):
        write(drawing, *[poses(1)] * 9)
    with pytest.raises(InputError, match="failed"):
        drawing.close()
    assert list(tmp_path.iterdir()) == []
