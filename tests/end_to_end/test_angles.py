"""`hevitpose angles` on the JSON lines of a clip."""

import json

import numpy as np
import pytest

from hevitpose.core.skeleton import COCO17


def frame(number, people):
    return json.dumps({"frame": number, "time_s": number / 10, "people": people}) + "\n"


def person(track_id, bend=90.0):
    """The left leg with its knee bent by so much; all else is absent."""
    turn = np.deg2rad(bend)
    places = {
        "left_hip": (10, 0),
        "left_knee": (10, 50),
        "left_ankle": (10 + 40 * np.sin(turn), 50 + 40 * np.cos(turn)),
    }
    points = {
        name: dict(zip("xy", places.get(name, (None, None)), strict=True)) | {"score": 0.5} for name in COCO17.keypoints
    }
    return {"id": track_id, "score": 0.8, "box": [0, 0, 20, 90], "keypoints": points}


HEADER = json.dumps({"schema": "hevitpose.clip/1", "keypoints": list(COCO17.keypoints)}) + "\n"


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "clip.jsonl"
    people = [[], [person(None)], [person(1, 30), person(2)], [person(1, 60)]]
    path.write_text(HEADER + "".join(frame(n, found) for n, found in enumerate(people)))
    return path


@pytest.fixture
def angles(monkeypatch, capsys):
    """Runs the command and gives its exit status and the lines of both outputs."""
    from hevitpose.cli.main import main

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["hevitpose", "angles", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out.splitlines(), err.splitlines()

    return run


def rows(path):
    header, *lines = [line.split(",") for line in path.read_text().splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_a_row_per_person_and_frame(results, angles):
    assert angles(results)[0] == 0
    table = rows(results.with_suffix(".angles.csv"))
    assert [(row["frame"], row["id"], row["left_knee_deg"]) for row in table] == [
        ("1", "", "90.0"),
        ("2", "1", "150.0"),
        ("2", "2", "90.0"),
        ("3", "1", "120.0"),
    ]
    assert (table[0]["left_thigh_px"], table[0]["right_knee_deg"], table[3]["time_s"]) == ("50.0", "", "0.3")


def test_one_person_with_a_plot(results, angles, tmp_path):
    code, out, _ = angles(results, "--person", 1, "--output", tmp_path / "a.csv", "--plot", tmp_path / "a.png")
    assert (code, len(out), len(rows(tmp_path / "a.csv"))) == (0, 2, 2)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_file_that_ends_within_a_line_is_read_up_to_there(results, angles):
    results.write_text(results.read_text()[:-40])
    code, _, err = angles(results)
    assert (code, len(rows(results.with_suffix(".angles.csv")))) == (0, 3)
    assert "last line is cut" in err[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("{}\n", "first line is not the header"),
        (HEADER + "{}\n", "line 2: not a frame"),
        (HEADER + "nonsense\n" + frame(1, []), "line 2: not valid JSON"),
        (HEADER.replace("left_", "a_").replace("right_", "b_"), "no keypoints of two joined limbs"),
    ],
)
def test_a_bad_file_is_named(content, reason, angles, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    code, _, err = angles(path)
    assert (code, len(err)) == (1, 1)
    assert err[0].startswith(f"error: {path}: ")
    assert reason in err[0]
    assert list(tmp_path.iterdir()) == [path]


def test_bad_choices_are_one_line(results, angles):
    before = results.read_text()
    for arguments, reason in (
        (("--person", 7), "has no person 7; its ids are 1, 2"),
        (("--output", results), "is one of the inputs"),
        (("--plot", results.with_suffix(".pdf")), "pdf"),
    ):
        code, _, err = angles(results, *arguments)
        assert (code, len(err)) == (1, 1)
        assert reason in err[0]
    assert results.read_text() == before


@pytest.mark.parametrize("number", ["Infinity", "1" + 30 * "0"])
def test_a_frame_that_is_no_number_is_one_line(results, angles, number):
    results.write_text(HEADER + frame(0, [person(1)]).replace('"frame": 0', f'"frame": {number}'))
    code, _, err = angles(results)
    assert (code, len(err)) == (1, 1)
    assert "line 2: not a frame of hevitpose.clip/1" in err[0]
