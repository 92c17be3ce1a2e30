"""Heatmap targets and the loss, on the device."""

import torch
from torch import Tensor

REACH = 3
"""Joints further outside the heatmap than this many sigmas are ignored (MSRA's rule)."""


def heatmap_targets(
    joints_cells: Tensor, labelled: Tensor, size_hw: tuple[int, int], sigma: float
) -> tuple[Tensor, Tensor]:
    """Heatmaps (N, K, h, w) of joints (N, K, 2) in cells, as `core.heatmap.encode`, and their weights (N, K).

    The weight is 1, or 0 for a joint that is not labelled (N, K) or lies out of reach.
    """
    height, width = size_hw
    device = joints_cells.device
    x, y = joints_cells[..., 0, None], joints_cells[..., 1, None]
    along_x = torch.exp(-((torch.arange(width, device=device) - x) ** 2) / (2 * sigma**2))
    along_y = torch.exp(-((torch.arange(height, device=device) - y) ** 2) / (2 * sigma**2))
    limit = torch.tensor([width - 1, height - 1], device=device) + REACH * sigma
    within = ((joints_cells >= -REACH * sigma) & (joints_cells <= limit)).all(dim=-1)
    return along_y[..., :, None] * along_x[..., None, :], (labelled & within).float()


def heatmap_loss(heatmaps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean square error in fp32 over (N, K, h, w); joints of weight (N, K) zero count as exact."""
    return ((heatmaps.float() - targets).square().mean(dim=(2, 3)) * weights).mean()
