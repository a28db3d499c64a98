"""From sizes and links to coordinates: the whole layout of a diagram."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from data_platform.schema.diagram.layout.groups import Group, groups
from data_platform.schema.diagram.layout.places import (
    BANNER,
    FRAME,
    PITCH,
    WIDTH,
    Row,
    arranged,
    stacked,
    stands,
    widths,
)
from data_platform.schema.diagram.layout.routes import (
    Channel,
    Plan,
    Point,
    Route,
    Router,
    Street,
    Tracks,
    Wire,
    alley_tracks,
    channel_width,
    column_lefts,
    corners,
    street_spans,
    tracks,
)

STREET = 46
"""The height of a street without lines."""


@dataclass(frozen=True)
class Node:
    """A box to be placed."""

    schema: str
    height: float


@dataclass(frozen=True)
class Rectangle:
    """A place, in the units of the drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Banner:
    """Where in a row the groups of one schema stand, side by side; `place` is the room above them."""

    schema: str
    place: Rectangle


@dataclass(frozen=True)
class Layout:
    """Where everything is; boxes, groups and lines in the order in which they were given or made."""

    size: tuple[float, float]
    boxes: tuple[Rectangle, ...]
    groups: tuple[Group, ...]
    frames: tuple[Rectangle, ...]
    banners: tuple[Banner, ...]
    lines: tuple[tuple[Point, ...], ...]


def layout(nodes: Sequence[Node], wires: Sequence[Wire]) -> Layout:
    """Places the boxes and leads the lines around them."""
    links = sorted({(wire.source, wire.target) for wire in wires})
    heights = [node.height for node in nodes]
    found = groups([node.schema for node in nodes], links)
    rows = arranged(found, links, heights)
    where, counts = stands(rows), widths(rows)
    router = Router(where, stacked(rows, heights, {}), counts)
    routes = [router.route(wire) for wire in wires]
    alleys = alley_tracks(wires, routes)
    final = stacked(rows, heights, {box: len(some) for box, some in alleys.items()})
    plan = Plan(wires, routes, where, final, alleys)
    return _drawn(nodes, found, rows, plan)


@dataclass(frozen=True)
class _Grid:
    """Final coordinates of rows, columns and tracks."""

    lefts: tuple[list[float], ...]
    """Of the columns of each row."""
    tops: tuple[float, ...]
    size: tuple[float, float]
    channels: Mapping[tuple[Channel, int], float]
    """x of the lines to a target in a channel."""
    streets: Mapping[tuple[int, int], float]
    """y of the lines to a target in a street."""


def _drawn(nodes: Sequence[Node], found: tuple[Group, ...], rows: Sequence[Row], plan: Plan) -> Layout:
    grid = _grid(widths(rows), plan)
    boxes = []
    for number, node in enumerate(nodes):
        stand = plan.stands[number]
        x, y = grid.lefts[stand.row][stand.column], grid.tops[stand.row] + plan.heights.boxes[number]
        boxes.append(Rectangle(x, y, WIDTH, node.height))
    frames = _frames(rows, grid, plan)
    lines = tuple(
        tuple(corners(_points(wire, route, plan, grid, boxes)))
        for wire, route in zip(plan.wires, plan.routes, strict=True)
    )
    return Layout(
        size=grid.size,
        boxes=tuple(boxes),
        groups=found,
        frames=tuple(frames[number] for number in range(len(found))),
        banners=tuple(_banners(rows, grid, frames)),
        lines=lines,
    )


def _grid(columns: Sequence[int], plan: Plan) -> _Grid:
    by_channel = {way: tracks(spans) for way, spans in plan.channel_spans().items()}
    counts = {way: _count(some) for way, some in by_channel.items()}
    sides = [column_lefts(row, width, counts) for row, width in enumerate(columns)]
    xs = {
        (way, target): _first_track(way, sides[way.row][0][way.column], counts[way]) + PITCH * track
        for way, some in by_channel.items()
        for target, track in some.items()
    }
    by_street = {street: tracks(spans) for street, spans in street_spans(plan, xs).items()}
    tops: list[float] = []
    ys: dict[tuple[int, int], float] = {}
    y = 0.0
    for row in range(len(columns) + 1):
        some = by_street.get(row, {})
        ys |= {(row, target): y + STREET / 2 + PITCH * track for target, track in some.items()}
        y += STREET + PITCH * max(0, _count(some) - 1)
        tops.append(y)
        y += plan.heights.rows[row] if row < len(columns) else 0
    right = max(
        (
            channels[-1] + channel_width(counts.get(Channel(row, len(lefts)), 0))
            for row, (channels, lefts) in enumerate(sides)
        ),
        default=0.0,
    )
    return _Grid(tuple(lefts for _, lefts in sides), tuple(tops[:-1]), (right, y), xs, ys)


def _first_track(way: Channel, left: float, count: int) -> float:
    """The x of a channel's first track: every other row's half a pitch aside, as two rows meet in each street."""
    middle = left + (channel_width(count) - PITCH * (count - 1)) / 2
    return PITCH * (round(middle / PITCH) + way.row % 2 / 2)


def _count(some: Tracks) -> int:
    return max(some.values(), default=-1) + 1


def _frames(rows: Sequence[Row], grid: _Grid, plan: Plan) -> dict[int, Rectangle]:
    made = {}
    for number, row in enumerate(rows):
        for stack in row:
            for block in stack.blocks:
                lefts = grid.lefts[number][stack.column : stack.column + len(block.columns)]
                frame = plan.heights.frames[block.number]
                made[block.number] = Rectangle(
                    lefts[0] - FRAME,
                    grid.tops[number] + frame.top,
                    lefts[-1] + WIDTH - lefts[0] + 2 * FRAME,
                    frame.bottom - frame.top,
                )
    return made


def _banners(rows: Sequence[Row], grid: _Grid, frames: Mapping[int, Rectangle]) -> Iterator[Banner]:
    for number, row in enumerate(rows):
        for schema, stacks in groupby(row, key=lambda stack: stack.blocks[0].schema):
            some = [frames[stack.blocks[0].number] for stack in stacks]
            left, right = some[0].x, some[-1].x + some[-1].width
            yield Banner(schema, Rectangle(left, grid.tops[number], right - left, BANNER))


def _points(wire: Wire, route: Route, plan: Plan, grid: _Grid, boxes: Sequence[Rectangle]) -> list[Point]:
    """The corners of a line, from port to port."""
    top = grid.tops[plan.stands[wire.source].row]
    side, y = plan.port(wire, route, end=False)
    points = [(boxes[wire.source].x + WIDTH * side, top + y)]
    for way in route:
        x, y = points[-1]
        if isinstance(way, Channel):
            points.append((grid.channels[way, wire.target], y))
        elif isinstance(way, Street):
            points.append((x, grid.streets[way.row, wire.target]))
        else:
            row = plan.stands[way.box].row
            points.append((x, grid.tops[row] + plan.level(way, wire.target, row)))
    side, y = plan.port(wire, route, end=True)
    y += grid.tops[plan.stands[wire.target].row]
    return [*points, (points[-1][0], y), (boxes[wire.target].x + WIDTH * side, y)]
