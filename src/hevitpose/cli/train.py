"""`hevitpose train`."""

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Never

import typer

from hevitpose.cli.common import Device, MicroBatchSize, Precision, Root, model_files, refuse_faults, refuse_inputs
from hevitpose.core.errors import InputError
from hevitpose.core.extras import need

if TYPE_CHECKING:
    from hevitpose.data.datasets import Dataset
    from hevitpose.training.fabric import Hardware
    from hevitpose.training.recipes import Recipe

EXAMPLES = """
Examples:\n
  hevitpose train --data mine/ --out runs/mine\n
  hevitpose train --data people16 --root data/people16 --recipe people16 --out runs/people16 --resume\n
  hevitpose train --data mice/ --epochs 60 --size 128,192@0.5,256@0.8 --no-detector\n
  hevitpose train --data my.toml --weights hevitpose_t_fast_people21 --time-budget 90m\n
  hevitpose train --data coco/coco.toml --recipe coco/pvtv2_b2 --crops coco/crops\n
  hevitpose train --data mpii/mpii.toml --recipe mpii/b:shared_weights=false\n
  hevitpose train --recipe mpii/hrnet_w32 --dry-run
"""


def train(
    data: Annotated[
        str | None, typer.Option(help="Train on this data: folder of labelled images, TOML file or people16.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Network, with changes after colons: t, t:shared_weights=false (default: the recipe's, or t)."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe: the paper's (mpii, coco), MMPose's (mpii-mmpose, coco-mmpose) or one for CPUs (people16); "
            "add a network as in mpii/hrnet_w32 (docs/training.md). Default: settings that follow from the data."
        ),
    ] = None,
    detector: Annotated[
        bool | None,
        typer.Option(
            "--detector/--no-detector",
            help="Train a detector on the same boxes as well (default: unless --recipe is given).",
            show_default=False,
        ),
    ] = None,
    root: Root = None,
    out: Annotated[Path, typer.Option(help="Folder for the run: weights, scores, checkpoint, log.")] = Path(
        "runs/train"
    ),
    epochs: Annotated[int | None, typer.Option(min=1, help="Number of epochs (default: the recipe's).")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Batch size (default: the recipe's).")] = None,
    lr: Annotated[float | None, typer.Option(min=1e-12, help="Learning rate (default: the recipe's).")] = None,
    size: Annotated[
        str | None, typer.Option(help="Input size: 256, 256x192 (height x width), or a schedule 128,192@0.5,256@0.8.")
    ] = None,
    codec: Annotated[
        Literal["edges", "msra", "dark", "udp"] | None,
        typer.Option(help="Codec of the heatmaps (docs/coordinates.md)."),
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(min=0.1, help="Sigma of a keypoint's Gaussian, in heatmap cells.")
    ] = None,
    half_body: Annotated[
        float | None, typer.Option(min=0, max=1, help="Probability of showing only the upper or the lower body.")
    ] = None,
    color_jitter: Annotated[
        float | None,
        typer.Option(min=0, max=0.9, help="Largest change of brightness, saturation and gamma; 0.3 is moderate."),
    ] = None,
    cutout: Annotated[
        float | None, typer.Option(min=0, max=1, help="Probability of hiding part of the input behind a rectangle.")
    ] = None,
    grey: Annotated[float | None, typer.Option(min=0, max=1, help="Probability of a black-and-white input.")] = None,
    shift: Annotated[
        float | None, typer.Option(min=0, max=1, help="Probability of shifting the box by up to 0.16 of its size.")
    ] = None,
    micro_batch_size: MicroBatchSize = None,
    crops: Annotated[Path | None, typer.Option(help="Cache crops in this folder, for sets larger than memory.")] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after this many epochs without a better score on the first validation set."),
    ] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Train for this time (90m, 8h) instead of --epochs, after measuring the speed.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Start from these weights: a run's folder, .safetensors file or bundled weights.")
    ] = None,
    imagenet: Annotated[
        Path | None,
        typer.Option(
            help="Start from timm's ImageNet weights (.safetensors): efficientvit_m0, m2, m4 for t, s, b; else those "
            "of the backbone."
        ),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Download ImageNet weights of the backbone with timm.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of initial weights, sample order and augmentation.")] = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    compile: Annotated[bool, typer.Option(help="Compile the network (torch.compile).")] = False,
    resume: Annotated[bool, typer.Option(help="Continue the run in --out, if there is one.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Run two steps and one evaluation on synthetic people, without --data.")
    ] = False,
) -> None:
    """Train a keypoint network, and a detector, on labelled people.

    The run's folder is a model: hevitpose predict --model runs/train IMAGES.
    """
    need("train")
    from hevitpose.data.find import find_dataset
    from hevitpose.training import dry_run as trial
    from hevitpose.training import recipes
    from hevitpose.training.fabric import Hardware, is_first_process, is_only_process
    from hevitpose.training.run import RUN_FILES

    def chosen_recipe(base: "str | Recipe") -> "Recipe":
        return recipes.make_recipe(
            base,
            model,
            size,
            codec=codec,
            sigma=sigma,
            half_body=half_body,
            color_jitter=color_jitter,
            cutout=cutout,
            grey=grey,
            shift=shift,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=lr,
            patience=patience,
            weights=weights,
            imagenet=str(imagenet) if imagenet else recipes.TIMM if pretrained else None,
            seed=seed,
        )

    name = recipe or ("paper" if dry_run else "people16")
    chosen = chosen_recipe(name)  # refused before the data are read
    hardware = Hardware(device, precision, compile, micro_batch_size, crops)
    if epochs and time_budget:
        raise InputError("`epochs`", "cannot be combined with `time_budget`")
    if imagenet and pretrained:
        raise InputError("`imagenet`", "cannot be combined with `pretrained`")
    for option, value in {"time_budget": time_budget, "detector": detector, "resume": resume}.items():
        if dry_run and value:
            raise InputError(f"`{option}`", "is not for a dry run")
    if dry_run == (data is not None):
        raise InputError("`data`", "a dry run makes up its own people" if dry_run else "name the data to train on")
    if dry_run or data is None:
        print(f"{name}: {trial.dry_run(chosen, recipes.skeleton_of(name), hardware)}")
        return
    dataset = find_dataset(data, root)
    splits = [*filter(None, (dataset.train,)), *dataset.validation]
    written = [*(out / name for name in RUN_FILES), *out.glob("worst_*"), *out.glob("errors_*")]
    refuse_inputs(written, [data, *model_files(weights, imagenet)], splits)
    if is_first_process():
        refuse_faults(splits, data)
        if not dataset.validation:
            print("no validation set: nothing will be scored", file=sys.stderr)
    with_detector = recipe is None if detector is None else detector
    begun = resume and (out / "recipe.json").is_file()
    if recipe is None and dataset.train is not None:
        from hevitpose.training.defaults import recipe_for

        chosen = chosen_recipe(recipe_for(dataset.train.people))
    if (
        half_body
        and dataset.train
        and dataset.train.people.skeleton.num_keypoints <= chosen.augmentation.half_body_joints
    ):
        raise InputError("`half_body`", f"needs more than {chosen.augmentation.half_body_joints} keypoints")
    if time_budget is not None:
        from hevitpose.training.budget import within_budget

        more = detector_seconds(dataset, hardware) if with_detector and not begun and is_only_process() else 0.0
        source = f"`time_budget={time_budget}`"
        chosen = within_budget(chosen, time_budget, dataset, out, hardware, resume, source, more)
    with resumable():
        if recipe is None and not begun and is_only_process():
            options = {"size": size, "batch_size": batch_size, "epochs": epochs or time_budget}
            given = [name for name, value in options.items() if value]
            print_settings(chosen, dataset, out, hardware, given, with_detector)
        run_training(chosen, dataset, out, hardware, resume, with_detector, with_detector or recipe is None)


def detector_seconds(dataset: "Dataset", hardware: "Hardware") -> float:
    """About how long the training of the detector takes here; 0 without a training set, which training refuses."""
    from hevitpose.data.box_sizes import measure_box_sizes
    from hevitpose.training.own_detector import seconds_of_detector

    if dataset.train is None:
        return 0.0
    people = dataset.train.people
    return seconds_of_detector(people, measure_box_sizes(people), hardware.precision)


def print_settings(
    recipe: "Recipe", dataset: "Dataset", out: Path, hardware: "Hardware", given: list[str], with_detector: bool
) -> None:
    """What follows from the data, why, and how long it will take here; `given` are settings of the command line."""
    from hevitpose.data.box_sizes import measure_box_sizes
    from hevitpose.inference.detectors import is_human
    from hevitpose.inference.network import DEFAULT
    from hevitpose.training.budget import seconds_of_an_epoch
    from hevitpose.training.defaults import reasons
    from hevitpose.training.own_detector import detector_line
    from hevitpose.training.run import CHECKPOINT

    if dataset.train is None or (out / CHECKPOINT).exists():
        return  # which training refuses
    people = dataset.train.people
    for line in reasons(recipe, people, given):
        print(line, file=sys.stderr)
    if is_human(people.skeleton) and recipe.weights is None:
        print(f"  keypoints of people: --weights {DEFAULT} would begin with trained weights", file=sys.stderr)
    minutes = recipe.epochs * seconds_of_an_epoch(recipe, dataset, out, hardware) / 60
    parts = f"keypoints {minutes:.0f}"
    if with_detector:
        print(f"  {detector_line(people, measure_box_sizes(people))}", file=sys.stderr)
        more = detector_seconds(dataset, hardware) / 60
        minutes, parts = minutes + more, f"{parts}, detector {more:.0f}"
    print(f"  about {minutes:.0f} minutes on this machine as it is now ({parts})", file=sys.stderr)


def run_training(
    recipe: "Recipe",
    dataset: "Dataset",
    out: Path,
    hardware: "Hardware",
    resume: bool,
    with_detector: bool,
    end_to_end: bool,
) -> None:
    """Train, and print what came of it: the network, its detector, and the model of both."""
    from hevitpose.cli.progress import show_progress
    from hevitpose.inference.model_folder import BEST
    from hevitpose.training.fabric import is_first_process, is_only_process
    from hevitpose.training.loop import train as train_keypoints
    from hevitpose.training.own_detector import train_own_detector
    from hevitpose.training.own_model import finish_model
    from hevitpose.training.run import read_run, read_scores

    with show_progress() as on_progress:
        history = train_keypoints(recipe, dataset, out, hardware, resume, on_progress)
        if not is_first_process():
            return
        own = None
        if with_detector and is_only_process():
            own = train_own_detector(dataset, out, recipe.seed, hardware.precision, on_progress)
        elif with_detector:
            print("no detector: one process trains it, the same command with --resume and without torchrun")
        if end_to_end:
            labelled = [split.people for split in dataset.validation if split.metric]
            model, found = finish_model(out, labelled, own, on_progress)
    last = history[-1]
    scores = "".join(f", {name} {score:.1f}" for name, score in last.scores.items())
    print(f"epoch {last.epoch}: loss {last.loss:.3g}{scores}, {last.images_per_second:.0f} images/s")
    best = read_run(out).best
    for key, evaluation in read_scores(out).items():
        where = f" (epoch {best.epoch}, in the boxes of the labels): {out / BEST}" if best else ""
        print(f"best weights, {key} {evaluation.metric}: {evaluation.main}{where}")
    if end_to_end:
        for key, result in found.items():
            print(f"end to end, {key}: {result.summary}")
        if own:
            known = "calibrated on the validation set" if model.person_score else "not calibrated (too few candidates)"
            print(f"scores of people: {known}")
    print(f"everything is in {out} (docs/training.md)")
    if end_to_end:
        print(f"next: hevitpose predict --model {shlex.quote(str(out))} --draw IMAGES")


class Terminated(BaseException):
    """SIGTERM was received."""


@contextmanager
def resumable() -> Iterator[None]:
    """Say how to go on where the block is interrupted by SIGINT or SIGTERM; exit status 130 or 143."""

    def stop(*_: object) -> Never:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, Terminated) as error:
        arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
        print(f"interrupted; go on with: {shlex.join(['hevitpose', *arguments, '--resume'])}", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT))
    finally:
        signal.signal(signal.SIGTERM, before)
