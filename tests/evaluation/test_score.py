import dataclasses
import sys

import numpy as np
import pytest
from PIL import Image

from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.core.heatmap import UDP, Codec, mirror
from hevitpose.core.labels import Ignored, ImageFile
from hevitpose.core.model_config import ModelConfig
from hevitpose.core.results import Detections
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.data.crops import Crops
from hevitpose.data.detections import DetectionFile
from hevitpose.evaluation import score as score_module
from hevitpose.evaluation.evaluate import score_predictions
from hevitpose.evaluation.predict import predict_in_detections, predict_in_label_boxes, predictions_in_labels
from hevitpose.evaluation.score import apply_oks_nms
from hevitpose.inference.network import Network
from hevitpose.metrics.oks import FIGURES, best_matches

PLACE = {name: k for k, name in enumerate(MPII16.keypoints)}


@pytest.fixture
def people(make_people):
    return make_people(
        4,
        name="four",
        boxes=np.tile([0.0, 0, 64, 64], (4, 1)),
        keypoints=np.random.default_rng(0).uniform(10, 50, (4, 16, 2)),
        head_sizes=np.array([10.0, 10, 20, np.nan]),
    )


def score(people, joints, metric, keypoint_scores=None):
    scores = np.ones(joints.shape[:2]) if keypoint_scores is None else keypoint_scores
    return score_module.score(people, predictions_in_labels(people, joints, scores), metric)


def test_pckh_measures_by_head_and_leaves_out_who_has_none(people):
    predicted = people.keypoints + (4.9, 0)
    predicted[1] += (0.2, 0)
    predicted[2] += (5.0, 0)
    result = score(people, predicted, "pckh")
    assert (result.metric, result.persons) == ("PCKh@0.5", 3)
    assert result.main == pytest.approx(200 / 3)
    assert result.scores["PCKh@0.1"].mean == 0


def test_pck_measures_by_torso_and_leaves_out_who_has_none(people):
    people.keypoints[:, PLACE["l_shoulder"]] = (10, 10)
    people.keypoints[:, PLACE["r_hip"]] = (10, 50)
    visibility = people.visibility.copy()
    visibility[0, [PLACE["r_hip"], PLACE["l_hip"]]] = 0
    people = dataclasses.replace(people, visibility=visibility)
    result = score(people, people.keypoints + (0, 7.9), "pck")
    assert (result.metric, result.persons, result.main) == ("PCK@0.2", 3, 100)
    assert score(people, people.keypoints + (0, 8.1), "pck").main == 0


def test_pck_by_the_box_measures_every_person(people):
    # The longer side is 64.
    people.boxes[:, 2] = 31.5
    assert score(people, people.keypoints + (0, 3.1), "pck_box").main == 100
    result = score(people, people.keypoints + (0, 3.3), "pck_box")
    assert (result.metric, result.persons, result.main) == ("PCKbox@0.05", 4, 0)
    assert result.scores["PCKbox@0.1"].mean == 100


@pytest.mark.parametrize("metric", ["pckh", "pck"])
def test_labels_without_a_length_are_refused(people, metric):
    nobody = dataclasses.replace(people, head_sizes=np.full(4, np.nan), visibility=np.zeros((4, 16), dtype=np.int8))
    with pytest.raises(InputError, match="four: no person has"):
        score(nobody, nobody.keypoints, metric)


def test_keypoints_without_a_torso_are_no_traceback(people):
    letters = Skeleton("letters", tuple("abcdefghijklmnop"), tuple(range(16)))
    with pytest.raises(InputError, match="no person has labelled shoulders and hips, which pck needs; pck_box needs"):
        score_module.refuse_unmeasurable(dataclasses.replace(people, skeleton=letters), "pck")


@pytest.mark.parametrize("refine", ["quarter", "dark"])
@pytest.mark.parametrize("flip_test", [False, True])
def test_crops_are_predicted_and_moved_back_into_the_image(people, flip_test, refine):
    # The crop is the image moved by (7, 3); its heatmaps are those of the truth.
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
    network = Network("truth", truth, ModelConfig("t", MPII16, (64, 64), 1.25, codec))
    found = predict_in_label_boxes(network, people, Crops(pixels, matrices), flip_test, batch_size=3)
    result = score_module.score(people, found, "pckh")
    assert result.main > 95
    # Half a pixel is an eighth of a cell: the quarter offset seldom comes so close, the network's own codec does.
    close = result.scores["PCKh@0.1"].mean
    assert close > 75 if refine == "dark" else close < 40


