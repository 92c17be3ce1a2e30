from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.labels import ImageFile
from hevitpose.core.skeleton import MPII16
from hevitpose.metrics.error_types import KINDS, UNLABELLED, calibration, calibration_error, error_kinds, error_shares

L_ANKLE, R_ANKLE, HEAD = (MPII16.keypoints.index(name) for name in ("l_ankle", "r_ankle", "head_top"))


@pytest.fixture
def people(make_people):
    """Two persons in one image and a third alone, 1000 px apart; every keypoint 100 px below the one before it."""
    one = np.stack([np.zeros(16), 100.0 * np.arange(16)], axis=-1)
    return make_people(
        3,
        images=(ImageFile("a.png", Path()), ImageFile("b.png", Path())),
        image_ids=(0, 1),
        image_index=np.array([0, 0, 1]),
        keypoints=np.stack([one, one + [1000, 0], one]),
    )


@pytest.mark.parametrize(
    ("person", "joint", "place", "kind"),
    [
        (0, L_ANKLE, (0, 500), "right"),
        (0, L_ANKLE, (6, 508), "right"),  # 10 px are the bound
        (0, L_ANKLE, (0, 511), "jitter"),
        (0, L_ANKLE, (0, 520), "jitter"),
        (0, L_ANKLE, (0, 521), "miss"),
        (0, L_ANKLE, (0, 0), "inversion"),  # where the right ankle is
        (0, L_ANKLE, (1000, 500), "swap"),
        (0, L_ANKLE, (1000, 0), "swap"),  # the other person's right ankle
        (0, L_ANKLE, (0, 100), "miss"),  # a joint that is no partner
        (0, L_ANKLE, (np.nan, np.nan), "miss"),
        (0, HEAD, (0, 900), "right"),  # its own partner: no inversion
        (0, HEAD, (0, 925), "miss"),
        (2, L_ANKLE, (1000, 500), "miss"),  # nobody else in that image
    ],
)
def test_kinds(people, person, joint, place, kind):
    predicted = people.keypoints.copy()
    predicted[person, joint] = place
    kinds = error_kinds(predicted, people, np.ones((3, 16)), right=10, near=20)
    assert KINDS[kinds[person, joint]] == kind
    kinds[person, joint] = 0
    assert not kinds.any()


def test_joints_without_a_truth_or_a_length_are_unlabelled(people):
    visibility, lengths = people.visibility.copy(), np.ones((3, 16))
    visibility[0, R_ANKLE], lengths[1] = 0, np.nan
    people = replace(people, visibility=visibility)
    predicted = people.keypoints.copy()
    predicted[0, L_ANKLE] = people.keypoints[0, R_ANKLE]  # which is not labelled: no inversion
    kinds = error_kinds(predicted, people, lengths, right=10, near=20)
    assert kinds[0, R_ANKLE] == UNLABELLED
    assert (kinds[1] == UNLABELLED).all()
    assert KINDS[kinds[0, L_ANKLE]] == "miss"
    shares = error_shares(kinds)
    assert (shares.joints, shares.miss) == (31, pytest.approx(100 / 31))


def test_calibration_of_scores_that_are_probabilities():
    random = np.random.default_rng(0)
    scores = random.uniform(0, 1, 100_000)
    bins = calibration(scores, random.uniform(0, 1, 100_000) < scores)
    assert [b.joints for b in bins] == pytest.approx([10_000] * 10, rel=0.05)
    assert calibration_error(bins) < 0.01
    assert calibration_error(calibration(scores, np.ones(100_000, dtype=bool))) == pytest.approx(0.5, abs=0.01)


def test_a_score_of_one_is_in_the_last_tenth():
    (only,) = calibration(np.array([1.0]), np.array([True]))
    assert (only.low, only.high, only.share_right) == (0.9, 1.0, 1.0)
