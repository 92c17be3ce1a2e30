import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from PIL import Image

from hevitpose.core.errors import InputError
from hevitpose.paper.patch_overlap import Convolution, parse_layers, pixel_uses
from hevitpose.view.plots import (
    COLUMN,
    DPI,
    Bubble,
    Embedding,
    accuracy_over_cost,
    cost_over_size,
    output_files,
    overlap_maps,
    write_figure,
)

BUBBLES = [Bubble("HEViTPose-T", 1.75, 88.7, 3.21), Bubble("ResNet-50", 7.28, 89.5, 34), Bubble("R", 7.48, 89.5, 33.47)]
EMBEDDINGS = [Embedding(text, parse_layers(text)) for text in ("conv(7,4)", "conv(3,2), conv(3,2)", "conv(4,4)")]
CURVES = {"one": {"A": [1.0, 2], "B": [3.0, 4]}, "other": {"A": [5.0, 6], "B": [7.0, 8]}}
FIGURES = {
    "1": lambda: accuracy_over_cost(BUBBLES, "PCKh"),
    "4": lambda: overlap_maps(EMBEDDINGS, 16),
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
        assert image.width == int(COLUMN * DPI)
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    root = ET.parse(svg).getroot()
    assert root.tag.endswith("svg")
    assert float(root.get("width").removesuffix("pt")) == pytest.approx(72 * COLUMN)


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
    assert written(figure) == [b.name for b in BUBBLES]
    assert axes.get_ylabel() == "PCKh"


def test_maps_are_the_counts():
    figure = overlap_maps(EMBEDDINGS, 16)
    maps = [axes.images[0] for axes in figure.axes if axes.images]
    for shown, embedding in zip(maps, EMBEDDINGS, strict=True):
        np.testing.assert_array_equal(shown.get_array(), pixel_uses(embedding.layers, 16))


def test_an_embedding_that_does_not_fit_is_an_input_error():
    with pytest.raises(InputError, match=r"^conv\(9,9\), PEOW 0: conv\(9,9\) with padding 0 does not fit into 8"):
        overlap_maps([Embedding("conv(9,9)\nPEOW 0", (Convolution(9, 9, 0),))], 8)


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


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match=re.escape("a figure is .png or .svg")):
        output_files(tmp_path / "a.pdf")
