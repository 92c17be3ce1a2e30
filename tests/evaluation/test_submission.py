import json
import zipfile

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from hevitpose.core.results import Predictions
from hevitpose.evaluation import submission

EMPTY = np.zeros((0, 0))


def struct(*records):
    """A MATLAB struct array, 1 x N."""
    array = np.empty((1, len(records)), dtype=[(name, object) for name in records[0]])
    for n, record in enumerate(records):
        array[0, n] = tuple(record.values())
    return array


def rect(x=101, y=51, scale=2.0):
    return {"scale": scale, "objpos": EMPTY if x is None else struct({"x": x, "y": y})}


def image(name, *rects):
    return {"image": struct({"name": name}), "annorect": struct(*rects) if rects else EMPTY}


@pytest.fixture
def mpii(tmp_path):
    """The site's file: a training image between two test images, in whose second one somebody has no place."""
    images = [image("a.jpg", rect()), image("train.jpg", rect()), image("b.jpg", rect(), rect(None), rect(301))]
    content = {"annolist": struct(*images), "img_train": np.array([[0, 1, 0]])}
    savemat(tmp_path / "mpii.mat", {"RELEASE": struct(content)})
    return submission.read_mpii_test(tmp_path / "mpii.mat", tmp_path)


def test_the_test_half_of_mpii(mpii):
    assert [file.name for file in mpii.people.images] == ["a.jpg", "b.jpg"]
    assert mpii.people.image_index.tolist() == [0, 1, 1]
    assert mpii.rect_of.tolist() == [0, 0, 2]
    assert mpii.rects == (1, 3)
    assert mpii.people.boxes[:, [0, 2]].mean(axis=1).tolist() == [100.5, 100.5, 300.5]
    assert not mpii.people.labelled.any()


def test_predictions_lie_where_mpiis_code_looks_for_them(mpii, tmp_path):
    """As `evaluatePCKh` does: pred(i).annorect(r).annopoints.point(k), by its id."""
    joints = np.random.default_rng(0).uniform(0, 500, (3, 16, 2))
    submission.write_mpii_test(tmp_path / "pred_keypoints_mpii.mat", mpii, joints)
    assert (tmp_path / "pred_keypoints_mpii.mat").read_bytes().startswith(b"MATLAB 5.0 MAT-file")
    pred = loadmat(tmp_path / "pred_keypoints_mpii.mat", squeeze_me=True, struct_as_record=False)["pred"]
    assert [str(one.image.name) for one in pred] == ["a.jpg", "b.jpg"]
    rects = [pred[0].annorect, *pred[1].annorect]
    assert [np.size(rect.annopoints) for rect in rects] == [1, 1, 0, 1]
    for person, rect in enumerate(one for one in rects if np.size(one.annopoints)):
        points = {int(point.id): (point.x, point.y) for point in rect.annopoints.point}
        assert sorted(points) == list(range(16))
        assert np.array([points[k] for k in range(16)]) == pytest.approx(joints[person] + 1)


@pytest.fixture
def test_dev(tmp_path):
    images = [{"id": 7, "file_name": "7.jpg"}, {"id": 9, "file_name": "9.jpg"}]
    (tmp_path / "info.json").write_text(json.dumps({"images": images, "categories": [{"id": 1, "name": "person"}]}))
    return submission.read_unlabelled_coco(tmp_path / "info.json", tmp_path)


def test_cocos_archive_holds_results_under_its_own_name(test_dev, tmp_path):
    joints = np.random.default_rng(0).uniform(0, 500, (2, 17, 2))
    found = Predictions(
        np.array([1, 0]), np.zeros((2, 4)), joints, np.full((2, 17), 0.5), np.array([0.75, 0.25]), None, "x"
    )
    path = tmp_path / "person_keypoints_test-dev2017_mine_results.zip"
    submission.write_coco_zip(path, test_dev, found)
    first = path.read_bytes()
    submission.write_coco_zip(path, test_dev, found)
    assert path.read_bytes() == first
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["person_keypoints_test-dev2017_mine_results.json"]
        results = json.loads(archive.read(archive.namelist()[0]))
    assert [(r["image_id"], r["category_id"], r["score"]) for r in results] == [(9, 1, 0.75), (7, 1, 0.25)]
    assert np.array([r["keypoints"] for r in results]).reshape(2, 17, 3)[..., :2] == pytest.approx(joints, abs=1e-3)
    assert all(set(r) == {"image_id", "category_id", "keypoints", "score"} for r in results)


@pytest.mark.parametrize("name", ["results.zip", "person_keypoints_test-dev2017__results.zip", "a.json"])
def test_another_name_is_refused(test_dev, tmp_path, name, refused):
    found = Predictions(
        np.zeros(0, int), np.zeros((0, 4)), np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros(0), None, "x"
    )
    with refused(tmp_path / name):
        submission.write_coco_zip(tmp_path / name, test_dev, found)


@pytest.mark.parametrize("content", ["[]", "{}", '{"images": []}', '{"images": [{"id": 1}]}', "no"])
def test_files_without_images_are_refused(tmp_path, content, refused):
    (tmp_path / "info.json").write_text(content)
    with refused(tmp_path / "info.json"):
        submission.read_unlabelled_coco(tmp_path / "info.json", tmp_path)
