"""The parameters and GFLOPs that the paper prints, by its counting, on the real modules."""

import json
from importlib import resources

import pytest

from hevitpose.models.baselines import pvtv2_b2, resnet50
from hevitpose.models.cost import cost, total
from hevitpose.models.hevitpose import HEViTPose, hevitpose_b, hevitpose_s, hevitpose_t

PAPER = json.loads((resources.files("hevitpose") / "paper.json").read_text())
TABLE_1 = {row[0]: row for row in PAPER["table1_mpii_test_pckh50"]["rows"]}
TABLE_5 = PAPER["table5_groups_mpii_val"]["rows"]
FAMILY = PAPER["table2_family"]["corrected"]
B = (128, 256, 384)


def printed(model):
    whole = total(cost(model))
    return f"{whole.parameters / 1e6:.2f}", f"{whole.paper_operations / 1e9:.2f}"


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("HEViTPose-T", hevitpose_t),
        ("HEViTPose-S", hevitpose_s),
        ("HEViTPose-B", hevitpose_b),
        ("ResNet-50", resnet50),
        ("PVTv2-B2", pvtv2_b2),
    ],
)
def test_table_1(name, build):
    _, parameters, gflops, *_ = TABLE_1[name]
    assert printed(build()) == (f"{parameters:.2f}", f"{gflops:.2f}")


@pytest.mark.parametrize(
    "row", TABLE_5, ids=lambda row: f"part {row[0]}, groups {row[1]}, reductions {row[2]}, heads {row[3]}"
)
def test_table_5(row):
    _, groups, reductions, heads, parameters, gflops, *_ = row
    model = HEViTPose(16, B, groups=groups, reductions=reductions, heads=heads)
    assert printed(model) == (f"{parameters:.2f}", f"{gflops:.2f}")


@pytest.mark.parametrize(("letter", "build"), [("T", hevitpose_t), ("S", hevitpose_s), ("B", hevitpose_b)])
def test_table_2_as_corrected(letter, build):
    family = FAMILY[letter]
    spelled_out = HEViTPose(16, family["C"], family["L"], family["G"], family["R"], family["heads"])
    assert str(build()) == str(spelled_out)


def test_relu_projection_stays_within_the_published_counts():
    _, parameters, gflops, *_ = TABLE_1["HEViTPose-B"]
    assert printed(HEViTPose(16, B, relu_projection=True)) == (f"{parameters:.2f}", f"{gflops:.2f}")


def test_the_full_counting_adds_the_attention_that_the_papers_leaves_out():
    # By hand for B's first stage, one block: 4 groups of d = 32, 64 x 64 queries, 8 x 8 keys, 2 heads.
    queries, keys, d = 64 * 64, 8 * 8, 32
    projections = 4 * (2 * queries * d * d + 2 * keys * d * d)
    products = 4 * 2 * queries * keys * d
    part = cost(hevitpose_b())["stages.0"]
    # Only the paper counts norms (2 an element), ReLU (1) and biases (1). An element of the map has twice a
    # sandwich half (10), the norms of queries and results (4) and the projection's bias (1); a reduced one has SR's
    # bias and norm.
    only_paper = 25 * queries * 128 + 3 * keys * 128
    assert part.multiply_accumulates == part.paper_operations - only_paper + projections + products
