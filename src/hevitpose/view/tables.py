"""Tables as text."""

import csv
import io
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table as Grid

MISSING = "-"
MAX_NAME = 20
"""Characters; a first column that is wider may be wrapped on the terminal."""


@dataclass(frozen=True)
class Table:
    """A header and rows of cells, all of them text.

    `alignment` has one letter per column, l or r; by default the first column is left-aligned and the others are
    right-aligned.

    >>> print(Table(["network", "GFLOPs"], [["t", "1.75"]]).markdown())
    | network | GFLOPs |
    | --- | ---: |
    | t | 1.75 |
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    alignment: str = ""

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]], columns: Mapping[str, str], alignment: str = "") -> "Table":
        """One row per record; `columns` gives a format string of the record's entries by title.

        An entry that is None becomes "-".

        >>> Table.of([{"name": "t", "ms": 12.34}, {"name": "b", "ms": None}], {"network": "{name}", "ms": "{ms:.1f}"})
        Table(header=['network', 'ms'], rows=[['t', '12.3'], ['b', '-']], alignment='')
        """
        rows = [[_FORMATTER.vformat(text, (), record) for text in columns.values()] for record in records]
        return cls(list(columns), rows, alignment)

    def markdown(self) -> str:
        """As a Markdown table."""
        rule = ["---:" if right else "---" for right in self._right]
        return "\n".join(f"| {' | '.join(line)} |" for line in (self.header, rule, *self.rows))

    def csv(self) -> str:
        """As CSV, with a header and a line feed after each row."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()

    def grid(self) -> "Grid":
        """For the terminal (`rich.console.Console.print`): text is wrapped, numbers are not; titles are stacked."""
        from rich.table import Table as Grid
        from rich.text import Text  # which takes square brackets as they are

        grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        for n, (name, right) in enumerate(zip(self.header, self._right, strict=True)):
            longest = max((len(row[n]) for row in self.rows), default=0)
            keep = right or (n == 0 and longest <= MAX_NAME)
            heading = name.replace(" ", "\n") if keep else name
            grid.add_column(heading, justify="right" if right else "left", overflow="fold", no_wrap=keep)
        for row in self.rows:
            grid.add_row(*map(Text, row))
        return grid

    @property
    def _right(self) -> list[bool]:
        """Whether each column is right-aligned."""
        return [letter == "r" for letter in self.alignment or "l" + "r" * (len(self.header) - 1)]


class _Formatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        return MISSING if value is None else str(super().format_field(value, format_spec))


_FORMATTER = _Formatter()
