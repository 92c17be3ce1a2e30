"""tools/second_opinion.py on labels whose faults are known."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

TOOLS = str(Path(__file__).parents[1] / "tools")


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    import join_labels
    import second_opinion

    yield join_labels, second_opinion
    for name in ("join_labels", "second_opinion"):
        sys.modules.pop(name)


@pytest.fixture
def person(tools):
    """A person (1, 21, 3) whose keypoints all lie apart, in a box of 100 pixels."""
    keypoints = tools[0].KEYPOINTS
    places = np.array([[10 + 18 * (k % 5), 5 + 20 * (k // 5), 2] for k in range(len(keypoints))], dtype=float)
    return places[None]


def place_of(tools, *names):
    return [tools[0].KEYPOINTS.index(name) for name in names]


def opinions(person, shift=1.0):
    first, second = person.copy(), person.copy()
    first[..., :2] += shift
    second[..., :2] -= shift
    first[..., 2] = second[..., 2] = 0.9
    return [first, second]


def test_right_labels_stay(tools, person):
    mended, counts = tools[1].mend(person, opinions(person), np.array([100.0]))
    assert np.array_equal(mended, person)
    assert not any(counts[what] for what in counts if what != "labelled")


def test_exchanged_sides_are_exchanged_back(tools, person):
    own = place_of(tools, "l_shoulder", "l_elbow", "l_wrist", "r_shoulder", "r_elbow", "r_wrist")
    wrong = person.copy()
    wrong[:, own] = person[:, own[3:] + own[:3]]
    mended, counts = tools[1].mend(wrong, opinions(person), np.array([100.0]))
    assert np.array_equal(mended, person)
    assert counts["people with exchanged shoulder, elbow, wrist"] == 1
    assert counts["people with exchanged hip, knee, ankle"] == 0


def test_a_joint_moves_only_where_both_agree_against_it(tools, person):
    (knee,), lengths = place_of(tools, "l_knee"), np.array([100.0])
    wrong = person.copy()
    wrong[0, knee, :2] += 40
    mended, counts = tools[1].mend(wrong, opinions(person), lengths)
    assert mended == pytest.approx(person)
    assert counts["moved"] == 1
    apart = opinions(person)
    apart[1][0, knee, :2] -= 30
    unsure = opinions(person)
    unsure[0][0, knee, 2] = 0.1
    for doubtful in (apart, unsure):
        assert np.array_equal(tools[1].mend(wrong, doubtful, lengths)[0], wrong)


def test_a_missing_joint_is_filled_in_but_none_that_a_network_does_not_know(tools, person):
    ankle, neck = place_of(tools, "r_ankle", "upper_neck")
    missing, both = person.copy(), opinions(person)
    missing[0, [ankle, neck]] = 0
    both[1][0, neck] = 0
    mended, counts = tools[1].mend(missing, both, np.array([100.0]))
    assert mended[0, ankle] == pytest.approx(person[0, ankle])
    assert not mended[0, neck].any()
    assert counts["filled in"] == 1


def test_faces_are_the_second_opinions_where_it_is_sure(tools, person):
    labels, opinion = np.zeros_like(person), opinions(person)[1]
    opinion[0, 3:, 2] = 0.4
    filled, count = tools[1].fill(labels, opinion, np.array([True]))
    assert count == 3
    assert filled[0, :3, :2] == pytest.approx(opinion[0, :3, :2])
    assert not filled[0, 3:].any()
    assert not tools[1].fill(labels, opinion, np.array([False]))[1]


def test_faces_are_filled_in_only_for_sources_without_any(tools, person, tmp_path, monkeypatch):
    """From files to a file: one source labels a face, the other none; the second's people are repeated."""
    face = place_of(tools, *tools[0].FACE)
    without, hidden = person[0].copy(), person[0].copy()
    without[face] = hidden[face[1:]] = 0
    people = [
        {"id": n, "source": source, "bbox": [0, 0, 100, 100], "keypoints": joints.ravel().tolist()}
        for n, (source, joints) in enumerate([("whole", person[0]), ("whole", hidden), ("bare", without)])
    ]
    opinion = [{"annotation_id": one["id"], "keypoints": opinions(person)[0].ravel().tolist()} for one in people]
    (tmp_path / "labels.json").write_text(json.dumps({"annotations": people}))
    (tmp_path / "opinion.json").write_text(json.dumps(opinion))
    files = [str(tmp_path / name) for name in ("labels.json", "opinion.json", "opinion.json")]
    monkeypatch.setattr(sys, "argv", ["mend", *files, "--output", str(tmp_path / "out.json"), "--repeat", "bare=2"])
    tools[1].main()
    mended = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert [(one["source"], one["num_keypoints"]) for one in mended] == [
        ("whole", 21),
        ("whole", 17),
        *[("bare", 21)] * 2,
    ]
    assert [one["id"] for one in mended] == [1, 2, 3, 4]
