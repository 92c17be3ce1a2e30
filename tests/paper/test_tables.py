import json

import pytest

from hevitpose.core.architecture import PLAIN, Variant
from hevitpose.paper.tables import KEYS, SIDE, count, network_of, paper_table, read_paper

ROWS = {1: 13, 2: 3, 3: 5, 4: 4, 5: 8, 6: 3}


@pytest.mark.parametrize(("number", "rows"), ROWS.items(), ids=str)
def test_every_printed_row_is_there_with_every_printed_cell(number, rows, stored):
    table = paper_table(number, None, stored)
    assert len(table.rows) == rows
    if number != 2:
        printed = read_paper()[KEYS[number]]
        assert [[row.paper[name] for name in printed["columns"]] for row in table.rows] == printed["rows"]


@pytest.mark.parametrize(
    ("number", "differ"),
    [(1, {"hrnet_w32", "swin_s"}), (3, {"swin_s", "vitpose_b"}), *((n, set()) for n in (2, 4, 5, 6))],
)
def test_counts_that_differ_from_print_are_said_to(number, differ, stored):
    table = paper_table(number, None, stored)
    differing = {
        row.network
        for row in table.rows
        for name in ("params", "gflops")
        if f"{row.here()[name]:.2f}" != f"{row.paper[name]:.2f}"
    }
    assert differing == differ  # tests/golden says why
    for network in differing:
        assert any(note.startswith(f"{network}: ") and note.endswith(" in print.") for note in table.notes)


def test_table_2_is_the_corrected_one_and_says_so(stored):
    table = paper_table(2, None, stored)
    small = table.rows[1].paper
    assert (small["method"], small["L"], small["G"]) == ("HEViTPose-S", [1, 2, 3], [4, 3, 2])
    assert any("exchanged in print" in note for note in table.notes)
    assert {row.command for row in table.rows} == {None}


def test_table_4_gives_the_overlap_that_the_layers_have(stored):
    table = paper_table(4, None, stored)
    assert [row.paper["peow"] for row in table.rows] == [1, 3, 7, 3]
    assert [row.paper["kernel_less_stride"] for row in table.rows] == [1, 3, 7, 5]
    assert any("kernel minus stride is 5" in note for note in table.notes)


def test_table_5_leaves_unknown_totals_open_and_says_how_it_was_read(stored):
    table = paper_table(5, None, stored)
    assert [row.paper["total"] for row in table.rows] == [89.1, 89.4, 89.0, None, 89.4, 89.0, 89.3, None]
    assert any("89.3 for the three-day row" in note for note in table.notes)


def test_table_6_is_made_of_rows_of_the_other_tables(stored):
    assert [row.network for row in paper_table(6, None, stored).rows] == [
        *("efficientvit_m4", "efficientvit_m4:embedding=conv7", "b")
    ]


def test_claims_stand_beside_what_is_counted(stored):
    claims = [note for note in paper_table(1, None, stored).notes if "claim" in note]
    assert claims[0].startswith("The paper's claim, T against MobileNetV2: params -66.5%, gflops -17.5%, total +2.1.")
    assert claims[0].endswith("Counted here: params -66.5%, gflops -17.4%.")
    assert len(claims) == 3


@pytest.mark.parametrize(
    ("number", "row", "command"),
    [
        (1, 5, "hevitpose train --recipe mpii/hrnet_w32 --data mpii.toml"),
        (3, 1, "hevitpose train --recipe coco/vitpose_b --data coco.toml"),
        (4, 2, "hevitpose train --recipe mpii/efficientvit_m4:embedding=conv15-deconv4 --data mpii.toml"),
        (5, 1, "hevitpose train --recipe mpii/b --data mpii.toml"),
        (5, 6, "hevitpose train --recipe mpii/b:reductions=4-2-1:heads=1-2-4 --data mpii.toml"),
    ],
)
def test_a_row_names_its_command(number, row, command, stored):
    assert paper_table(number, None, stored).rows[row].command == command


@pytest.mark.parametrize("number", [1, 3, 4, 5, 6])
def test_every_command_trains_the_network_of_its_row_by_the_papers_recipe(number, stored):
    from hevitpose.training.recipes import recipe_by_name

    for row in paper_table(number, None, stored).rows:
        recipe = recipe_by_name(row.command.split()[3])
        assert network_of(row.network) == (recipe.model, recipe.variant)
        assert (recipe.epochs, recipe.batch_size) == (210, 64 if number == 3 else 32)


def test_scores_measured_here_are_those_of_the_row_in_its_metric(stored, tmp_path):
    runs = {
        "b": {"mpii_val": {"PCKh@0.5": 71.5}, "lsp_val": {"PCK@0.2": 80.0}},
        "HEViTPose-B": {"val2017": {"AP": 60.0}},
        "b:groups=2-2-2": {"mpii_val": {"PCKh@0.5": 70.5}},
        "b:sigma=1": {"mpii_val": {"PCKh@0.5": 69.5}},
        "unknown": {"mpii_val": {"PCKh@0.5": 99.0}},
    }
    for n, (network, scores) in enumerate(runs.items()):
        run = {"network": network, "data": "people16", "scores": scores}
        (tmp_path / f"{n}.json").write_text(json.dumps(run))
    found = {number: paper_table(number, tmp_path, stored).rows for number in (1, 3, 5)}
    assert [run.value for run in found[1][-1].runs] == [71.5]
    assert [run.value for run in found[3][-1].runs] == [60.0]
    assert [[run.value for run in row.runs] for row in found[5][:2]] == [[70.5], [71.5]]
    assert not any(row.runs for row in found[1][:-1])


def test_networks_are_known_by_both_names():
    assert network_of("HRNet-W32") == network_of("hrnet_w32") == ("hrnet_w32", PLAIN)
    assert network_of("b:groups=2-2-2") == ("b", Variant(groups=(2, 2, 2)))
    assert network_of("HRNet-W48") is None


@pytest.mark.slow
def test_stored_counts_of_other_sizes_are_those_of_the_networks(stored_costs):
    for (network, keypoints, side), counted in stored_costs.items():
        if side != SIDE:  # tests/golden counts the others
            assert count(*network_of(network), keypoints, side) == counted
