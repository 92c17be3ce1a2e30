import json
from pathlib import Path

import pytest
from PIL import Image

EVALUATION = {"model": "last", "architecture": "b", "data": "valid", "scores": {"PCKh@0.5": {"mean": 71.25}}}


def test_a_tables_file_holds_what_is_counted_now_and_what_evaluate_measured(hevitpose):
    Path("mine").mkdir()
    Path("mine", "mpii_b.json").write_text(json.dumps(EVALUATION))
    assert hevitpose("table", 6, "--results", "mine", "--output", "out/table.json")[:2] == (0, "")
    rows = json.loads(Path("out/table.json").read_text())["rows"]
    assert [(row["paper"]["params"], round(row["here"]["params"], 2)) for row in rows] == [
        *((9.87, 9.87), (9.82, 9.82), (10.63, 10.63))
    ]
    assert [[run["value"] for run in row["runs"]] for row in rows] == [[], [], [71.25]]
    assert rows[1]["command"] == "hevitpose train --recipe mpii/efficientvit_m4:embedding=conv7 --data mpii.toml"


@pytest.mark.parametrize(
    ("options", "line"),
    [([], "b: hevitpose train"), (["--format", "md"], "| b | 1.00 |"), (["--format", "json"], '"params": 1.0')],
)
def test_a_table_is_printed_in_the_form_asked_for(hevitpose, monkeypatch, options, line):
    from hevitpose.cli import table
    from hevitpose.models.cost import Cost
    from hevitpose.paper.tables import PaperRow, PaperTable

    row = PaperRow("b", {"method": "b", "params": 1.0}, Cost(1_000_000, 0, 0), (), "hevitpose train")
    monkeypatch.setattr(table, "paper_table", lambda number, _: PaperTable(number, "title", (row,), ()))
    status, printed, _ = hevitpose("table", 1, *options)
    assert status == 0
    assert line in printed


def test_figure_4_writes_both_files_unless_given_a_suffix(hevitpose):
    status, printed, _ = hevitpose("figure", 4)
    assert (status, printed.split()) == (0, [str(Path("out", f"figure_4{suffix}")) for suffix in (".png", ".svg")])
    with Image.open("out/figure_4.png") as image:
        image.load()
    assert "<svg" in Path("out/figure_4.svg").read_text()


def test_figure_1_needs_no_network(hevitpose, monkeypatch):
    from hevitpose.paper import tables

    monkeypatch.setattr(tables, "count", None)
    assert hevitpose("figure", 1, "--output", "one.png")[:2] == (0, "one.png\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["table", 1, "--output", "t.txt"], "error: t.txt: must end in .md or .json, or use --format\n"),
        (
            ["figure", 1, "--output", "f.pdf"],
            "error: f.pdf: must end in .png or .svg, or have no suffix to write both\n",
        ),
        (
            ["figure", 1, "--of", "runs", "--results", "none"],
            "error: none: holds no runs with PCKh@0.5 (hevitpose compare)\n",
        ),
    ],
)
def test_what_cannot_be_is_one_line_and_status_1(hevitpose, arguments, line):
    assert hevitpose(*arguments) == (1, "", line)


@pytest.mark.parametrize("arguments", [["table", 7], ["figure", 2]])
def test_what_is_no_table_or_figure_is_a_usage_error(hevitpose, arguments):
    assert hevitpose(*arguments)[0] == 2


@pytest.mark.parametrize("command", ["table", "figure"])
def test_help_has_examples(hevitpose, command):
    status, printed, _ = hevitpose(command, "--help")
    assert status == 0
    assert f"hevitpose {command} " in printed.split("Examples:")[1]
