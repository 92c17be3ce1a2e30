"""Figures of numbers: accuracy over cost, maps of counts, angles over time, the errors of an evaluation.

The paper's figures fit a column of 3.35 inches, in letters of 7 points. All colours are Okabe and Ito's, which remain
distinguishable with any colour vision.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import pi, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hevitpose.core.errors import InputError
from hevitpose.io import atomic
from hevitpose.metrics.error_types import ErrorAnalysis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

COLUMN_INCHES = 3.35
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
    "svg.hashsalt": "hevitpose",  # makes the SVG of a figure reproducible
}
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
LINES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)
MARKERS = "s^vDPo"
ERROR_COLORS = {"right": GREEN, "jitter": SKY, "inversion": PURPLE, "swap": ORANGE, "miss": VERMILION}
AREA_OF_MILLION = 5.0
"""Area of a bubble in square points for each million parameters."""
LABEL_SIDES = ((1, 0), (-1, 0), (1, -1), (-1, 1), (0, -1), (0, 1), (1, 1), (-1, -1))
"""Where a bubble's name may stand, in order of preference: right, left, below right, ..."""
HORIZONTAL = {-1: "right", 0: "center", 1: "left"}
VERTICAL = {-1: "top", 0: "center_baseline", 1: "bottom"}


@dataclass(frozen=True)
class Bubble:
    """A network: its cost (10^9 operations, or milliseconds), accuracy in percent, parameters in millions."""

    name: str
    cost: float
    accuracy: float
    parameters: float


