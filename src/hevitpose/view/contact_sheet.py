"""Many captioned crops on one image."""

from collections.abc import Sequence

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.results import Person
from hevitpose.core.skeleton import Skeleton
from hevitpose.io.images import Image
from hevitpose.view.draw import COLORS, draw_person

GAP = 6
TEXT = 13
"""Font size of captions, in pixels."""


def contact_sheet(
    crops: Sequence[Image], joints: Floats, captions: Sequence[str], skeleton: Skeleton, columns: int = 6
) -> Image:
    """The crops (N, h, w, 3) in rows, each with its joints (N, K, 2; crop pixels, NaN if absent) and a caption below.

    A caption that is too long is cut off. The last line is the key to the colours. Raises ValueError if there are no
    crops.
    """
    if not len(crops):
        raise ValueError("a contact sheet needs at least one crop")
    height, width = crops[0].shape[:2]
    columns = min(columns, len(crops))
    rows = -(-len(crops) // columns)
    step_x, step_y = width + GAP, height + TEXT + 2 * GAP
    sheet = PILImage.new("RGB", (columns * step_x + GAP, rows * step_y + TEXT + 3 * GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for n, (crop, caption) in enumerate(zip(crops, captions, strict=True)):
        x, y = GAP + n % columns * step_x, GAP + n // columns * step_y
        canvas, box = crop.copy(), geometry.image_box((height, width))
        draw_person(canvas, Person(joints[n], np.ones(len(joints[n])), box, 1.0, joints[n]), skeleton)
        sheet.paste(PILImage.fromarray(canvas), (x, y))
        fitting = next(k for k in range(len(caption), -1, -1) if pen.textlength(caption[:k], font) <= width)
        pen.text((x, y + height + 1), caption[:fitting], "black", font)
    x = GAP
    for side, color in COLORS.items():
        pen.text((x, sheet.height - TEXT - 2 * GAP), side, color, font)
        x += round(pen.textlength(side, font)) + 2 * GAP
    return np.asarray(sheet)