def test_without_pairs_there_is_no_flip_test(people):
    seen = []

    def backend(crops):
        seen.append(len(crops))
        return np.zeros((len(crops), 16, 16, 16))

    crops = Crops(np.zeros((4, 64, 64, 3), dtype=np.uint8), np.tile(np.eye(2, 3), (4, 1, 1)))
    for symmetric in (False, True):
        letters = Skeleton("letters", tuple("abcdefghijklmnop"), tuple(range(16)), symmetric=symmetric)
        network = Network("zero", backend, ModelConfig("t", letters, (64, 64), 1.25, UDP))
        predict_in_label_boxes(network, dataclasses.replace(people, skeleton=letters), crops, True, batch_size=4)
    assert seen == [4, 4, 4]


def test_a_set_with_half_a_pair_is_flipped_as_the_network_is(people):
    knees = Skeleton("knees", ("r_knee", "l_knee"), (1, 0))
    places = np.array([[20.0, 30], [44, 30]])

    def backend(crops):
        heatmaps = UDP.encode(places, (64, 64), (16, 16))[None]
        return mirror(heatmaps, knees.mirror) if crops[0, 0, 0, 1] == 0 else heatmaps

    pixels = np.zeros((4, 64, 64, 3), dtype=np.uint8)
    pixels[:, 0, 0, 1] = 1  # as long as the crop is not mirrored
    crops = Crops(pixels, np.tile(np.eye(2, 3), (4, 1, 1)))
    one = dataclasses.replace(
        people,
        skeleton=Skeleton("one", ("LeftKnee",), (0,)),
        keypoints=people.keypoints[:, :1],
        visibility=people.visibility[:, :1],
    )
    network = Network("knees", backend, ModelConfig("t", knees, (64, 64), 1.25, UDP))
    found = predict_in_label_boxes(network, one, crops, True, batch_size=1)
    assert found.joints[:, 0] == pytest.approx(np.tile(places[1], (4, 1)), abs=0.1)


def test_a_person_scores_as_the_sure_keypoints_times_the_box(make_people):
    scores = np.array([[0.2, 0.4, 0.6], [0.1, 0.0, 0.2]])
    three = make_people(2, Skeleton("three", ("a", "b", "c"), (0, 1, 2)))
    assert predictions_in_labels(three, three.keypoints, scores).scores == pytest.approx([0.5, 0])


@pytest.fixture
def two_images(tmp_path, make_people):
    """A person with 17 joints in each of two images, and an ignored region in the second."""
    for name, color in (("a.png", 10), ("b.png", 200)):
        Image.new("RGB", (64, 64), (color, 0, 0)).save(tmp_path / name)
    return make_people(
        2,
        COCO17,
        name="two",
        images=(ImageFile("a.png", tmp_path), ImageFile("b.png", tmp_path)),
        image_ids=(7, 9),
        image_index=np.array([0, 1]),
        ids=np.array([1, 2]),
        boxes=np.tile([0.0, 0, 64, 64], (2, 1)),
        keypoints=np.random.default_rng(1).uniform(10, 50, (2, 17, 2)).round(),
        areas=np.full(2, 2000.0),
        ignored=Ignored(np.array([1]), np.array([[0.0, 0, 5, 5]]), np.array([25.0]), np.array([False])),
    )


def knows(people):
    """A network that finds the joints of the image whose colour it sees, in a crop of the whole image."""

    def backend(crops):
        image = (crops[:, 32, 32, 0] > 100).astype(int)
        return UDP.encode(people.keypoints[image], (64, 64), (16, 16))

    return Network("knows", backend, ModelConfig("t", COCO17, (64, 64), 1.0, UDP))


def test_oks_in_the_boxes_of_the_labels(two_images):
    result = score(two_images, two_images.keypoints, "oks")
    assert (result.metric, result.main, result.persons) == ("AP", 100, 2)
    assert result.scores["APL"].mean is None
    assert score(two_images, two_images.keypoints + 30, "oks").main == 0