@contextmanager
def styled() -> Iterator[None]:
    """Draw in `STYLE`."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield


def output_files(output: Path) -> list[Path]:
    """The files to write: `output`, or a PNG and an SVG of that name if it has no suffix.

    Raises InputError for any other suffix.

    >>> [file.name for file in output_files(Path("out/figure_1"))]
    ['figure_1.png', 'figure_1.svg']
    """
    if output.suffix and output.suffix not in SUFFIXES:
        raise InputError(output, "must end in .png or .svg, or have no suffix to write both")
    return [output] if output.suffix else [output.with_name(output.name + suffix) for suffix in SUFFIXES]


@styled()
def write_figure(figure: "Figure", path: Path, dpi: int = DPI) -> None:
    """Write a figure as .png or .svg; the file holds no date or version, so equal figures give equal files."""
    content = io.BytesIO()
    metadata = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
    figure.savefig(content, format=path.suffix[1:], dpi=dpi, metadata=metadata)
    atomic.write(path, content.getvalue())


@styled()
def accuracy_over_cost(
    bubbles: Sequence[Bubble], accuracy: str, cost: str = "GFLOPs, the paper's counting"
) -> "Figure":
    """One bubble per network, its area proportional to the parameters; HEViTPose in vermilion.

    `accuracy` and `cost` label the axes.
    """
    figure = _column_figure(2.75)
    axes = figure.subplots()
    by_size = sorted(bubbles, key=lambda bubble: -bubble.parameters)  # so that small bubbles end up on top
    x, y, million = (np.array(v) for v in zip(*((b.cost, b.accuracy, b.parameters) for b in by_size), strict=True))
    axes.scatter(
        x, y, AREA_OF_MILLION * million, [_color(b) for b in by_size], alpha=0.6, edgecolors="white", linewidths=0.5
    )
    axes.set(xlabel=cost, ylabel=accuracy)
    axes.set_xlim(0, 1.08 * x.max())
    margin = 0.12 * (np.ptp(y) or 1.0)
    axes.set_ylim(y.min() - margin, y.max() + margin)
    axes.grid(linewidth=0.3, color="0.85")
    axes.set_axisbelow(True)
    handles = [
        axes.scatter([], [], AREA_OF_MILLION * size, "0.6", linewidths=0, label=f"{size} M") for size in (5, 25, 50)
    ]
    handles.insert(0, axes.scatter([], [], 0, label="parameters:"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, handletextpad=0.2)
    _label_bubbles(figure, axes, bubbles)
    return figure


@styled()
def count_maps(maps: Mapping[str, NDArray[np.int64]], xlabel: str) -> "Figure":
    """Square maps of counts by title, two in a row, each with its own colour bar."""
    from matplotlib.ticker import MaxNLocator

    rows = -(-len(maps) // 2)
    figure = _column_figure(rows * 1.75)
    for n, (title, counts) in enumerate(maps.items(), start=1):
        axes = figure.add_subplot(rows, 2, n)
        shown = axes.imshow(counts, cmap="viridis", vmin=0, vmax=counts.max(), interpolation="nearest")
        axes.set_title(title)
        side = len(counts)
        axes.set(xticks=[0, side // 2, side - 1], yticks=[0, side // 2, side - 1])
        bar = figure.colorbar(shown, ax=axes, shrink=0.8, pad=0.03)
        bar.locator = MaxNLocator(nbins=5, integer=True)
        bar.update_ticks()
    figure.supxlabel(xlabel)
    return figure


@styled()
def cost_over_size(sides: Sequence[int], curves: Mapping[str, Mapping[str, Sequence[float]]]) -> "Figure":
    """GFLOPs over input side, one panel per counting: `curves[counting][network]` has one value per side."""
    figure = _column_figure(2.75)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (counting, networks) in zip(panels, curves.items(), strict=True):
        for n, (name, values) in enumerate(networks.items()):
            color, marker = LINES[n % len(LINES)], MARKERS[n % len(MARKERS)]
            axes.plot(sides, values, color=color, marker=marker, markersize=3, linewidth=1, label=name)
        axes.set_title(counting)
        axes.set(xlabel="input side (pixels)", xticks=sides[::2] if len(sides) > 4 else sides)
        axes.grid(linewidth=0.3, color="0.85")
    panels[0].set_ylabel("GFLOPs")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


@styled()
def angles_over_time(times_s: Sequence[float], angles: Mapping[str, Sequence[float]]) -> "Figure":
    """Angles in degrees over seconds: a panel per joint, the left in blue and the right in vermilion.

    `angles` has names such as left_knee; a gap of NaN is a gap in its line.
    """
    joints = list(dict.fromkeys(name.split("_", 1)[1] for name in angles))
    figure = _column_figure(0.4 + 1.1 * len(joints))
    panels = figure.subplots(len(joints), 1, sharex=True, squeeze=False)[:, 0]
    for axes, joint in zip(panels, joints, strict=True):
        for side, color in (("left", BLUE), ("right", VERMILION)):
            if f"{side}_{joint}" in angles:
                axes.plot(times_s, angles[f"{side}_{joint}"], color=color, linewidth=0.8, label=side)
        axes.set_title(joint)
        axes.grid(linewidth=0.3, color="0.85")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=2, frameon=False)
    panels[-1].set_xlabel("s")
    figure.supylabel("degrees")
    return figure


def plot_errors(errors: ErrorAnalysis, path: Path, title: str) -> None:
    """Draw an error analysis as .png or .svg: kinds of errors by keypoint, and the calibration of scores."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    bars, curve = figure.subplots(1, 2, width_ratios=[3, 2])
    left = np.zeros(len(errors.per_keypoint))
    for kind, color in ERROR_COLORS.items():
        shares = np.array([getattr(shares, kind) for shares in errors.per_keypoint.values()])
        bars.barh(list(errors.per_keypoint), shares, left=left, color=color, label=kind)
        left += shares
    bars.invert_yaxis()
    bars.set(xlabel="labelled joints (%)", xlim=(0, 100))
    bars.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(ERROR_COLORS), frameon=False, columnspacing=1)
    bins = errors.calibration
    curve.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="a probability")
    curve.plot([b.mean_score for b in bins], [b.share_right for b in bins], marker="o", color=BLUE, label="measured")
    curve.set(xlabel="score of a joint", ylabel="share of right joints", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    curve.legend(loc="upper left", frameon=False)
    figure.suptitle(title)
    write_figure(figure, path, dpi=130)


def _column_figure(height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(COLUMN_INCHES, height), layout="constrained")


def _color(bubble: Bubble) -> str:
    return VERMILION if bubble.name.startswith("HEViTPose") else BLUE


def _label_bubbles(figure: "Figure", axes: "Axes", bubbles: Sequence[Bubble]) -> None:
    """Write each name on the side of its bubble where it hides least of bubbles, other names and the frame."""
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()  # gives the axes their final place
    frame, pixels_per_point = axes.get_window_extent(), figure.dpi / 72
    radii = [sqrt(AREA_OF_MILLION * bubble.parameters / pi) for bubble in bubbles]
    centers = axes.transData.transform([(bubble.cost, bubble.accuracy) for bubble in bubbles])
    taken = [
        Bbox([center - radius * pixels_per_point, center + radius * pixels_per_point])
        for center, radius in zip(centers, radii, strict=True)
    ]
    for bubble, radius in sorted(zip(bubbles, radii, strict=True), key=lambda pair: _color(pair[0]) == BLUE):
        places: list[tuple[float, int, Text, Bbox]] = []
        for x, y in LABEL_SIDES:
            gap = (radius + 2) * (0.75 if x and y else 1)
            text = axes.annotate(
                bubble.name, (bubble.cost, bubble.accuracy), (x * gap, y * gap),
                textcoords="offset points", ha=HORIZONTAL[x], va=VERTICAL[y], color=_color(bubble), fontsize=7,
            )  # fmt: skip
            box = text.get_window_extent()
            hidden = sum(_area(Bbox.intersection(box, other)) for other in taken)
            outside = _area(box) - _area(Bbox.intersection(box, frame))
            places.append((hidden + 10 * outside, len(places), text, box))
        best, *others = sorted(places)
        taken.append(best[3])
        for place in others:
            place[2].remove()


def _area(box: "Bbox | None") -> float:
    return 0.0 if box is None else float(box.width * box.height)
