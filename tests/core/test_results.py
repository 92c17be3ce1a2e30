import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import COCO17, MPII16, PEOPLE21, Skeleton


def test_smoothed_keypoints_replace_those_that_were_guessed_too():
    points = np.array([[[1.0, 1], [np.nan, np.nan], [np.nan, np.nan]]])
    skeleton = Skeleton("three", ("a", "b", "c"), (0, 1, 2))
    guesses = np.array([[[1.0, 1], [2, 2], [3, 3]]])
    poses = ImagePoses(skeleton, (9, 9), np.zeros((1, 4)), points, np.ones((1, 3)), np.ones(1), guesses)
    smoothed = poses.with_keypoints(points + [[[5], [0], [0]]])
    assert smoothed.all_keypoints.tolist() == [[[6, 6], [2, 2], [3, 3]]]
    assert smoothed.present.tolist() == [[True, False, False]]
    assert smoothed.raw_keypoints is points
    both = smoothed.with_people([smoothed])
    assert both.raw_keypoints.shape == (2, 3, 2)
    assert (both.ids.tolist(), both.track_ids) == ([0, 0], None)


def test_selected_keypoints_come_in_the_other_skeletons_order_and_names():
    numbers = np.arange(21.0)
    points = np.stack([numbers, numbers], axis=-1)[None]
    poses = ImagePoses(PEOPLE21, (9, 9), np.zeros((1, 4)), points, numbers[None], np.ones(1), points)
    selected = poses.select_keypoints(COCO17)
    assert selected.skeleton == COCO17
    nose, left_eye, right_ankle = (PEOPLE21.keypoints.index(name) for name in ("nose", "l_eye", "r_ankle"))
    assert selected.keypoint_scores[0, [0, 1, 16]].tolist() == [nose, left_eye, right_ankle]
    assert (selected.keypoints == selected.all_keypoints).all()
    with pytest.raises(InputError, match="pelvis"):
        selected.select_keypoints(MPII16)
