"""People in the frames of a clip: each with its id, in its colour, with a trail of where it was."""

from collections import deque
from functools import lru_cache
from typing import get_args

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from hevitpose.core.choices import ColorBy
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.core.keypoint_names import index_of_names
from hevitpose.core.results import ImagePoses, Person
from hevitpose.core.skeleton import Skeleton
from hevitpose.io.images import Image
from hevitpose.view.draw import Color, Fill, draw_person, paint_smoothly

PERSON_COLORS: tuple[Color, ...] = (
    *((255, 176, 0), (60, 160, 255), (96, 214, 96), (255, 92, 138), (178, 132, 255), (0, 206, 201)),
    *((255, 122, 60), (200, 220, 60), (240, 130, 230), (150, 190, 220)),
)
"""By id, in turn."""
UNCONFIRMED: Color = (190, 190, 190)
FADE_BELOW = 0.6
"""Keypoints of this score and more are drawn in full."""
TRAIL_S = 1.0
LABEL_SHARE = 1 / 28
"""Height of an id's figures divided by the shorter side of the frame."""
MIN_LABEL_HEIGHT = 12
TEXT_SHARE = 1 / 20
TEXT_BACKGROUND: Color = (235, 235, 235)


class ClipPainter:
    """Draws the people of one frame after the other; called with a frame, its people and its time in seconds.

    `color_by` "person" gives each id a colour, "side" the person's left and right. Trails last `TRAIL_S`; only
    these positions are kept. `mirror` turns left and right of the drawing.
    """

    def __init__(self, color_by: ColorBy = "person", mirror: bool = False) -> None:
        if color_by not in get_args(ColorBy):
            raise InputError(f"`color_by={color_by}`", f"must be {' or '.join(get_args(ColorBy))}")
        self.color_by, self.mirror = color_by, mirror
        self.trails: dict[int, deque[tuple[float, Floats]]] = {}

    def __call__(self, image: Image, poses: ImagePoses, time_s: float) -> Image:
        """A copy of the frame with its people."""
        canvas = image.copy()
        self._extend_trails(poses, time_s)
        for track_id, trail in self.trails.items():
            _draw_trail(canvas, np.array([place for _, place in trail]), person_color(track_id))
        for person in poses:
            color = person_color(person.track_id) if self.color_by == "person" else None
            draw_person(canvas, person, poses.skeleton, color, FADE_BELOW)
        if self.mirror:
            canvas = np.ascontiguousarray(canvas[:, ::-1])
        for person in poses:
            if person.track_id:
                _draw_label(canvas, person, self.mirror)
        return canvas

    def _extend_trails(self, poses: ImagePoses, time_s: float) -> None:
        for person in poses:
            if person.track_id:
                self.trails.setdefault(person.track_id, deque()).append((time_s, middle(person, poses.skeleton)))
        for track_id, trail in list(self.trails.items()):
            while trail and trail[0][0] < time_s - TRAIL_S:
                trail.popleft()
            if not trail:
                del self.trails[track_id]


def person_color(track_id: int | None) -> Color:
    """The colour of an id, grey without one.

    >>> person_color(1)
    (255, 176, 0)
    """
    return PERSON_COLORS[(track_id - 1) % len(PERSON_COLORS)] if track_id else UNCONFIRMED


def middle(person: Person, skeleton: Skeleton) -> Floats:
    """Where a person is, (2,): between the hips where these are present, else the middle of the box."""
    hips = person.keypoints[list(_hips(skeleton))]
    if len(hips) == 2 and np.isfinite(hips).all():
        return np.asarray(hips.mean(axis=0))
    return np.asarray((person.box[:2] + person.box[2:]) / 2 - 0.5)


@lru_cache(maxsize=8)
def _hips(skeleton: Skeleton) -> tuple[int, ...]:
    index = index_of_names(skeleton.keypoints)
    return tuple(index[name] for name in ("left hip", "right hip") if name in index)


def _draw_trail(canvas: Image, places: Floats, color: Color) -> None:
    """A line through the places (N, 2), oldest first and faintest."""
    if len(places) < 2:
        return
    width = max(2, round(min(canvas.shape[:2]) / 240))

    def paint(on: ImageDraw.ImageDraw, at: Floats, times: int, fill: Fill) -> None:
        for number in range(1, len(at)):
            ink = fill(color, number / len(at))
            on.line([*at[number - 1].tolist(), *at[number].tolist()], fill=ink, width=times * width)

    paint_smoothly(canvas, places, width, paint)


def _draw_label(canvas: Image, person: Person, mirrored: bool) -> None:
    """The id above the person's highest keypoint, inside of the frame."""
    present = person.keypoints[person.present]
    top = present[present[:, 1].argmin()] if len(present) else person.box[:2]
    size = max(MIN_LABEL_HEIGHT, round(min(canvas.shape[:2]) * LABEL_SHARE))
    label = _label(str(person.track_id), size, person_color(person.track_id))
    height, width = label.shape[:2]
    x = canvas.shape[1] - 1 - top[0] if mirrored else top[0]
    left, upper = round(x - width / 2), round(top[1] - height - size / 2)
    left, upper = min(left, canvas.shape[1] - width), min(upper, canvas.shape[0] - height)
    if canvas.shape[0] >= height and canvas.shape[1] >= width:
        canvas[max(upper, 0) : max(upper, 0) + height, max(left, 0) : max(left, 0) + width] = label


def draw_text(image: Image, text: str) -> Image:
    """A copy of the image with a line of text at its lower left, inside."""
    canvas = image.copy()
    size = max(MIN_LABEL_HEIGHT, round(min(canvas.shape[:2]) * TEXT_SHARE))
    label = _label(text, size, TEXT_BACKGROUND)[: canvas.shape[0], : canvas.shape[1]]
    canvas[canvas.shape[0] - label.shape[0] :, : label.shape[1]] = label
    return canvas


@lru_cache(maxsize=256)
def _label(text: str, size: int, color: Color) -> Image:
    """Black figures on the colour."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    margin = max(2, size // 5)
    image = PILImage.new("RGB", (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin), color)
    ImageDraw.Draw(image).text((margin - left, margin - top), text, fill=(0, 0, 0), font=font)
    return np.asarray(image)
