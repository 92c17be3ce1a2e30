"""Two steps and one evaluation of a recipe, on made-up people."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hevitpose.core.labels import ImageFile, labelled_people
from hevitpose.core.progress import Progress
from hevitpose.core.skeleton import Skeleton
from hevitpose.data.convert import write_coco
from hevitpose.data.crops import cut_people
from hevitpose.data.datasets import Split
from hevitpose.evaluation.predict import predict_in_label_boxes
from hevitpose.evaluation.score import score
from hevitpose.inference.backends import TorchHeatmaps
from hevitpose.inference.network import Network
from hevitpose.io import images
from hevitpose.metrics.names import Metric
from hevitpose.models.registry import title_of
from hevitpose.training.batches import CachedCrops, cut_for_training
from hevitpose.training.fabric import Hardware, make_fabric
from hevitpose.training.loop import set_up, train_epoch
from hevitpose.training.recipes import InputSize, Recipe

STEPS = 2
BATCH = 2
SIDE = 64


def dry_run(recipe: Recipe, skeleton: Skeleton, hardware: Hardware) -> str:
    """The result of two steps of `recipe` and one evaluation with flip test, in one line.

    Differs from a run in the made-up people, a batch of 2 and inputs of 64 x 64; leaves nothing behind. Skeletons with
    sigmas are measured by OKS, others by PCKh. Raises InputError if the recipe cannot run.
    """
    small = replace(recipe, epochs=1, batch_size=BATCH, input_sizes=(InputSize(SIDE, SIDE),))
    metric: Metric = "oks" if skeleton.sigmas else "pckh"
    losses: list[float] = []

    def on_progress(progress: Progress) -> None:
        if progress.loss is not None:
            losses.append(progress.loss)

    with TemporaryDirectory() as name:
        folder = Path(name)
        people = made_up(folder, skeleton, STEPS * BATCH).people
        fabric = make_fabric(hardware)
        run, state = set_up(small, hardware, people, [], folder, fabric, on_progress, False)
        crops = cut_for_training(people, [(SIDE, SIDE)], small.padding)[SIDE, SIDE]
        cached = CachedCrops.of(crops, (SIDE, SIDE), fabric.device)
        train_epoch(run, state, cached, lambda _: None)
        network = Network("dry run", TorchHeatmaps(state.averaged), run.config((SIDE, SIDE)))
        found = predict_in_label_boxes(network, people, cut_people(people, (SIDE, SIDE), small.padding), True, BATCH)
    result = score(people, found, metric)
    parameters = sum(p.numel() for p in state.network.parameters()) / 1e6
    return (
        f"{title_of(recipe.model, recipe.variant)}, {parameters:.2f} M parameters: {len(losses)} steps of {BATCH} "
        f"people at {SIDE} x {SIDE}, mean loss {losses[-1]:.6f}; then {len(people)} people with "
        f"{skeleton.num_keypoints} keypoints evaluated with flip test, {result.metric} {result.main:.1f}"
    )


def made_up(folder: Path, skeleton: Skeleton, count: int) -> Split:
    """A COCO file of `count` people with head sizes in `folder`, each alone in an image of noise."""
    random = np.random.default_rng(0)
    for n in range(count):
        images.write_png(folder / f"{n}.png", random.integers(0, 256, (80, 80, 3), dtype=np.uint8))
    files = [ImageFile(f"{n}.png", folder) for n in range(count)]
    joints = np.full((count, skeleton.num_keypoints, 3), 2.0)
    joints[..., :2] = random.uniform(10, 70, joints[..., :2].shape)
    boxes, head_sizes = np.tile([8.0, 8, 72, 72], (count, 1)), np.full(count, 16.0)
    people = labelled_people("people", skeleton, files, np.arange(count), joints, boxes, head_sizes=head_sizes)
    write_coco(people, folder / "people.json")
    return Split("people", folder / "people.json", folder)
