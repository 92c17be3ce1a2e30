import json
import sys

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.core.geometry import box_from_center
from hevitpose.core.results import Predictions
from hevitpose.core.skeleton import MPII16
from hevitpose.data.mpii import read_mpii, read_mpii_hrnet, read_pred_mat, write_pred_mat

EMPTY = np.zeros((0, 0))
NO_STRUCT = np.empty((0, 0), dtype=object)


def struct(*records):
    """A MATLAB struct array, 1 x N."""
    array = np.empty((1, len(records)), dtype=[(name, object) for name in records[0]])
    for n, record in enumerate(records):
        for name, value in record.items():
            array[name][0, n] = value
    return array


def point(joint, x, y, is_visible):
    return {"x": x, "y": y, "id": joint, "is_visible": is_visible}


def rect(*points, scale=2.0, center=(101, 51), head=(11, 21, 41, 61)):
    return {
        **dict(zip(("x1", "y1", "x2", "y2"), head, strict=True)),
        "annopoints": struct({"point": struct(*points)}) if points else EMPTY,
        "scale": scale,
        "objpos": struct({"x": center[0], "y": center[1]}) if center else EMPTY,
    }


def image(name, *rects):
    return {"image": struct({"name": name}), "annorect": struct(*rects) if rects else EMPTY, "frame_sec": EMPTY}


HEAD = point(9, 30, 21, EMPTY)


@pytest.fixture
def release(tmp_path):
    """Writes the site's file with these images, as MATLAB would, and reads it."""

    def read(*images, subset=None):
        content = {"annolist": struct(*images), "img_train": np.ones((1, len(images))), "version": "12"}
        savemat(tmp_path / "mpii.mat", {"RELEASE": struct(content)}, do_compression=True)
        return read_mpii(tmp_path / "mpii.mat", tmp_path / "images", "mpii", subset)

    return read


def test_pixels_are_counted_from_0(release, tmp_path):
    people = release(image("1.jpg", rect(point(0, 1, 1, 1), point(15, 640.5, 480, 1))))
    assert people.skeleton is MPII16
    assert [str(file) for file in people.images] == [str(tmp_path / "images" / "1.jpg")]
    assert people.keypoints[0, [0, 15]].tolist() == [[0, 0], [639.5, 479]]
    # Centre (100, 50) after that; HRNet moves it down by 15 * 2, and the side is 200 * 2.
    assert people.boxes == pytest.approx(box_from_center([[100.5, 80.5]], [[400, 400]]))


@pytest.mark.parametrize(
    ("is_visible", "visibility"),
    [(EMPTY, 2), (0, 1), (1, 2), ("0", 1), ("1", 2), (np.uint8(0), 1), (1.0, 2), (False, 1)],
)
def test_a_joint_is_hidden_only_where_that_is_said(release, is_visible, visibility):
    people = release(image("1.jpg", rect(point(3, 5, 6, is_visible))))
    assert people.visibility.tolist() == [[0] * 3 + [visibility] + [0] * 12]


def test_points_may_not_tell_visibility_at_all(release):
    points = [{"x": 5, "y": 6, "id": 2}, {"x": 7, "y": 8, "id": 4}]
    assert release(image("1.jpg", rect(*points))).labelled.nonzero()[1].tolist() == [2, 4]


def test_the_head_size_is_sixty_percent_of_the_diagonal(release):
    without_corner = rect(HEAD) | {"x1": EMPTY}
    people = release(image("1.jpg", rect(HEAD, head=(11, 21, 41, 61)), without_corner))
    assert people.head_sizes == pytest.approx([0.6 * 50, np.nan], nan_ok=True)


def test_people_that_cannot_be_used_are_left_out(release):
    people = release(
        image("nobody.jpg"),
        image("one.jpg", rect(HEAD)),
        image("test.jpg", {"scale": 1.0, "objpos": struct({"x": 5, "y": 5})}),
        image("head_only.jpg", {"x1": 1, "y1": 1, "x2": 5, "y2": 5}),
        image(
            "several.jpg",
            rect(HEAD, center=(301, 1)),
            rect(),
            rect(HEAD, scale=EMPTY),
            rect(HEAD, center=None),
            rect(HEAD),
        ),
        image("structs.jpg", rect() | {"annopoints": struct({"point": EMPTY})}),
    )
    assert [file.name for file in people.images] == ["one.jpg", "several.jpg"]
    assert people.image_index.tolist() == [0, 1, 1]
    assert people.boxes[:, [0, 2]].mean(axis=1).tolist() == [100.5, 300.5, 100.5]


