"""What whole runs of the paper's recipes need, from one epoch each on fewer people of the same set: time and memory.

    python benchmarks/epoch.py mpii=mpii.toml coco=coco.toml --output results/benchmark_epoch.json

The data are described as for `hevitpose train`; a run's memory is that of its process at most, crops included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.training.batches import CACHE_MARGIN
from hevitpose.training.recipes import recipe_by_name
from hevitpose.training.run import read_run

NETWORKS = ("hevitpose_t", "hevitpose_s", "hevitpose_b")
PERSONS = {"mpii": 22_246, "coco": 149_813}
"""In the training sets that the paper uses: MPII's train.json of HRNet, COCO's people with keypoints in train2017."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sets", nargs="+", metavar="SET=DATA", help=f"of {', '.join(PERSONS)}")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = []
    for name, _, data in (word.partition("=") for word in options.sets):
        for network in NETWORKS:
            rows.append(measure(name, f"{name}/{network}", data))
            print(*(f"{key} {value}" for key, value in rows[-1].items()), sep=", ", flush=True)
    if options.output:
        atomic.write(options.output, json.dumps({"rows": rows, "provenance": provenance()}, indent=1) + "\n")


def measure(name: str, recipe: str, data: str) -> dict[str, Any]:
    """One epoch in a process of its own, and what follows for all epochs of the whole set."""
    whole = recipe_by_name(recipe)
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["train", "--recipe", recipe, "--data", data, "--epochs", "1", "--out", folder]
        process = subprocess.Popen([sys.executable, "-m", "hevitpose", *arguments], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{recipe}: the run failed")
        run = read_run(Path(folder))
    persons, speed = run.data.persons, run.history[-1].images_per_second
    height, width = whole.input_size(0)
    crop_gb = 3 * round(height * CACHE_MARGIN) * round(width * CACHE_MARGIN) / 1e9
    return {
        "recipe": recipe,
        "batch": whole.batch_size,
        "persons": persons,
        "images_per_second": round(speed, 2),
        "epochs": whole.epochs,
        "days": round(whole.epochs * PERSONS[name] / speed / 86400, 1),
        "process_gb": round(usage.ru_maxrss * 1024 / 1e9 - persons * crop_gb, 2),
        "crops_gb": round(PERSONS[name] * crop_gb, 1),
    }


if __name__ == "__main__":
    main()
