"""Count parameters and operations for every row of the paper's tables and every point of its cost figure.

    python benchmarks/paper_costs.py --output results/paper_costs.json

`hevitpose table` and `hevitpose figure cost` count them each time; the pages in docs/ take them from this file.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from hevitpose.core.architecture import NetworkName, Variant, network_spec
from hevitpose.io import atomic
from hevitpose.io.provenance import provenance
from hevitpose.models.cost import Cost
from hevitpose.paper.figures import cost_figure
from hevitpose.paper.tables import KEYS, count, paper_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    counted: dict[tuple[str, int, int], Cost] = {}

    def count_once(name: NetworkName, variant: Variant, keypoints: int, side: int) -> Cost:
        key = (network_spec(name, variant), keypoints, side)
        if key not in counted:
            counted[key] = count(name, variant, keypoints, side)
            print(*key, counted[key])
        return counted[key]

    for number in KEYS:
        paper_table(number, None, count_once)
    cost_figure(count_once)
    if options.output:
        rows = [
            {"network": network, "keypoints": keypoints, "side": side} | asdict(cost)
            for (network, keypoints, side), cost in counted.items()
        ]
        result = {"rows": rows, "provenance": provenance()}
        atomic.write(options.output, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