def test_a_subset_names_the_images_to_take(release, tmp_path):
    (tmp_path / "val.txt").write_text("c.jpg\r\nb.jpg\nnot_there.jpg\n")
    people = release(*(image(f"{name}.jpg", rect(HEAD)) for name in "abc"), subset=tmp_path / "val.txt")
    assert [file.name for file in people.images] == ["b.jpg", "c.jpg"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"], ids=["missing", "binary"])
def test_a_subset_that_cannot_be_read_is_one_line(release, tmp_path, refused, content):
    if content:
        (tmp_path / "val.txt").write_bytes(content)
    with refused(tmp_path / "val.txt"):
        release(image("a.jpg", rect(HEAD)), subset=tmp_path / "val.txt")


@pytest.mark.parametrize(
    "wrong",
    [
        image("a.jpg"),
        {"annorect": EMPTY},
        {"image": 5, "annorect": EMPTY},
        image("a.jpg", rect({"x": 1, "y": 1})),
        image("a.jpg", rect(point(16, 1, 1, 1))),
        image("a.jpg", rect(point(-1, 1, 1, 1))),
        image("a.jpg", rect(point("a", 1, 1, 1))),
        image("a.jpg", rect(point(1, EMPTY, 1, 1))),
        image("a.jpg", rect(point(1, "x", 1, 1))),
        image("a.jpg", rect(point(1, np.nan, 1, 1))),
        image("a.jpg", rect(point(1, 1, 1, "yes"))),
        image("a.jpg", rect(HEAD, scale=0)),
        image("a.jpg", rect(HEAD, scale=-1.0)),
        image("a.jpg", rect(HEAD, scale=np.nan)),
        image("a.jpg", rect(HEAD, scale=np.array([1.0, 2.0]))),
        image("a.jpg", rect(HEAD, center=(np.inf, 0))),
        image("a.jpg", rect(HEAD) | {"objpos": struct({"x": 5})}),
        image("a.jpg", rect(HEAD, head=("a", 1, 1, 1))),
    ],
)
def test_a_wrong_release_is_one_line(release, tmp_path, refused, wrong):
    with refused(tmp_path / "mpii.mat"):
        release(wrong)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "no such file"),
        (b"", "MATLAB"),
        (b"no MATLAB file" * 20, "MATLAB"),
        ("cut", "MATLAB"),
        ({"x": 1}, "RELEASE.annolist"),
        ({"RELEASE": 5}, "RELEASE.annolist"),
    ],
    ids=lambda v: f"{v!r:.20}",
)
def test_a_file_that_is_not_mpiis_is_one_line(release, tmp_path, refused, content, word):
    path = tmp_path / "mpii.mat"
    if isinstance(content, dict):
        savemat(path, content)
    elif content == "cut":
        release(image("a.jpg", rect(HEAD)))
        path.write_bytes(path.read_bytes()[:-200])
    elif content is not None:
        path.write_bytes(content)
    with refused(path, word):
        read_mpii(path, tmp_path, "mpii")


def test_a_missing_scipy_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingExtraError, match=r"a\.mat: .* pip install"):
        read_mpii(tmp_path / "a.mat", tmp_path, "mpii")


JOINTS = [[10 + k, 20 + k] for k in range(16)]
PERSON = {
    "image": "7.jpg",
    "center": [101.0, 51.0],
    "scale": 2.0,
    "joints": JOINTS,
    "joints_vis": [0, 1] * 8,
}


@pytest.fixture
def hrnet(tmp_path):
    """Writes HRNet's file of these people, with or without its ground truth, and reads it."""

    def read(*people, **truth):
        (tmp_path / "valid.json").write_text(json.dumps(people))
        if truth:
            savemat(tmp_path / "gt_valid.mat", truth)
        return read_mpii_hrnet(
            tmp_path / "valid.json", tmp_path / "images", "mpii", tmp_path / "gt_valid.mat" if truth else None
        )

    return read


def test_hrnets_file_counts_from_1_as_well(hrnet):
    people = hrnet(PERSON, PERSON | {"image": "3.jpg"}, PERSON | {"scale": 1})
    assert [file.name for file in people.images] == ["7.jpg", "3.jpg"]
    assert people.image_index.tolist() == [0, 1, 0]
    assert (people.keypoints == np.array(JOINTS) - 1).all()
    assert people.visibility.tolist() == [[0, 2] * 8] * 3
    assert people.boxes == pytest.approx(
        box_from_center([[100.5, 80.5], [100.5, 80.5], [100.5, 65.5]], [[400] * 2, [400] * 2, [200] * 2])
    )
    assert np.isnan(people.head_sizes).all()


def ground_truth(people):
    random = np.random.default_rng(0)
    return {
        "pos_gt_src": random.integers(1, 200, (16, 2, people)).astype(np.uint8),
        "jnt_missing": random.integers(0, 2, (16, people)).astype(np.uint8),
        "headboxes_src": random.uniform(0, 100, (2, 2, people)),
    }


