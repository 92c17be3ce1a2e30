import numpy as np
import pytest

from hevitpose.core.skeleton import Skeleton
from hevitpose.view.contact_sheet import GAP, contact_sheet

EARS = Skeleton("mouse", ("leftear", "rightear"), (1, 0))


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
    with pytest.raises(ValueError, match="at least one crop"):
        contact_sheet([], np.zeros((0, 2, 2)), [], EARS)
