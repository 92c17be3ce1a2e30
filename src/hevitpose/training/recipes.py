"""Everything that decides what a training run computes."""

import re
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from math import cos, pi
from typing import Any, Literal

from hevitpose.core.errors import InputError
from hevitpose.core.facts import NetworkName
from hevitpose.core.heatmap import EDGES, MSRA, Codec
from hevitpose.files.crops import BOX_PADDING
from hevitpose.training.augment import Augmentation

PAPER_CODEC = replace(MSRA, sigma=1.0)


@dataclass(frozen=True)
class InputSize:
    """Height and width of the network's input from the fraction `start` of the epochs on."""

    height: int
    width: int
    start: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """The defaults are the paper's recipe for MPII (docs/deviations.md on its sigma); weight decay is AdamW's.

    "step" multiplies the rate by 0.1 at 170/210 and again at 200/210 of the epochs; "cosine" lets it fall to zero.
    Both begin with `warmup_steps` of linear rise. `batch_size` is that of a step: of all processes, accumulated where a
    device takes fewer at once. With `rate_batch` the rate is meant for a batch of so many and grows with the batch.
    Gradients longer than `largest_gradient` are shortened. The run stops when the first validation set's score has
    not improved for `patience` epochs. `weights` names the trained weights that the network begins with, a file or
    those that ship; without them it begins with random ones.
    """

    model: NetworkName = "t"
    epochs: int = 210
    batch_size: int = 32
    input_sizes: tuple[InputSize, ...] = (InputSize(256, 256),)
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["step", "cosine"] = "step"
    warmup_steps: int = 500
    rate_batch: int | None = None
    largest_gradient: float | None = None
    patience: int | None = None
    ema_decay: float = 0.999
    padding: float = BOX_PADDING
    codec: Codec = PAPER_CODEC
    augmentation: Augmentation = field(default_factory=Augmentation)
    weights: str | None = None
    seed: int = 0

    def input_size(self, epoch: int) -> tuple[int, int]:
        """(height, width) in this epoch, which counts from 0."""
        reached = [s for s in self.input_sizes if epoch >= s.start * self.epochs]
        return reached[-1].height, reached[-1].width

    def work(self, epoch: int, part: float) -> float:
        """The share of the run's work that is done at this `part` of an epoch, by input pixels."""
        pixels = [height * width for height, width in map(self.input_size, range(self.epochs))]
        return (sum(pixels[:epoch]) + part * pixels[epoch]) / sum(pixels)

    def rate(self, step: int, steps_in_all: int) -> float:
        """The learning rate of this step, which counts from 0."""
        progress = step / steps_in_all
        if self.schedule == "step":
            factor = 1.0 if progress < 170 / 210 else 0.1 if progress < 200 / 210 else 0.01
        else:
            factor = (1 + cos(pi * progress)) / 2
        scale = self.batch_size / self.rate_batch if self.rate_batch else 1.0
        return self.learning_rate * scale * factor * min(1.0, (step + 1) / max(1, self.warmup_steps))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def paper_coco() -> Recipe:
    """The paper's for COCO: batch 64, and MMPose 0.29's half bodies and shifted boxes."""
    return Recipe(batch_size=64, augmentation=Augmentation(half_body=0.3, shift=0.16, shift_probability=0.3))


def people16() -> Recipe:
    """The recipe of the shipped `hevitpose_t_people16`."""
    return Recipe(
        epochs=39,
        input_sizes=(InputSize(128, 128), InputSize(192, 192, 0.717), InputSize(256, 256, 0.92)),
        codec=EDGES,
        learning_rate=2e-3,
        weight_decay=0.02,
        schedule="cosine",
        augmentation=Augmentation(scale=0.35),
    )


def parse_sizes(text: str) -> tuple[InputSize, ...]:
    """Input sizes from "256", "256x192" (height x width) or "128,192@0.5,256@0.8" (from that share of the epochs on).

    Raises InputError on another form, a side that is no multiple of 32, or shares that do not rise from 0.
    """
    sizes = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:x(\d+))?(?:@(0?\.\d+|0))?", part.strip())
        if not match:
            raise InputError(f"--size {text}", f"{part!r} is not of the form 256, 256x192 or 192@0.5")
        height, width = int(match[1]), int(match[2] or match[1])
        for side in (height, width):
            if side % 32 or not side:
                low = max(32, side // 32 * 32)
                raise InputError(
                    f"--size {text}", f"{side} is not a multiple of 32; the nearest are {low} and {low + 32}"
                )
        sizes.append(InputSize(height, width, float(match[3] or 0)))
    starts = [s.start for s in sizes]
    if starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
        raise InputError(f"--size {text}", "the first size starts at 0 and each later one at a larger share")
    return tuple(sizes)
