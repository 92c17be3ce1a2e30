"""Train the bundled person detector on what tools/detector_data.py has written.

    python tools/train_detector.py detector_data --root data --init hevitpose_t_people16.safetensors --output detector

Calling it again resumes the run. `--init` are weights of HEViTPose-T, which fill what has the same name and shape.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
from pathlib import Path

import torch

from hevitpose.core.progress import Progress
from hevitpose.models import weights
from hevitpose.models.detector import Detector, init_from_pose
from hevitpose.training.detection import DetectorOptions, train_detector
from hevitpose.training.detection_data import DetectionSet, read_detection_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="folder with train.json and val.json")
    parser.add_argument("--root", type=Path, required=True, help="folder of the archives")
    parser.add_argument("--output", type=Path, required=True, help="the run's folder")
    parser.add_argument("--init", type=Path, help="weights of a HEViTPose-T, or of a detector, to begin with")
    parser.add_argument("--epochs", type=int, default=DetectorOptions.epochs)
    parser.add_argument("--images-per-epoch", type=int)
    parser.add_argument("--batch", type=int, default=DetectorOptions.batch_size)
    parser.add_argument("--lr", type=float, default=DetectorOptions.learning_rate)
    parser.add_argument("--sides", nargs="+", default=["320:1"], metavar="SIDE:UNTIL", help="share of the epochs")
    parser.add_argument("--seed", type=int, default=DetectorOptions.seed, help="of a run that goes on from another")
    parser.add_argument("--no-validation", action="store_true", help="the last weights are the best")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    options = parser.parse_args()
    # Read before the fork: the processes share the images.
    train, val = (read_detection_set(options.data / f"{name}.json", options.root) for name in ("train", "val"))
    print(f"{len(train)} images to train on, {len(val)} held out", file=sys.stderr, flush=True)
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as meeting:
        arguments = (options, train, val, f"file://{meeting}/processes")
        others = [context.Process(target=run, args=(rank, *arguments)) for rank in range(1, options.processes)]
        for other in others:
            other.start()
        run(0, *arguments)
        for other in others:
            other.join()


def run(rank: int, options: argparse.Namespace, train: DetectionSet, val: DetectionSet, meeting: str) -> None:
    """One process of the training."""
    torch.set_num_threads(1)
    if options.processes > 1:
        torch.distributed.init_process_group("gloo", meeting, rank=rank, world_size=options.processes)
    sides = tuple((int(side), float(until)) for side, until in (word.split(":") for word in options.sides))
    recipe = DetectorOptions(
        options.epochs, options.images_per_epoch, options.batch, sides, options.lr, seed=options.seed
    )

    def init(network: Detector) -> None:
        if options.init:
            filled = init_from_pose(network, weights.load(options.init)[0])
            print(f"{len(filled)} of {len(network.state_dict())} tensors from {options.init.name}", file=sys.stderr)

    def on_progress(at: Progress) -> None:
        if at.done % 20 == 0 or at.done == at.total:
            print(f"{at.stage} step {at.done}/{at.total} loss {at.loss:.4f}", file=sys.stderr, flush=True)

    validation = None if options.no_validation else val
    rows = train_detector(train, validation, options.output, recipe, init, resume=True, on_progress=on_progress)
    if rank == 0:
        print(json.dumps(rows, indent=1))
    if options.processes > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
