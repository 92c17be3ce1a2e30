"""Skeletons on images."""

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from hevitpose.core.results import ImagePoses, Person
from hevitpose.core.skeleton import Skeleton
from hevitpose.io.images import Image

COLORS = {"left": (255, 138, 48), "right": (40, 150, 255), "middle": (120, 220, 90)}
"""Orange for the person's own left, blue for the right, green for what is in the middle."""
OVERSAMPLING = 3
MOST_OVERSAMPLED = 4_000_000
"""Pixels: lines on larger people are so wide that steps at their edges are not seen, and memory matters."""
LINE_OF_PERSON = 1 / 60
"""The width of a limb as a share of the longer side of the keypoints' extent."""


def draw(image: Image, pose: ImagePoses) -> Image:
    """A copy of the image (H, W, 3) with every person's limbs and keypoints; what is absent (NaN) is not drawn."""
    canvas = image.copy()
    for person in pose:
        _draw_person(canvas, person, pose.skeleton)
    return canvas


def _draw_person(canvas: Image, person: Person, skeleton: Skeleton) -> None:
    """Draw on the part of `canvas` round the person, oversampled and shrunk again, so that edges are smooth."""
    present = ~np.isnan(person.keypoints[:, 0])
    if not present.any():
        return
    points = person.keypoints[present]
    width = max(1.5, float(np.ptp(points, axis=0).max()) * LINE_OF_PERSON)
    low = np.maximum(np.floor(points.min(axis=0) - 2 * width), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0) + 2 * width) + 1, canvas.shape[1::-1]).astype(int)
    if (high <= low).any():
        return
    times = OVERSAMPLING if np.prod(high - low) <= MOST_OVERSAMPLED else 1
    size = (times * int(high[0] - low[0]), times * int(high[1] - low[1]))
    colors, mask = PILImage.new("RGB", size), PILImage.new("L", size)
    on_colors, on_mask = ImageDraw.Draw(colors), ImageDraw.Draw(mask)
    # Pixel centres to edges, which is what an oversampled drawing counts from.
    at = (person.keypoints + 0.5 - low) * times
    for a, b in skeleton.limbs:
        if present[a] and present[b]:
            line = [*at[a].tolist(), *at[b].tolist()]
            on_colors.line(line, fill=_color(skeleton, a, b), width=round(times * width))
            on_mask.line(line, fill=255, width=round(times * width))
    for k in np.flatnonzero(present).tolist():
        on_colors.circle(at[k].tolist(), times * width * 1.1, fill=_color(skeleton, k, k))
        on_mask.circle(at[k].tolist(), times * width * 1.1, fill=255)
    shrunk = [np.asarray(image.reduce(times), dtype=np.float32) for image in (colors, mask)]
    opacity = shrunk[1][..., None] / 255
    region = canvas[low[1] : high[1], low[0] : high[0]]
    # The colours are already darkened where the mask is partly empty.
    region[:] = (region * (1 - opacity) + shrunk[0]).clip(0, 255).astype(np.uint8)


def _color(skeleton: Skeleton, a: int, b: int) -> tuple[int, int, int]:
    sides = {skeleton.side(a), skeleton.side(b)} - {"middle"}
    return COLORS[sides.pop()] if len(sides) == 1 else COLORS["middle"]
