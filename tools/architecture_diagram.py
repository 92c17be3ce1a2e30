"""Draw docs/architecture.svg: the packages by floor, and the imports between them as they are in the source.

    python tools/architecture_diagram.py

The floors and the packages that load without torch are the tables of tests/test_architecture.py. An arrow points from
a package to one that it imports; arrows that follow from others are left out. An import that does not point down is
drawn in red.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "hevitpose"
FILE = ROOT / "docs" / "architecture.svg"
BOX_WIDTH, BOX_HEIGHT, LANE_WIDTH = 124, 36, 16
COLUMN_GAP, ROW_GAP, MARGIN = 26, 46, 20
LEGEND_HEIGHT = 30
LIGHT_FILL, TORCH_FILL = "#dbe9f6", "#fde3cf"
SWEEPS = 8


@dataclass(frozen=True)
class Node:
    """A package on its row, or (`edge` given) the place where a long arrow passes a row."""

    row: int
    name: str
    edge: tuple[str, str] | None = None

    @property
    def width(self) -> int:
        return LANE_WIDTH if self.edge else BOX_WIDTH


def constants(path: Path, names: set[str]) -> dict[str, Any]:
    """The values of these assignments of a module, which is read and not run."""
    assigned = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
    named = ((node.targets[0], node.value) for node in assigned)
    return {t.id: ast.literal_eval(value) for t, value in named if isinstance(t, ast.Name) and t.id in names}


def imported(path: Path) -> Iterator[str]:
    """The modules, and names in them, that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(packages: Iterable[str]) -> set[tuple[str, str]]:
    """Pairs of a package and another one that a module in it imports."""
    known = set(packages)
    edges = set()
    for package in known:
        names = (name for path in (SOURCE / package).rglob("*.py") for name in imported(path))
        used = {name.split(".")[1] for name in names if name.startswith("hevitpose.")}
        edges |= {(package, other) for other in used & known - {package}}
    return edges


def reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges of an acyclic graph that do not follow from others.

    >>> sorted(reduced({("c", "b"), ("b", "a"), ("c", "a")}))
    [('b', 'a'), ('c', 'b')]
    """
    below: dict[str, set[str]] = {}
    for start, end in edges:
        below.setdefault(start, set()).add(end)

    def reachable(start: str) -> set[str]:
        return {far for end in below.get(start, ()) for far in {end, *reachable(end)}}

    return {(a, b) for a, b in edges if not any(b in reachable(other) for other in below[a] - {b})}


def rows_of(floors: list[list[str]], edges: Iterable[tuple[str, str]]) -> list[list[Node]]:
    """The nodes of each row, top row first: packages, and a lane for each arrow that passes the row."""
    row_of = {package: row for row, packages in enumerate(floors) for package in packages}
    rows = [[Node(row, package) for package in packages] for row, packages in enumerate(floors)]
    for start, end in sorted(edges):
        for row in range(row_of[start] + 1, row_of[end]):
            rows[row].append(Node(row, f"{start} {end}", (start, end)))
    return rows


def chains(rows: list[list[Node]], edges: Iterable[tuple[str, str]]) -> Iterator[list[Node]]:
    """For each edge the nodes from its start to its end, one a row."""
    packages = {node.name: node for row in rows for node in row if not node.edge}
    for edge in sorted(edges):
        lanes = [node for row in rows for node in row if node.edge == edge]
        yield [packages[edge[0]], *lanes, packages[edge[1]]]


def placed(rows: list[list[Node]], edges: set[tuple[str, str]]) -> dict[Node, float]:
    """The x of each node's centre: rows are sorted by the mean place of the neighbours, over and over."""
    links = [pair for chain in chains(rows, edges) for pair in pairwise(chain)]
    neighbours: dict[Node, list[Node]] = {}
    for a, b in links:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    x = {node: place for row in rows for node, place in spread(row)}
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 else rows[::-1]:
            row.sort(key=lambda n: sum(x[m] for m in neighbours[n]) / len(neighbours[n]) if n in neighbours else x[n])
            x |= dict(spread(row))
    return x