@pytest.mark.parametrize("number", [1, 3])
def test_the_ground_truth_replaces_joints_and_gives_head_sizes(hrnet, number):
    truth = ground_truth(number)
    people = hrnet(*[PERSON] * number, **truth)
    for n in range(number):
        assert (people.keypoints[n] == truth["pos_gt_src"][:, :, n].astype(int) - 1).all()
        assert (people.labelled[n] == (truth["jnt_missing"][:, n] == 0)).all()
    # HRNet, lib/dataset/mpii.py, evaluate.
    headsizes = truth["headboxes_src"][1, :, :] - truth["headboxes_src"][0, :, :]
    assert people.head_sizes == pytest.approx(0.6 * np.linalg.norm(headsizes, axis=0))


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"pos_gt_src": None}, "pos_gt_src is missing"),
        ({"pos_gt_src": np.zeros((16, 2, 3))}, "(16, 2, 2)"),
        ({"jnt_missing": np.zeros((2, 16))}, "(16, 2)"),
        ({"jnt_missing": "abc"}, "jnt_missing"),
        ({"headboxes_src": np.zeros((2, 2, 1))}, "(2, 2, 2)"),
        ({"headboxes_src": np.zeros((4, 2))}, "(2, 2, 2)"),
    ],
)
def test_a_ground_truth_of_other_people_is_one_line(hrnet, tmp_path, refused, wrong, word):
    truth = {key: value for key, value in (ground_truth(2) | wrong).items() if value is not None}
    with refused(tmp_path / "gt_valid.mat", word):
        hrnet(PERSON, PERSON, **truth)


NO_NUMBERS = [None, "abc", {}, [], [[1, 2], 3], float("nan"), [float("inf"), 1], 10**400, 1e300]


@pytest.mark.parametrize("field", ["center", "scale", "joints", "joints_vis"])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda v: f"{v!r:.20}")
def test_a_wrong_field_of_hrnets_file_is_one_line(hrnet, tmp_path, refused, field, value):
    with refused(tmp_path / "valid.json", f"person 1: {field}"):
        hrnet(PERSON, PERSON | {field: value})


@pytest.mark.parametrize(
    "person",
    [None, 5, [], {}, PERSON | {"scale": -1}, PERSON | {"joints_vis": [0.5] * 16}, PERSON | {"joints": JOINTS[:15]}],
)
def test_a_person_that_hrnets_file_cannot_have_is_one_line(hrnet, tmp_path, refused, person):
    with refused(tmp_path / "valid.json"):
        hrnet(person)


@pytest.mark.parametrize("content", [[], {}, 5])
def test_json_that_is_not_hrnets_is_one_line(tmp_path, refused, content):
    (tmp_path / "valid.json").write_text(json.dumps(content))
    with refused(tmp_path / "valid.json", "list of people"):
        read_mpii_hrnet(tmp_path / "valid.json", tmp_path, "mpii")


def test_hrnets_predictions_are_written_and_read(release, tmp_path):
    people = release(image("a.jpg", rect(HEAD), rect(HEAD)), image("b.jpg", rect(HEAD)))
    joints = np.random.default_rng(0).uniform(0, 500, (3, 16, 2))
    backwards = [2, 1, 0]
    scores = np.ones((3, 16))
    order = people.image_index[backwards], people.boxes, joints[backwards], scores, scores[:, 0], np.array(backwards)
    found = Predictions(*order, "labels")
    write_pred_mat(tmp_path / "pred.mat", people, found)
    assert loadmat(tmp_path / "pred.mat")["preds"] == pytest.approx(joints + 1)
    again, notes = read_pred_mat(tmp_path / "pred.mat", people)
    assert again.joints == pytest.approx(joints)
    assert again.person_of.tolist() == [0, 1, 2]
    assert again.source == "not stated by pred.mat"
    assert not notes
    two = Predictions(*(array[:2] for array in order), "labels")
    with pytest.raises(InputError, match=r"pred.mat: pred.mat is of all 3 people, here are 2 \(`nms=none`\)"):
        write_pred_mat(tmp_path / "pred.mat", people, two)


@pytest.mark.parametrize(
    "preds", [np.zeros((2, 16, 2)), np.zeros((1, 17, 2)), np.full((1, 16, 2), np.nan), np.array("x")]
)
def test_predictions_of_other_people_or_of_no_number_are_refused(release, tmp_path, preds, refused):
    people = release(image("a.jpg", rect(HEAD)))
    savemat(tmp_path / "pred.mat", {"preds": preds})
    with refused(tmp_path / "pred.mat"):
        read_pred_mat(tmp_path / "pred.mat", people)