def test_beside_ap_every_keypoint_has_its_similarity(two_images):
    found = predictions_in_labels(two_images, two_images.keypoints, np.ones((2, 17)))
    # Without known persons, one person alone.
    one = dataclasses.replace(
        found,
        image_index=found.image_index[1:],
        joints=found.joints[1:] + np.eye(17)[:, :1] * (0, 900),
        keypoint_scores=found.keypoint_scores[1:],
        scores=found.scores[1:],
        person_of=None,
    )
    for people_found, nose, limbs in ((found, 100, 100), (one, 0, 5100 / 101)):
        scores = score_module.score(two_images, people_found, "oks").scores
        assert list(scores) == [*FIGURES, "OKS", "limbs, AP", "limbs, AP50"]
        assert scores["limbs, AP"].mean == pytest.approx(limbs)  # half of the people, whatever the nose
        rest = dict.fromkeys(COCO17.keypoints[1:], 100)
        assert scores["OKS"].per_keypoint == pytest.approx({"nose": nose} | rest)
        assert scores["OKS"].mean == pytest.approx((nose + 1600) / 17, abs=1e-3)


def test_people_are_looked_for_in_detected_boxes(two_images):
    box, half = np.array([[0.0, 0, 64, 64]]), np.array([0.5])
    # One image by its id, the other by its name with a double, one of another set.
    boxes = {
        7: Detections(box, half),
        "b.png": Detections(np.tile(box, (2, 1)), np.array([0.9, 0.8])),
        8: Detections(box, half),
    }
    found, notes = predict_in_detections(knows(two_images), two_images, DetectionFile(boxes), "d.json", False, 2)
    assert notes == ["1 images of d.json are not in two"]
    assert found.image_index.tolist() == [0, 1, 1]
    assert found.joints[0] == pytest.approx(two_images.keypoints[0], abs=0.5)
    assert found.scores == pytest.approx([0.5, 0.9, 0.8], abs=0.03)
    assert found.source == "detections d.json, 3 boxes"
    assert score_module.score(two_images, found, "oks").main < 90  # the double is a mistake
    single = apply_oks_nms(two_images, found, knows(two_images).config, soft=False)
    assert (single.image_index.tolist(), single.scores.tolist()) == ([0, 1], found.scores[:2].tolist())
    assert score_module.score(two_images, single, "oks").main == pytest.approx(100)
    soft = apply_oks_nms(two_images, found, knows(two_images).config, soft=True)
    assert soft.scores[2] == pytest.approx(found.scores[2] * np.exp(-1 / 0.9))
    with pytest.raises(InputError, match=r"two: pck_box needs to know which labelled person each .*d\.json"):
        score_module.score(two_images, found, "pck_box")


def test_detections_are_matched_with_labels_once(two_images, monkeypatch):
    found = predictions_in_labels(two_images, two_images.keypoints, np.ones((2, 17)))
    calls = []
    monkeypatch.setattr(score_module, "best_matches", lambda *given: calls.append(1) or best_matches(*given))
    evaluation = score_predictions(two_images, dataclasses.replace(found, person_of=None), "oks")
    assert (len(calls), evaluation.main, evaluation.scores["OKS"].mean) == (1, 100, 100)
    assert evaluation.errors.persons == 2


def test_oks_without_sigmas_is_refused_before_anything_is_predicted(people, two_images, monkeypatch):
    letters = dataclasses.replace(people, skeleton=Skeleton("letters", tuple("abcdefghijklmnop"), tuple(range(16))))
    with pytest.raises(InputError, match="four: its keypoints have no sigmas"):
        score_module.refuse_unmeasurable(letters, "oks")
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(MissingExtraError, match="OKS"):
        score_module.refuse_unmeasurable(two_images, "oks")


def test_images_without_a_box_are_counted_and_none_at_all_is_refused(two_images):
    box = Detections(np.array([[0.0, 0, 64, 64]]), np.ones(1))
    found, notes = predict_in_detections(
        knows(two_images), two_images, DetectionFile({9: box}, empty=2), "d.json", False, 2
    )
    assert found.image_index.tolist() == [1]
    assert notes == [
        "1 images with labelled people have no box in d.json",
        "2 boxes without width or height in d.json were left out",
    ]
    with pytest.raises(InputError, match=r"d.json: has no box for any image of two"):
        predict_in_detections(knows(two_images), two_images, DetectionFile({1: box}), "d.json", False, 2)


def test_an_image_without_a_box_does_not_get_that_of_an_id_in_its_name(two_images, tmp_path):
    (tmp_path / "a.png").rename(tmp_path / "a9.png")
    numbered = dataclasses.replace(two_images, images=(ImageFile("a9.png", tmp_path), ImageFile("b.png", tmp_path)))
    box = Detections(np.array([[0.0, 0, 64, 64]]), np.ones(1))
    found, _ = predict_in_detections(knows(numbered), numbered, DetectionFile({9: box}), "d.json", False, 2)
    assert found.image_index.tolist() == [1]
