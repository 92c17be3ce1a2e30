import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def as_if_trained():
    """A function that gives a network random weights, norms and statistics: heatmaps go up to about 1."""

    def randomize(model):
        torch.manual_seed(0)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_var, 0.5, 1.5)
                nn.init.normal_(module.running_mean, std=0.1)
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                nn.init.uniform_(module.weight, 0.5, 1.0)
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
            if getattr(module, "bias", None) is not None:
                nn.init.normal_(module.bias, std=0.1)
        with torch.no_grad():
            highest = model.eval()(torch.randn(2, 3, 64, 64)).abs().max()
            model.head[-1].weight /= highest
            model.head[-1].bias /= highest
        return model

    return randomize
