"""The recipe that follows from a data set, for whoever names none."""

import math
from collections.abc import Sequence
from dataclasses import replace

from hevitpose.core.labels import LabelledPeople
from hevitpose.training.recipes import PAPER_COCO, PEOPLE16, InputSize, Recipe

FEW_PEOPLE, MANY_PEOPLE = 1000, 4000
"""Sets up to the first and from the second number of people."""
PEOPLE_SHOWN = 5000
"""Small sets are shown so many people in all: 87 mice reached 98 % in as many (docs/custom-keypoints.md)."""
EPOCHS = (30, 150)
"""The fewest, and the most."""


def recipe_for(people: LabelledPeople) -> Recipe:
    """The recipe for these people: that of the bundled weights, with what depends on their number.

    Fewer people have smaller batches, so that an epoch has steps enough, and more epochs; many have larger inputs at
    the end. Boxes are shifted at times, because detectors do not draw them as the labels do.
    """
    count = len(people)
    batch_size, learning_rate = (
        (8, 1e-3) if count <= FEW_PEOPLE else (16, 1.4e-3) if count < MANY_PEOPLE else (32, 2e-3)
    )
    sizes = (InputSize(128, 128),) if count <= FEW_PEOPLE else (InputSize(128, 128), InputSize(192, 192, 0.7))
    coco = PAPER_COCO.augmentation
    return replace(
        PEOPLE16,
        epochs=min(max(math.ceil(PEOPLE_SHOWN / max(count, 1)), EPOCHS[0]), EPOCHS[1]),
        batch_size=min(batch_size, max(count, 1)),
        learning_rate=learning_rate,
        input_sizes=sizes,
        augmentation=replace(PEOPLE16.augmentation, shift=coco.shift, shift_probability=coco.shift_probability),
    )


def reasons(recipe: Recipe, people: LabelledPeople, given: Sequence[str] = ()) -> list[str]:
    """A line for each setting of `recipe` that follows from the people, but for those `given` by name."""
    count, images = len(people), len(people.images)
    sizes = ", then ".join(f"{size.height} x {size.width}" for size in recipe.input_sizes)
    steps = math.ceil(count / recipe.batch_size)
    few = count <= FEW_PEOPLE
    lines = {
        "size": f"input {sizes}: " + ("larger ones need more people" if few else "the larger one refines"),
        "batch_size": f"batch {recipe.batch_size}: {steps} steps an epoch, nobody is left out",
        "epochs": f"{recipe.epochs} epochs: {recipe.epochs * count:,} people are shown"
        + (", each often because they are few" if recipe.epochs > EPOCHS[0] else ""),
        "warm-up": f"warm-up {recipe.warmup(recipe.epochs * steps)} of {recipe.epochs * steps} steps",
    }
    title = f"settings for {count:,} people in {images:,} images:"
    return [title, *(f"  {line}" for name, line in lines.items() if name not in given)]
