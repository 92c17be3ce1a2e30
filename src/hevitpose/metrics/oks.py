"""COCO's keypoint metric: object keypoint similarity (OKS), average precision by OKS, and OKS-NMS.

Equal to pycocotools' `COCOeval("keypoints")`; tests compare the two.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hevitpose.core import geometry
from hevitpose.core.errors import InputError, MissingExtraError
from hevitpose.core.geometry import Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.results import Predictions
from hevitpose.core.skeleton import Skeleton

FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
AREA_OF_BOX = 0.53
"""A missing area, or an area of 0, is replaced by this share of the box.

MMPose 0.29's evaluator (xtcocotools) uses the same share in sets without areas, such as CrowdPose. In other sets it
fails on a missing area and never matches a person with area 0.
"""
SAME_PERSON = 0.9
"""Two predictions with a larger OKS show the same person (HRNet, MMPose 0.29)."""
MIN_MATCH_OKS = 0.1
"""A prediction with a smaller OKS matches no person (Ronchi and Perona, ICCV 2017)."""
MIN_KEYPOINT_SCORE = 0.2
"""A person's score is the mean score of the keypoints above this (HRNet, MMPose 0.29)."""
_EMPTY = {
    "M": "no labelled person has an area of 32 x 32 to 96 x 96 pixels, so APM and ARM are undefined",
    "L": "no labelled person has an area above 96 x 96 pixels, so APL and ARL are undefined",
}


@dataclass(frozen=True)
class OKS:
    """`figures` in percent by the names `FIGURES`, None where no person counts; `notes` say what is unusual."""

    figures: dict[str, float | None]
    notes: tuple[str, ...]


def sigmas_of(skeleton: Skeleton, source: str) -> Floats:
    """The sigmas (K,) of the keypoints. Raises InputError, about `source`, if they are unknown."""
    if skeleton.sigmas is None:
        help_ = "sigmas = 0.07 in [skeleton] of a TOML file, or one by name (COCO's: 0.025 for eyes to 0.107 for hips)"
        raise InputError(source, f"its keypoints have no sigmas, which OKS needs: {help_}")
    return np.array(skeleton.sigmas)


def similarity(one: ArrayLike, others: ArrayLike, area: float, areas: ArrayLike, sigmas: ArrayLike) -> Floats:
    """OKS (N,) of one person's joints (K, 2) with those of others (N, K, 2), by the mean of their areas."""
    squares = ((np.asarray(others, dtype=np.float64) - np.asarray(one)) ** 2).sum(axis=-1)
    variances = (2 * np.asarray(sigmas)) ** 2
    mean_areas = (area + np.asarray(areas, dtype=np.float64)) / 2 + np.spacing(1)
    similar: Floats = np.exp(-squares / variances / mean_areas[:, None] / 2).mean(axis=1)
    return similar


def oks_nms(
    joints: Floats, scores: Floats, areas: Floats, sigmas: Floats, same: float = SAME_PERSON, soft: bool = False
) -> tuple[NDArray[np.int64], Floats]:
    """Indices of an image's people (N, K, 2) that are kept, best first, and their scores.

    Hard: a person whose OKS with a better one is above `same` is dropped. Soft: all stay, and scores fall by
    exp(-OKS^2 / same) for each better one.
    """
    left, scores = np.argsort(-scores, kind="stable"), scores.copy()
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        similar = similarity(joints[best], joints[left], areas[best], areas[left], sigmas)
        if soft:
            scores[left] *= np.exp(-(similar**2) / same)
            left = left[np.argsort(-scores[left], kind="stable")]
        else:
            left = left[similar <= same]
    chosen = np.array(kept, dtype=np.int64)
    return chosen, scores[chosen]


def average_precision(
    people: LabelledPeople, image_index: NDArray[np.int64], joints: Floats, scores: Floats, sigmas: Floats
) -> OKS:
    """AP and AR of predicted people: joints (M, K, 2) in the images `image_index` (M,), `scores` (M,).

    A missing area is estimated from the box; predictions on `people.ignored` count neither way. Raises
    MissingExtraError if the evaluator is not installed.
    """
    coco, coco_eval = load_evaluator()
    truth = coco(_truth(people))
    found = truth.loadRes(_results(image_index, joints, scores))
    evaluator = coco_eval(truth, found, "keypoints", print_function=lambda *_: None, kpt_oks_sigmas=sigmas.tolist())
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    figures = dict(zip(FIGURES, evaluator.stats.tolist(), strict=False))
    notes = [sentence for size, sentence in _EMPTY.items() if figures[f"AP{size}"] < 0]
    if estimated := int((~(people.areas > 0)).sum()):
        notes.append(f"{estimated} of {len(people)} persons have no area: {AREA_OF_BOX} of the box area is used")
    return OKS({name: None if value < 0 else 100 * value for name, value in figures.items()}, tuple(notes))


