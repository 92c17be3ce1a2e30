"""Several processes as one: what torchrun's variables say, batch norms over all of them, results of all of them."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

LONGEST_WAIT = timedelta(minutes=10)
"""A process that waits longer for the others gives up, with an error, rather than hang."""

LONGEST_CUT = timedelta(days=2)
"""The crops of a large set on a slow disk may take hours, for which the others wait."""


def processes() -> dict[str, Any]:
    """Fabric's arguments for the processes that torchrun started; one process without it."""
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        return {"devices": 1}
    return {"devices": local, "num_nodes": world // local, "strategy": DDPStrategy(timeout=LONGEST_WAIT)}


@contextmanager
def first_process_first() -> Iterator[None]:
    """The first process goes through this context alone, however long it takes, and then the others do."""
    if not dist.is_initialized():
        yield
        return
    group = dist.new_group(timeout=LONGEST_CUT, backend="gloo")
    if dist.get_rank():
        dist.barrier(group)
    yield
    if not dist.get_rank():
        dist.barrier(group)
    dist.destroy_process_group(group)


def leave_at_exit() -> None:
    """Let go of the other processes before the interpreter ends.

    gloo's threads would otherwise outlive it, and one that then asks for Python's lock aborts the process.
    """
    if dist.is_initialized():
        atexit.register(_leave)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, on any device (torch's own SyncBatchNorm needs a GPU)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(x)
        count = dist.get_world_size() * x.numel() // x.shape[1]
        values = x.float()
        mean = _sum_over_processes(values.sum((0, 2, 3))) / count
        centered = values - mean.view(1, -1, 1, 1)
        variance = _sum_over_processes(centered.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            momentum = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centered * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)


class _SumOfAll(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:  # noqa: ARG004 - the signature is torch's
        whole = part.clone()
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004 - as above
        return _SumOfAll.forward(None, gradients[0].contiguous())


def _sum_over_processes(part: Tensor) -> Tensor:
    whole: Tensor = _SumOfAll.apply(part)  # type: ignore[no-untyped-call]  # torch has no type for it
    return whole


def synchronize_batch_norms(model: nn.Module) -> None:
    """Let every batch norm of the model take its statistics over all processes."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncedBatchNorm2d


def gathered(part: Any) -> list[Any]:
    """The `part` of each process, in the order of their ranks."""
    if not dist.is_initialized():
        return [part]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, part)
    return parts
