"""The paper's figures of numbers: accuracy over cost, the overlap of the patch embedding, cost over input size.

Each is drawn for a column of 3.35 inches, in letters of 7 points and in the colours of Okabe and Ito, which stay apart
for the colour-blind.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import pi, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hevitpose.core.errors import InputError
from hevitpose.io import atomic
from hevitpose.paper.patch_overlap import Convolution, pixel_uses
from hevitpose.view.label_placement import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN = 3.35
"""The width of a column, in inches."""
DPI = 300
SUFFIXES = (".png", ".svg")
STYLE: dict[Any, Any] = {
    **{f"{part}.labelsize": 7 for part in ("axes", "xtick", "ytick", "figure")},
    "font.size": 7,
    "axes.titlesize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "svg.hashsalt": "hevitpose",  # so that the same figure is the same file
}
BLUE, VERMILION = "#0072B2", "#D55E00"
LINES = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", VERMILION)
MARKERS = "s^vDPo"
AREA_OF_MILLION = 5.0
"""Square points of a bubble for a million parameters."""


@dataclass(frozen=True)
class Bubble:
    """A network's place: its cost (operations in 10^9, or time), accuracy in percent, parameters in millions."""

    name: str
    cost: float
    accuracy: float
    parameters: float


@dataclass(frozen=True)
class Embedding:
    """The layers of a patch embedding, and what is written above its map."""

    title: str
    layers: tuple[Convolution, ...]


@contextmanager
def styled() -> Iterator[None]:
    """Draw in `STYLE`."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield


def output_files(output: Path) -> list[Path]:
    """The files to write: `output` itself, or a PNG and an SVG of that name where it has no suffix.

    Raises InputError for another suffix.
    """
    if output.suffix and output.suffix not in SUFFIXES:
        raise InputError(output, "a figure is .png or .svg, or both where the name has no suffix")
    return [output] if output.suffix else [output.with_name(output.name + suffix) for suffix in SUFFIXES]


@styled()
def write_figure(figure: "Figure", path: Path) -> None:
    """Write it as PNG (300 dots an inch) or SVG, without date or version in the file."""
    content = io.BytesIO()
    metadata = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
    figure.savefig(content, format=path.suffix[1:], dpi=DPI, metadata=metadata)
    atomic.write(path, content.getvalue())


@styled()
def accuracy_over_cost(
    bubbles: Sequence[Bubble], accuracy: str, cost: str = "GFLOPs, the paper's counting"
) -> "Figure":
    """Figure 1: a bubble a network, its area the parameters; HEViTPose in vermilion. The texts name the axes."""
    figure = _new_figure(2.75)
    axes = figure.subplots()
    colours = [VERMILION if b.name.startswith("HEViTPose") else BLUE for b in bubbles]
    x, y, million = (np.array(v) for v in zip(*((b.cost, b.accuracy, b.parameters) for b in bubbles), strict=True))
    order = np.argsort(-million, kind="stable")  # so that no bubble hides a smaller one
    areas, shown = AREA_OF_MILLION * million[order], [colours[n] for n in order]
    axes.scatter(x[order], y[order], areas, shown, alpha=0.6, edgecolors="white", linewidths=0.5)
    axes.set(xlabel=cost, ylabel=accuracy)
    axes.set_xlim(0, 1.08 * x.max())
    room = 0.12 * (np.ptp(y) or 1.0)
    axes.set_ylim(y.min() - room, y.max() + room)
    axes.grid(linewidth=0.3, color="0.85")
    axes.set_axisbelow(True)
    handles = [
        axes.scatter([], [], AREA_OF_MILLION * size, "0.6", linewidths=0, label=f"{size} M") for size in (5, 25, 50)
    ]
    handles.insert(0, axes.scatter([], [], 0, label="parameters:"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, handletextpad=0.2)
    _write_names(figure, axes, bubbles, colours)
    return figure


@styled()
def overlap_maps(embeddings: Sequence[Embedding], side: int) -> "Figure":
    """Figure 4: how often each patch embedding reads each pixel of a square image of this side.

    Raises InputError where an embedding does not fit.
    """
    from matplotlib.ticker import MaxNLocator

    columns = min(2, len(embeddings))
    rows = -(-len(embeddings) // columns)
    figure = _new_figure(rows * (1.75 if columns == 2 else 2.9))
    for n, embedding in enumerate(embeddings):
        try:
            uses = pixel_uses(embedding.layers, side)
        except ValueError as error:
            raise InputError(embedding.title.replace("\n", ", "), str(error)) from error
        axes = figure.add_subplot(rows, columns, n + 1)
        shown = axes.imshow(uses, cmap="viridis", vmin=0, vmax=uses.max(), interpolation="nearest")
        axes.set_title(embedding.title)
        axes.set(xticks=[0, side // 2, side - 1], yticks=[0, side // 2, side - 1])
        bar = figure.colorbar(shown, ax=axes, shrink=0.8, pad=0.03)
        bar.locator = MaxNLocator(nbins=5, integer=True)
        bar.update_ticks()
    figure.supxlabel("pixels of the input; colour: how often each is used")
    return figure


@styled()
def cost_over_size(sides: Sequence[int], curves: Mapping[str, Mapping[str, Sequence[float]]]) -> "Figure":
    """GFLOPs over input side, one panel a counting: `curves` by counting and network, a figure for each side."""
    figure = _new_figure(2.75)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (counting, networks) in zip(panels, curves.items(), strict=True):
        for n, (name, values) in enumerate(networks.items()):
            colour, marker = LINES[n % len(LINES)], MARKERS[n % len(MARKERS)]
            axes.plot(sides, values, color=colour, marker=marker, markersize=3, linewidth=1, label=name)
        axes.set_title(counting)
        axes.set(xlabel="input side (pixels)", xticks=sides[::2] if len(sides) > 4 else sides)
        axes.grid(linewidth=0.3, color="0.85")
    panels[0].set_ylabel("GFLOPs")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def _new_figure(height: float) -> "Figure":
    """As wide as a column."""
    from matplotlib.figure import Figure

    return Figure(figsize=(COLUMN, height), layout="constrained")


def _write_names(figure: "Figure", axes: "Axes", bubbles: Sequence[Bubble], colours: Sequence[str]) -> None:
    """Names beside bubbles, and a thin line to those that had to move away."""
    figure.draw_without_rendering()  # so that the axes have their place
    to_points = 72 / figure.dpi
    texts = [axes.text(0, 0, b.name, color=colour, fontsize=7) for b, colour in zip(bubbles, colours, strict=True)]
    sizes = np.array([[t.get_window_extent().width, t.get_window_extent().height] for t in texts]) * to_points
    centres = axes.transData.transform([(b.cost, b.accuracy) for b in bubbles]) * to_points
    radii = np.array([sqrt(AREA_OF_MILLION * b.parameters / pi) for b in bubbles])
    frame = axes.get_window_extent()
    low, high = (np.array(corner) * to_points for corner in (frame.min, frame.max))
    corners = place_labels(centres, radii, sizes, low, high)
    back = axes.transData.inverted()
    for text, corner, centre, radius, size, colour in zip(texts, corners, centres, radii, sizes, colours, strict=True):
        text.set_position(tuple(back.transform(corner / to_points)))
        text.set_verticalalignment("bottom")
        nearest = np.clip(centre, corner, corner + size)
        if np.linalg.norm(nearest - centre) > radius + 3:
            ends = back.transform(np.array([centre, nearest]) / to_points)
            axes.plot(ends[:, 0], ends[:, 1], color=colour, linewidth=0.4)
