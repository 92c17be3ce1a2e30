import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hevitpose.models import cpu
from hevitpose.models.cpu import FastKernels
from hevitpose.models.hevitpose import HEViTPose
from hevitpose.training.fabric import uses_bfloat16


def small():
    torch.manual_seed(0)
    model = HEViTPose(3, channels=(32, 64, 96), depths=(1, 1, 1))
    for parameter in model.parameters():  # nothing at zero
        nn.init.normal_(parameter, std=0.2)
    return model


def test_the_detours_compute_the_same_heatmaps_and_gradients():
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    results = []
    for detour in (False, True):
        model = small()
        if detour:
            with FastKernels():
                heatmaps = model(images)
        else:
            heatmaps = model(images)
        heatmaps.square().mean().backward()
        results.append([heatmaps, *(p.grad for p in model.parameters())])
    # Of all gradients together: a bias in front of a batch norm has none but rounding errors.
    largest = max(plain.abs().max().item() for plain in results[0][1:])
    for plain, other in zip(*results, strict=True):
        assert torch.allclose(plain, other, rtol=1e-3, atol=1e-5 * largest)


@pytest.mark.parametrize(
    ("conv", "dtype"),
    [
        (nn.Conv2d(8, 8, 3, 2, 1, groups=8), torch.float32),
        (nn.Conv2d(8, 8, 5, 1, 2, groups=8), torch.float32),
        (nn.Conv2d(8, 8, 3, 1, 1, groups=8), torch.bfloat16),
        (nn.Conv2d(8, 8, 5, 1, 2), torch.bfloat16),
        (nn.Conv2d(8, 8, 3, 2, 1), torch.bfloat16),
    ],
)
def test_only_strided_and_large_depthwise_convolutions_leave_bfloat16(conv, dtype):
    with FastKernels(), torch.autocast("cpu", torch.bfloat16):
        assert conv(torch.rand(1, 8, 16, 16)).dtype == dtype


@pytest.mark.parametrize("options", [{}, {"attn_mask": None, "dropout_p": 0.0}, {"attn_mask": torch.randn(20, 5)}])
def test_written_out_attention_is_attention(options):
    query, key, value = (torch.randn(2, 4, n, 8) for n in (20, 5, 5))
    with FastKernels():
        ours = F.scaled_dot_product_attention(query, key, value, **options)
    assert torch.allclose(ours, F.scaled_dot_product_attention(query, key, value, **options), atol=1e-6)


@pytest.mark.parametrize("faster", [torch.float32, torch.bfloat16])
def test_bfloat16_is_preferred_where_it_is_measured_to_be_faster(monkeypatch, faster):
    # Float32 and bfloat16 take turns, and each reads the clock before and after.
    steps = {torch.float32: (0, 2, 0, 3), torch.bfloat16: (0, 3, 0, 2)}[faster]
    clock = itertools.accumulate(itertools.cycle(steps))
    monkeypatch.setattr(cpu.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(cpu, "supports_bfloat16", lambda: True)
    assert cpu.prefers_bfloat16.__wrapped__() is (faster == torch.bfloat16)


def test_automatic_precision_is_the_preferred_one(monkeypatch):
    for preferred in (True, False):
        monkeypatch.setattr(cpu, "prefers_bfloat16", lambda preferred=preferred: preferred)
        assert uses_bfloat16("auto", "cpu") is preferred
    assert uses_bfloat16("bf16", "cpu")
    assert not uses_bfloat16("fp32", "cuda")
