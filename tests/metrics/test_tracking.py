"""IDF1 and CLEAR MOT against TrackEval's answers, and what is left out of the count."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from hevitpose.metrics.tracking import FrameTracks, track_scores

BOX = np.array([[10, 10, 30, 60.0]])
FAR = BOX + 100


def frame(boxes, ids, found, found_ids, **rest):
    as_boxes = [np.array(each, dtype=float).reshape(-1, 4) for each in (boxes, found)]
    return FrameTracks(as_boxes[0], np.array(ids, dtype=int), as_boxes[1], np.array(found_ids, dtype=int), **rest)


def cases():
    path = Path(__file__).parents[1] / "known_answers" / "tracking.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_equal_to_trackeval(case):
    scores = track_scores([frame(**each) for each in case["frames"]])
    assert {name: getattr(scores, name) for name in case["trackeval"]} == pytest.approx(case["trackeval"])


def test_a_swap_of_two_people_is_two_switches():
    both = np.concatenate([BOX, FAR])
    frames = [frame(both, [1, 2], both, ids) for ids in ([1, 2], [1, 2], [2, 1], [2, 1])]
    scores = track_scores(frames)
    assert (scores.switches, scores.idf1, scores.recall) == (2, 0.5, 1.0)


def test_boxes_on_ignored_people_and_in_ignored_regions_do_not_count():
    ignored = np.array([False, True])
    one = frame([*BOX, *FAR], [1, 2], [*BOX, *(FAR + 2), [200, 0, 220, 40]], [1, 2, 3], ignored=ignored)
    assert (track_scores([one]).strays, track_scores([one]).labelled) == (1, 1)
    region = np.array([[190, 0, 300, 25.0]])  # holds more than half of the third box
    assert (
        track_scores([frame(one.boxes, one.ids, one.found, one.found_ids, ignored=ignored, regions=region)]).strays == 0
    )


def test_a_labelled_person_in_an_ignored_region_counts():
    assert track_scores([frame(BOX, [1], BOX, [1], regions=BOX)]).recall == 1


def test_without_labels_there_is_no_score():
    scores = track_scores([frame([], [], BOX, [1])])
    assert np.isnan(scores.idf1)
    assert scores.strays == 1
