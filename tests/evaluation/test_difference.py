import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hevitpose.core.labels import ImageFile
from hevitpose.core.results import Predictions
from hevitpose.data.coco import read_coco
from hevitpose.evaluation.difference import bootstrap_difference, weighted_score
from hevitpose.evaluation.predict import predictions_in_labels
from hevitpose.evaluation.score import score

DATA = Path(__file__).parents[1] / "known_answers"


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """Labelled people, among them ignored ones and crowds, and predictions of known AP."""
    folder = tmp_path_factory.mktemp("coco")
    (folder / "truth.json").write_bytes(gzip.decompress((DATA / "coco_keypoints_truth.json.gz").read_bytes()))
    results = json.loads(gzip.decompress((DATA / "coco_keypoints_predicted.json.gz").read_bytes()))
    people = read_coco(folder / "truth.json", folder, "truth")
    place = {image_id: k for k, image_id in enumerate(people.image_ids)}
    triples = np.array([result["keypoints"] for result in results]).reshape(-1, 17, 3)
    index = np.array([place[result["image_id"]] for result in results])
    scores = np.array([result["score"] for result in results])
    found = Predictions(index, np.zeros((len(results), 4)), triples[..., :2], triples[..., 2], scores, None, "file")
    return people, found


def in_images(make_people, count=60):
    """People in images of their own, and a function that predicts them with errors `much` times as large."""
    files = tuple(ImageFile(f"{n}.png", Path()) for n in range(count))
    places = {"image_index": np.arange(count), "images": files, "image_ids": tuple(range(count))}
    people = make_people(count, head_sizes=np.random.default_rng(1).choice([0, 10.0, 20.0], count), **places)
    random = np.random.default_rng(2)
    errors = (
        10 * random.normal(size=people.keypoints.shape) * np.exp(random.normal(size=people.visibility.shape))[..., None]
    )
    return people, lambda much: predictions_in_labels(
        people, people.keypoints + much * errors, np.ones(people.visibility.shape)
    )


def repeated(people, found, weights):
    """The people and predictions of each image as often as the weights say."""
    images = np.repeat(np.arange(len(people.images)), weights)

    def of(index):
        rows = [np.flatnonzero(index == image) for image in images]
        return np.concatenate(rows), np.repeat(np.arange(len(images)), [len(each) for each in rows])

    (persons, image_index), (chosen, of_found) = of(people.image_index), of(found.image_index)
    ignored, of_ignored = of(people.ignored.image_index)
    arrays = {name: getattr(people.ignored, name)[ignored] for name in ("boxes", "areas", "crowds")}
    more = replace(
        people.subset(persons),
        images=tuple(people.images[image] for image in images),
        image_ids=tuple(range(len(images))),
        image_index=image_index,
        ids=np.arange(len(persons)),
        ignored=replace(people.ignored, image_index=of_ignored, **arrays),
    )
    its = replace(found.select(chosen), image_index=of_found)
    return more, its if found.person_of is None else replace(its, person_of=np.arange(len(persons)))


@pytest.mark.parametrize("metric", ["pckh", "pck", "pck_box"])
def test_weights_count_images_as_repeated_ones_do(make_people, metric):
    people, predict = in_images(make_people)
    found, weights = predict(1.0), np.arange(60) % 4
    weighted = weighted_score(people, found, metric)
    assert weighted(np.ones(60)) == pytest.approx(score(people, found, metric).main)
    assert 20 < weighted(weights.astype(float)) < 98
    assert weighted(weights.astype(float)) == pytest.approx(score(*repeated(people, found, weights), metric).main)


def test_weighted_ap_is_coco_s(coco):
    people, found = coco
    weighted, weights = weighted_score(people, found, "oks"), np.arange(len(people.images)) % 3
    assert weighted(np.ones(len(people.images))) == pytest.approx(score(people, found, "oks").main)
    # A repeated image adds points to the curve between those of whole images.
    expected = score(*repeated(people, found, weights), "oks").main
    assert weighted(weights.astype(float)) == pytest.approx(expected, abs=0.2)


def test_predictions_do_not_differ_from_themselves(coco):
    people, found = coco
    same = bootstrap_difference(people, found, found, "oks", "itself")
    assert (same.points, same.low, same.high, same.better) == (0, 0, 0, 0)


def test_nothing_found_is_worse_than_anything(coco):
    people, found = coco
    nobody = found.select(np.zeros(0, dtype=np.int64))
    difference = bootstrap_difference(people, found, nobody, "oks", "nobody")
    assert difference.points == pytest.approx(score(people, found, "oks").main)


def test_resamples_without_labels_do_not_count_and_one_image_is_no_sample(make_people):
    people, predict = in_images(make_people, 4)
    people = replace(people, head_sizes=np.full(4, 10.0))
    for labelled, expected in ((2, 100), (1, None)):
        some = replace(people, visibility=np.where(np.arange(4)[:, None] < labelled, people.visibility, 0))
        difference = bootstrap_difference(some, predict(0.0), predict(9.0), "pckh", "worse")
        assert (difference and difference.better) == expected


def test_whose_predictions_they_are_must_be_known(make_people, refused):
    people, predict = in_images(make_people)
    unknown = replace(predict(1.0), person_of=None, source="old.json")
    with refused("people", "pck needs to know which labelled person", "old.json"):
        bootstrap_difference(people, predict(1.0), unknown, "pck", "old.json")


def test_smaller_errors_are_better_in_every_resample(make_people):
    people, predict = in_images(make_people)
    difference = bootstrap_difference(people, predict(1.0), predict(1.5), "pckh", "worse")
    assert 0 < difference.low < difference.points < difference.high
    assert difference.better == 100
    assert str(difference).startswith(f"+{difference.points:.2f} against worse (95 % interval +")


def test_the_interval_is_that_of_the_mean_over_images(make_people):
    people, predict = in_images(make_people, 400)
    ours = predict(1.0)
    theirs = replace(ours, joints=people.keypoints + np.roll(ours.joints - people.keypoints, 1, axis=0))
    difference = bootstrap_difference(people, ours, theirs, "pck_box", "other errors")
    near = [np.linalg.norm(each.joints - people.keypoints, axis=2) / 500 <= 0.05 for each in (ours, theirs)]
    of_images = 100 * (near[0].mean(axis=1) - near[1].mean(axis=1))
    expected = 2 * 1.96 * of_images.std() / np.sqrt(400)
    assert difference.high - difference.low == pytest.approx(expected, rel=0.1)
    assert difference.low < 0 < difference.high
