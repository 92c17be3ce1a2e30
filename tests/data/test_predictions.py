import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.labels import ImageFile, LabelledPeople
from hevitpose.core.results import Predictions
from hevitpose.core.skeleton import Skeleton
from hevitpose.data.predictions import coco_results, read_predictions, write_predictions

ENTRY = {"image_id": 7, "keypoints": [1, 2, 0.5, 3, 4, 1.5], "score": 0.25, "annotation_id": 30}


@pytest.fixture
def people():
    """Two persons in the first image, one in the second, nobody in the third."""
    return LabelledPeople(
        name="three",
        skeleton=Skeleton("ends", ("nose", "tail"), (0, 1), ()),
        images=tuple(ImageFile(name, Path()) for name in ("a.png", "b.png", "c.png")),
        image_ids=(7, 8, 9),
        image_index=np.array([0, 0, 1]),
        ids=np.array([30, 10, 20]),
        boxes=np.tile([0.0, 0, 9, 9], (3, 1)),
        keypoints=np.zeros((3, 2, 2)),
        visibility=np.full((3, 2), 2, dtype=np.int8),
        head_sizes=np.full(3, np.nan),
        areas=np.full(3, np.nan),
    )


@pytest.fixture
def read(people, tmp_path):
    def from_entries(*entries, people=people):
        (tmp_path / "found.json").write_text(json.dumps(entries))
        return read_predictions(tmp_path / "found.json", people)

    return from_entries


def test_an_entry_is_read(read):
    found, notes = read(ENTRY, ENTRY | {"image_id": 8, "annotation_id": 20})
    assert found.image_index.tolist() == [0, 1]
    assert found.joints.tolist() == [[[1, 2], [3, 4]]] * 2
    assert found.keypoint_scores.tolist() == [[0.5, 1.5]] * 2
    assert found.scores.tolist() == [0.25, 0.25]
    assert found.person_of.tolist() == [0, 2]
    assert notes == ["1 labelled persons have no prediction: all their keypoints count as missed"]


def test_missing_images_are_counted_and_names_are_as_good_as_ids(read):
    found, notes = read({"file_name": "c.png", "keypoints": [0] * 6, "score": 1})
    assert (found.image_index.tolist(), found.person_of) == ([2], None)
    assert notes == ["2 images with labelled people have no prediction"]


def test_a_name_decides_where_the_number_is_another_programs(read):
    found, _ = read(ENTRY | {"image_id": 8, "file_name": "photos/a.png"})
    assert found.image_index.tolist() == [0]
    found, _ = read({"image_id": 8, "file_name": "elsewhere.png", "keypoints": [0] * 6, "score": 1})
    assert found.image_index.tolist() == [1]


def test_who_is_alone_in_a_image_needs_no_id(read, people):
    alone = people.subset(np.array([2, 1]))
    entry = {"keypoints": [0] * 6, "score": 1}
    found, _ = read(entry | {"image_id": 7}, entry | {"image_id": 8}, people=alone)
    assert found.person_of.tolist() == [1, 0]
    found, _ = read(entry | {"image_id": 7}, entry | {"image_id": 7}, people=alone)
    assert found.person_of is None


