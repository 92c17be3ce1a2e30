import numpy as np
import pytest
from PIL import Image

from hevitpose.core.labels import ImageFile, LabelledPeople
from hevitpose.core.skeleton import Skeleton
from hevitpose.view.contact_sheet import CROP_HW, GAP, contact_sheet, people_sheet
from hevitpose.view.draw import COLORS

EARS = Skeleton("mouse", ("leftear", "rightear"), (1, 0))


def centres(sheet, color):
    """The middle of the pixels of this colour, x and y, above the key to the colours."""
    rows, columns = np.nonzero((sheet[: GAP + CROP_HW[0]] == color).all(axis=-1))
    return columns.mean() - GAP, rows.mean() - GAP


def test_crops_stand_in_rows_with_their_captions_below():
    crops = [np.full((40, 30, 3), (n, 200, 0), dtype=np.uint8) for n in range(5)]
    sheet = contact_sheet(crops, np.full((5, 2, 2), np.nan), ["a", "", "c", "d", "e" * 90], EARS, columns=3)
    step = 30 + GAP
    assert sheet.shape[1] == 3 * step + GAP
    tops = []
    for n in range(5):
        rows, columns = np.nonzero((sheet == (n, 200, 0)).all(axis=-1))
        assert (np.ptp(rows), np.ptp(columns), columns.min()) == (39, 29, GAP + n % 3 * step)
        tops.append(rows.min())
    assert tops[:3] == [GAP] * 3
    assert tops[3] == tops[4] > GAP + 40
    captions = [(sheet[tops[n] + 40 : tops[n] + 55, GAP + n % 3 * step :][:, :30] < 128).any() for n in range(5)]
    assert captions == [True, False, True, True, True]
    # The sixth place is empty, also of the caption of the fifth, which was too long.
    assert (sheet[tops[3] : tops[3] + 55, GAP + 2 * step - 1 :] == 255).all()


def test_a_sheet_needs_a_crop():
    with pytest.raises(ValueError, match="needs a crop"):
        contact_sheet([], np.zeros((0, 2, 2)), [], EARS)


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
        boxes=np.array([[9.5, 9.5, 89.5, 89.5]]),
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