def spread(row: list[Node]) -> Iterator[tuple[Node, float]]:
    """The nodes of a row side by side, centred on 0."""
    left = -(sum(node.width for node in row) + COLUMN_GAP * (len(row) - 1)) / 2
    for node in row:
        yield node, left + node.width / 2
        left += node.width + COLUMN_GAP


def top(row: int) -> int:
    return MARGIN + row * (BOX_HEIGHT + ROW_GAP)


def arrow(points: list[tuple[float, float]], wrong: bool = False) -> str:
    """A curve through the points that enters and leaves each vertically."""
    path = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for (x1, y1), (x2, y2) in pairwise(points):
        middle = (y1 + y2) / 2
        path += f" C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    kind = ("#c00", "bad") if wrong else ("#667", "good")
    return f'<path d="{path}" fill="none" stroke="{kind[0]}" stroke-width="1.4" marker-end="url(#{kind[1]})"/>'


def route(chain: list[Node], x: dict[Node, float]) -> list[tuple[float, float]]:
    """From the lower edge of the first box, straight through each lane, to the upper edge of the last box."""
    points = [(x[chain[0]], float(top(chain[0].row) + BOX_HEIGHT))]
    for node in chain[1:-1]:
        points += [(x[node], float(top(node.row))), (x[node], float(top(node.row) + BOX_HEIGHT))]
    return [*points, (x[chain[-1]], float(top(chain[-1].row)) - 2)]


def text(x: float, y: float, words: str, style: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{words}</text>'


def diagram(floors: list[list[str]], light: set[str], edges: set[tuple[str, str]]) -> str:
    """The SVG of these floors, the highest first."""
    row_of = {package: row for row, packages in enumerate(floors) for package in packages}
    down = {(a, b) for a, b in edges if row_of[a] < row_of[b]}
    drawn = reduced(down)
    rows = rows_of(floors, drawn)
    x = placed(rows, drawn)
    half = max(abs(place) + node.width / 2 for node, place in x.items()) + MARGIN
    x = {node: place + half for node, place in x.items()}
    packages = {node.name: node for node in x if not node.edge}
    body = [arrow(route(chain, x)) for chain in chains(rows, drawn)]
    for a, b in sorted(edges - down):
        start, end = packages[a], packages[b]
        body.append(arrow([(x[start], top(start.row)), (x[end], top(end.row) + BOX_HEIGHT + 2)], wrong=True))
    for name, node in packages.items():
        fill = LIGHT_FILL if name in light else TORCH_FILL
        left, y = x[node] - BOX_WIDTH / 2, top(node.row)
        size = f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"'
        body.append(f'<rect x="{left:.0f}" y="{y}" {size} fill="{fill}" stroke="#667"/>')
        body.append(text(x[node], y + 23, name, 'text-anchor="middle" font-weight="bold"'))
    bottom = top(len(floors)) - ROW_GAP + LEGEND_HEIGHT
    legend = (half - 175, LIGHT_FILL, "loads without torch"), (half + 25, TORCH_FILL, "may load torch")
    for left, fill, words in legend:
        body.append(f'<rect x="{left:.0f}" y="{bottom - 12}" width="14" height="14" fill="{fill}" stroke="#667"/>')
        body.append(text(left + 22, bottom, words))
    markers = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{color}"/></marker>'
        for name, color in (("good", "#667"), ("bad", "#c00"))
    )
    width, height = round(2 * half), bottom + MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    head += 'font-family="sans-serif" font-size="14" fill="#223">'
    background = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    return "\n".join([head, f"<defs>{markers}</defs>", background, *body, "</svg>", ""])


def drawn_now() -> str:
    """The diagram of the source as it is."""
    tables = constants(ROOT / "tests" / "test_architecture.py", {"FLOORS", "LIGHT"})
    floors = [list(packages) for packages in reversed(tables["FLOORS"])]
    return diagram(floors, set(tables["LIGHT"]), imports(package for floor in floors for package in floor))


if __name__ == "__main__":
    FILE.write_text(drawn_now())
