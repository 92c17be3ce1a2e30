import dataclasses

import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.core.facts import Facts
from hevitpose.core.heatmap import Codec, mirror
from hevitpose.core.person import LabelledPeople, PictureFile
from hevitpose.core.skeleton import MPII16
from hevitpose.files.crops import Crops
from hevitpose.inference.evaluation import evaluate, score
from hevitpose.inference.network import Network

PLACE = {name: k for k, name in enumerate(MPII16.keypoints)}


@pytest.fixture
def people():
    random = np.random.default_rng(0)
    return LabelledPeople(
        name="four",
        skeleton=MPII16,
        pictures=(PictureFile("x.png", None),),
        picture_ids=(0,),
        picture_of=np.zeros(4, dtype=np.int64),
        ids=np.arange(4),
        boxes=np.tile([-0.5, -0.5, 63.5, 63.5], (4, 1)),
        keypoints=random.uniform(10, 50, (4, 16, 2)),
        visibility=np.full((4, 16), 2, dtype=np.int8),
        head_sizes=np.array([10.0, 10, 20, np.nan]),
        areas=np.full(4, np.nan),
    )


def test_pckh_measures_by_head_and_leaves_out_who_has_none(people):
    predicted = people.keypoints + (4.9, 0)
    predicted[1] += (0.2, 0)
    predicted[2] += (5.0, 0)
    result = score(people, predicted, "pckh")
    assert (result.metric, result.persons) == ("PCKh@0.5", 3)
    assert result.main == pytest.approx(200 / 3)
    assert result.by_threshold["PCKh@0.1"].mean == 0


def test_pck_measures_by_torso_and_leaves_out_who_has_none(people):
    people.keypoints[:, PLACE["l_shoulder"]] = (10, 10)
    people.keypoints[:, PLACE["r_hip"]] = (10, 50)
    visibility = people.visibility.copy()
    visibility[0, [PLACE["r_hip"], PLACE["l_hip"]]] = 0
    people = dataclasses.replace(people, visibility=visibility)
    result = score(people, people.keypoints + (0, 7.9), "pck")
    assert (result.metric, result.persons, result.main) == ("PCK@0.2", 3, 100)
    assert score(people, people.keypoints + (0, 8.1), "pck").main == 0


def test_pck_by_the_box_measures_everybody(people):
    # The longer side is 64.
    people.boxes[:, 2] = 31.5
    assert score(people, people.keypoints + (0, 3.1), "pck_box").main == 100
    result = score(people, people.keypoints + (0, 3.3), "pck_box")
    assert (result.metric, result.persons, result.main) == ("PCKbox@0.05", 4, 0)
    assert result.by_threshold["PCKbox@0.1"].mean == 100


@pytest.mark.parametrize("metric", ["pckh", "pck"])
def test_nobody_to_measure_is_said_in_words(people, metric):
    nobody = dataclasses.replace(people, head_sizes=np.full(4, np.nan), visibility=np.zeros((4, 16), dtype=np.int8))
    with pytest.raises(InputError, match="four: no person has"):
        score(nobody, nobody.keypoints, metric)


@pytest.mark.parametrize("refine", ["quarter", "dark"])
@pytest.mark.parametrize("flip_test", [False, True])
def test_crops_are_predicted_and_moved_back_into_the_picture(people, flip_test, refine):
    # The crop is the picture moved by (7, 3); its heatmaps are those of the truth.
    matrices = np.tile([[1.0, 0, 7], [0, 1, 3]], (4, 1, 1))
    pixels = np.zeros((4, 64, 64, 3), dtype=np.uint8)
    pixels[:, 0, 0, 0] = pixels[:, 0, -1, 0] = np.arange(4)
    pixels[:, 0, 0, 1] = 1  # marks the side that is the left one as long as the crop is not mirrored

    def truth(crops):
        heatmaps = codec.encode(people.keypoints[crops[:, 0, 0, 0]] + (7, 3), (64, 64), (16, 16))
        is_mirrored = crops[:, 0, 0, 1] == 0
        return np.where(is_mirrored[:, None, None, None], mirror(heatmaps, MPII16.mirror), heatmaps)

    codec = Codec(sigma=2.0, refine=refine)
    people = dataclasses.replace(people, head_sizes=np.full(4, 5.0))
    network = Network("truth", truth, Facts("t", MPII16, (64, 64), 1.25, codec))
    result = evaluate(network, people, Crops(pixels, matrices), "pckh", flip_test, batch_size=3)
    assert result.main > 95
    # Half a pixel is an eighth of a cell: the quarter offset seldom comes so close, the network's own codec does.
    close = result.by_threshold["PCKh@0.1"].mean
    assert close > 75 if refine == "dark" else close < 40
