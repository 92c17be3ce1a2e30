"""Many labelled crops on one image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from hevitpose.core import geometry
from hevitpose.core.geometry import BOX_PADDING, Floats
from hevitpose.core.labels import LabelledPeople
from hevitpose.core.results import ImagePoses
from hevitpose.core.skeleton import Skeleton
from hevitpose.io import images
from hevitpose.io.images import Image
from hevitpose.view.draw import COLORS, draw

CROP_HW = (192, 192)
GAP = 6
TEXT = 13
"""The height of a caption's letters, in pixels."""


def contact_sheet(
    crops: Sequence[Image], joints: Floats, captions: Sequence[str], skeleton: Skeleton, columns: int = 6
) -> Image:
    """The crops (N, h, w, 3) in rows, with their `joints` (N, K, 2) in crop pixels drawn, NaN where there is none.

    A caption stands below each, cut off where it is too long; the key to the colours stands below all. Raises
    ValueError where there is no crop.
    """
    if not len(crops):
        raise ValueError("a contact sheet needs a crop")
    height, width = crops[0].shape[:2]
    columns = min(columns, len(crops))
    rows = -(-len(crops) // columns)
    step_x, step_y = width + GAP, height + TEXT + 2 * GAP
    sheet = PILImage.new("RGB", (columns * step_x + GAP, rows * step_y + TEXT + 3 * GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for n, (crop, caption) in enumerate(zip(crops, captions, strict=True)):
        x, y = GAP + n % columns * step_x, GAP + n // columns * step_y
        box, scores = geometry.image_box((height, width)), np.ones(len(joints[n]))
        poses = ImagePoses(
            skeleton, (width, height), box[None], joints[n][None], scores[None], np.ones(1), joints[n][None]
        )
        sheet.paste(PILImage.fromarray(draw(crop, poses)), (x, y))
        fitting = next(k for k in range(len(caption), -1, -1) if pen.textlength(caption[:k], font) <= width)
        pen.text((x, y + height + 1), caption[:fitting], "black", font)
    x = GAP
    for side, color in COLORS.items():
        pen.text((x, sheet.height - TEXT - 2 * GAP), side, color, font)
        x += round(pen.textlength(side, font)) + 2 * GAP
    return np.asarray(sheet)


def people_sheet(people: LabelledPeople, persons: NDArray[np.int64], flip: bool = False) -> Image:
    """The labels of the persons with these indices, captioned with id and image.

    With `flip` mirrored, and every joint drawn as its mirror partner, as in training. Raises InputError where a
    image cannot be read.
    """
    chosen = people.subset(persons)
    boxes = geometry.crop_box(chosen.boxes, BOX_PADDING, CROP_HW[1] / CROP_HW[0])
    matrices = geometry.crop_matrix(boxes, CROP_HW, 0.0, flip)
    joints = np.where(chosen.labelled[..., None], geometry.transform(matrices, chosen.keypoints), np.nan)
    joints = joints[:, list(chosen.skeleton.mirror)] if flip else joints
    files = [chosen.images[k] for k in chosen.image_index]
    crops = [images.cut(images.read(file), matrix, CROP_HW) for file, matrix in zip(files, matrices, strict=True)]
    captions = [f"{n} {Path(file.name).name}" for n, file in zip(chosen.ids, files, strict=True)]
    return contact_sheet(crops, joints, captions, chosen.skeleton)
