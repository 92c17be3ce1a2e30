"""From crops to keypoints: the one batcher of prediction, evaluation, validation and quantisation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hevitpose.core import geometry
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import Floats
from hevitpose.inference.network import Network
from hevitpose.io import images
from hevitpose.io.images import Image

MIN_PADDING, MAX_PADDING = 0.1, 10
"""Smaller boxes show a spot of a person, and larger ones a spot of a crop."""


class KeypointPredictor:
    """Predicts the keypoints of the person in each crop, `batch_size` crops per call of the network.

    With `flip_test`, heatmaps are averaged with those of the mirrored crop; without effect for keypoints that have no
    mirror partners and for graphs that do it themselves. `padding` grows boxes, by default as in training.
    """

    def __init__(
        self, network: Network, flip_test: bool = False, batch_size: int = 16, padding: float | None = None
    ) -> None:
        if batch_size < 1:
            raise InputError(f"`batch_size={batch_size}`", "must be 1 or more")
        if padding is not None and not MIN_PADDING <= padding <= MAX_PADDING:
            raise InputError(f"`padding={padding}`", f"must lie between {MIN_PADDING} and {MAX_PADDING}")
        config = network.config
        self.network, self.batch_size = network, batch_size
        self.padding = config.padding if padding is None else padding
        self.flips = flip_test and config.skeleton.flips and not config.flip_test

    def in_boxes(self, of: Sequence[Image], boxes: Floats, padding: float | None = None) -> tuple[Floats, Floats]:
        """Keypoints (N, K, 2) in image pixels and scores (N, K) in boxes (N, 4), `of` one image per box.

        Only `batch_size` crops are in memory at a time, whatever images they come from.
        """
        height, width = self.network.config.input_size
        padded = geometry.crop_box(boxes, self.padding if padding is None else padding, width / height)
        matrices = geometry.crop_matrix(padded, (height, width))
        found = []
        for start in range(0, len(of), self.batch_size):
            batch = slice(start, start + self.batch_size)
            crops = [
                images.cut(image, matrix, (height, width))
                for image, matrix in zip(of[batch], matrices[batch], strict=True)
            ]
            found.append(self._batch(np.stack(crops), matrices[batch]))
        return self._joined(found)

    def in_crops(self, crops: NDArray[np.uint8], matrices: Floats) -> tuple[Floats, Floats]:
        """Keypoints (N, K, 2) in image pixels and scores (N, K) in crops (N, h, w, 3) that `matrices` (N, 2, 3) cut."""
        starts = range(0, len(crops), self.batch_size)
        batches = [slice(start, start + self.batch_size) for start in starts]
        return self._joined([self._batch(crops[batch], matrices[batch]) for batch in batches])

    def _batch(self, crops: NDArray[np.uint8], matrices: Floats) -> tuple[Floats, Floats]:
        network, codec = self.network, self.network.config.codec
        if network.keypoint_fn and not self.flips:
            joints, scores = network.keypoint_fn(crops)
        else:
            heatmaps = network.heatmap_fn(crops)
            if self.flips:
                mirrored = network.heatmap_fn(crops[:, :, ::-1])
                heatmaps = codec.flip_average(heatmaps, mirrored, network.config.skeleton.mirror)
            joints, scores = codec.decode(heatmaps, crops.shape[1:3])
        return geometry.transform(geometry.inverse(matrices), joints), scores

    def _joined(self, batches: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
        keypoints = self.network.config.skeleton.num_keypoints
        if not batches:
            return np.zeros((0, keypoints, 2)), np.zeros((0, keypoints))
        joints, scores = zip(*batches, strict=True)
        return np.concatenate(joints), np.concatenate(scores)
