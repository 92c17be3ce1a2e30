from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.labels import ImageFile
from hevitpose.core.skeleton import COCO17, MPII16
from hevitpose.evaluation.analysis import analyze_errors
from hevitpose.evaluation.predict import predictions_in_labels
from hevitpose.metrics.error_types import CalibrationBin


@pytest.fixture
def people_of(make_people):
    """A function that makes four persons of a skeleton in two images."""

    def make(skeleton):
        return make_people(
            4,
            skeleton,
            images=(ImageFile("x.png", Path()), ImageFile("y.png", Path())),
            image_ids=(0, 1),
            image_index=np.array([0, 0, 1, 1]),
            head_sizes=np.array([10.0, 10, 20, np.nan]),
            areas=np.full(4, 10_000.0),
        )

    return make


def shares(errors):
    return list(astuple(errors.all_keypoints)[1:])


@pytest.mark.parametrize(
    ("metric", "off", "persons", "expected"),
    [
        # Heads of 10, 10 and 20 px; the fourth person has none. 5 px are right; 9 px jitter, at 20 px right.
        ("pckh", 5.0, 3, [100.0, 0.0, 0.0, 0.0, 0.0]),
        ("pckh", 9.0, 3, [100 / 3, 200 / 3, 0.0, 0.0, 0.0]),
        # 0.05 of a box of 500 px.
        ("pck_box", 24.9, 4, [100.0, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_bounds_are_those_of_the_metric(people_of, metric, off, persons, expected):
    people = people_of(MPII16)
    result = analyze_errors(
        people, predictions_in_labels(people, people.keypoints + [off, 0], np.ones((4, 16))), metric
    )
    assert shares(result) == pytest.approx(expected)
    assert result.persons == persons


@pytest.mark.parametrize(("similarity", "kind"), [(0.86, 0), (0.84, 1), (0.51, 1)])
def test_oks_is_bounded_by_similarity(people_of, similarity, kind):
    people = people_of(COCO17)
    distance = 2 * np.array(COCO17.sigmas) * 100 * np.sqrt(-2 * np.log(similarity))
    joints = people.keypoints + np.stack([distance, 0 * distance], axis=-1)
    assert shares(analyze_errors(people, predictions_in_labels(people, joints, np.ones((4, 17))), "oks"))[kind] == 100


def test_detections_are_matched_by_their_joints(people_of):
    people = people_of(COCO17)
    found = predictions_in_labels(people, people.keypoints, np.full((4, 17), 0.75))
    backwards = replace(
        found,
        image_index=found.image_index[::-1][:3],
        joints=found.joints[::-1][:3],
        keypoint_scores=found.keypoint_scores[:3],
        scores=found.scores[:3],
        person_of=None,
    )
    result = analyze_errors(people, backwards, "oks")
    assert result.persons == 3
    assert shares(result)[0] == 100
    assert result.calibration == (CalibrationBin(0.7, 0.8, 51, 0.75, 1.0),)
