import json

import numpy as np
import pytest

from hevitpose.core.errors import InputError
from hevitpose.paper.figures import cost_figure, figure_1, figure_4
from hevitpose.paper.patch_overlap import Convolution, pixel_uses
from hevitpose.paper.printed import read_paper


def names(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def maps(figure):
    return {axes.get_title(): np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images}


def test_figure_1_has_every_row_of_table_1_and_no_name_covers_another():
    figure = figure_1()
    figure.draw_without_rendering()
    assert names(figure) == [row[0] for row in read_paper()["table1_mpii_test_pckh50"]["rows"]]
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    for n, box in enumerate(boxes):
        for other in boxes[:n]:
            assert min(box.x1, other.x1) <= max(box.x0, other.x0) or min(box.y1, other.y1) <= max(box.y0, other.y0)


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


def test_figure_1_without_runs_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"holds no runs with PCKh@0\.5"):
        figure_1(tmp_path)


def test_figure_4_shows_the_rows_of_table_4_and_the_one_that_is_printed_otherwise():
    shown = maps(figure_4([], [], [], 16))
    assert list(shown) == [
        "conv(3,2), conv(3,2)\nPEOW 1",
        "conv(7,4)\nPEOW 3",
        "conv(15,8), deconv(4,2)\nPEOW 7",
        "conv(7,2), conv(7,2)\nPEOW 5, printed as 3",
    ]
    np.testing.assert_array_equal(shown["conv(7,4)\nPEOW 3"], pixel_uses([Convolution(7, 4, 3)], 16))


def test_figure_4_shows_what_is_asked_for():
    shown = maps(figure_4(["5", "3,5"], ["4", "2,2"], [], 16))
    np.testing.assert_array_equal(shown["conv(5,4)\nPEOW 1"], pixel_uses([Convolution(5, 4, 2)], 16))
    two = [Convolution(3, 2, 1), Convolution(5, 2, 2)]
    np.testing.assert_array_equal(shown["conv(3,2), conv(5,2)\nPEOW 1, 3"], pixel_uses(two, 16))
    (padded,) = maps(figure_4(["5"], ["4"], ["0"], 16)).values()
    np.testing.assert_array_equal(padded, pixel_uses([Convolution(5, 4, 0)], 16))


@pytest.mark.parametrize(
    ("kernels", "strides", "paddings", "reason"),
    [
        (["0"], ["1"], [], r"^--kernel 0: conv\(0,1\): kernel and stride must be 1 or more, padding 0 or more$"),
        (["3"], ["0"], [], r"^--kernel 3: conv\(3,0\): kernel and stride must be 1 or more"),
        (["-3"], ["1"], [], r"^--kernel -3: is no whole number, nor one for each layer \(3,3\)$"),
        (["3"], ["1.5"], [], r"^--stride 1\.5: is no whole number"),
        (["3"], ["1"], ["x"], r"^--padding x: is no whole number"),
        (["3,3"], ["2"], [], r"^--kernel 3,3: has not as many layers as its --stride and --padding$"),
        (["3", "5"], ["2"], [], r"^--stride: give --stride, and --padding or none, once for each of 2 --kernel$"),
        (["3"], ["2"], ["1", "1"], r"^--stride: give --stride, and --padding or none, once for each of 1 --kernel$"),
        ([], ["2"], [], r"^--kernel: is needed with --stride and --padding$"),
        (["40"], ["1"], ["0"], r"^conv\(40,1\), PEOW 39: conv\(40,1\) with padding 0 does not fit into 16 positions$"),
    ],
)
def test_layers_that_cannot_be_are_input_errors(kernels, strides, paddings, reason):
    with pytest.raises(InputError, match=reason):
        figure_4(kernels, strides, paddings, 16)


def test_cost_figure_has_the_papers_networks_and_sides_in_both_countings(stored_costs):
    figure = cost_figure(lambda name, side: stored_costs[name, 16, side])
    wanted = read_paper()["figure_cost"]
    assert [axes.get_title() for axes in figure.axes] == ["the paper's counting", "all multiply-accumulates"]
    for axes in figure.axes:
        assert [line.get_label() for line in axes.get_lines()] == wanted["networks"]
        for line in axes.get_lines():
            assert list(line.get_xdata()) == wanted["input_sides"]
            assert (np.diff(line.get_ydata()) > 0).all()
