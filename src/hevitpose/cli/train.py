"""`hevitpose train`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hevitpose.cli.common import need, refuse_faults
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
        typer.Option(help="The network, t unless the recipe names one; with changes: t:shared_weights=false."),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="The paper's for MPII (mpii, paper) or COCO (coco), MMPose's (mpii-mmpose, coco-mmpose), one for a "
            "processor (people16); with a network: mpii/hrnet_w32, mpii/b-g222 (docs/training.md)."
        ),
    ] = "paper",
    root: Annotated[Path | None, typer.Option(help="Folder of the data's files, if not that of the TOML file.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, weights, log and curve.")] = Path("runs/train"),
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    lr: Annotated[float | None, typer.Option(min=1e-12, help="Learning rate instead of the recipe's.")] = None,
    size: Annotated[
        str | None, typer.Option(help="Input size: 256, 256x192 (height x width), or in turn 128,192@0.5,256@0.8.")
    ] = None,
    codec: Annotated[
        Literal["edges", "msra", "dark", "udp"] | None,
        typer.Option(help="How joints stand in heatmaps (docs/coordinates.md)."),
    ] = None,
    sigma: Annotated[float | None, typer.Option(min=0.1, help="Of a joint's Gaussian, in heatmap cells.")] = None,
    half_body: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of views that show the upper or the lower body alone, as photos do."),
    ] = None,
    color_jitter: Annotated[
        float | None,
        typer.Option(min=0, max=0.9, help="Change of brightness, saturation and gamma, at most: 0.3 is moderate."),
    ] = None,
    cutout: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of views of which a rectangle is painted over.")
    ] = None,
    micro_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Persons in memory at a time; larger batches are accumulated.")
    ] = None,
    crops: Annotated[
        Path | None, typer.Option(help="Folder that keeps the cut people on disk: for sets larger than memory.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after so many epochs without a better score of the first validation set."),
    ] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="As many epochs as fit into 90m or 8h, measured first; instead of --epochs.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Begin with trained weights, a file (.safetensors) or hevitpose_t_people16."),
    ] = None,
    imagenet: Annotated[
        Path | None,
        typer.Option(
            help="Begin with timm's ImageNet weights (.safetensors): efficientvit_m0, m2, m4 for t, s, b; else those "
            "of the network's backbone."
        ),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="The same, fetched by timm; for networks with a backbone of timm's.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Decides first weights, order and augmentation.")] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="The first GPU, else the processor.")
    ] = "auto",
    precision: Annotated[
        Literal["auto", "bf16", "fp32"], typer.Option(help="bfloat16 where the device multiplies it itself.")
    ] = "auto",
    compile: Annotated[bool, typer.Option(help="Compile the network first (torch.compile).")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out, if it has begun.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Two steps and one evaluation of the recipe on made-up people; no --data.")
    ] = False,
) -> None:
    """Train a network on labelled people."""
    need("train")
    from hevitpose.cli.progress import show_progress
    from hevitpose.data.find import find_dataset
    from hevitpose.training import dry_run as trial
    from hevitpose.training import recipes
    from hevitpose.training.budget import within_budget
    from hevitpose.training.fabric import Hardware
    from hevitpose.training.loop import train as run
    from hevitpose.training.report import write_report

    chosen = recipes.make_recipe(
        recipe,
        model,
        size,
        codec=codec,
        sigma=sigma,
        half_body=half_body,
        color_jitter=color_jitter,
        cutout=cutout,
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
        raise InputError("--data", "a dry run makes up its own people" if dry_run else "say what to train on")
    if dry_run or data is None:
        print(f"{recipe}: {trial.dry_run(chosen, recipes.skeleton_of(recipe), hardware)}")
        return
    dataset = find_dataset(data, root)
    if not _rank():
        refuse_faults([*filter(None, (dataset.train,)), *dataset.validation], data)
        if not dataset.validation:
            print("no validation set: nothing will be scored", file=sys.stderr)
    if time_budget is not None:
        chosen = within_budget(chosen, time_budget, dataset, out, hardware, resume, f"--time-budget {time_budget}")
    with show_progress() as on_progress:
        history = run(chosen, dataset, out, hardware, resume, on_progress)
        if _rank():
            return
        evaluations = write_report(out, dataset, on_progress)
    print(*(f"{name}: {value}" for name, value in history[-1].items()), sep="\n")
    for name, evaluation in evaluations.items():
        print(f"best weights, {name} {evaluation.metric}: {evaluation.main:.3f}")
    print(f"everything is in {out} (docs/training.md)")


def _rank() -> int:
    """Of the processes of torchrun only the first one, 0, speaks."""
    return int(os.environ.get("RANK", "0"))
