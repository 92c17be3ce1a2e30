import numpy as np

from hevitpose.core.geometry import transform
from hevitpose.data.crops import Crops
from hevitpose.evaluation.predict import predictions_in_labels
from hevitpose.evaluation.score import Evaluation, Score
from hevitpose.training import report


def test_the_worst_come_first_each_beside_its_labels(monkeypatch, make_people):
    n, random = 30, np.random.default_rng(0)
    visibility = np.full((n, 16), 2, dtype=np.int8)
    visibility[:, 3] = 0
    boxes = np.tile([0.0, 0, 50, 100], (n, 1))
    people = make_people(n, ids=100 + np.arange(n), boxes=boxes, visibility=visibility)
    matrices = np.tile([[0.5, 0, 7], [0, 0.5, 3]], (n, 1, 1))
    crops = Crops(
        np.zeros((n, 64, 64, 3), dtype=np.uint8) + np.arange(n, dtype=np.uint8)[:, None, None, None], matrices
    )
    off = random.permutation(n)  # pixels
    joints = people.keypoints + np.stack([off, 0 * off], axis=-1)[:, None]
    joints[:, 3] = 1e6  # not labelled: does not count
    shown = {}
    monkeypatch.setattr(report, "contact_sheet", lambda *arguments, **_: shown.update(all=arguments))
    report.worst_sheet(people, crops, predictions_in_labels(people, joints, np.ones((n, 16))))
    pixels, in_crops, captions, _ = shown["all"]
    worst = np.argsort(-off)[:20]
    assert captions[::2] == [f"{100 + k}: labels" for k in worst]
    assert captions[1::2] == [f"off by {off[k]}% of the box" for k in worst]
    assert [crop[99, 99, 0] for crop in pixels[1::2]] == worst.tolist()
    assert {crop.shape for crop in pixels} == {(192, 192, 3)}
    first = worst[0]
    # Crops of 64 pixels are shown three times as large: the centre of their first pixel is that of nine.
    expected = 3 * transform(matrices[first], people.keypoints[first]) + 1
    expected[3] = np.nan
    assert np.allclose(in_crops[0], expected, equal_nan=True)
    assert np.allclose(in_crops[1], 3 * transform(matrices[first], joints[first]) + 1)


def test_the_table_has_a_row_for_each_figure_and_keypoint():
    pck = Score(60.0001, {"nose": 100.0, "tail": None})
    val = Evaluation("val", "PCK@0.2", "", 3, 0, {"nose": 3, "tail": 2}, {"PCK@0.2": pck})
    coco = Evaluation("coco", "AP", "", 1, 0, {}, {"AP": Score(7.5)})
    assert report.keypoint_table({"val": val, "coco": coco}) == (
        "set,figure,keypoint,labelled,percent\n"
        "val,PCK@0.2,nose,3,100.0\nval,PCK@0.2,tail,2,\nval,PCK@0.2,mean,5,60.0\ncoco,AP,mean,0,7.5\n"
    )
