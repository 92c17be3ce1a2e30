"""How an image of any shape becomes the square that a detector takes."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def letterbox(image: Pixels, side: int, aspect: float | None = None) -> tuple[Pixels, tuple[float, float]]:
    """The image (side, side, 3) at the upper left of a black square, its longer side filling it; its scales in x and y.

    Boxes of the square, divided by the scales, are boxes of the image (xyxy from the corner). `aspect`: width / height
    that the image is given instead of its own.

    >>> letterbox(np.full((20, 40, 3), 9, np.uint8), 64)[1]
    (1.6, 1.6)
    """
    height, width = image.shape[:2]
    shape = (aspect or width / height, 1.0)
    columns, rows = (max(1, round(side * length / max(shape))) for length in shape)
    square = np.zeros((side, side, 3), dtype=np.uint8)
    square[:rows, :columns] = np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR))
    return square, (columns / width, rows / height)
