"""`hevitpose train`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hevitpose.cli.common import need, refuse_faults, refuse_inputs
from hevitpose.core.errors import InputError

EXAMPLES = """
Examples:\n
  hevitpose train --model t --data people16 --root data/people16 --epochs 20\n
  hevitpose train --data people16 --root data/people16 --recipe people16 --out runs/people16 --resume\n
  hevitpose train --data mice/ --epochs 60 --size 128,192@0.5,256@0.8\n
  hevitpose train --data my.toml --weights hevitpose_t_people16 --time-budget 90m\n
  hevitpose train --data coco/coco.toml --recipe coco/pvtv2_b2 --crops coco/crops\n
  hevitpose train --data mpii/mpii.toml --recipe mpii/b:shared_weights=false\n
  hevitpose train --recipe mpii/hrnet_w32 --dry-run
"""


def train(
    data: Annotated[
        str | None, typer.Option(help="Folder of labelled images, TOML file that describes it, or people16.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Network, with its settings: t, t:shared_weights=false (default: the recipe's, or t)."),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="Recipe: the paper's for MPII (mpii, paper) or COCO (coco), MMPose's (mpii-mmpose, coco-mmpose), "
            "one for CPUs (people16); with a network: mpii/hrnet_w32, mpii/b-g222 (docs/training.md)."
        ),
    ] = "paper",
    root: Annotated[Path | None, typer.Option(help="Folder of the files (default: that of the TOML file).")] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, weights, log and curve.")] = Path("runs/train"),
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Batch size instead of the recipe's.")] = None,
    lr: Annotated[float | None, typer.Option(min=1e-12, help="Learning rate instead of the recipe's.")] = None,
    size: Annotated[
        str | None, typer.Option(help="Input size: 256, 256x192 (height x width), or a schedule 128,192@0.5,256@0.8.")
    ] = None,
    codec: Annotated[
        Literal["edges", "msra", "dark", "udp"] | None,
        typer.Option(help="Codec between joints and heatmaps (docs/coordinates.md)."),
    ] = None,
    sigma: Annotated[float | None, typer.Option(min=0.1, help="Sigma of a joint's Gaussian, in heatmap cells.")] = None,
    half_body: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Probability of showing the upper or the lower body alone."),
    ] = None,
    color_jitter: Annotated[
        float | None,
        typer.Option(min=0, max=0.9, help="Largest change of brightness, saturation and gamma; 0.3 is moderate."),
    ] = None,
    cutout: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of views of which a rectangle is painted over.")
    ] = None,
    grey: Annotated[float | None, typer.Option(min=0, max=1, help="Probability of a black-and-white input.")] = None,
    shift: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Probability of shifting the box, by up to 0.16 of its size."),
    ] = None,
    micro_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Persons per forward pass; larger batches are accumulated.")
    ] = None,
    crops: Annotated[Path | None, typer.Option(help="Folder for cached crops, for sets larger than memory.")] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after this many epochs without a better score on the first validation set."),
    ] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="Time for the run (90m, 8h) instead of --epochs; the speed is measured first.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Trained weights to start from: a file (.safetensors) or hevitpose_t_people16."),
    ] = None,
    imagenet: Annotated[
        Path | None,
        typer.Option(
            help="ImageNet weights of timm to start from (.safetensors): efficientvit_m0, m2, m4 for t, s, b; else "
            "those of the network's backbone."
        ),
    ] = None,
    pretrained: Annotated[
        bool,
        typer.Option("--pretrained", help="Download ImageNet weights with timm, for a timm backbone."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of initial weights, order and augmentation.")] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Device; auto is the first GPU, or the CPU.")
    ] = "auto",
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        typer.Option(help="Precision; auto is bfloat16 where the device has it."),
    ] = "auto",
    compile: Annotated[bool, typer.Option(help="Compile the network (torch.compile).")] = False,
    resume: Annotated[bool, typer.Option(help="Continue the run in --out, if there is one.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do two steps and one evaluation on made-up people, without --data.")
    ] = False,
) -> None:
    """Train a network on labelled people."""
    need("train")
    from hevitpose.cli.progress import show_progress
    from hevitpose.data.find import find_dataset
    from hevitpose.training import dry_run as trial
    from hevitpose.training import recipes
    from hevitpose.training.budget import within_budget
    from hevitpose.training.fabric import Hardware, is_first_process
    from hevitpose.training.loop import train as run_training
    from hevitpose.training.run import RUN_FILES, read_scores

    chosen = recipes.make_recipe(
        recipe,
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
    hardware = Hardware(device, precision, compile, micro_batch_size, crops)
    if dry_run == (data is not None):
        raise InputError("`data`", "a dry run makes up its own people" if dry_run else "name the data to train on")
    if dry_run or data is None:
        print(f"{recipe}: {trial.dry_run(chosen, recipes.skeleton_of(recipe), hardware)}")
        return
    dataset = find_dataset(data, root)
    splits = [*filter(None, (dataset.train,)), *dataset.validation]
    refuse_inputs([*(out / name for name in RUN_FILES), *out.glob("worst_*"), *out.glob("errors_*")], [data], splits)
    if is_first_process():
        refuse_faults(splits, data)
        if not dataset.validation:
            print("no validation set: nothing will be scored", file=sys.stderr)
    if time_budget is not None:
        chosen = within_budget(chosen, time_budget, dataset, out, hardware, resume, f"`time_budget={time_budget}`")
    with show_progress() as on_progress:
        history = run_training(chosen, dataset, out, hardware, resume, on_progress)
    if not is_first_process():
        return
    for name, value in history[-1].to_json().items():
        print(f"{name}: {value}")
    for name, evaluation in read_scores(out).items():
        print(f"best weights, {name} {evaluation.metric}: {evaluation.main}")
    print(f"everything is in {out} (docs/training.md)")
