"""Measure `hevitpose predict photo.jpg` from start to end, and its parts.

    python benchmarks/startup.py --output results/benchmark_startup.json

Each part runs in its own process, in turn, round after round; the median is reported. The disk cache is warm.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hevitpose.io import atomic
from hevitpose.io.provenance import provenance

PHOTO = Path(__file__).parents[1] / "examples" / "skier.jpg"
LOADED = "from hevitpose import PoseEstimator; PoseEstimator.from_pretrained(optimize_graph=not {})"
FORMS = {
    "python": ["-c", "pass"],
    "python, NumPy and ONNX Runtime": ["-c", "import numpy, onnxruntime"],
    "the network loaded": ["-c", LOADED.format(True)],
    "the network loaded, its graph optimised": ["-c", LOADED.format(False)],
    "hevitpose predict photo.jpg": ["-m", "hevitpose", "predict", str(PHOTO)],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in FORMS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for name, arguments in FORMS.items():
                started = time.perf_counter()
                subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=folder)
                seconds[name].append(time.perf_counter() - started)
    rows = [{"what": name, "seconds": round(statistics.median(times), 3)} for name, times in seconds.items()]
    for row in rows:
        print(f"{row['seconds']:.2f} s  {row['what']}")
    if options.output:
        atomic.write(options.output, json.dumps({"rows": rows, "provenance": provenance()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
