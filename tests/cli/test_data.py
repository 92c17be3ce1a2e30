import numpy as np
import pytest
from PIL import Image

from hevitpose.cli.data import CROP_HW, people_sheet
from hevitpose.core.labels import ImageFile, LabelledPeople
from hevitpose.core.skeleton import Skeleton
from hevitpose.view.contact_sheet import GAP
from hevitpose.view.draw import COLORS

EARS = Skeleton("mouse", ("leftear", "rightear"), (1, 0))


def centres(sheet, color):
    """The middle of the pixels of this colour, x and y, above the key to the colours."""
    rows, columns = np.nonzero((sheet[: GAP + CROP_HW[0]] == color).all(axis=-1))
    return columns.mean() - GAP, rows.mean() - GAP


@pytest.mark.parametrize("flip", [False, True])
def test_a_mirrored_mouse_keeps_its_left(tmp_path, flip):
    Image.new("RGB", (100, 100), "white").save(tmp_path / "a.png")
    mouse = LabelledPeople(
        name="mouse",
        skeleton=EARS,
        images=(ImageFile("a.png", tmp_path),),
        image_ids=(1,),
        image_index=np.array([0]),
        ids=np.array([3]),
        boxes=np.array([[10.0, 10.0, 90.0, 90.0]]),
        keypoints=np.array([[[29.5, 49.5], [69.5, 29.5]]]),
        visibility=np.array([[2, 2]], dtype=np.int8),
        head_sizes=np.array([np.nan]),
        areas=np.array([np.nan]),
    )
    sheet = people_sheet(mouse, np.array([0]), flip)
    middle, step = (CROP_HW[0] - 1) / 2, 20 * CROP_HW[0] / 100
    # What was its left ear, at the left of the image, is now at the right and its right ear.
    left, right = ((-step, 0), (step, -step)) if not flip else ((-step, -step), (step, 0))
    assert centres(sheet, COLORS["left"]) == pytest.approx((middle + left[0], middle + left[1]), abs=0.6)
    assert centres(sheet, COLORS["right"]) == pytest.approx((middle + right[0], middle + right[1]), abs=0.6)
