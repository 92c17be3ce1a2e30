"""Predict millions of images on the machines of a Ray cluster, or on this one.

    find $PWD/photos -name '*.jpg' > list.txt
    python predict_ray.py list.txt results --actors 8

Start it again after any interruption: finished parts are left out. docs/scale.md describes columns and needs.
"""

import argparse
import time
from pathlib import Path

from hevitpose.cluster import PART_SIZE, predict_list
from hevitpose.core.errors import HevitposeError
from hevitpose.inference.network import DEFAULT


def main() -> None:
    """Parse, predict, and print each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path, help="file with the path of an image per line")
    parser.add_argument("output", type=Path, help="folder for the Parquet files")
    parser.add_argument("--model", default=DEFAULT, help="bundled weights or a file")
    parser.add_argument("--detector", default="auto", help="as of `hevitpose predict`")
    parser.add_argument("--actors", type=int, default=1, help="estimators, each in a process")
    parser.add_argument("--cpus-per-actor", type=int, default=1, help="threads of each")
    parser.add_argument("--part-size", type=int, default=PART_SIZE, help="images per file")
    arguments = parser.parse_args()
    started, images = time.monotonic(), 0
    try:
        for part in predict_list(
            arguments.list,
            arguments.output,
            model=arguments.model,
            part_size=arguments.part_size,
            actors=arguments.actors,
            cpus_per_actor=arguments.cpus_per_actor,
            detector=arguments.detector,
        ):
            images += part.images
            speed = images / (time.monotonic() - started)
            print(f"part {part.number}: {part.images} images, {part.unreadable} unreadable, {speed:.1f} images/s")
    except HevitposeError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
