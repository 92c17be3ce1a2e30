"""Training recipes: everything that decides what a run computes."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from math import cos, pi
from typing import Any, Literal

from hevitpose.core.architecture import PLAIN, NetworkName, Variant, parse_network
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import BOX_PADDING, INPUT_MULTIPLE
from hevitpose.core.heatmap import CODECS, EDGES, MSRA, Codec
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.training.augment import Augmentation
from hevitpose.training.run import with_new_names

TIMM = "timm"
"""The value of `Recipe.imagenet` that downloads timm's weights for the network's backbone."""
PAPER_CODEC = replace(MSRA, sigma=1.0)
SETTINGS = ("codec", "sigma", "learning_rate", "batch_size")
"""What a network's name may change of a recipe, beside the fields of `Variant`: t:sigma=1."""


@dataclass(frozen=True)
class InputSize:
    """Height and width of the network's input, from the share `start` of the epochs on."""

    height: int
    width: int
    start: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """A recipe; the defaults are the paper's for MPII (docs/deviations.md on its sigma). The optimizer is AdamW.

    Args:
        model: the network; `variant` says how it differs from the one of that name.
        epochs: passes over the training set.
        batch_size: persons per step, in all processes and micro-batches together.
        input_sizes: the schedule of input sizes.
        learning_rate: after `warmup_steps` of linear warmup, or a tenth of the run where that is less.
        weight_decay: of matrices and kernels.
        schedule: "step" multiplies the learning rate by 0.1 at 170/210 and at 200/210 of the epochs; "cosine" lowers it
            to zero.
        base_batch_size: the batch size that `learning_rate` is meant for; it scales linearly to `batch_size`.
        grad_clip_norm: the largest norm of the gradient.
        patience: stop after this many epochs without a better score on the first validation set.
        ema_decay: of the moving average of the weights.
        padding: of a person's box.
        codec: between joints and heatmaps.
        augmentation: of training crops.
        weights: trained weights to start from, a file or bundled ones.
        seed: of initial weights, order and augmentation.
        imagenet: weights of the backbone to start from, a file or `TIMM`.
    """

    model: NetworkName = "t"
    epochs: int = 210
    batch_size: int = 32
    input_sizes: tuple[InputSize, ...] = (InputSize(256, 256),)
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["step", "cosine"] = "step"
    warmup_steps: int = 500
    base_batch_size: int | None = None
    grad_clip_norm: float | None = None
    patience: int | None = None
    ema_decay: float = 0.999
    padding: float = BOX_PADDING
    codec: Codec = PAPER_CODEC
    augmentation: Augmentation = field(default_factory=Augmentation)
    weights: str | None = None
    seed: int = 0
    variant: Variant = PLAIN
    imagenet: str | None = None

    def input_size(self, epoch: int) -> tuple[int, int]:
        """(height, width) in this epoch, counted from 0."""
        reached = [s for s in self.input_sizes if epoch >= s.start * self.epochs]
        return reached[-1].height, reached[-1].width

    def work(self, epoch: int, part: float) -> float:
        """The share of the run that is done after a `part` of this epoch, measured in input pixels."""
        pixels = [height * width for height, width in map(self.input_size, range(self.epochs))]
        return (sum(pixels[:epoch]) + part * pixels[epoch]) / sum(pixels)

    def learning_rate_at(self, step: int, total_steps: int) -> float:
        """The learning rate of this step, counted from 0."""
        progress = step / total_steps
        if self.schedule == "step":
            factor = 1.0 if progress < 170 / 210 else 0.1 if progress < 200 / 210 else 0.01
        else:
            factor = (1 + cos(pi * progress)) / 2
        scale = self.batch_size / self.base_batch_size if self.base_batch_size else 1.0
        return self.learning_rate * scale * factor * min(1.0, (step + 1) / max(1, self.warmup(total_steps)))

    def warmup(self, total_steps: int) -> int:
        """Steps of warmup in a run of so many: at most a tenth."""
        return min(self.warmup_steps, total_steps // 10)

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"variant": str(self.variant) or None}


PAPER = Recipe()
PAPER_COCO = Recipe(batch_size=64, augmentation=Augmentation(half_body=0.3, shift=0.16, shift_probability=0.3))
"""The paper's recipe for COCO: batch 64, with half bodies and shifted boxes as in MMPose 0.29."""
MMPOSE = Recipe(batch_size=64, learning_rate=5e-4, base_batch_size=512, codec=MSRA)
"""MMPose 0.29's recipe for MPII: sigma 2, and a learning rate of 5e-4 for eight GPUs with 64 persons each."""
PEOPLE16 = Recipe(
    epochs=39,
    input_sizes=(InputSize(128, 128), InputSize(192, 192, 0.717), InputSize(256, 256, 0.92)),
    codec=EDGES,
    learning_rate=2e-3,
    weight_decay=0.02,
    schedule="cosine",
    augmentation=Augmentation(scale=0.35),
)
"""The recipe of the bundled `hevitpose_t_people16`, but for the learning rate of its first epochs (its card)."""
RECIPES = {
    "paper": PAPER,
    "paper-coco": PAPER_COCO,
    "mpii": PAPER,
    "coco": PAPER_COCO,
    "mpii-mmpose": MMPOSE,
    "coco-mmpose": replace(MMPOSE, augmentation=PAPER_COCO.augmentation),
    "people16": PEOPLE16,
}


