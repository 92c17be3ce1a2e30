import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import COCO17, MPII16, PEOPLE21


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
