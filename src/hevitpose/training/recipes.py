"""Everything that decides what a training run computes."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from math import cos, pi
from typing import Any, Literal

from hevitpose.core.architecture import PLAIN, NetworkName, Variant, parse_network
from hevitpose.core.errors import InputError
from hevitpose.core.geometry import BOX_PADDING
from hevitpose.core.heatmap import CODECS, EDGES, MSRA, Codec
from hevitpose.core.skeleton import COCO17, MPII16, Skeleton
from hevitpose.training.augment import Augmentation

TIMM = "timm"
"""As `Recipe.imagenet`: what timm publishes for the network's backbone."""
PAPER_CODEC = replace(MSRA, sigma=1.0)
SETTINGS = ("codec", "sigma", "rate", "batch_size")
"""What a network's name may change of a recipe, beside the fields of `Variant`: t:sigma=1."""


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
    device takes fewer at once. With `base_batch_size` the learning rate is meant for that batch and scales linearly.
    Gradients longer than `grad_clip_norm` are shortened. The run stops when the first validation set's score has
    not improved for `patience` epochs. `weights` names the trained weights that the network begins with, a file or
    those that ship; `imagenet` those of its backbone, a file or `TIMM`. Without either it
    begins with random ones.
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
        scale = self.batch_size / self.base_batch_size if self.base_batch_size else 1.0
        return self.learning_rate * scale * factor * min(1.0, (step + 1) / max(1, self.warmup_steps))

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"variant": str(self.variant) or None}


def paper() -> Recipe:
    """The paper's for MPII."""
    return Recipe()


def paper_coco() -> Recipe:
    """The paper's for COCO: batch 64, and MMPose 0.29's half bodies and shifted boxes."""
    return Recipe(batch_size=64, augmentation=Augmentation(half_body=0.3, shift=0.16, shift_probability=0.3))


def mmpose() -> Recipe:
    """MMPose 0.29's own for MPII: sigma 2, and a rate of 5e-4 that is meant for eight GPUs of 64 persons."""
    return replace(paper(), batch_size=64, learning_rate=5e-4, base_batch_size=512, codec=MSRA)


def mmpose_coco() -> Recipe:
    """MMPose 0.29's own for COCO."""
    return replace(mmpose(), augmentation=paper_coco().augmentation)


def people16() -> Recipe:
    """Like that of the bundled `hevitpose_t_people16`, whose first epochs had the rate of a longer run (its card)."""
    return Recipe(
        epochs=39,
        input_sizes=(InputSize(128, 128), InputSize(192, 192, 0.717), InputSize(256, 256, 0.92)),
        codec=EDGES,
        learning_rate=2e-3,
        weight_decay=0.02,
        schedule="cosine",
        augmentation=Augmentation(scale=0.35),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "paper": paper,
    "paper-coco": paper_coco,
    "mpii": paper,
    "coco": paper_coco,
    "mpii-mmpose": mmpose,
    "coco-mmpose": mmpose_coco,
    "people16": people16,
}


def skeleton_of(name: str) -> Skeleton:
    """The keypoints that the recipe of this name is meant for."""
    return COCO17 if "coco" in name.partition("/")[0] else MPII16


def make_recipe(
    name: str,
    model: str | None = None,
    size: str | None = None,
    codec: str | None = None,
    sigma: float | None = None,
    half_body: float | None = None,
    color_jitter: float | None = None,
    cutout: float | None = None,
    **changes: Any,
) -> Recipe:
    """The recipe of this name, for `model` where the name has none, with what is not None changed.

    `size` as `parse_sizes` reads it, `codec` of `CODECS`; `half_body`, `color_jitter` and `cutout` are fields of
    `Augmentation`, `changes` those of `Recipe`. Raises InputError.
    """
    recipe = recipe_by_name(name)
    if model:
        if "/" in name:
            raise InputError(f"`model={model}`", f"the recipe {name} names its network")
        recipe = with_network(recipe, model, f"`model={model}`")
    recipe = with_codec(recipe, codec, sigma)
    views: dict[str, Any] = {"half_body": half_body, "color_jitter": color_jitter, "cutout": cutout}
    changes["augmentation"] = replace(recipe.augmentation, **{k: v for k, v in views.items() if v is not None})
    changes["input_sizes"] = size and parse_sizes(size)
    if changes.get("weights") and changes.get("imagenet"):
        raise InputError("`weights`", "cannot be combined with `imagenet`")
    return replace(recipe, **{field: value for field, value in changes.items() if value is not None})


