"""Skeletons on images."""

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from hevitpose.core.results import ImagePoses, Person
from hevitpose.core.skeleton import Skeleton
from hevitpose.io.images import Image

COLORS = {"left": (255, 138, 48), "right": (40, 150, 255), "middle": (120, 220, 90)}
"""Orange for the person's own left, blue for the right, green for the middle."""
OVERSAMPLING = 3
MAX_OVERSAMPLED_PIXELS = 4_000_000
"""Larger people are drawn without oversampling: their lines are wide enough, and it would take much memory."""
LINE_SHARE = 1 / 60
"""Width of a limb divided by the longer side of the extent of the keypoints."""


def draw(image: Image, pose: ImagePoses) -> Image:
    """A copy of the image (H, W, 3) with every person's limbs and keypoints; what is absent (NaN) is not drawn."""
    canvas = image.copy()
    for person in pose:
        _draw_person(canvas, person, pose.skeleton)
    return canvas


def _draw_person(canvas: Image, person: Person, skeleton: Skeleton) -> None:
    """Draw on the part of `canvas` around the person, oversampled and reduced so that edges are smooth."""
    present = ~np.isnan(person.keypoints[:, 0])
    if not present.any():
        return
    points = person.keypoints[present]
    width = max(1.5, float(np.ptp(points, axis=0).max()) * LINE_SHARE)
    low = np.maximum(np.floor(points.min(axis=0) - 2 * width), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0) + 2 * width) + 1, canvas.shape[1::-1]).astype(int)
    if (high <= low).any():
        return
    times = OVERSAMPLING if np.prod(high - low) <= MAX_OVERSAMPLED_PIXELS else 1
    size = (times * int(high[0] - low[0]), times * int(high[1] - low[1]))
    colors, mask = PILImage.new("RGB", size), PILImage.new("L", size)
    on_colors, on_mask = ImageDraw.Draw(colors), ImageDraw.Draw(mask)
    # The oversampled drawing counts from the corner of a pixel, keypoints from its centre.
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
    # Where the mask is partly empty, reducing has already darkened the colours.
    region[:] = (region * (1 - opacity) + shrunk[0]).clip(0, 255).astype(np.uint8)


def _color(skeleton: Skeleton, a: int, b: int) -> tuple[int, int, int]:
    sides = {skeleton.side(a), skeleton.side(b)} - {"middle"}
    return COLORS[sides.pop()] if len(sides) == 1 else COLORS["middle"]
