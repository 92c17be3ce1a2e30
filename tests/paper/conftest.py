import json
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="session")
def stored_costs():
    """What was counted of each network (as spelled), number of keypoints and input side."""
    from hevitpose.models.cost import Cost

    rows = json.loads((RESULTS / "paper_costs.json").read_text())["rows"]
    return {
        (row["network"], row["keypoints"], row["side"]): Cost(
            row["parameters"], row["paper_operations"], row["multiply_accumulates"]
        )
        for row in rows
    }


@pytest.fixture
def stored(stored_costs):
    """The counts of `paper_table` and the figures, without counting."""
    from hevitpose.core.architecture import network_spec

    return lambda name, variant, keypoints, side: stored_costs[network_spec(name, variant), keypoints, side]
