"""Names beside the bubbles of a drawing, so that none covers a bubble or another name."""

import numpy as np

from hevitpose.core.geometry import Floats

GAPS = (1.5, 4.0, 8.0, 13.0, 19.0, 26.0, 34.0, 44.0)
"""Between a bubble's rim and its label; the first that leads to a free place is taken."""
DIRECTIONS = np.deg2rad([0, 180, 90, 270, 45, 315, 135, 225, 20, 340, 160, 200, 65, 115, 245, 295])
MARGIN = 1.0
ROUNDS = 3
"""How often each label looks for a better place among the others."""


def place_labels(centres: Floats, radii: Floats, sizes: Floats, low: Floats, high: Floats) -> Floats:
    """The lower left corners (N, 2) of labels (N, 2: width and height) of the bubbles, all in the same unit, points.

    Each label stands as near to its bubble as it can without touching a bubble, another label, the way from a label to
    its bubble or the frame from `low` to `high`; the most crowded bubbles choose first. Where no place is free it is
    the one that hides least.
    """
    distances = np.linalg.norm(centres[:, None] - centres, axis=-1)
    crowded = np.argsort(np.sort(distances, axis=1)[:, 1:4].sum(axis=1), kind="stable")
    corners = np.full_like(centres, np.nan)
    for n in np.tile(crowded, ROUNDS).tolist():
        candidates = _around(centres[n], radii[n], sizes[n])
        hidden = _beyond(candidates, sizes[n], low, high) + _on_bubbles(candidates, sizes[n], centres, radii)
        for other in np.flatnonzero(~np.isnan(corners[:, 0])).tolist():
            if other != n:
                hidden += _shared(candidates, sizes[n], corners[other], sizes[other])
                hidden += _crossing(centres[n], candidates, sizes[n], corners[other], sizes[other])
                hidden += _crossing(centres[other], corners[other], sizes[other], candidates, sizes[n])
        corners[n] = candidates[np.argmin(hidden)]
    return corners


def _around(centre: Floats, radius: float, size: Floats) -> Floats:
    """Corners of labels whose nearest point to the bubble's centre lies in each direction, nearest gaps first."""
    units = np.stack([np.cos(DIRECTIONS), np.sin(DIRECTIONS)], axis=1)
    # Beside the bubble a label is centred on it; diagonally it begins at its own corner.
    aligned = centre - size / 2 + np.where(np.abs(units) < 0.1, 0.0, np.sign(units)) * size / 2
    return np.concatenate([aligned + (radius + gap) * units for gap in GAPS])


def _beyond(corners: Floats, size: Floats, low: Floats, high: Floats) -> Floats:
    """How far labels leave the frame, weighed so that it is the last thing to happen."""
    outside: Floats = np.maximum(low - corners, 0).sum(axis=1) + np.maximum(corners + size - high, 0).sum(axis=1)
    return 1e6 * outside


def _on_bubbles(corners: Floats, size: Floats, centres: Floats, radii: Floats) -> Floats:
    """How deep bubbles reach into labels, weighed as an area."""
    nearest = np.clip(centres, corners[:, None], corners[:, None] + size)
    depth = radii + MARGIN - np.linalg.norm(nearest - centres, axis=-1)
    covered: Floats = np.maximum(depth, 0).sum(axis=1)
    return 10 * covered


def _shared(corners: Floats, size: Floats, corner: Floats, other_size: Floats) -> Floats:
    """The area that labels share with one that stands."""
    high = np.minimum(corners + size, corner + other_size) + MARGIN
    area: Floats = np.maximum(high - np.maximum(corners, corner), 0).prod(axis=1)
    return area


def _crossing(centre: Floats, corners: Floats, size: Floats, others: Floats, other_size: Floats) -> Floats:
    """How much of the way from a bubble's centre to its label leads through another label, for each of either."""
    ends = np.clip(centre, corners, corners + size)
    way = centre + np.linspace(0, 1, 16)[:, None, None] * (np.atleast_2d(ends) - centre)  # 16, candidates or 1, 2
    inside: Floats = ((way >= others) & (way <= others + other_size)).all(axis=-1).mean(axis=0)
    return 100 * inside
