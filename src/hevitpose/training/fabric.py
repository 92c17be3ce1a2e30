"""Device, precision and processes of a training run."""

import atexit
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import nn

from hevitpose.core.errors import DeviceError
from hevitpose.models import cpu

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "bf16", "fp32"]
COLLECTIVE_TIMEOUT = timedelta(minutes=2)
"""A process that waits longer for the others fails instead of hanging."""
CROPPING_TIMEOUT = timedelta(days=2)
"""The other processes wait this long for the first one's crops: a large set on a slow disk takes hours."""
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hardware:
    """Where a run is computed; none of it changes the recipe.

    Args:
        device: "auto" is the first accelerator, or the CPU.
        precision: "auto" is bfloat16 with float32 weights if that is faster on the device, else float32.
        compile: compile the network (torch.compile).
        micro_batch_size: persons per forward pass of a process. Larger batches are accumulated; batch norms then see
            one pass at a time.
        crops: folder for the cached crops, which are mapped into memory and reused by later runs. By default crops
            are in memory, or in the run's folder if they would fill half of it.
        checkpoint_minutes: time between two checkpoints within an epoch.
    """

    device: Device = "auto"
    precision: Precision = "auto"
    compile: bool = False
    micro_batch_size: int | None = None
    crops: Path | None = None
    checkpoint_minutes: float = 5.0


AUTO = Hardware()


def make_fabric(hardware: Hardware) -> Fabric:
    """Fabric on this hardware, for the processes that torchrun started; logs device and precision.

    Raises DeviceError if there is no such device.
    """
    try:
        fabric = Fabric(accelerator=hardware.device, precision="32-true", **process_arguments())
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"`device={hardware.device}`", f"cannot be used ({reason})") from error
    device = fabric.device.type
    bfloat16 = uses_bfloat16(hardware.precision, device)
    if bfloat16:
        fabric = Fabric(accelerator=hardware.device, precision="bf16-mixed", **process_arguments())
    if device == "cpu":
        cpu.keep_freed_memory()
    fabric.launch()
    if dist.is_initialized():
        atexit.register(_leave)
    if fabric.is_global_zero:
        found = " (no GPU was found)" if hardware.device == "auto" and device == "cpu" else ""
        chosen = ", which is faster on this device" if hardware.precision == "auto" else ""
        LOGGER.info("device: %s%s; %s%s", device, found, "bfloat16" if bfloat16 else "float32", chosen)
    return fabric


def uses_bfloat16(precision: Precision, device: str) -> bool:
    """Whether networks run in bfloat16: "auto" means where it is faster."""
    if precision == "auto":
        return cpu.prefers_bfloat16() if device == "cpu" else device == "cuda"
    return precision == "bf16"


def process_arguments() -> dict[str, Any]:
    """Fabric's arguments for the processes that torchrun's environment describes; one process without it."""
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        return {"devices": 1}
    return {"devices": local, "num_nodes": world // local, "strategy": DDPStrategy(timeout=COLLECTIVE_TIMEOUT)}


def _leave() -> None:
    """Leave the process group before the interpreter ends: gloo's threads would otherwise abort the process."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_first_process() -> bool:
    """Whether this is the only process, or the first of torchrun's, which writes and prints for all."""
    return os.environ.get("RANK", "0") == "0"


def is_only_process() -> bool:
    """Whether no other process takes part."""
    return os.environ.get("WORLD_SIZE", "1") == "1"


@contextmanager
def first_process_first() -> Iterator[None]:
    """The first process runs this context alone, and the others after it."""
    if not dist.is_initialized():
        yield
        return
    group = dist.new_group(timeout=CROPPING_TIMEOUT, backend="gloo")
    if dist.get_rank():
        dist.barrier(group)
    yield
    if not dist.get_rank():
        dist.barrier(group)
    dist.destroy_process_group(group)


def gather(part: Any) -> list[Any]:
    """The `part` of each process, in the order of their ranks."""
    if not dist.is_initialized():
        return [part]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, part)
    return parts


def synchronize_batch_norms(network: nn.Module, fabric: Fabric) -> nn.Module:
    """The network with batch norms over the batches of all processes, on GPUs only.

    torch synchronises batch norms on CUDA alone: each process on a CPU normalises its own part of the batch, as one
    process with a `micro_batch_size` of that part does. The first process's running statistics are then those of all.
    """
    if fabric.world_size == 1 or fabric.device.type != "cuda":
        return network
    synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return synced


def share_buffers(network: nn.Module) -> None:
    """Give every process the first one's running statistics."""
    if dist.is_initialized():
        for buffer in network.buffers():
            dist.broadcast(buffer, src=0)
