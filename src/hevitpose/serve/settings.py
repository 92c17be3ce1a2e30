"""What a service allows, and what a request may ask for."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import numpy as np

from hevitpose.core.geometry import xyxy_from_xywh
from hevitpose.core.keypoint_names import match_names
from hevitpose.core.results import Detections
from hevitpose.core.skeleton import COCO17, MPII16

SETS = {"coco17": COCO17.keypoints, "mpii16": MPII16.keypoints}
"""Sets of keypoints that a request may name, as for `hevitpose predict`."""
OPTIONS = ("keypoints", "min_person_score", "max_people", "boxes")
MAX_BOXES = 100
MAX_COORDINATE = 1e6
MIN_TOKEN_LENGTH = 16


@dataclass(frozen=True)
class ServeSettings:
    """The limits of a service.

    `token`: demanded as `Authorization: Bearer TOKEN` where it is set. `loopback`: only names of this machine are
    accepted as Host. `max_requests` are in memory at a time, the waiting ones included. Bodies above `max_megabytes`
    and images above `max_megapixels` are refused. A client has `read_seconds` to send a request, and the service
    `answer_seconds` to answer it.
    """

    token: str | None = None
    loopback: bool = True
    max_requests: int = 128
    max_megabytes: float = 20
    max_megapixels: float = 50
    read_seconds: float = 10
    answer_seconds: float = 30


class Refused(Exception):  # noqa: N818 - an answer, not always an error
    """A request that is answered with this status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class PoseOptions:
    """What a request asks for.

    `detections` are the people whose boxes are given; None lets the detector find them. `keypoints` are the names that
    are answered and what the model calls them, None for all. The others are those of `PoseEstimator`, None for those of
    the service.
    """

    detections: Detections | None = None
    keypoints: tuple[tuple[str, str], ...] | None = None
    min_person_score: float | None = None
    max_people: int | None = None


def parse_options(query: Sequence[tuple[str, str]], keypoints: Sequence[str]) -> PoseOptions:
    """The options of a query for a model of these keypoints. Raises Refused with status 400.

    >>> parse_options([("boxes", "10,20,100,200"), ("max_people", "3")], MPII16.keypoints).detections.boxes
    array([[ 10.,  20., 110., 220.]])
    """
    given: dict[str, list[str]] = {}
    for name, value in query:
        if name not in OPTIONS:
            raise Refused(400, f"unknown option: there are {', '.join(OPTIONS)}")
        given.setdefault(name, []).append(value)
    for name, values in given.items():
        if name != "boxes" and len(values) > 1:
            raise Refused(400, f"{name}: given more than once")
    if "boxes" in given and "min_person_score" in given:
        raise Refused(400, "min_person_score: not together with boxes, whose people are all answered")
    return PoseOptions(
        _boxes(given["boxes"]) if "boxes" in given else None,
        _keypoints(given["keypoints"][0], keypoints) if "keypoints" in given else None,
        _score(given["min_person_score"][0]) if "min_person_score" in given else None,
        _count(given["max_people"][0]) if "max_people" in given else None,
    )


def _boxes(values: Sequence[str]) -> Detections:
    problem = f"boxes: x,y,width,height in pixels for each person, {MAX_BOXES} people at most"
    texts = ",".join(values).split(",")
    if len(texts) % 4 or len(texts) > 4 * MAX_BOXES:
        raise Refused(400, problem)
    try:
        xywh = np.array([float(text) for text in texts]).reshape(-1, 4)
    except ValueError:
        raise Refused(400, problem) from None
    if not (abs(xywh) < MAX_COORDINATE).all() or not (xywh[:, 2:] > 0).all():
        raise Refused(400, problem)
    return Detections.from_boxes(xyxy_from_xywh(xywh))


def _keypoints(value: str, known: Sequence[str]) -> tuple[tuple[str, str], ...] | None:
    """The keypoints asked for, all, a set, or names separated by commas: as asked, and as the model calls them."""
    if value == "all":
        return None
    names = SETS.get(value, tuple(value.split(",")))
    rows = match_names(names, known)
    chosen = tuple((name, known[row]) for name, row in zip(names, rows, strict=True) if row is not None)
    if len(chosen) < len(names):
        raise Refused(400, f"keypoints: all, {', '.join(SETS)}, or names among {', '.join(known)}")
    return chosen


def _score(value: str) -> float:
    try:
        score = math.nan if "_" in value else float(value)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise Refused(400, "min_person_score: a number from 0 to 1")
    return score


def _count(value: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", value, re.ASCII):
        raise Refused(400, "max_people: a whole number from 1 to 9999")
    return int(value)


def is_loopback(host: str) -> bool:
    """Whether a service at this address can be reached from its own machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("myserver")
    (True, True, False, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