def recipe_by_name(name: str) -> Recipe:
    """The recipe `SET` of `RECIPES`, or `SET/NETWORK` with a network as `with_network` takes it. Raises InputError."""
    base, slash, model = name.partition("/")
    if base not in RECIPES:
        raise InputError(f"`recipe={name}`", f"no such recipe (known: {', '.join(RECIPES)}, each also SET/NETWORK)")
    return with_network(RECIPES[base](), model, f"`recipe={name}`") if slash else RECIPES[base]()


def with_network(recipe: Recipe, text: str, source: str) -> Recipe:
    """The recipe for a network: a name, an alias (`b-g222`), or with settings, `t:shared_weights=false:sigma=1`.

    What can change are the fields of `Variant`, sigma, codec, rate and batch_size. Raises InputError, about `source`.
    """
    model, variant, others = parse_network(text, source, SETTINGS)
    recipe = replace(recipe, model=model, variant=variant)
    for name, value in others.items():
        recipe = _with(recipe, name, value, source)
    return recipe


OLD_NAMES = {
    "largest_gradient": "grad_clip_norm",
    "rate_batch": "base_batch_size",
    "color": "color_jitter",
    "occlusion": "cutout",
}
"""Names of settings before version 0.2, still read from the files of runs."""


def with_new_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's JSON with the names that settings have today.

    >>> with_new_names({"rate_batch": 64, "augmentation": {"color": 0.3}})
    {'base_batch_size': 64, 'augmentation': {'color_jitter': 0.3}}
    """
    return {
        OLD_NAMES.get(name, name): with_new_names(value) if isinstance(value, dict) else value
        for name, value in settings.items()
    }


def difference(theirs: Mapping[str, Any], recipe: Recipe) -> str | None:
    """The first setting of a recipe's JSON that is another one in `recipe`: "epochs = 3, not 5"."""
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
    if not re.fullmatch(r"\d+" if name == "batch_size" else r"\d*\.?\d+(e-?\d+)?", text) or not float(text):
        raise InputError(source, f"{name} must be a number above 0, not {text!r}")
    if name == "sigma":
        return with_codec(recipe, None, float(text))
    return replace(recipe, learning_rate=float(text)) if name == "rate" else replace(recipe, batch_size=int(text))


def parse_sizes(text: str) -> tuple[InputSize, ...]:
    """Input sizes from "256", "256x192" (height x width) or "128,192@0.5,256@0.8" (from that share of the epochs on).

    Raises InputError on another form, a side that is no multiple of 32, or shares that do not rise from 0.
    """
    sizes = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:x(\d+))?(?:@(0?\.\d+|0))?", part.strip())
        if not match:
            raise InputError(f"`size={text}`", f"{part!r} is not of the form 256, 256x192 or 192@0.5")
        height, width = int(match[1]), int(match[2] or match[1])
        for side in (height, width):
            if side % 32 or not side:
                low = max(32, side // 32 * 32)
                raise InputError(
                    f"`size={text}`", f"{side} is not a multiple of 32; the nearest are {low} and {low + 32}"
                )
        sizes.append(InputSize(height, width, float(match[3] or 0)))
    starts = [s.start for s in sizes]
    if starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
        raise InputError(f"`size={text}`", "the first size starts at 0 and each later one at a larger share")
    return tuple(sizes)
