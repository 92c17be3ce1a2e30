"""`hevitpose angles`."""

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from hevitpose.core.angles import joint_angles, limb_lengths
from hevitpose.core.errors import InputError
from hevitpose.core.extras import need
from hevitpose.core.geometry import Floats
from hevitpose.data.clip_poses import ClipPoses, read_clip_poses
from hevitpose.inference.smoothing import MAX_GAP_S
from hevitpose.io import atomic
from hevitpose.view.tables import Table

EXAMPLES = """
Examples:\n
  hevitpose angles results.jsonl\n
  hevitpose angles results.jsonl --person 2 --output squats.csv --plot squats.png
"""


def angles(
    results: Annotated[Path, typer.Argument(help="JSON lines that hevitpose predict CLIP wrote.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option(help="CSV file to write.", show_default="RESULTS with the suffix .angles.csv")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Plot the angles over time to this .png or .svg file; both without a suffix.")
    ] = None,
    person: Annotated[
        int | None,
        typer.Option(
            help="Write and plot only the person with this id.", show_default="all; plotted: who is seen in most frames"
        ),
    ] = None,
) -> None:
    """Write joint angles and limb lengths of a clip, one row per frame and person.

    Angles are in degrees in the image plane (180: straight), lengths in pixels.
    A cell is empty if a keypoint is absent.
    """
    if plot is not None:
        need("plot")
    output = output or results.with_suffix(".angles.csv")
    atomic.refuse_inputs([output], [results])
    poses = read_clip_poses(results)
    if poses.cut:
        print(f"warning: {results}: the last line is cut and was left out", file=sys.stderr)
    if person is not None:
        poses = only(poses, person, results)
    table = table_of(poses)
    if len(table.header) == 3:
        raise InputError(results, "has no keypoints of two joined limbs, such as hip, knee and ankle")
    files = [] if plot is None else plot_files(plot, poses, person, results, output)
    atomic.write(output, table.csv())
    print(f"{output}: {len(poses)} rows")
    if without := int((poses.track_ids == 0).sum()):
        print(f"{without} of {len(poses)} rows are of people without an id", file=sys.stderr)
    for file in files:
        print(file)


def only(poses: ClipPoses, person: int, results: Path) -> ClipPoses:
    chosen = poses.of(person)
    if not person > 0 or not len(chosen):
        ids = sorted({*poses.track_ids.tolist()} - {0})
        known = f"1 to {ids[-1]}" if ids == [*range(1, len(ids) + 1)] and len(ids) > 3 else ", ".join(map(str, ids))
        raise InputError(results, f"has no person {person}; its ids are {known or 'all null'}")
    return chosen


def table_of(poses: ClipPoses) -> Table:
    """A row per frame and person: frame, seconds, id, angles and lengths; absent ones are empty."""
    columns: dict[str, Floats] = {
        f"{name}_{unit}": values
        for unit, made in (
            ("deg", joint_angles(poses.keypoints, poses.skeleton)),
            ("px", limb_lengths(poses.keypoints, poses.skeleton)),
        )
        for name, values in made.items()
    }
    rows = []
    for n in range(len(poses)):
        values = [float(each[n]) for each in columns.values()]
        cells = ["" if np.isnan(value) else f"{value:.1f}" for value in values]
        track_id = int(poses.track_ids[n])
        rows.append([str(poses.frames[n]), f"{poses.times_s[n]:.6g}", str(track_id or ""), *cells])
    return Table(["frame", "time_s", "id", *columns], rows)


def plot_files(plot: Path, poses: ClipPoses, person: int | None, results: Path, output: Path) -> list[Path]:
    """Draw the angles of a person; the files that were written."""
    from hevitpose.view.plots import angles_over_time, output_files, write_figure

    files = output_files(plot)
    atomic.refuse_inputs(files, [results, output])
    counts = Counter(poses.track_ids[poses.track_ids > 0].tolist())
    if not counts:
        raise InputError(results, "has no person with an id to plot")
    chosen = poses.of(person or counts.most_common(1)[0][0])
    gaps = np.flatnonzero(np.diff(chosen.times_s) > MAX_GAP_S) + 1  # no line across them
    times = np.insert(chosen.times_s, gaps, chosen.times_s[gaps])
    curves = joint_angles(chosen.keypoints, chosen.skeleton)
    drawn = angles_over_time(times.tolist(), {k: np.insert(v, gaps, np.nan).tolist() for k, v in curves.items()})
    for file in files:
        write_figure(drawn, file)
    return files
