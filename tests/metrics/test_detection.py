"""Box AP equals pycocotools', and what is found and stray at one score."""

import contextlib
import io

import numpy as np
import pytest

from hevitpose.metrics.detection import ImageBoxes, box_ap, match, matches_at, nms


def scene(random: np.random.Generator) -> ImageBoxes:
    """Labels, some of them crowds, and detections near them, far from them and twice on one."""
    count = int(random.integers(0, 7))
    corner = random.uniform(0, 80, (count, 2))
    boxes = np.concatenate([corner, corner + random.uniform(5, 60, (count, 2))], axis=1)
    crowd = random.random(count) < 0.2
    near = np.repeat(boxes, 2, axis=0) + random.normal(0, 4, (2 * count, 4))
    corner = random.uniform(0, 80, (4, 2))
    far = np.concatenate([corner, corner + random.uniform(5, 60, (4, 2))], axis=1)
    detected = np.concatenate([near, far])
    detected[:, 2:] = np.maximum(detected[:, 2:], detected[:, :2] + 1)
    return ImageBoxes(boxes, crowd, detected, random.random(len(detected)).round(2))


def by_pycocotools(images: list[ImageBoxes]) -> tuple[float, float]:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")

    def xywh(box: np.ndarray) -> list[float]:
        return [*map(float, box[:2]), *map(float, box[2:] - box[:2])]

    labels, found = [], []
    for number, image in enumerate(images, start=1):
        for box, crowd in zip(image.boxes, image.ignored, strict=True):
            one = {"id": len(labels) + 1, "image_id": number, "category_id": 1, "iscrowd": int(crowd)}
            labels.append(one | {"bbox": xywh(box), "area": float((box[2:] - box[:2]).prod())})
        for box, score in zip(image.detected, image.scores, strict=True):
            found.append({"image_id": number, "category_id": 1, "bbox": xywh(box), "score": float(score)})
    truth = coco.COCO()
    truth.dataset = {"images": [{"id": n + 1} for n in range(len(images))], "annotations": labels}
    truth.dataset["categories"] = [{"id": 1, "name": "person"}]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0], evaluation.stats[1]


@pytest.mark.parametrize("seed", range(4))
def test_box_ap_equals_pycocotools(seed: int) -> None:
    random = np.random.default_rng(seed)
    images = [scene(random) for _ in range(20)]
    ours = box_ap(images)
    assert (ours.ap, ours.ap50) == pytest.approx(by_pycocotools(images), abs=1e-9)


EMPTY = np.zeros((0, 4))
BOX = np.array([[0.0, 0.0, 10.0, 10.0]])
YES, NO = np.array([True]), np.array([False])


@pytest.mark.parametrize(
    ("image", "found", "strays"),
    [
        (ImageBoxes(EMPTY, YES[:0], EMPTY, np.zeros(0)), [], 0),
        (ImageBoxes(BOX, NO, EMPTY, np.zeros(0)), [False], 0),
        (ImageBoxes(EMPTY, YES[:0], BOX, np.array([0.9])), [], 1),
        (ImageBoxes(BOX, NO, BOX, np.array([0.9])), [True], 0),
        (ImageBoxes(BOX, NO, BOX, np.array([0.4])), [False], 0),  # below the score
        (ImageBoxes(BOX, NO, np.repeat(BOX, 2, axis=0), np.array([0.9, 0.8])), [True], 1),  # a duplicate is a stray
        (ImageBoxes(BOX, YES, BOX, np.array([0.9])), [], 0),  # a crowd is neither
        (ImageBoxes(4 * BOX, YES, BOX, np.array([0.9])), [], 0),  # a part of a crowd
    ],
)
def test_matches_at(image: ImageBoxes, found: list[bool], strays: int) -> None:
    matches = matches_at([image], 0.5)
    assert matches.found.tolist() == found
    assert matches.strays == strays


def test_a_person_is_taken_before_a_crowd() -> None:
    boxes = np.concatenate([BOX, BOX])
    labels, left_out = match(ImageBoxes(boxes, np.array([True, False]), BOX + 1, np.array([0.9])), 0.5)
    assert labels.tolist() == [1]
    assert left_out.tolist() == [False]


def test_nothing_found_scores_zero() -> None:
    assert box_ap([ImageBoxes(BOX, NO, EMPTY, np.zeros(0))]).ap == 0


def test_nothing_labelled_is_not_a_number() -> None:
    assert np.isnan(box_ap([ImageBoxes(EMPTY, YES[:0], BOX, np.array([0.9]))]).ap)


@pytest.mark.parametrize(
    ("boxes", "scores", "kept"),
    [
        ([], [], []),
        ([[0, 0, 10, 10]], [0.5], [0]),
        ([[0, 0, 10, 10], [0, 0, 10, 12], [0, 0, 10, 20]], [0.5, 0.6, 0.4], [1, 2]),
        ([[0, 0, 10, 10], [20, 0, 30, 10]], [0.5, 0.6], [1, 0]),
    ],
)
def test_of_boxes_that_overlap_the_best_stays(boxes, scores, kept):
    assert nms(np.array(boxes, dtype=float).reshape(-1, 4), np.array(scores), 0.6).tolist() == kept