def load_evaluator() -> tuple[Any, Any]:
    """The classes COCO and COCOeval_faster. Raises MissingExtraError if the evaluator is not installed."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise MissingExtraError("train", "OKS") from error
    return COCO, COCOeval_faster


def areas_of(people: LabelledPeople) -> Floats:
    """Areas (N,) in square pixels; a missing one is a share of the box."""
    boxes = geometry.xywh_from_xyxy(people.boxes)
    return np.where(people.areas > 0, people.areas, AREA_OF_BOX * boxes[:, 2] * boxes[:, 3])


def keypoint_similarities(people: LabelledPeople, joints: Floats, sigmas: Floats) -> tuple[Floats, float]:
    """Mean similarity of each keypoint (K,) and of all, between joints (N, K, 2) and the labels.

    Joints of NaN are left out; a mean over no joint is NaN.
    """
    squares = ((joints - people.keypoints) ** 2).sum(axis=-1)
    found = people.labelled & np.isfinite(squares)
    similar = np.exp(
        -squares / (2 * sigmas) ** 2 / areas_of(people)[:, None] / 2, where=found, out=np.zeros_like(squares)
    )
    with np.errstate(invalid="ignore"):
        return similar.sum(axis=0) / found.sum(axis=0), float(similar.sum() / found.sum())


def best_matches(people: LabelledPeople, found: Predictions, sigmas: Floats) -> NDArray[np.int64]:
    """Indices (M,) of the labelled persons that the predictions match by OKS, -1 where there is none.

    Predictions choose in the order of their scores; each person is matched once, and only above `MIN_MATCH_OKS`.
    """
    chosen = np.full(len(found.scores), -1, dtype=np.int64)
    variances, labelled = (2 * sigmas) ** 2 * areas_of(people)[:, None], people.labelled
    free = np.asarray(labelled.any(axis=1))
    for one in np.argsort(-found.scores, kind="stable"):
        here = np.flatnonzero(free & (people.image_index == found.image_index[one]))
        squares = ((found.joints[one] - people.keypoints[here]) ** 2).sum(axis=-1)
        similar = np.exp(-squares / variances[here] / 2).mean(axis=1, where=labelled[here])
        if len(here) and similar.max() >= MIN_MATCH_OKS:
            chosen[one] = here[similar.argmax()]
            free[chosen[one]] = False
    return chosen


def _truth(people: LabelledPeople) -> dict[str, object]:
    """People as the content of a COCO file, images numbered by their index."""
    boxes, areas, ignored = geometry.xywh_from_xyxy(people.boxes), areas_of(people), people.ignored
    joints = np.concatenate([people.keypoints, people.visibility[..., None]], axis=-1).reshape(len(people), -1)
    annotations = [
        {"keypoints": joints[n].tolist(), "num_keypoints": int(people.labelled[n].sum()), "iscrowd": 0}
        | {"image_id": int(people.image_index[n]), "bbox": boxes[n].tolist(), "area": float(areas[n])}
        for n in range(len(people))
    ]
    nowhere, regions = [0] * joints.shape[1], geometry.xywh_from_xyxy(ignored.boxes)
    annotations += [
        {"keypoints": nowhere, "num_keypoints": 0, "iscrowd": int(ignored.crowds[n])}
        | {"image_id": int(ignored.image_index[n]), "bbox": regions[n].tolist(), "area": float(ignored.areas[n])}
        for n in range(len(regions))
    ]
    for number, annotation in enumerate(annotations, start=1):
        annotation |= {"id": number, "category_id": 1}
    images = [{"id": k} for k in range(len(people.images))]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


def _results(image_index: NDArray[np.int64], joints: Floats, scores: Floats) -> list[dict[str, object]]:
    triples = np.concatenate([joints, np.ones((*joints.shape[:2], 1))], axis=-1)
    return [
        {"image_id": int(image), "category_id": 1, "keypoints": person.ravel().tolist(), "score": float(score)}
        for image, person, score in zip(image_index, triples, scores, strict=True)
    ]
