"""Skeletons on images."""

from collections.abc import Callable

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from hevitpose.core.geometry import Floats
from hevitpose.core.results import ImagePoses, Person
from hevitpose.core.skeleton import Skeleton
from hevitpose.io.images import Image

COLORS = {"left": (255, 138, 48), "right": (40, 150, 255), "middle": (120, 220, 90)}
"""Orange for the person's own left, blue for the right, green for the middle."""
OVERSAMPLING = 3
MAX_OVERSAMPLED_PIXELS = 4_000_000
"""Larger people are drawn without oversampling: their lines are wide enough, and it would take much memory."""
FAINTEST = 0.25
"""Opacity of a keypoint of score 0, where scores fade."""
LINE_SHARE = 1 / 60
"""Width of a limb divided by the longer side of the extent of the keypoints."""
FULL_SIGMA = 0.06
"""Keypoints of a smaller OKS sigma, those of the face, have smaller dots and thinner lines, in proportion."""
Color = tuple[int, int, int]
Fill = Callable[[Color, float], Color | int]
"""What is painted for a colour and its opacity in [0, 1]: darker in the image of colours, a grey in that of opacity."""
Paint = Callable[[ImageDraw.ImageDraw, Floats, int, Fill], None]


def draw(image: Image, pose: ImagePoses) -> Image:
    """A copy of the image (H, W, 3) with every person's limbs and keypoints; what is absent (NaN) is not drawn."""
    if not isinstance(image, np.ndarray) or image.shape[2:] != (3,):
        raise TypeError("an image to draw on is an array (H, W, 3) of uint8, as np.asarray(PIL.Image.open(...)) gives")
    canvas = image.copy()
    for person in pose:
        draw_person(canvas, person, pose.skeleton)
    return canvas


def draw_person(
    canvas: Image, person: Person, skeleton: Skeleton, color: Color | None = None, fade_below: float = 0.0
) -> None:
    """Draw a person on `canvas`, in one `color` or those of the sides; fainter the further scores are `fade_below`."""
    present = person.present
    if not present.any():
        return
    points = person.keypoints[present]
    width = max(1.5, float(np.ptp(points, axis=0).max()) * LINE_SHARE)
    widths = width * line_shares(skeleton)
    strength = np.ones(len(present))
    if fade_below:
        strength = FAINTEST + (1 - FAINTEST) * np.clip(person.keypoint_scores / fade_below, 0, 1)

    def paint(on: ImageDraw.ImageDraw, at: Floats, times: int, fill: Fill) -> None:
        for a, b in skeleton.limbs:
            if present[a] and present[b]:
                ink = fill(color or _color(skeleton, a, b), float(min(strength[a], strength[b])))
                on.line(
                    [*at[a].tolist(), *at[b].tolist()], fill=ink, width=max(1, round(times * min(widths[a], widths[b])))
                )
        for k in np.flatnonzero(present).tolist():
            ink = fill(color or _color(skeleton, k, k), float(strength[k]))
            on.circle(at[k].tolist(), times * widths[k] * 1.1, fill=ink)

    paint_smoothly(canvas, person.keypoints, 2 * width, paint)


def line_shares(skeleton: Skeleton) -> Floats:
    """How thick each keypoint (K,) is drawn, as a share of the limbs.

    >>> from hevitpose import COCO17
    >>> line_shares(COCO17)[:6].round(2)
    array([0.43, 0.42, 0.42, 0.58, 0.58, 1.  ])
    """
    if skeleton.sigmas is None:
        return np.ones(skeleton.num_keypoints)
    return np.minimum(np.array(skeleton.sigmas) / FULL_SIGMA, 1)


def paint_smoothly(canvas: Image, points: Floats, margin: float, paint: Paint) -> None:
    """Paint on the part of `canvas` around the points (N, 2), oversampled and reduced so that edges are smooth.

    `paint` is called for the image of colours and for that of opacity, with the points there and the oversampling.
    """
    low = np.maximum(np.floor(np.nanmin(points, axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(np.nanmax(points, axis=0) + margin) + 1, canvas.shape[1::-1]).astype(int)
    if (high <= low).any():
        return
    times = OVERSAMPLING if np.prod(high - low) <= MAX_OVERSAMPLED_PIXELS else 1
    size = (times * int(high[0] - low[0]), times * int(high[1] - low[1]))
    colors, mask = PILImage.new("RGB", size), PILImage.new("L", size)
    # The oversampled drawing counts from the corner of a pixel, keypoints from its centre.
    at = (points + 0.5 - low) * times
    paint(ImageDraw.Draw(colors), at, times, _darkened)
    paint(ImageDraw.Draw(mask), at, times, lambda _, opacity: round(255 * opacity))
    shrunk = [np.asarray(image.reduce(times), dtype=np.float32) for image in (colors, mask)]
    opacity = shrunk[1][..., None] / 255
    region = canvas[low[1] : high[1], low[0] : high[0]]
    # Where the mask is partly empty, reducing has already darkened the colours.
    region[:] = (region * (1 - opacity) + shrunk[0]).clip(0, 255).astype(np.uint8)


def _darkened(color: Color, opacity: float) -> Color:
    red, green, blue = (round(opacity * each) for each in color)
    return red, green, blue


def _color(skeleton: Skeleton, a: int, b: int) -> tuple[int, int, int]:
    sides = {skeleton.side(a), skeleton.side(b)} - {"middle"}
    return COLORS[sides.pop()] if len(sides) == 1 else COLORS["middle"]
