"""How well identities are kept in a clip: IDF1 (ECCV-W 2016) and CLEAR MOT (2008), as the MOT challenge counts them.

Equal to TrackEval 1.3; a test holds its answers. Boxes are (N, 4), xyxy from the image's corner.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.assignment import best_pairs
from hevitpose.core.geometry import Floats
from hevitpose.metrics.detection import iou

MIN_IOU = 0.5
KEEP_PAIR = 1000.0
"""Added to the IoU of a pair that was matched in the frame before: it stays if it may."""


@dataclass(frozen=True, eq=False)
class FrameTracks:
    """One frame: the labelled `boxes` (G, 4) of people `ids` (G,), and the boxes `found` (P, 4) with `found_ids` (P,).

    A found box is left out of the count if it matches a label that is `ignored` (G,), or if half of it lies in one of
    the `regions` (R, 4) and it matches no label.
    """

    boxes: Floats
    ids: NDArray[np.int64]
    found: Floats
    found_ids: NDArray[np.int64]
    ignored: NDArray[np.bool_] | None = None
    regions: Floats = field(default_factory=lambda: np.zeros((0, 4)))


@dataclass(frozen=True)
class TrackScores:
    """`idf1` and `recall` in [0, 1], `mota` at most 1, and what they count: identity `switches`, `misses` and `strays`
    among `labelled` boxes, and the number of `identities` that were given."""

    idf1: float
    mota: float
    recall: float
    switches: int
    misses: int
    strays: int
    labelled: int
    identities: int


def track_scores(frames: Sequence[FrameTracks]) -> TrackScores:
    """Scores of the tracks in all frames of a clip; NaN where nothing is labelled.

    >>> box, here = np.array([[0, 0, 10, 20.0]]), np.array([1])
    >>> scores = track_scores([FrameTracks(box, here, box, np.array([tracked])) for tracked in (7, 7, 8)])
    >>> round(scores.idf1, 2), scores.switches
    (0.67, 1)
    """
    together: dict[tuple[int, int], int] = defaultdict(int)
    last_of: dict[int, int] = {}
    before: dict[int, int] = {}
    hits = switches = labelled = found = 0
    identities: set[int] = set()
    for frame in map(_counted, frames):
        labelled, found = labelled + len(frame.boxes), found + len(frame.found)
        identities |= set(frame.found_ids.tolist())
        if not len(frame.boxes) or not len(frame.found):
            continue
        overlap = iou(frame.boxes, frame.found)
        for label, track in np.argwhere(overlap >= MIN_IOU):
            together[int(frame.ids[label]), int(frame.found_ids[track])] += 1
        stays = np.array([before.get(label, -1) for label in frame.ids.tolist()])[:, None] == frame.found_ids
        worth = np.where(overlap >= MIN_IOU - np.finfo(float).eps, overlap + KEEP_PAIR * stays, 0)
        rows, columns = best_pairs(worth, least=np.finfo(float).eps)
        before = dict(zip(frame.ids[rows].tolist(), frame.found_ids[columns].tolist(), strict=True))
        hits += len(before)
        switches += sum(last_of.get(label, track) != track for label, track in before.items())
        last_of |= before
    if not labelled:
        return TrackScores(np.nan, np.nan, np.nan, 0, 0, found, 0, len(identities))
    return TrackScores(
        idf1=2 * _longest_agreement(together) / (labelled + found),
        mota=(hits - (found - hits) - switches) / labelled,
        recall=hits / labelled,
        switches=switches,
        misses=labelled - hits,
        strays=found - hits,
        labelled=labelled,
        identities=len(identities),
    )


def _longest_agreement(together: dict[tuple[int, int], int]) -> int:
    """Frames in which people and tracks are together, if each person is given the one track that is best overall."""
    if not together:
        return 0
    people, tracks = (np.unique([pair[side] for pair in together]) for side in (0, 1))
    counts = np.zeros((len(people), len(tracks)))
    for (person, track), count in together.items():
        counts[np.searchsorted(people, person), np.searchsorted(tracks, track)] = count
    return int(counts[best_pairs(counts)].sum())


def _counted(frame: FrameTracks) -> FrameTracks:
    """The frame without ignored labels and without the found boxes that these explain."""
    ignored = np.zeros(len(frame.boxes), dtype=np.bool_) if frame.ignored is None else frame.ignored
    rows, columns = best_pairs(iou(frame.boxes, frame.found), MIN_IOU)
    free = np.ones(len(frame.found), dtype=np.bool_)
    free[columns] = False
    inside = iou(frame.found, frame.regions, crowd=True) >= MIN_IOU
    left_out = free & inside.any(axis=1)
    left_out[columns[ignored[rows]]] = True
    return FrameTracks(frame.boxes[~ignored], frame.ids[~ignored], frame.found[~left_out], frame.found_ids[~left_out])
