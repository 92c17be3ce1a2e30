"""Stick figures that walk, stand, squat and jump: exact truth for identities and for smoothing.

A figure has COCO's 17 keypoints and is seen from the front (`view` 0), from the side (90 degrees) or in between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.geometry import Floats, keypoint_extent
from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import COCO17
from hevitpose.metrics.detection import iou

SIZE_WH = (640, 480)
LATERAL = np.array([0, 2, -2, 4, -4, 11, -11, 15, -15, 15, -15, 7, -7, 7, -7, 7, -7]) / 100
ABOVE = np.array([93, 95, 95, 94, 94, 81, 81, 62, 62, 46, 46, 52, 52, 28, 28, 4, 4]) / 100
FORWARD = np.array([4, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) / 100
SWING = np.array([0, 0, 0, 0, 0, 0, 0, -6, 6, -14, 14, 0, 0, 11, -11, 20, -20]) / 100
"""In heights: to the left, above the ground, to the front, and how far a step swings it, left against right."""
STRIDES_PER_S = 0.9
SQUAT = 0.28
"""How far the hips go down, in heights."""
HIDDEN_BY = 0.45
"""IoU from which the nearer of two people hides the other."""

Path = Callable[[Floats], Floats]
"""From times (T,) to the place of the feet (T, 2) in pixels."""


def figure(
    times: Floats, feet: Floats, height: float, view: float = 0, steps: float = 1, squat: Floats | float = 0.0
) -> Floats:
    """Keypoints (T, 17, 2): `feet` (T, 2) in pixels, `steps` 1 for a walk and 0 to stand, `squat` from 0 to 1."""
    phase = 2 * np.pi * STRIDES_PER_S * times[:, None]
    turn = np.deg2rad(view)
    forward = FORWARD + steps * SWING * np.sin(phase)
    down = SQUAT * np.broadcast_to(squat, times.shape)[:, None] * np.minimum(1, np.maximum(0, (ABOVE - 0.04) / 0.48))
    above = ABOVE + 0.015 * steps * np.cos(2 * phase) * (ABOVE > 0.4) - down
    sideways = -LATERAL * np.cos(turn) + forward * np.sin(turn)
    return feet[:, None] + height * np.stack([sideways, -above], axis=2)


def jumps(times: Floats, period: float = 2.5) -> tuple[Floats, Floats]:
    """Lift of the feet in heights (T,) and squat (T,), once a `period`: down, up with constant acceleration, a flight
    of 0.55 s and 0.22 heights, and the same backwards."""
    down, push, flight = 0.45, 0.35, 0.55
    middle = np.abs((times + period / 2) % period - period / 2)  # from the top of the flight, both ways
    lift = np.maximum(0, 0.22 * (1 - (2 * middle / flight) ** 2))
    pushing = (middle - flight / 2) / push
    resting = (middle - flight / 2 - push) / down
    squat = np.where(pushing < 1, 1 - (1 - pushing.clip(0, 1)) ** 2, (1 + np.cos(np.pi * resting.clip(0, 1))) / 2)
    squat = np.where(pushing < 0, 0, squat)
    return lift, squat


def along(start: Sequence[float], end: Sequence[float], seconds: float) -> Path:
    """A straight path at constant speed."""
    first, last = np.array(start, dtype=float), np.array(end, dtype=float)
    return lambda times: first + (last - first) * (times / seconds)[:, None]


@dataclass(frozen=True, eq=False)
class Walker:
    """Somebody of `height` pixels with keypoints (T, 17, 2), present (T,) or not; `depth`: smaller is nearer."""

    keypoints: Floats
    height: float
    present: NDArray[np.bool_]
    depth: float = 0.0

    @property
    def boxes(self) -> Floats:
        margin = self.height * np.array([-0.04, -0.06, 0.04, 0.04])
        return np.stack([keypoint_extent(points) for points in self.keypoints]) + margin


@dataclass(frozen=True, eq=False)
class Scene:
    """Times (T,), and of each frame the true boxes with ids, and what a detector and a pose network find."""

    name: str
    times: Floats
    boxes: list[Floats]
    ids: list[NDArray[np.int64]]
    poses: list[ImagePoses]


@dataclass(frozen=True)
class Noise:
    """Of the boxes' edges (share of the root of the area), of keypoints (share of the height), what is missed, and the
    range of the scores."""

    box: float = 0.04
    keypoint: float = 0.01
    missed: float = 0.0
    scores: tuple[float, float] = (0.5, 0.95)


def scene(name: str, times: Floats, walkers: Sequence[Walker], noise: Noise, seed: int = 0) -> Scene:
    """What is seen of the walkers: a nearer person hides another, and what leaves the image is absent."""
    rng = np.random.default_rng(seed)
    boxes, ids, poses = [], [], []
    every_box = np.stack([walker.boxes for walker in walkers])
    for t in range(len(times)):
        inside = [_inside(every_box[n, t]) and bool(walker.present[t]) for n, walker in enumerate(walkers)]
        here = [n for n, there in enumerate(inside) if there]
        seen = [n for n in here if not _hidden(n, here, walkers, every_box[:, t])]
        boxes.append(every_box[seen, t])
        ids.append(np.array(seen, dtype=np.int64) + 1)
        found = [n for n in seen if rng.uniform() >= noise.missed]
        poses.append(_poses([walkers[n] for n in found], [every_box[n, t] for n in found], t, noise, rng))
    return Scene(name, times, boxes, ids, poses)


def _inside(box: Floats) -> bool:
    center = (box[:2] + box[2:]) / 2
    return bool((center > 0).all() and (center < SIZE_WH).all())


def _hidden(person: int, here: Sequence[int], walkers: Sequence[Walker], boxes: Floats) -> bool:
    nearer = [n for n in here if walkers[n].depth < walkers[person].depth]
    overlap = iou(boxes[[person]], boxes[nearer])
    return bool((overlap > HIDDEN_BY).any())


def _poses(
    walkers: Sequence[Walker], boxes: Sequence[Floats], t: int, noise: Noise, rng: np.random.Generator
) -> ImagePoses:
    if not walkers:
        return ImagePoses.empty(COCO17, SIZE_WH)
    heights = np.array([walker.height for walker in walkers])
    sizes = np.sqrt((np.stack(boxes)[:, 2:] - np.stack(boxes)[:, :2]).prod(axis=1))
    found = np.stack(boxes) + rng.normal(0, noise.box, (len(boxes), 4)) * sizes[:, None]
    points = np.stack([walker.keypoints[t] for walker in walkers])
    points = points + rng.normal(0, noise.keypoint, points.shape) * heights[:, None, None]
    scores = rng.uniform(*noise.scores, len(boxes))
    order = np.argsort(-scores)
    shape = points.shape[:2]
    return ImagePoses(COCO17, SIZE_WH, found, points, np.full(shape, 0.7), scores, points).subset(order)


def scenes(fps: float = 10, noise: Noise = Noise(), seed: int = 0, irregular: bool = False) -> list[Scene]:
    """The scenes that the tracker's parameters were chosen on, with frames at `fps` or at irregular times around it.

    People meet and hide each other, walk in opposite rows, pass behind a pillar for a second, leave the image and come
    back, and no one is detected for a third of a second every two seconds.
    """
    rng = np.random.default_rng(seed)
    times = np.arange(0, 8, 1 / fps)
    if irregular:
        times = np.sort(times + rng.uniform(-0.4, 0.4, len(times)) / fps)
        times -= times[0]

    def walk(*path: Sequence[float]) -> Walker:
        return _walk(times, *path)

    crossing = [walk((60, 300), (560, 310)), walk((560, 288), (40, 292)), walk((300, 200), (320, 420))]
    rows = [walk((40 + 60 * n, 262), (400 + 60 * n, 265)) for n in range(3)]
    rows += [walk((600 - 55 * n, 276), (150 - 55 * n, 274)) for n in range(3)]
    pillar = [walk((60, 300), (500, 300)), walk((560, 330), (140, 325))]
    pillar = [replace(w, present=~(np.abs(times - at) < 0.5)) for w, at in zip(pillar, (3.0, 5.5), strict=True)]
    turning = [_return(times), walk((320, 460), (330, 300))]
    nobody = (times % 2 > 0.6) & (times % 2 < 0.95)
    blinking = [replace(walker, present=~nobody) for walker in crossing]
    near = [walk((200, 440), (230, 440)), walk((300, 450), (260, 445)), walk((400, 330), (100, 330))]
    named = {
        "crossing": crossing,
        "rows": rows,
        "hidden": pillar,
        "returning": turning,
        "empty": blinking,
        "near": near,
    }
    return [scene(name, times, walkers, noise, seed) for name, walkers in named.items()]


def _walk(times: Floats, start: Sequence[float], end: Sequence[float]) -> Walker:
    """Who walks further down in the image is nearer and larger."""
    feet = along(start, end, float(times[-1]))(times)
    height = 80 + 0.6 * (start[1] - 300)
    view = 90 if abs(end[0] - start[0]) > abs(end[1] - start[1]) else 0
    keypoints = figure(times, feet, height, view)
    if end[0] < start[0]:  # walks to the left: mirrored
        keypoints[..., 0] = 2 * feet[:, None, 0] - keypoints[..., 0]
        keypoints = keypoints[:, list(COCO17.mirror)]
    return Walker(keypoints, height, np.ones(len(times), dtype=np.bool_), -start[1])


def _return(times: Floats) -> Walker:
    """Leaves the image at the left and comes back after two thirds of a second."""
    feet = np.stack([-18 + 60 * np.abs(times - times[-1] / 2), np.full(len(times), 300.0)], axis=1)
    return Walker(figure(times, feet, 80, 90), 80, np.ones(len(times), dtype=np.bool_))
