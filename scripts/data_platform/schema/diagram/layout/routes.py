"""How the lines of a diagram run: along channels, alleys and streets, at right angles, never through a box.

All lines to one table share one track of each way they take, as a bus line does; lines to different tables never do.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from data_platform.schema.diagram.layout.places import (
    ALLEY,
    CHANNEL,
    PITCH,
    WIDTH,
    Heights,
    Stand,
)


class Channel(NamedTuple):
    """Vertical, left of the column of that number in a row."""

    row: int
    column: int


class Alley(NamedTuple):
    """Horizontal, under a box."""

    box: int


class Street(NamedTuple):
    """Horizontal, above the row of that number."""

    row: int


Way: TypeAlias = Channel | Alley | Street
Route: TypeAlias = tuple[Way, ...]
"""Begins and ends with a channel; channels alternate with the others."""


@dataclass(frozen=True)
class Wire:
    """A line to be drawn: from box to box; the ports are heights below the top of each."""

    source: int
    target: int
    leaves: float
    enters: float


FARTHEST = 2
"""So many columns of its row a line passes by their alleys; a longer one takes the street."""
_SIDE = 3
"""Ports on the left of a box are so much higher than named, those on the right lower: facing ones do not touch."""


class Router:
    """Finds routes between boxes that stand at `stands` with `heights`; `widths` are the columns of each row."""

    def __init__(self, stands: Mapping[int, Stand], heights: Heights, widths: Sequence[int]) -> None:
        self._stands = stands
        self._heights = heights
        self._widths = widths
        self._columns: defaultdict[Stand, list[int]] = defaultdict(list)
        for box, stand in stands.items():
            self._columns[stand].append(box)

    def route(self, wire: Wire) -> Route:
        """The ways that the line takes, in order."""
        source, target = self._stands[wire.source], self._stands[wire.target]
        if source == target:
            return (Channel(source.row, source.column + 1),)
        step = (target.column > source.column) - (target.column < source.column)
        first = Channel(source.row, source.column + (step >= 0))
        last = Channel(target.row, target.column + (step <= 0))
        if source.row != target.row:
            return self._across(first, last)
        passed = range(source.column + step, target.column, step)
        if len(passed) > FARTHEST:
            middle = (self._y(wire.source) + self._y(wire.target)) / 2
            return (first, Street(source.row + (middle > self._heights.rows[source.row] / 2)), last)
        return self._along(wire, first, passed, step)

    def _y(self, box: int) -> float:
        return self._heights.boxes[box]

    def _along(self, wire: Wire, first: Channel, passed: range, step: int) -> Route:
        """Within the row, by the alley of each column between that is the smallest detour."""
        ways: list[Way] = [first]
        here, goal = self._y(wire.source) + wire.leaves, self._y(wire.target) + wire.enters
        for column in passed:
            alleys = self._columns[Stand(first.row, column)]
            best = min(alleys, key=lambda box: self._detour(box, here, goal))
            here = self._heights.alleys[best]
            ways += [Alley(best), Channel(first.row, column + (step > 0))]
        return tuple(ways)

    def _detour(self, box: int, here: float, goal: float) -> tuple[float, int]:
        y = self._heights.alleys[box]
        return abs(y - here) + abs(y - goal), box

    def _across(self, first: Channel, last: Channel) -> Route:
        """To another row, through the rows between by the channel nearest to where the line must go."""
        ways: list[Way] = [first]
        down = last.row > first.row
        rows = range(first.row + 1, last.row) if down else range(first.row - 1, last.row, -1)
        for row in rows:
            ways += [Street(row if down else row + 1), Channel(row, min(last.column, self._widths[row]))]
        return (*ways, Street(last.row if down else last.row + 1), last)


Span: TypeAlias = tuple[float, float]
Tracks: TypeAlias = dict[int, int]
"""The track of each target that uses a way."""


def tracks(spans: Mapping[int, Span]) -> Tracks:
    """The lowest track for each span on which it touches no other."""
    ends: list[float] = []
    result: Tracks = {}
    for target, (start, end) in sorted(spans.items(), key=lambda item: (item[1], item[0])):
        free = next((number for number, last in enumerate(ends) if last < start), len(ends))
        ends[free:] = [end, *ends[free + 1 :]]
        result[target] = free
    return result


def alley_tracks(wires: Sequence[Wire], routes: Sequence[Route]) -> dict[int, Tracks]:
    """By the box above it. A line runs the whole length of an alley, so each target has a track of its own."""
    users: defaultdict[int, set[int]] = defaultdict(set)
    for wire, route in zip(wires, routes, strict=True):
        for way in route:
            if isinstance(way, Alley):
                users[way.box].add(wire.target)
    return {box: {target: n for n, target in enumerate(sorted(some))} for box, some in users.items()}


@dataclass(frozen=True)
class Plan:
    """Everything that places a line: final heights within the rows, and the tracks so far."""

    wires: Sequence[Wire]
    routes: Sequence[Route]
    stands: Mapping[int, Stand]
    heights: Heights
    alleys: Mapping[int, Tracks]

    def port(self, wire: Wire, route: Route, *, end: bool) -> tuple[int, float]:
        """Where a line leaves its source or enters its target: the side (0 left, 1 right) and the height."""
        box, way = (wire.target, route[-1]) if end else (wire.source, route[0])
        assert isinstance(way, Channel)
        side = way.column - self.stands[box].column
        return side, self.heights.boxes[box] + (wire.enters if end else wire.leaves) + _SIDE * (2 * side - 1)

    def level(self, way: Way, target: int, row: int) -> float:
        """The height of a horizontal way for the lines to `target`, seen from a row."""
        if isinstance(way, Alley):
            first = ALLEY / 2 if len(self.alleys[way.box]) == 1 else PITCH
            return self.heights.alleys[way.box] + first + PITCH * self.alleys[way.box][target]
        assert isinstance(way, Street)
        return -math.inf if way.row == row else math.inf

    def channel_spans(self) -> dict[Channel, dict[int, Span]]:
        """What the lines to each target take of each channel."""
        found: defaultdict[Channel, dict[int, Span]] = defaultdict(dict)
        for wire, route in zip(self.wires, self.routes, strict=True):
            for number in range(0, len(route), 2):
                way = route[number]
                assert isinstance(way, Channel)
                ends = (
                    self.level(route[number - 1], wire.target, way.row)
                    if number
                    else self.port(wire, route, end=False)[1],
                    self.level(route[number + 1], wire.target, way.row)
                    if number + 1 < len(route)
                    else self.port(wire, route, end=True)[1],
                )
                _widen(found[way], wire.target, *ends)
        return found


def street_spans(plan: Plan, xs: Mapping[tuple[Channel, int], float]) -> dict[int, dict[int, Span]]:
    """What the lines to each target take of each street, when `xs` says where their channels' tracks are."""
    found: defaultdict[int, dict[int, Span]] = defaultdict(dict)
    for wire, route in zip(plan.wires, plan.routes, strict=True):
        for number in range(1, len(route), 2):
            way, before, after = route[number], route[number - 1], route[number + 1]
            if isinstance(way, Street) and isinstance(before, Channel) and isinstance(after, Channel):
                _widen(found[way.row], wire.target, xs[before, wire.target], xs[after, wire.target])
    return found


def _widen(spans: dict[int, Span], target: int, one: float, other: float) -> None:
    low, high = spans.get(target, (math.inf, -math.inf))
    spans[target] = min(low, one, other), max(high, one, other)


def channel_width(count: int) -> float:
    """Of a channel with `count` tracks."""
    return CHANNEL + PITCH * max(0, count - 1)


def column_lefts(row: int, width: int, counts: Mapping[Channel, int]) -> tuple[list[float], list[float]]:
    """Where the channels (one more than columns) and the columns of a row begin."""
    channels, columns, x = [], [], 0.0
    for number in range(width + 1):
        channels.append(x)
        x += channel_width(counts.get(Channel(row, number), 0))
        columns.append(x)
        x += WIDTH
    return channels, columns[:-1]


Point: TypeAlias = tuple[float, float]


def corners(points: Iterable[Point]) -> list[Point]:
    """`points` without those at which a line does not turn."""
    kept: list[Point] = []
    for point in points:
        if kept and math.dist(kept[-1], point) < 0.01:
            continue
        if len(kept) > 1 and (
            kept[-2][0] == kept[-1][0] == point[0] or kept[-2][1] == kept[-1][1] == point[1]
        ):
            kept.pop()
        kept.append(point)
    return kept