def test_what_was_written_is_read_again(people, tmp_path):
    random = np.random.default_rng(0)
    joints, scores = random.uniform(0, 100, (3, 2, 2)).round(3), random.random((3, 2)).round(4)
    found = Predictions(
        people.image_index, people.boxes, joints, scores, random.random(3), np.arange(3), "ground truth"
    )
    write_predictions(tmp_path / "found.json", people, found)
    again, notes = read_predictions(tmp_path / "found.json", people)
    assert notes == []
    for name in ("image_index", "joints", "keypoint_scores", "scores", "person_of"):
        assert np.array_equal(getattr(again, name), getattr(found, name)), name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_id": 6}, "entry 1: image '6' is not in the set"),
        ({"keypoints": [1, 2, 3]}, "entry 1: keypoints must be 6 numbers"),
        ({"keypoints": [1, 2, 3, 4, 5, float("nan")]}, "entry 1: keypoints must be 6 numbers"),
        ({"keypoints": "all"}, "entry 1: keypoints must be 6 numbers"),
        ({"image_id": None}, "entry 1: image_id is missing"),
        ({"annotation_id": [10]}, r"entry 1: annotation_id \[10\] is not a labelled person"),
        ({"annotation_id": {}}, "entry 1: annotation_id {} is not a labelled person"),
        ({"annotation_id": "31"}, "entry 1: annotation_id '31' is not a labelled person"),
        ({"score": None}, "entry 1: score must be 1 numbers"),
        ({"annotation_id": 31}, "entry 1: annotation_id 31 is not a labelled person"),
        ({"annotation_id": 20}, "entry 1: annotation 20 is in another image"),
        ({"annotation_id": 30}, "two entries have the annotation_id 30"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_words(read, change, reason):
    with pytest.raises(InputError, match=reason):
        read(ENTRY, ENTRY | {"annotation_id": 10} | change)


def test_a_missing_value_is_named(read):
    with pytest.raises(InputError, match="entry 0: 'score' is missing"):
        read({"image_id": 7, "keypoints": [0] * 6})


def test_other_categories_are_left_out_and_counted(read, people):
    other = {"image_id": 7, "category_id": 2}
    found, notes = read(ENTRY | {"category_id": 1}, other, ENTRY | {"annotation_id": "10"})
    assert found.person_of.tolist() == [0, 1]
    assert "1 entries of another category_id are left out" in notes
    mice = replace(people, category_ids=(0, "mouse"))
    found, _ = read(*(ENTRY | {"annotation_id": n, "category_id": c} for n, c in ((30, 0), (10, "mouse"))), people=mice)
    assert len(found.scores) == 2
    assert coco_results(mice, found)[0]["category_id"] == 0
    with pytest.raises(InputError, match="has no entry of the category 1"):
        read(other)


def test_scores_that_are_no_shares_are_counted(read):
    _, notes = read(*(ENTRY | {"annotation_id": n, "score": score} for n, score in ((30, -0.5), (10, 1.0))))
    assert "1 entries have a score that is not between 0 and 1" in notes


def test_boxes_are_stated_where_annotations_are_named(read, people):
    assert read(ENTRY)[0].source == read(ENTRY | {"annotation_id": 30.0})[0].source == "labels, by annotation_id"
    assert read()[0].source == "not stated by found.json"
    alone = people.subset(np.array([2, 1]))
    assert read({"image_id": 7, "keypoints": [0] * 6, "score": 1}, people=alone)[0].source == "not stated by found.json"


@pytest.mark.parametrize(
    "name",
    [
        {"file_name": "b.png"},
        {"file_name": "C:\\x\\b.png"},
        {"file_name": "b"},
        {"image_id": "b"},
        {"image_id": "b.png"},
        {"image_id": 8.0},
        {"image_id": "8"},
    ],
    ids=str,
)
def test_images_are_found_by_id_name_or_stem(read, people, name):
    named = replace(people, images=tuple(ImageFile(f"images/{file.name}", Path()) for file in people.images))
    found, _ = read(name | {"keypoints": [0] * 6, "score": 1}, people=named)
    assert found.image_index.tolist() == [1]


def test_a_stem_of_two_images_is_none(read, people):
    twins = replace(people, images=tuple(ImageFile(f"{folder}/a.png", Path()) for folder in "xyz"))
    with pytest.raises(InputError, match="'a' is not in the set"):
        read({"image_id": "a", "keypoints": [0] * 6, "score": 1}, people=twins)
    found, _ = read({"image_id": "y/a", "keypoints": [0] * 6, "score": 1}, people=twins)
    assert found.image_index.tolist() == [1]


def test_what_predict_writes_for_each_image_is_read(people, tmp_path, refused):
    place = {"score": 0.5, "x": None, "y": None}
    person = {"score": 0.25, "keypoints": {"Tail": place, "other": place, "nose": {"x": 1.5, "y": 2, "score": 0.75}}}
    for name in ("a", "b"):
        text = json.dumps({"schema": "hevitpose.pose/1", "file": f"x/{name}.png", "people": [person]})
        (tmp_path / f"{name}.json").write_text(text)
    found, _ = read_predictions(tmp_path, people)
    assert (found.image_index.tolist(), found.scores.tolist()) == ([0, 1], [0.25, 0.25])
    assert found.joints[0].tolist() == [[1.5, 2], [0, 0]]
    assert found.keypoint_scores[0].tolist() == [0.75, 0.5]
    assert read_predictions(tmp_path / "b.json", people)[0].image_index.tolist() == [1]
    (tmp_path / "b.json").write_text(text.replace("Tail", "paw"))
    with refused(tmp_path / "b.json", "lacks tail, keypoints of three"):
        read_predictions(tmp_path, people)
    (tmp_path / "b.json").write_text(text.replace('"people"', '"persons"'))
    with refused(tmp_path / "b.json", "not a result of hevitpose"):
        read_predictions(tmp_path, people)


def test_tables_and_labels_of_predict_are_read(people, tmp_path, refused):
    table = tmp_path / "found.csv"
    table.write_text(
        "file,person,keypoint,x,y,score\nx/b.png,1,tail,,,0.5\nx/b.png,1,nose,1.5,2,0.75\nx/a.png,1,nose,3,4,0.5\n"
        "x/a.png,1,tail,5,6,1\n"
    )
    found, _ = read_predictions(table, people)
    assert (found.image_index.tolist(), found.scores.tolist()) == ([1, 0], [0.75, 0.75])
    assert found.joints.tolist() == [[[1.5, 2], [0, 0]], [[3, 4], [5, 6]]]
    for text in ("file,person\nx/b.png,1\n", f"file,person,keypoint,x,y,score\n{'x' * 200_000},1,nose,1,1,1\n"):
        table.write_text(text)
        with refused(table, "not a CSV file of hevitpose"):
            read_predictions(table, people)
    content = {
        "images": [{"id": 7, "file_name": "x/b.png"}],
        "categories": [{"id": 1, "keypoints": ["tail", "other", "nose"]}],
        "annotations": [{"image_id": 7, "category_id": 1, "keypoints": [5, 6, 0, 9, 9, 2, 1.5, 2, 2], "score": 0.25}],
    }
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(content))
    found, _ = read_predictions(labels, people)
    assert (found.image_index.tolist(), found.scores.tolist()) == ([1], [0.25])
    assert found.joints.tolist() == [[[1.5, 2], [5, 6]]]
    assert found.keypoint_scores.tolist() == [[1, 0]]
    labels.write_text(json.dumps(content).replace('"tail"', '"paw"'))
    with refused(labels, "lacks tail, keypoints of three"):
        read_predictions(labels, people)
    labels.write_text(json.dumps(content | {"categories": []}))
    with refused(labels, "not a COCO file"):
        read_predictions(labels, people)


def test_nothing_found_is_a_result_too(read):
    found, notes = read()
    assert (found.joints.shape, found.person_of.shape) == ((0, 2, 2), (0,))
    assert notes[0] == "2 images with labelled people have no prediction"
    assert notes[1].startswith("3 labelled persons have no prediction")
