"""Device, precision and processes of a training run."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lightning_fabric import Fabric

from hevitpose.core.errors import DeviceError
from hevitpose.models import cpu
from hevitpose.training import distributed

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True)
class Hardware:
    """Where and how fast, never what: "auto" takes the first accelerator, and bfloat16 where it is native.

    `micro_batch_size`: persons per forward pass of a process. A larger batch is accumulated, and batch norms then take
    their statistics over one pass. `crops`: folder for the cached crops, which are then mapped into
    memory and found again by the next run; without it they are in memory, or in the run's folder where they would
    fill half of the memory.
    """

    device: Device = "auto"
    precision: Precision = "auto"
    compile: bool = False
    micro_batch_size: int | None = None
    crops: Path | None = None
    checkpoint_minutes: float = 5.0


AUTO = Hardware()
LOGGER = logging.getLogger(__name__)


def make_fabric(hardware: Hardware) -> Fabric:
    """Fabric on this hardware; says on standard error what "auto" took and why.

    "auto" is bfloat16 with float32 weights where the device multiplies it itself. Raises InputError where there is no
    such device.
    """
    try:
        fabric = Fabric(accelerator=hardware.device, precision="32-true", **distributed.processes())
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"`device={hardware.device}`", f"cannot be used ({reason})") from error
    device = fabric.device.type
    native = cpu.supports_bfloat16() if device == "cpu" else device == "cuda"
    bfloat16 = hardware.precision == "bf16" or (hardware.precision == "auto" and native)
    if bfloat16:
        fabric = Fabric(accelerator=hardware.device, precision="bf16-mixed", **distributed.processes())
    if device == "cpu":
        cpu.keep_freed_memory()
    fabric.launch()
    distributed.leave_at_exit()
    if fabric.is_global_zero:
        found = " (no GPU was found)" if hardware.device == "auto" and device == "cpu" else ""
        why = "" if hardware.precision != "auto" else f", which this device {'multiplies' if native else 'prefers'}"
        LOGGER.info("device: %s%s; %s%s", device, found, "bfloat16" if bfloat16 else "float32", why)
    return fabric
