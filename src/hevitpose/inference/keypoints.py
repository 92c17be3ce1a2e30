"""From crops to joints: the part of prediction that evaluation shares."""

from collections.abc import Sequence

import numpy as np

from hevitpose.core import geometry
from hevitpose.core.geometry import Floats
from hevitpose.core.heatmap import EDGES, Codec
from hevitpose.data.crops import Crops
from hevitpose.inference.backends import Backend, KeypointFn


def predict_keypoints(
    backend: Backend,
    crops: Crops,
    batch_size: int,
    mirror: Sequence[int] | None = None,
    codec: Codec = EDGES,
    decoded: KeypointFn | None = None,
) -> tuple[Floats, Floats]:
    """Joints (N, K, 2) in image pixels and scores (N, K) in [0, 1] of one person in each crop.

    With `mirror`, the partners of the skeleton, heatmaps are averaged with those of the mirrored crop (flip test);
    without, `decoded` gives joints at once.
    """
    points, scores = [], []
    for start in range(0, len(crops.pixels), batch_size):
        pixels = crops.pixels[start : start + batch_size]
        if mirror is None and decoded:
            in_crop, peaks = decoded(pixels)
        else:
            heatmaps = backend(pixels)
            if mirror is not None:
                heatmaps = codec.flip_average(heatmaps, backend(pixels[:, :, ::-1]), mirror)
            in_crop, peaks = codec.decode(heatmaps, pixels.shape[1:3])
        points.append(geometry.transform(geometry.inverse(crops.matrices[start : start + batch_size]), in_crop))
        scores.append(peaks)
    if not points:
        return np.zeros((0, 0, 2)), np.zeros((0, 0))
    return np.concatenate(points), np.concatenate(scores)
