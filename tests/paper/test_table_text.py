import io
import json

import pytest
from rich.console import Console

from hevitpose.cli.table import show
from hevitpose.paper.table_text import as_json, markdown
from hevitpose.paper.tables import paper_table

ROWS = {1: 13, 2: 3, 3: 5, 4: 4, 5: 8, 6: 3}
CELLS = {  # of the last row, by header
    1: {"method": "HEViTPose-B", "params (M)": "10.63", "GFLOPs, here": "5.58", "total": "90.7"},
    2: {"method": "HEViTPose-B", "G": "4, 4, 4", "params (M), here": "10.63"},
    3: {"method": "HEViTPose-B", "AP": "72.6", "AR": "78.0"},
    4: {"PEOW": "3", "kernel - stride": "5", "layers": "conv(7,2), conv(7,2)", "GFLOPs, here": "7.38"},
    5: {"heads": "2, 4, 8", "days of training": "10", "total": "?"},
    6: {"method": "c", "PEOW 3": "yes", "HEViTPose": "yes", "params (M)": "10.63", "params (M), here": "10.63"},
}


def printed(table, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    show(table, console)
    return console.file.getvalue()


@pytest.mark.parametrize("number", ROWS)
def test_markdown(number, stored):
    table = paper_table(number, None, stored)
    header, rule, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown(table).splitlines()
        if line.startswith("|")
    ]
    assert len(rows) == ROWS[number]
    assert {len(line) for line in (rule, *rows)} == {len(header)}
    last = dict(zip(header, rows[-1], strict=True))
    assert last.items() >= CELLS[number].items()
    assert [line[2:] for line in markdown(table).splitlines() if line.startswith("- ")] == list(table.notes)


@pytest.mark.parametrize("number", ROWS)
def test_json(number, stored):
    table = paper_table(number, None, stored)
    content = json.loads(json.dumps(as_json(table)))
    assert (content["table"], len(content["rows"])) == (number, ROWS[number])
    assert [row["paper"] for row in content["rows"]] == [row.paper for row in table.rows]
    assert content["rows"][-1]["here"]["params"] == table.rows[-1].cost.parameters / 1e6
    assert content["notes"] == list(table.notes)


def test_what_is_illegible_in_print_is_a_question_mark_and_null_in_json(stored):
    table = paper_table(3, None, stored)
    row = next(line for line in markdown(table).splitlines() if line.startswith("| ViTPose-B"))
    assert row.count(" ? ") == 2
    assert json.loads(json.dumps(as_json(table)))["rows"][1]["paper"]["AP50"] is None


@pytest.mark.parametrize("number", ROWS)
@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_every_cell_unbroken(number, width, stored):
    table = paper_table(number, None, stored)
    lines = printed(table, width).splitlines()
    for cell in CELLS[number].values():
        assert any(cell in line for line in lines)
    assert max(len(line.rstrip()) for line in lines if "hevitpose train" not in line) <= width
    for row in table.rows:
        if row.command:
            assert f"  {row.network}: {row.command}" in lines


def test_a_narrow_terminal_gets_counts_and_scores_one_below_the_other(stored):
    table = paper_table(1, None, stored)
    wide, narrow = (printed(table, width).splitlines() for width in (120, 80))
    assert sum(line.lstrip().startswith("HEViTPose-T") for line in wide) == 1
    assert [line.split() for line in narrow if line.lstrip().startswith("HEViTPose-T")] == [
        ["HEViTPose-T", "3.21", "3.21", "1.75", "1.75", "1.84"],
        ["HEViTPose-T", "97.6", "95.1", "89.0", "83.6", "89.1", "83.9", "79.1", "88.7"],
    ]


def test_scores_stand_where_the_command_would(stored, tmp_path):
    run = {"network": "t", "data": "people16", "epochs": 30, "scores": {"mpii_val": {"PCKh@0.5": 70.12}}}
    (tmp_path / "t.json").write_text(json.dumps(run))
    table = paper_table(1, tmp_path, stored)
    score = "70.1 PCKh@0.5 on mpii_val of people16, 30 epochs (t.json)"
    assert f"  t: {score}\n" in printed(table, 80)
    assert f"| {score} |" in markdown(table)
    assert json.loads(json.dumps(as_json(table)))["rows"][10]["runs"][0]["value"] == 70.12
