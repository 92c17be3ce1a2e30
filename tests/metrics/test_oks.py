import dataclasses
import gzip
import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hevitpose.core.errors import InputError
from hevitpose.core.labels import Ignored, ImageFile, LabelledPeople
from hevitpose.core.results import Predictions
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.data.coco import read_coco
from hevitpose.metrics.oks import (
    FIGURES,
    average_precision,
    best_matches,
    keypoint_similarities,
    oks_nms,
    sigmas_of,
    similarity,
)

DATA = Path(__file__).parents[1] / "known_answers"
SIGMAS = sigmas_of(COCO17, "")


def test_the_known_answer(tmp_path):
    truth = json.loads(gzip.decompress((DATA / "coco_keypoints_truth.json.gz").read_bytes()))
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    results = json.loads(gzip.decompress((DATA / "coco_keypoints_predicted.json.gz").read_bytes()))
    people = read_coco(tmp_path / "truth.json", tmp_path, "truth")
    place = {image_id: k for k, image_id in enumerate(people.image_ids)}
    figures = average_precision(
        people,
        np.array([place[result["image_id"]] for result in results]),
        np.array([result["keypoints"] for result in results]).reshape(-1, 17, 3)[..., :2],
        np.array([result["score"] for result in results]),
        SIGMAS,
    ).figures
    expected = json.loads((DATA / "coco_keypoints.json").read_text())["stats"]
    assert [round(value / 100, 6) for value in figures.values()] == list(expected.values())


def made_up(seed, skeleton):
    """Persons in images, and predictions: near them, duplicates and false alarms."""
    random = np.random.default_rng(seed)
    persons, regions, images, k = 60, 12, 15, skeleton.num_keypoints
    low = random.uniform(0, 300, (persons, 2))
    boxes = np.hstack([low, low + random.uniform(20, 250, (persons, 2))])
    joints = low[:, None] + random.random((persons, k, 2)) * (boxes[:, 2:] - low)[:, None]
    visibility = random.choice([0, 1, 2], (persons, k)).astype(np.int8)
    visibility[:, 0] = 2
    corner = random.uniform(0, 300, (regions, 2))
    people = LabelledPeople(
        name="made up",
        skeleton=skeleton,
        images=tuple(ImageFile(f"{n}.png", Path()) for n in range(images)),
        image_ids=tuple(range(images)),
        image_index=random.integers(0, images, persons),
        ids=np.arange(persons),
        boxes=boxes,
        keypoints=joints.round(),
        visibility=visibility,
        head_sizes=np.full(persons, np.nan),
        areas=random.uniform(0.3, 0.8, persons) * np.prod(boxes[:, 2:] - low, axis=1),
        ignored=Ignored(
            random.integers(0, images, regions),
            np.hstack([corner, corner + random.uniform(50, 200, (regions, 2))]),
            random.uniform(500, 20000, regions),
            random.random(regions) < 0.5,
        ),
    )
    chosen = random.integers(0, persons, 90)
    predicted = joints[chosen] + random.normal(size=(90, k, 2)) * random.uniform(0, 25, (90, 1, 1))
    predicted[:10] += 200
    return people, people.image_index[chosen], predicted, random.random(90).round(2)


def by_pycocotools(people, image_index, predicted, scores, sigmas):
    annotations = [
        {
            "id": n + 1,
            "image_id": int(people.image_index[n]),
            "category_id": 1,
            "iscrowd": 0,
            "area": people.areas[n],
            "bbox": [*people.boxes[n, :2], *(people.boxes[n, 2:] - people.boxes[n, :2])],
            "keypoints": np.hstack([people.keypoints[n], people.visibility[n, :, None]]).ravel().tolist(),
            "num_keypoints": int((people.visibility[n] > 0).sum()),
        }
        for n in range(len(people))
    ]
    for n in range(len(people.ignored.areas)):
        box = people.ignored.boxes[n]
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": int(people.ignored.image_index[n]),
                "category_id": 1,
                "iscrowd": int(people.ignored.crowds[n]),
                "area": people.ignored.areas[n],
                "bbox": [*box[:2], *(box[2:] - box[:2])],
                "keypoints": [0] * 3 * people.skeleton.num_keypoints,
                "num_keypoints": 0,
            }
        )
    results = [
        {
            "image_id": int(image),
            "category_id": 1,
            "score": float(score),
            "keypoints": np.hstack([joints, np.ones((len(joints), 1))]).ravel().tolist(),
        }
        for image, joints, score in zip(image_index, predicted, scores, strict=True)
    ]
    truth = COCO()
    truth.dataset = {
        "images": [{"id": k} for k in range(len(people.images))],
        "annotations": annotations,
        "categories": [{"id": 1}],
    }
    with redirect_stdout(StringIO()):
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results), "keypoints")
        evaluator.params.kpt_oks_sigmas = sigmas
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return dict(zip(FIGURES, evaluator.stats.tolist(), strict=True))


FOUR = Skeleton("four", ("nose", "l_ear", "r_ear", "tail"), (0, 2, 1, 3), (), (0.03, 0.05, 0.05, 0.1))


