"""The plot of an error analysis: kinds of errors by keypoint, and the calibration of scores."""

from pathlib import Path

from hevitpose.io import atomic
from hevitpose.metrics.error_types import ErrorAnalysis

COLORS = {"right": "#009e73", "jitter": "#56b4e9", "inversion": "#cc79a7", "swap": "#e69f00", "miss": "#d55e00"}
"""Okabe and Ito's, which people with any kind of colour vision can tell apart."""


def plot_errors(errors: ErrorAnalysis, path: Path, title: str) -> None:
    """Draw an error analysis as .png or .svg."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    bars, curve = figure.subplots(1, 2, width_ratios=[3, 2])
    left = [0.0] * len(errors.per_keypoint)
    for kind, color in COLORS.items():
        shares = [getattr(shares, kind) for shares in errors.per_keypoint.values()]
        bars.barh(list(errors.per_keypoint), shares, left=left, color=color, label=kind)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    bars.invert_yaxis()
    bars.set(xlabel="labelled joints (%)", xlim=(0, 100))
    bars.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(COLORS), frameon=False, columnspacing=1.0)
    bins = errors.calibration
    curve.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="a probability")
    curve.plot(
        [b.mean_score for b in bins], [b.share_right for b in bins], marker="o", color="#0072b2", label="measured"
    )
    curve.set(xlabel="score of a joint", ylabel="share of right joints", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    curve.legend(loc="upper left", frameon=False)
    figure.suptitle(title)

    def write(temporary: Path) -> None:
        figure.savefig(temporary, dpi=130, format=path.suffix[1:])

    atomic.write_with(path, write)
