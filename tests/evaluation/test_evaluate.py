import numpy as np
import pytest
from PIL import Image

from hevitpose.core.errors import InputError
from hevitpose.core.heatmap import UDP
from hevitpose.core.labels import ImageFile
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.results import Detections
from hevitpose.core.skeleton import COCO17, Skeleton
from hevitpose.data.datasets import Split
from hevitpose.evaluation.evaluate import evaluate
from hevitpose.inference.network import Network

HAND = Skeleton("hand", (*COCO17.keypoints, "left_thumb", "right_thumb"), (*COCO17.mirror, 18, 17), sigmas=(0.05,) * 19)


@pytest.fixture
def split(tmp_path, make_people):
    """An image that one person fills, without a file of labels; the network of `knows` finds its joints."""

    def make(skeleton):
        Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
        keypoints = np.random.default_rng(0).uniform(15, 50, (1, skeleton.num_keypoints, 2)).round()
        people = make_people(
            1,
            skeleton,
            name="one",
            images=(ImageFile("a.png", tmp_path),),
            boxes=np.array([[0.0, 0, 64, 64]]),
            keypoints=keypoints,
            areas=np.array([2000.0]),
        )
        split = Split("one", tmp_path / "one.json", tmp_path)
        vars(split)["people"] = people
        return split

    return make


def knows(people):
    def heatmaps(crops):
        return np.tile(UDP.encode(people.keypoints, (64, 64), (16, 16)), (len(crops), 1, 1, 1))

    return Network("knows", heatmaps, ModelConfig("t", people.skeleton, (64, 64), 1.0, UDP))


@pytest.mark.parametrize("skeleton", [COCO17, HAND], ids=["coco17", "more"])
def test_keypoints_beside_the_limbs_are_measured_end_to_end(split, skeleton):
    given = split(skeleton)

    def detector(frames):
        return [Detections.from_boxes([[0, 0, 64, 64]]) for _ in frames]

    result = evaluate(knows(given.people), given, end_to_end=True, detector=detector, flip_test=False)
    assert (result.metric, result.main) == ("AP", pytest.approx(100))
    assert result.scores["limbs, AP"].mean == pytest.approx(100)
    assert result.labelled.keys() == set(skeleton.keypoints)


def test_pred_mat_is_refused_end_to_end_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match="needs the boxes of the labels"):
        evaluate("no_such_model", "none.json", end_to_end=True, save_predictions=tmp_path / "pred.mat")


def test_what_cannot_be_scored_is_not_saved(split, tmp_path, monkeypatch):
    given = split(COCO17)

    def fails(*_):
        raise InputError("one", "cannot be scored")

    monkeypatch.setattr("hevitpose.evaluation.evaluate.score_predictions", fails)
    file = tmp_path / "found.json"
    with pytest.raises(InputError, match="cannot be scored"):
        evaluate(knows(given.people), given, metric="pck_box", flip_test=False, save_predictions=file)
    assert not file.exists()
