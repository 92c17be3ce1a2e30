"""ONNX nodes that decode heatmaps as core/heatmap.py and core/geometry.py do."""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from hevitpose.core.geometry import STRIDE
from hevitpose.core.heatmap import BLUR_REACH, BLUR_SIGMA, Codec
from hevitpose.export.graph import Graph


def decode(graph: Graph, heatmaps: str, codec: Codec) -> tuple[str, str]:
    """Joints (N, K, 2) in pixels of the crop (4h, 4w) and scores (N, K) in [0, 1] from heatmaps (N, K, h, w)."""
    of_rows = graph.op("ReduceMax", heatmaps, graph.integers(3), keepdims=0)
    y = graph.op("ArgMax", of_rows, axis=2, keepdims=1)  # the first of several highest cells, as NumPy's argmax
    x = graph.op("ArgMax", graph.op("GatherND", heatmaps, y, batch_dims=2), axis=2, keepdims=1)
    peak = graph.op("Concat", x, y, axis=2)
    sides = graph.op("Gather", graph.op("Shape", heatmaps), graph.integers(3, 2))  # w, h
    cells = graph.op("Cast", peak, to=TensorProto.FLOAT)
    if codec.refine == "quarter":
        step = graph.op("Mul", _quarter(graph, heatmaps, x, y), _inside(graph, peak, sides, margin=1))
        cells = graph.op("Add", cells, step)
    elif codec.refine == "dark":
        inside = graph.op("ReduceMin", _inside(graph, peak, sides, margin=2), graph.integers(2))
        cells = graph.op("Add", cells, graph.op("Mul", _dark(graph, heatmaps, x, y), inside))
    highest = graph.op("ReduceMax", of_rows, graph.integers(2), keepdims=0)
    scores = graph.op("Clip", highest, graph.constant(0.0), graph.constant(1.0))
    return _pixels(graph, cells, sides, codec), scores


def flip_average(graph: Graph, heatmaps: str, of_mirrored: str, partners: Sequence[int], codec: Codec) -> str:
    """The average of the flip test (N, K, h, w), as `Codec.flip_average`."""
    partners_of = graph.op("Gather", of_mirrored, graph.integers(*partners), axis=1)
    back = mirror(graph, partners_of, axis=3)
    if shift := codec.flip_shift:
        start, axis = graph.integers(0), graph.integers(3)
        first, rest = (graph.op("Slice", back, start, graph.integers(end), axis) for end in (shift, -shift))
        back = graph.op("Concat", first, rest, axis=3)
    return graph.op("Mul", graph.op("Add", heatmaps, back), graph.constant(0.5))


def mirror(graph: Graph, x: str, axis: int) -> str:
    """The array with one axis reversed."""
    last, before_first = graph.integers(-1), graph.integers(np.iinfo(np.int64).min)
    return graph.op("Slice", x, last, before_first, graph.integers(axis), graph.integers(-1))


def _pixels(graph: Graph, cells: str, sides: str, codec: Codec) -> str:
    """Cells (N, K, 2) to pixels of the crop."""
    if codec.alignment == "pixel centers":
        cells_across = graph.op("Cast", sides, to=TensorProto.FLOAT)
        gaps = graph.op("Sub", cells_across, graph.constant(1.0))
        pixel_gaps = graph.op("Sub", graph.op("Mul", cells_across, graph.constant(STRIDE)), graph.constant(1.0))
        return graph.op("Mul", cells, graph.op("Div", pixel_gaps, gaps))
    pixels = graph.op("Mul", cells, graph.constant(STRIDE))
    return graph.op("Add", pixels, graph.constant((STRIDE - 1) / 2)) if codec.alignment == "edges" else pixels


