"""Peak memory of `hevitpose predict` on few and on many images, which should be the same.

    python benchmarks/memory.py examples/skier.jpg --counts 100 1000 --longer-side 160 --output results/memory.json

Every image is the same photo, under another name. Prints the megabytes of each run, and the ratio of the last to the
first.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hevitpose.io import atomic, images
from hevitpose.io.provenance import provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--longer-side", type=int, default=160, help="pixels that the photo is scaled to")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    image = images.read(options.photo)
    scale = options.longer_side / max(image.shape[:2])
    small = images.resize(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)))
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        images.write_png(Path(folder) / "photo.png", small)
        for count in options.counts:
            peaks[count] = peak_mb(Path(folder), count)
            print(f"{count} images: {peaks[count]:.1f} MB", flush=True)
    ratio = peaks[options.counts[-1]] / peaks[options.counts[0]]
    print(f"ratio {ratio:.3f}")
    if options.output:
        content = {"size_wh": small.shape[1::-1], "peak_mb": peaks, "ratio": round(ratio, 3)}
        atomic.write(options.output, json.dumps(content | {"provenance": provenance()}, indent=1) + "\n")


def peak_mb(folder: Path, count: int) -> float:
    """The most memory that a run over `count` links to the photo takes, in MB."""
    photos = folder / f"photos-{count}"
    photos.mkdir()
    for number in range(count):
        (photos / f"{number:04}.png").hardlink_to(folder / "photo.png")
    command = [sys.executable, "-m", "hevitpose", "predict", str(photos), "--format", "csv"]
    command += ["--output", str(folder / f"{count}.csv")]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(run.pid, 0)
    if status:
        raise SystemExit(f"hevitpose predict ended with status {os.waitstatus_to_exitcode(status)}")
    return round(usage.ru_maxrss / 1024, 1)


if __name__ == "__main__":
    main()