@pytest.mark.parametrize("skeleton", [COCO17, FOUR], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("seed", range(8))
def test_random_sets_score_as_with_pycocotools(skeleton, seed):
    made = made_up(seed, skeleton)
    sigmas = sigmas_of(skeleton, "")
    figures = average_precision(*made, sigmas).figures
    expected = by_pycocotools(*made, sigmas)
    assert 5 < figures["AP"] < 95
    for name, value in expected.items():
        assert figures[name] / 100 == pytest.approx(value, abs=1e-10), name


def test_a_group_without_anybody_is_said_so():
    people, *predicted = made_up(0, COCO17)
    people = dataclasses.replace(people, areas=np.full(len(people), 100 * 100.0))
    result = average_precision(people, *predicted, SIGMAS)
    assert result.figures["APM"] is None
    assert result.figures["ARM"] is None
    assert result.figures["APL"] > 0
    assert result.notes == (
        "no labelled person has an area of 32 x 32 to 96 x 96 pixels, so APM and ARM are undefined",
    )


def test_a_missing_area_comes_from_the_box_and_is_said_so():
    people, *predicted = made_up(0, COCO17)
    sides = people.boxes[:, 2:] - people.boxes[:, :2]
    from_boxes = dataclasses.replace(people, areas=0.53 * sides[:, 0] * sides[:, 1])
    without = dataclasses.replace(people, areas=np.where(np.arange(len(people)) % 2, np.nan, 0))
    result = average_precision(without, *predicted, SIGMAS)
    assert result.figures == average_precision(from_boxes, *predicted, SIGMAS).figures
    assert result.notes == ("60 of 60 persons have no area: 0.53 of the box area is used",)


def test_no_prediction_is_zero():
    people, *_ = made_up(0, COCO17)
    nobody = (np.zeros(0, dtype=np.int64), np.zeros((0, 17, 2)), np.zeros(0))
    assert set(average_precision(people, *nobody, SIGMAS).figures.values()) == {0}


def test_keypoints_without_sigmas_are_refused_in_words():
    with pytest.raises(InputError, match=r"^mine: its keypoints have no sigmas, which OKS needs: sigmas = 0"):
        sigmas_of(MPII16, "mine")


def test_similarity_is_coco_s():
    one = np.zeros((17, 2))
    # At a distance of 2 sigma sqrt(2 area) a keypoint counts exp(-1).
    away = np.stack([2 * SIGMAS * np.sqrt(2 * 900), np.zeros(17)], axis=-1)
    assert similarity(one, [one, away], 800.0, [800, 1000], SIGMAS) == pytest.approx([1, np.exp(-1)])


def test_each_keypoint_has_its_mean_similarity_over_those_who_were_found():
    people, *_ = made_up(0, COCO17)
    joints = people.keypoints.copy()
    distance = 2 * SIGMAS[3] * np.sqrt(2 * people.areas)
    joints[:, 3, 0] += np.where(np.arange(len(people)) % 2, distance, 0)
    joints[::3] = np.nan
    joints[people.visibility == 0] += 1e6
    found = people.labelled[:, 3] & (np.arange(len(people)) % 3 > 0)
    off = found & (np.arange(len(people)) % 2 == 1)
    expected = 1 - (1 - np.exp(-1)) * off.sum() / found.sum()
    per_keypoint, mean = keypoint_similarities(people, joints, SIGMAS)
    assert per_keypoint == pytest.approx([1, 1, 1, expected, *[1] * 13])
    assert expected < mean < 1
    assert np.isnan(keypoint_similarities(people, np.full_like(joints, np.nan), SIGMAS)[0]).all()


def test_duplicates_are_suppressed():
    joints = np.zeros((4, 17, 2))
    joints[1] += 0.1  # a double of the first
    joints[2:] += 500
    joints[3, :, 0] += 40  # near the third, but somebody else
    scores, areas = np.array([0.5, 0.9, 0.7, 0.8]), np.full(4, 1e4)
    kept, kept_scores = oks_nms(joints, scores, areas, SIGMAS)
    assert (kept.tolist(), kept_scores.tolist()) == ([1, 3, 2], [0.9, 0.8, 0.7])
    kept, kept_scores = oks_nms(joints, scores, areas, SIGMAS, soft=True)
    assert kept.tolist() == [1, 3, 2, 0]
    near = similarity(joints[3], joints[2:3], 1e4, [1e4], SIGMAS)[0]
    double = similarity(joints[1], joints[:1], 1e4, [1e4], SIGMAS)[0]
    expected = [0.9, 0.8, 0.7 * np.exp(-(near**2) / 0.9), 0.5 * np.exp(-(double**2) / 0.9)]
    assert kept_scores == pytest.approx(expected)


def test_whom_a_prediction_is_of():
    people, _, _, _ = made_up(0, COCO17)
    order = np.random.default_rng(1).permutation(len(people))
    joints = people.keypoints[order]
    # A duplicate of the first with a lower score, and a person far from all others.
    joints = np.concatenate([joints, joints[:1], joints[:1] + 5000])
    image_index = people.image_index[[*order, order[0], order[0]]]
    scores = np.concatenate([np.ones(len(people)), [0.5, 0.9]])
    found = Predictions(
        image_index, people.boxes[[*order, 0, 0]], joints, np.ones(joints.shape[:2]), scores, None, "made up"
    )
    matches = best_matches(people, found, SIGMAS)
    assert matches[: len(people)].tolist() == order.tolist()
    assert matches[-1] == -1
    assert matches[-2] != order[0]