def skeleton_of(name: str) -> Skeleton:
    """The skeleton that the recipe of this name is meant for."""
    return COCO17 if "coco" in name.partition("/")[0] else MPII16


def make_recipe(
    name: str | Recipe,
    model: str | None = None,
    size: str | None = None,
    codec: str | None = None,
    sigma: float | None = None,
    shift: float | None = None,
    **changes: Any,
) -> Recipe:
    """The recipe of this name, for `model` if the name has none, with every argument that is not None.

    Args:
        name: "mpii", or with a network "mpii/hrnet_w32"; or a recipe.
        model: the network with its settings, see `with_network`.
        size: the input sizes, see `parse_sizes`.
        codec: a name of `CODECS`.
        sigma: of the codec.
        shift: probability of shifting a box as far as the COCO recipes do.
        **changes: fields of `Recipe` and of `Augmentation`.

    Raises InputError.
    """
    recipe = name if isinstance(name, Recipe) else recipe_by_name(name)
    if model:
        if isinstance(name, str) and "/" in name:
            raise InputError(f"`model={model}`", f"the recipe {name} names its network")
        recipe = with_network(recipe, model, f"`model={model}`")
    for parameter, value in {"sigma": sigma, "shift": shift, **changes}.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"`{parameter}={value}`", "must be a finite number")
    recipe = with_codec(recipe, codec, sigma)
    if shift is not None:
        changes |= {"shift": PAPER_COCO.augmentation.shift, "shift_probability": shift}
    changes = {name: value for name, value in changes.items() if value is not None}
    if {"weights", "imagenet"} <= changes.keys():
        raise InputError("`weights`", "cannot be combined with `imagenet`")
    views = {name: changes.pop(name) for name in vars(recipe.augmentation) if name in changes}
    sizes = parse_sizes(size) if size else recipe.input_sizes
    return replace(recipe, augmentation=replace(recipe.augmentation, **views), input_sizes=sizes, **changes)


def recipe_by_name(name: str) -> Recipe:
    """The recipe `SET` of `RECIPES`, or `SET/NETWORK` with a network as `with_network` takes it. Raises InputError."""
    base, slash, model = name.partition("/")
    if base not in RECIPES:
        raise InputError(f"`recipe={name}`", f"no such recipe (known: {', '.join(RECIPES)}, each also SET/NETWORK)")
    return with_network(RECIPES[base], model, f"`recipe={name}`") if slash else RECIPES[base]


def with_network(recipe: Recipe, text: str, source: str) -> Recipe:
    """The recipe for a network: a name, an alias (`b-g222`), or with settings `t:shared_weights=false:sigma=1`.

    Settings are the fields of `Variant` and `SETTINGS`. Raises InputError, about `source`.
    """
    model, variant, others = parse_network(text, source, SETTINGS)
    recipe = replace(recipe, model=model, variant=variant)
    for name, value in others.items():
        recipe = _with(recipe, name, value, source)
    return recipe


def difference(theirs: Mapping[str, Any], recipe: Recipe) -> str | None:
    """The first setting of a recipe's JSON that differs from `recipe`: "epochs = 3, not 5"."""
    theirs = with_new_names(theirs)
    for key, ours in json.loads(json.dumps(recipe.as_json())).items():
        if theirs.get(key) != ours:
            return f"{key} = {theirs.get(key)}, not {ours}"
    return None


def with_codec(recipe: Recipe, name: str | None, sigma: float | None = None) -> Recipe:
    """The recipe with another codec of `CODECS`, or sigma, or both."""
    base = CODECS[name] if name else recipe.codec
    return replace(recipe, codec=replace(base, sigma=sigma or recipe.codec.sigma))


def _with(recipe: Recipe, name: str, text: str, source: str) -> Recipe:
    if name == "codec":
        if text not in CODECS:
            raise InputError(source, f"codec must be one of {', '.join(CODECS)}, not {text!r}")
        return with_codec(recipe, text)
    if (
        not re.fullmatch(r"\d+" if name == "batch_size" else r"\d*\.?\d+(e-?\d+)?", text)
        or not 0 < float(text) < math.inf
    ):
        raise InputError(source, f"{name} must be a number above 0, not {text!r}")
    if name == "sigma":
        return with_codec(recipe, None, float(text))
    if name == "learning_rate":
        return replace(recipe, learning_rate=float(text))
    return replace(recipe, batch_size=int(text))


def parse_sizes(text: str) -> tuple[InputSize, ...]:
    """Input sizes from "256", "256x192" (height x width) or "128,192@0.5,256@0.8" (from that share of the epochs on).

    Raises InputError for other text, sides that are not multiples of 32, and shares that do not rise from 0.
    """
    sizes = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:x(\d+))?(?:@(0?\.\d+|0))?", part.strip())
        if not match:
            raise InputError(f"`size={text}`", f"{part!r} is not of the form 256, 256x192 or 192@0.5")
        height, width = int(match[1]), int(match[2] or match[1])
        for side in (height, width):
            if side % INPUT_MULTIPLE or not side:
                low = max(1, side // INPUT_MULTIPLE) * INPUT_MULTIPLE
                raise InputError(
                    f"`size={text}`",
                    f"{side} is not a multiple of 32; the nearest are {low} and {low + INPUT_MULTIPLE}",
                )
        sizes.append(InputSize(height, width, float(match[3] or 0)))
    starts = [s.start for s in sizes]
    if starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
        raise InputError(f"`size={text}`", "the first size starts at 0 and each later one at a larger share")
    return tuple(sizes)
