"""A design as it is drawn: boxes for its tables, areas for groups of them, lines for its foreign keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from data_platform.model.database import Table
from data_platform.model.design import Design
from data_platform.report.document import Code, shown
from data_platform.schema.diagram import facts
from data_platform.schema.diagram.layout.groups import Group
from data_platform.schema.diagram.layout.layout import Banner, Layout, Node, Rectangle, layout
from data_platform.schema.diagram.layout.letters import fitted, shortened
from data_platform.schema.diagram.layout.places import WIDTH
from data_platform.schema.diagram.layout.routes import Point, Wire
from data_platform.schema.diagram.tables import foreign_keys, marks

HEADER = 30
ROW = 19
FOOT = 7
"""The heights of a box's parts: its name, each column, and the rest below them."""
TITLE = 13
"""The size of the letters of a name in the head of its box."""
HUES = 8
"""How many colours the style has."""
UNLINKED = "no foreign keys"
_RADIUS = 6


@dataclass(frozen=True)
class Box:
    """A table. `label` tells it from all others; `columns` are the numbers of those that it shows."""

    number: int
    label: str
    name: str
    columns: tuple[int, ...]
    place: Rectangle
    title: str
    """The name, as far as there is room for it in the head."""
    far: tuple[str, ...]
    """The name in lines that fill the box, to be read from afar."""
    size: float
    """Of the letters of those lines."""


@dataclass(frozen=True)
class Area:
    """A group of tables and the colour of its boxes."""

    label: str
    schema: str
    hue: int
    place: Rectangle
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Line:
    """A foreign key. `path` is the `d` of an SVG path."""

    path: str
    hue: int
    optional: bool
    single: bool


@dataclass(frozen=True)
class Drawing:
    """Everything that is drawn; lines in the order of the foreign keys in the model."""

    width: float
    height: float
    areas: tuple[Area, ...]
    banners: tuple[Banner, ...]
    lines: tuple[Line, ...]

    @property
    def boxes(self) -> list[Box]:
        """All of them, in the order of the model."""
        return sorted((box for area in self.areas for box in area.boxes), key=lambda box: box.number)

    @property
    def schemas(self) -> list[tuple[str, list[Area]]]:
        """The areas of each schema."""
        return [(schema, list(areas)) for schema, areas in groupby(self.areas, key=lambda area: area.schema)]


def drawing(design: Design) -> Drawing:
    """The design, laid out. The same design gives the same drawing."""
    shows = _shows(design.database.tables)
    nodes = [
        Node(table.name.schema, height(len(columns), len(table.columns)))
        for table, columns in zip(design.database.tables, shows, strict=True)
    ]
    laid = layout(nodes, list(_wires(design, shows)))
    boxes = _boxes(design, shows, laid)
    areas = tuple(_area(design, number, laid, boxes) for number in range(len(laid.groups)))
    banners = tuple(Banner(shown(Code(banner.schema)), banner.place) for banner in laid.banners)
    return Drawing(*laid.size, areas, banners, tuple(_lines(design, laid)))


def shown_columns(table: Table, limit: int) -> tuple[int, ...]:
    """The numbers of the columns that a box shows, in their order: keys before others where not all have room."""
    keys = [any(marks(table, column.name)) for column in table.columns]
    ranked = sorted(range(len(keys)), key=lambda number: (not keys[number], number))
    return tuple(sorted(ranked[:limit]))


def _shows(tables: Sequence[Table]) -> list[tuple[int, ...]]:
    """The columns that each box shows; the more tables, the fewer."""
    limit = 30 if len(tables) <= 30 else 12 if len(tables) <= 100 else 5
    return [shown_columns(table, limit) for table in tables]


def height(columns: int, of: int) -> float:
    """Of a box that shows so many columns of a table; where some are missing, a row says how many."""
    return HEADER + ROW * (columns + (columns < of)) + FOOT


def _wires(design: Design, shows: Sequence[tuple[int, ...]]) -> Iterator[Wire]:
    """The foreign keys as lines from the row of their first column to the head of the table that they refer to."""
    numbers = {table.name: number for number, table in enumerate(design.database.tables)}
    for table, key in foreign_keys(design):
        source = numbers[table.name]
        names = [table.columns[number].name for number in shows[source]]
        row = names.index(key.columns[0]) if key.columns[0] in names else len(names)
        yield Wire(source, numbers[key.target], HEADER + ROW * (row + 0.5), HEADER / 2)


def _boxes(design: Design, shows: Sequence[tuple[int, ...]], laid: Layout) -> list[Box]:
    called = facts.labels(design)
    made = []
    for number, (table, place) in enumerate(zip(design.database.tables, laid.boxes, strict=True)):
        name = shown(Code(table.name.name))
        size, far = fitted(name, place.width - 16, place.height - 14)
        title = shortened(name, (WIDTH - 24) / TITLE)
        made.append(Box(number, called[table.name], name, shows[number], place, title, far, size))
    return made


def _area(design: Design, number: int, laid: Layout, boxes: Sequence[Box]) -> Area:
    group: Group = laid.groups[number]
    members = tuple(sorted((boxes[member] for member in group.members), key=lambda box: box.label))
    label = boxes[group.hub].name if group.hub is not None else UNLINKED
    return Area(label, shown(Code(group.schema)), number % HUES, laid.frames[number], members)


def _lines(design: Design, laid: Layout) -> Iterator[Line]:
    """Lines to different tables run side by side, so the colour goes by the table, in the order of the layout."""
    keys = facts.references(design)
    targets = {key["target"] for key in keys}
    ordered = [box for group in laid.groups for box in group.members if box in targets]
    hues = {box: number % HUES for number, box in enumerate(ordered)}
    for points, key in zip(laid.lines, keys, strict=True):
        yield Line(path(points), hues[key["target"]], key["optional"], key["single"])


def path(points: Sequence[Point]) -> str:
    """The `d` of an SVG path through `points`, its corners rounded."""
    parts = [f"M{_pair(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        enter, leave = _toward(corner, before), _toward(corner, after)
        parts.append(f"L{_pair(enter)}Q{_pair(corner)} {_pair(leave)}")
    return "".join([*parts, f"L{_pair(points[-1])}"])


def _toward(corner: Point, other: Point) -> Point:
    """The point near `corner` on the way to `other` where its rounding ends."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = abs(dx) + abs(dy)
    share = min(_RADIUS, length / 2) / length
    return corner[0] + dx * share, corner[1] + dy * share


def _pair(point: Point) -> str:
    return " ".join(f"{value:.1f}".removesuffix(".0") for value in point)
