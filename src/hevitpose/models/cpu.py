"""Three workarounds for slow spots of PyTorch on CPUs, which change speed and rounding only.

benchmarks/training.py measures each.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def supports_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively (AVX-512 BF16 or AMX); emulation is slower than float32."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001 - not public yet


@cache
def prefers_bfloat16() -> bool:
    """Whether a convolution's two passes are faster in bfloat16 than in float32 here, as measured in some 50 ms.

    Without AMX, Intel's processors multiply bfloat16 natively, but no faster than float32.
    """
    if not supports_bfloat16():
        return False
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    images, kernels = torch.ones(4, 128, 24, 24), torch.ones(256, 128, 1, 1)
    for _ in range(6):  # the first ones are slower in both
        for dtype, times in seconds.items():
            x, weight = images.to(dtype, memory_format=torch.channels_last), kernels.to(dtype)
            started = time.perf_counter()
            y = F.conv2d(x.requires_grad_(), weight.requires_grad_())
            torch.autograd.grad(y, (x, weight), torch.ones_like(y))
            times.append(time.perf_counter() - started)
    return min(seconds[torch.bfloat16]) < min(seconds[torch.float32])


def keep_freed_memory() -> None:
    """Stop glibc from returning large buffers to the system after every step, which costs page faults in the next."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_top_pad, 2**28)


def fast_kernels(device: torch.device) -> AbstractContextManager[object]:
    """The workarounds that pay off on this device, as a context."""
    return FastKernels() if device.type == "cpu" else nullcontext()


class FastKernels(TorchFunctionMode):
    """Context in which attention is written out, and strided and large depthwise convolutions run in float32.

    In bfloat16, the backward passes of the fused attention and of these convolutions are several times slower.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.scaled_dot_product_attention and len(args) == 3 and _all_default(kwargs or {}):
            return _attention(*args)
        # nn.Conv2d passes images, weight, bias, stride, padding, dilation and groups.
        depthwise = func is F.conv2d and len(args) == 7 and args[6] == args[0].shape[1]
        if depthwise and (max(args[3]) > 1 or max(args[1].shape[2:]) > 3):
            with torch.autocast("cpu", enabled=False):
                return func(args[0].float(), *args[1:])
        return func(*args, **(kwargs or {}))


def _all_default(kwargs: Mapping[str, Any]) -> bool:
    """Whether attention is called without a mask, dropout and the like."""
    return not any(isinstance(value, Tensor) or value for value in kwargs.values())


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = (query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)).softmax(dim=-1)
    attended: Tensor = weights.to(value.dtype) @ value
    return attended
