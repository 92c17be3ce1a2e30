import json

import numpy as np
from matplotlib.transforms import Bbox

from hevitpose.paper.figures import cost_figure, figure_1, figure_4
from hevitpose.paper.patch_overlap import parse_layers, pixel_uses
from hevitpose.paper.tables import read_paper


def names(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def maps(figure):
    return {axes.get_title(): np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images}


def test_figure_1_has_every_row_of_table_1_and_no_name_covers_another():
    figure = figure_1()
    figure.draw_without_rendering()
    assert sorted(names(figure)) == sorted(row[0] for row in read_paper()["table1_mpii_test_pckh50"]["rows"])
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    for n, box in enumerate(boxes):
        for other in boxes[:n]:
            common = Bbox.intersection(box, other)
            assert common is None or min(common.width, common.height) < 2  # pixels of 10, the height of a line


def test_figure_1_of_runs_is_of_the_compared_ones_alone(stored, tmp_path):
    (tmp_path / "compare").mkdir()
    scores = {"t": 70.0, "b": 72.0, "b:sigma=1": 71.0, "unknown": 50.0}
    for n, (network, value) in enumerate(scores.items()):
        run = {"network": network, "data": "people16", "epochs": 30, "scores": {"mpii_val": {"PCKh@0.5": value}}}
        (tmp_path / "compare" / f"{n}.json").write_text(json.dumps(run))
    again = {"network": "t", "data": "people16", "epochs": 30, "scores": {"mpii_val": {"PCKh@0.5": 71.0}}}
    (tmp_path / "compare" / "second_seed.json").write_text(json.dumps(again))
    (tmp_path / "other.json").write_text(json.dumps(again | {"network": "s"}))
    (tmp_path / "compare" / "x.json").write_text(json.dumps(again | {"scores": {"easy": {"PCKh@0.5": 99.0}}}))
    figure = figure_1(tmp_path, stored)
    assert names(figure_1(tmp_path / "compare", stored)) == names(figure)
    assert names(figure) == ["HEViTPose-T", "HEViTPose-B", "HEViTPose-B sigma=1"]
    (axes,) = figure.axes
    assert axes.get_ylabel() == "PCKh@0.5 (%), mpii_val of people16"
    assert sorted(axes.collections[0].get_offsets()[:, 1]) == [70.5, 71, 72]


def test_figure_1_without_runs_is_refused(tmp_path, refused):
    with refused(tmp_path):
        figure_1(tmp_path)


def test_figure_4_shows_the_rows_of_table_4_and_the_misprinted_one():
    shown = maps(figure_4())
    assert list(shown) == [
        "conv(3,2), conv(3,2)\nPEOW 1",
        "conv(7,4)\nPEOW 3",
        "conv(15,8), deconv(4,2)\nPEOW 7",
        "conv(7,2), conv(7,2)\nPEOW 5, printed as 3",
    ]
    for title, counts in shown.items():
        np.testing.assert_array_equal(counts, pixel_uses(parse_layers(title.split("\n")[0]), 40))


def test_cost_figure_has_the_papers_networks_and_sides_in_both_countings(stored):
    figure = cost_figure(stored)
    wanted = read_paper()["figure_cost"]
    assert [axes.get_title() for axes in figure.axes] == ["the paper's counting", "all multiply-accumulates"]
    for axes in figure.axes:
        assert [line.get_label() for line in axes.get_lines()] == wanted["networks"]
        for line in axes.get_lines():
            assert list(line.get_xdata()) == wanted["input_sides"]
            assert (np.diff(line.get_ydata()) > 0).all()
