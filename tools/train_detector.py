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
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hevitpose.core.errors import InputError
from hevitpose.core.labels import ImageFile
from hevitpose.core.progress import Progress
from hevitpose.io import images as image_files
from hevitpose.models import weights
from hevitpose.models.detector import Detector
from hevitpose.training.detection import DetectorOptions, train_detector
from hevitpose.training.detection_data import MAX_SIDE, Boxes, DetectionAugmentation, DetectionSet, shrink


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
    parser.add_argument("--mosaic", type=float, default=DetectionAugmentation.mosaic, help="share of the examples")
    parser.add_argument("--scale", nargs=2, type=float, default=DetectionAugmentation.scale, metavar=("LOW", "HIGH"))
    parser.add_argument("--color", type=float, default=DetectionAugmentation.color)
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


def read_detection_set(path: Path, root: Path | None = None) -> DetectionSet:
    """The images and boxes of a COCO file; `root` (default: its folder) is that of its images or archives.

    Crowd annotations, boxes with `ignore`, and images' "stretched" are as `DetectionSet` has them. Raises InputError
    where the file or an image cannot be read or a box is not a box.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        categories = sorted(content["categories"], key=lambda category: int(category["id"]))
        number = {category["id"]: i for i, category in enumerate(categories)}
        rows: dict[Any, list[tuple[list[float], int, bool]]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            ignored = bool(annotation.get("iscrowd") or annotation.get("ignore"))
            box = [float(value) for value in annotation["bbox"]]
            if len(box) != 4 or not np.isfinite(box).all() or min(box[2:]) < 0:
                raise InputError(path, f"annotation {annotation.get('id')}: bbox {annotation['bbox']} is not a box")
            rows[annotation["image_id"]].append((box, number[annotation["category_id"]], ignored))
        names = tuple(str(category["name"]) for category in categories)
    except OSError as error:
        raise InputError(path, str(error.strerror)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(path, f"cannot be read as COCO annotations ({error!r})") from error
    images, boxes = [], []
    for entry in content["images"]:
        folder = root or path.parent
        image = image_files.read(ImageFile(entry["file_name"], folder, entry.get("archive")))
        of_image = rows[entry["id"]]
        xywh = np.array([box for box, _, _ in of_image], dtype=np.float64).reshape(-1, 4)
        # Labels are of the size that the file states; an image may be stored smaller.
        shares = xywh / np.tile([entry.get("width", image.shape[1]), entry.get("height", image.shape[0])], 2)
        image = shrink(image, MAX_SIDE)
        corners = np.concatenate([shares[:, :2], shares[:, :2] + shares[:, 2:]], axis=1).clip(0, 1)
        xyxy = corners * np.tile(image.shape[1::-1], 2)
        classes = np.array([kind for _, kind, _ in of_image], dtype=np.int64)
        flags = np.array([flag for _, _, flag in of_image], dtype=np.bool_)
        images.append(image)
        boxes.append(Boxes(xyxy, classes, flags))
    if not images:
        raise InputError(path, "has no images")
    stretched = np.array([bool(entry.get("stretched")) for entry in content["images"]])
    return DetectionSet(images, boxes, stretched, names)


@torch.no_grad()
def init_from_pose(detector: Detector, pose: dict[str, Tensor]) -> list[str]:
    """Fill the embedding and the stages with those of a HEViTPose of the same widths; the names of what was filled.

    Its patch embedding (7 x 7, stride 4) becomes that of an image half as large: every tap is spread over 2 x 2.
    """
    own = detector.state_dict()
    filled = {name: tensor for name, tensor in pose.items() if name in own and own[name].shape == tensor.shape}
    kernel = pose.get("embedding.conv.weight")
    if kernel is not None and kernel.shape == (detector.config.channels[0], 3, 7, 7):
        spread = kernel.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) / 4
        filled["embedding.conv.weight"] = F.pad(spread, (1, 0, 1, 0))
    detector.load_state_dict({**own, **filled})
    return sorted(filled)


def run(rank: int, options: argparse.Namespace, train: DetectionSet, val: DetectionSet, meeting: str) -> None:
    """One process of the training."""
    torch.set_num_threads(1)
    if options.processes > 1:
        torch.distributed.init_process_group("gloo", meeting, rank=rank, world_size=options.processes)
    sides = tuple((int(side), float(until)) for side, until in (word.split(":") for word in options.sides))
    augmentation = DetectionAugmentation(mosaic=options.mosaic, scale=tuple(options.scale), color=options.color)
    recipe = DetectorOptions(
        options.epochs,
        options.images_per_epoch,
        options.batch,
        sides,
        options.lr,
        augmentation=augmentation,
        seed=options.seed,
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
