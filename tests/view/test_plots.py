from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from PIL import Image

from hevitpose.metrics.error_types import CalibrationBin, ErrorAnalysis, ErrorShares
from hevitpose.view.plots import (
    COLUMN_INCHES,
    DPI,
    ERROR_COLORS,
    Bubble,
    accuracy_over_cost,
    cost_over_size,
    count_maps,
    output_files,
    plot_errors,
    write_figure,
)

BUBBLES = [Bubble("HEViTPose-T", 1.75, 88.7, 3.21), Bubble("ResNet-50", 7.28, 89.5, 34), Bubble("R", 7.48, 89.5, 33.47)]
MAPS = {title: np.arange(64).reshape(8, 8) % n for n, title in enumerate(("a", "b", "c"), start=2)}
CURVES = {"one": {"A": [1.0, 2], "B": [3.0, 4]}, "other": {"A": [5.0, 6], "B": [7.0, 8]}}
FIGURES = {
    "1": lambda: accuracy_over_cost(BUBBLES, "PCKh"),
    "4": lambda: count_maps(MAPS, "pixels"),
    "cost": lambda: cost_over_size([160, 320], CURVES),
}


def written(figure):
    """Every text of the figure."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("which", FIGURES)
def test_files_are_a_column_wide_and_the_same_each_time(which, tmp_path):
    png, svg = output_files(tmp_path / "drawn")
    figure = FIGURES[which]()
    write_figure(figure, svg)
    write_figure(figure, png)
    write_figure(FIGURES[which](), tmp_path / "again.svg")
    assert svg.read_bytes() == (tmp_path / "again.svg").read_bytes()
    with Image.open(png) as image:
        assert image.width == int(COLUMN_INCHES * DPI)
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    root = ET.parse(svg).getroot()
    assert root.tag.endswith("svg")
    assert float(root.get("width").removesuffix("pt")) == pytest.approx(72 * COLUMN_INCHES)


@pytest.mark.parametrize("which", FIGURES)
def test_letters_are_7_points_and_stay_within_the_image(which):
    from matplotlib.text import Text

    figure = FIGURES[which]()
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert {text.get_fontsize() for text in texts} == {7}
    drawn = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert 0 <= drawn.x0 <= drawn.x1 <= width
    assert 0 <= drawn.y0 <= drawn.y1 <= height


def test_bubbles_stand_at_cost_and_accuracy_with_the_area_of_their_parameters():
    figure = accuracy_over_cost(BUBBLES, "PCKh")
    (axes,) = figure.axes
    cloud = next(each for each in axes.collections if isinstance(each, PathCollection))
    by_size = sorted(BUBBLES, key=lambda b: -b.parameters)  # the small ones on top
    np.testing.assert_allclose(cloud.get_offsets(), [(b.cost, b.accuracy) for b in by_size])
    areas = cloud.get_sizes()
    np.testing.assert_allclose(areas / areas[0], [b.parameters / by_size[0].parameters for b in by_size])
    assert set(written(figure)) == {b.name for b in BUBBLES}
    assert axes.get_ylabel() == "PCKh"


def test_maps_are_the_counts():
    shown = {axes.get_title(): axes.images[0].get_array() for axes in FIGURES["4"]().axes if axes.images}
    assert list(shown) == list(MAPS)
    for title, counts in MAPS.items():
        np.testing.assert_array_equal(shown[title], counts)


def test_curves_stand_in_one_panel_a_counting():
    figure = cost_over_size([160, 320], CURVES)
    drawn = {
        axes.get_title(): {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}
        for axes in figure.axes
    }
    assert drawn == CURVES


@pytest.mark.parametrize(
    ("name", "files"), [("a.png", ["a.png"]), ("b.svg", ["b.svg"]), ("figure_1", ["figure_1.png", "figure_1.svg"])]
)
def test_the_suffix_decides_which_files_are_written(name, files, tmp_path):
    assert [file.name for file in output_files(tmp_path / name)] == files


def test_another_suffix_is_refused(tmp_path, refused):
    with refused(tmp_path / "a.pdf", ".png or .svg"):
        output_files(tmp_path / "a.pdf")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_analysis_of_an_evaluation_is_drawn(suffix, tmp_path):
    shares = ErrorShares(10, *[20.0] * len(ERROR_COLORS))
    bins = [CalibrationBin(score, score + 0.1, 5, score, score) for score in (0.2, 0.8)]
    plot_errors(ErrorAnalysis(2, shares, {"head": shares, "knee": shares}, bins), tmp_path / f"a{suffix}", "a title")
    assert (tmp_path / f"a{suffix}").stat().st_size > 5000
