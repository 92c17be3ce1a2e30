"""No number of README and docs is typed by hand."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("update_tables", ROOT / "tools" / "update_tables.py")
update_tables = importlib.util.module_from_spec(spec)
spec.loader.exec_module(update_tables)


@pytest.mark.parametrize("page", update_tables.PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_results(page):
    text = page.read_text()
    assert update_tables.updated(text) == text, "run `make docs`"


def test_every_table_is_shown_somewhere():
    shown = {name for page in update_tables.PAGES for name in re.findall(r"<!-- table: (.+?) -->", page.read_text())}
    assert shown == set(update_tables.TABLES)