def _quarter(graph: Graph, heatmaps: str, x: str, y: str) -> str:
    """The offset (N, K, 2) of a quarter cell towards the higher neighbour."""
    slopes = np.zeros((3, 3, 2))
    slopes[[2, 0], 1, 0] = slopes[1, [2, 0], 1] = 1, -1
    around = graph.op("Reshape", _around(graph, heatmaps, x, y, 1), graph.integers(0, 0, 9))
    slope = graph.op("MatMul", around, graph.constant(slopes.reshape(9, 2)))
    return graph.op("Mul", graph.op("Sign", slope), graph.constant(0.25))


def _dark(graph: Graph, heatmaps: str, x: str, y: str) -> str:
    """Newton's step (N, K, 2) to the maximum of the smoothed map's logarithm; 0 where it has none."""
    gaussian = np.exp(-(np.arange(-BLUR_REACH, BLUR_REACH + 1) ** 2) / (2 * BLUR_SIGMA**2))
    blur = np.stack([np.pad(gaussian, (row, 4 - row)) for row in range(5)])
    windows = _around(graph, heatmaps, x, y, BLUR_REACH + 2)
    smooth = graph.op("MatMul", graph.op("MatMul", graph.constant(blur), windows), graph.constant(blur.T))
    smooth = graph.op("Reshape", smooth, graph.integers(0, 0, 25))
    log = graph.op("Log", graph.op("Clip", smooth, graph.constant(1e-10)))
    derivatives = graph.op("MatMul", log, graph.constant(_derivatives()))
    dx, dy, xx, yy, xy = graph.ops("Split", derivatives, outputs=5, axis=2, num_outputs=5)

    def determinant(a: str, b: str, c: str, d: str) -> str:
        return graph.op("Sub", graph.op("Mul", a, d), graph.op("Mul", b, c))

    curvature, zero = determinant(xx, xy, xy, yy), graph.constant(0.0)
    usable = graph.op("And", graph.op("Greater", curvature, zero), graph.op("Less", xx, zero))
    step = graph.op("Concat", determinant(xy, yy, dx, dy), determinant(xy, xx, dy, dx), axis=2)
    step = graph.op("Div", step, graph.op("Where", usable, curvature, graph.constant(1.0)))
    step = graph.op("Clip", step, graph.constant(-1.0), graph.constant(1.0))
    return graph.op("Mul", step, graph.op("Cast", usable, to=TensorProto.FLOAT))


def _derivatives() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Weights (25, 5) of the 5 x 5 cells around a peak, x before y, in d/dx, d/dy, dxx, dyy and dxy."""
    taps = np.zeros((5, 5, 5))
    taps[[3, 1], 2, 0] = taps[2, [3, 1], 1] = 1 / 2, -1 / 2
    taps[[4, 2, 0], 2, 2] = taps[2, [4, 2, 0], 3] = 1 / 4, -1 / 2, 1 / 4
    taps[[3, 1, 3, 1], [3, 3, 1, 1], 4] = 1 / 4, -1 / 4, -1 / 4, 1 / 4
    return taps.reshape(25, 5)


def _around(graph: Graph, heatmaps: str, x: str, y: str, reach: int) -> str:
    """The cells around (x, y) of each heatmap, (N, K, 2 reach + 1, 2 reach + 1), x before y; 0 outside."""
    padded = graph.op("Pad", heatmaps, graph.integers(0, 0, reach, reach, 0, 0, reach, reach))
    steps = graph.integers(*range(2 * reach + 1))
    rows, columns = (graph.op("Unsqueeze", graph.op("Add", at, steps), graph.integers(3)) for at in (y, x))
    strip = graph.op("Transpose", graph.op("GatherND", padded, rows, batch_dims=2), perm=[0, 1, 3, 2])
    return graph.op("GatherND", strip, columns, batch_dims=2)


def _inside(graph: Graph, peak: str, sides: str, margin: int) -> str:
    """(N, K, 2): 1 where x, and y, is at least `margin` cells from the border, else 0."""
    near = graph.op("GreaterOrEqual", peak, graph.integers(margin))
    far = graph.op("Less", peak, graph.op("Sub", sides, graph.integers(margin)))
    return graph.op("Cast", graph.op("And", near, far), to=TensorProto.FLOAT)
