import csv
import io

import pytest
from rich.console import Console

from hevitpose.view.tables import Table

EMPTY = Table(["network", "ms"], [])
NETWORKS = Table(
    ["network", "milliseconds here", "note"], [["t", "12.34", "a, b"], ["b_of_the_paper", "7", "[c]"]], "lrl"
)


def shown(table, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(table.grid())
    return [line.split() for line in console.file.getvalue().splitlines() if line.strip()]


def test_markdown():
    assert EMPTY.markdown().splitlines() == ["| network | ms |", "| --- | ---: |"]
    assert NETWORKS.markdown().splitlines()[1:3] == ["| --- | ---: | --- |", "| t | 12.34 | a, b |"]


def test_csv():
    assert EMPTY.csv() == "network,ms\n"
    assert list(csv.reader(io.StringIO(NETWORKS.csv()))) == [NETWORKS.header, *NETWORKS.rows]


@pytest.mark.parametrize("width", [80, 36])
def test_the_terminal_stacks_titles_and_breaks_no_number(width):
    lines = shown(NETWORKS, width)
    assert lines[-1] == ["b_of_the_paper", "7", "[c]"]
    assert lines[-2] == ["t", "12.34", "a,", "b"]
    assert len(shown(EMPTY, width)) == 1


def test_records_become_rows():
    records = [{"name": "t", "ms": {"a b": 1.25}}, {"name": "b", "ms": {"a b": None}}]
    table = Table.of(records, {"network": "`{name}`", "time": "{ms[a b]:.1f} ms"})
    assert table.rows == [["`t`", "1.2 ms"], ["`b`", "- ms"]]
    with pytest.raises(KeyError):
        Table.of([{}], {"network": "{name}"})
