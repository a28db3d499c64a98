"""Where the boxes of a diagram stand: rows of columns, like blocks between streets.

A group of tables is laid out in layers, referenced tables to the left of those that refer to them; groups are stacked
and put side by side until a row is full. Between the columns of a row run channels, under each box an alley, between
the rows streets: there the lines go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from data_platform.schema.diagram.layout.groups import Group, Link

WIDTH = 228
"""Of every box."""
CHANNEL = 48
"""Of a channel without lines, at least."""
ALLEY = 18
FRAME = 14
"""From a box to the frame of its group."""
HEADING = 34
"""From the top of a frame to its first box."""
BANNER = 52
"""Above the frames of a row, for the names of schemas where there are several."""
BETWEEN = 22
"""From frame to frame in a stack, at least."""
PITCH = 7
"""From line to line."""
_SWEEPS = 4
_SHARES = (3, 4, 5, 6, 8, 11, 15)
"""The heights of a row to try, in boxes of mean height."""
_LIMITS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 28, 36)
"""The widths of a row to try, in columns."""
_ASPECT = 1.35
"""Of the window that the whole should fill."""
_LAYERED = 1.3
"""Layers in columns of their own are worth a drawing that is so much smaller, if it has few boxes."""
_FEW = 60

Columns = tuple[tuple[int, ...], ...]
"""Boxes in columns, from the left and from the top."""


@dataclass(frozen=True)
class Block:
    """A group with its boxes in columns; `number` is the group's."""

    number: int
    schema: str
    columns: Columns


@dataclass(frozen=True)
class Stack:
    """Blocks one above the other; the first is the widest. `column` is the row's at which they begin."""

    column: int
    blocks: tuple[Block, ...]

    @property
    def width(self) -> int:
        """In columns."""
        return len(self.blocks[0].columns)


Row = tuple[Stack, ...]


@dataclass(frozen=True)
class Stand:
    """In which row and column of it a box stands."""

    row: int
    column: int


@dataclass(frozen=True)
class Frame:
    """The vertical extent of a group's frame, from the top of its row."""

    top: float
    bottom: float


@dataclass(frozen=True)
class Heights:
    """What is how far below the top of its row."""

    boxes: Mapping[int, float]
    alleys: Mapping[int, float]
    """Where the alley under a box begins, by that box."""
    frames: Mapping[int, Frame]
    rows: tuple[float, ...]
    """The height of each row."""


def arranged(groups: Sequence[Group], links: Iterable[Link], heights: Sequence[float]) -> tuple[Row, ...]:
    """The groups in rows that together have about the shape of a window."""
    layered = [_layers(group, links, heights) for group in groups]
    best: tuple[float, tuple[Row, ...]] = (0.0, ())
    layered_worth = _LAYERED if len(heights) <= _FEW else 1.0
    for height in _row_heights(heights):
        for worth, merging in ((layered_worth, False), (1.0, True)):
            blocks = [
                Block(number, group.schema, _columns(layers, heights, height, merging))
                for number, (group, layers) in enumerate(zip(groups, layered, strict=True))
            ]
            widest = max((len(block.columns) for block in blocks), default=1)
            for limit in sorted({max(widest, limit) for limit in _LIMITS}):
                rows = _packed(blocks, heights, height, limit)
                best = max(best, (worth * _scale(rows, heights), rows), key=lambda item: item[0])
    return best[1]


def _row_heights(heights: Sequence[float]) -> list[float]:
    mean = sum(heights) / max(1, len(heights)) + ALLEY
    return sorted({max(mean * share, *heights) for share in _SHARES}) if heights else []


def stands(rows: Sequence[Row]) -> dict[int, Stand]:
    """Where each box stands."""
    return {
        box: Stand(number, stack.column + column)
        for number, row in enumerate(rows)
        for stack in row
        for block in stack.blocks
        for column, boxes in enumerate(block.columns)
        for box in boxes
    }


def widths(rows: Sequence[Row]) -> tuple[int, ...]:
    """How many columns each row has."""
    return tuple(sum(stack.width for stack in row) for row in rows)


def stacked(rows: Sequence[Row], heights: Sequence[float], lines: Mapping[int, int]) -> Heights:
    """The vertical positions when `lines` lines run in the alley under a box."""
    boxes: dict[int, float] = {}
    alleys: dict[int, float] = {}
    frames: dict[int, Frame] = {}
    ends = []
    start = (
        BANNER if len({block.schema for row in rows for stack in row for block in stack.blocks}) > 1 else 0.0
    )
    for row in rows:
        end = start
        for stack in row:
            y = start
            for block in stack.blocks:
                bottom = y
                for column in block.columns:
                    at = y + HEADING
                    for box in column:
                        boxes[box] = at
                        alleys[box] = at + heights[box]
                        count = lines.get(box, 0)
                        at += heights[box] + (max(ALLEY, (count + 1) * PITCH) if box != column[-1] else 0)
                        at += count * PITCH if box == column[-1] else 0
                    bottom = max(bottom, at + FRAME)
                frames[block.number] = Frame(y, bottom)
                y = bottom + BETWEEN
            end = max(end, y - BETWEEN)
        ends.append(end)
    return Heights(boxes, alleys, frames, tuple(ends))


def _layers(group: Group, links: Iterable[Link], heights: Sequence[float]) -> list[list[int]]:
    """A group's boxes by how many links lie between them and a table that refers to none; without a hub one layer."""
    if group.hub is None:
        return [list(group.members)]
    own = set(group.members)
    targets: defaultdict[int, set[int]] = defaultdict(set)
    for source, target in links:
        if source != target and source in own and target in own:
            targets[source].add(target)
    depth = _depths(group.members, targets)
    layers: list[list[int]] = [[] for _ in range(max(depth.values()) + 1)]
    for number in group.members:
        layers[depth[number]].append(number)
    return _untangled(layers, targets)


def _depths(members: Sequence[int], targets: Mapping[int, set[int]]) -> dict[int, int]:
    """The longest way down; a cycle is entered at the member with the fewest references still open."""
    open_ = {number: set(targets.get(number, ())) for number in members}
    depth: dict[int, int] = {}
    while open_:
        ready = [number for number in open_ if not open_[number]]
        for number in ready or [min(open_, key=lambda n: (len(open_[n]), n))]:
            below = [depth[target] for target in targets.get(number, ()) if target in depth]
            depth[number] = 1 + max(below, default=-1)
            del open_[number]
        for rest in open_.values():
            rest.difference_update(depth)
    return depth


def _untangled(layers: list[list[int]], targets: Mapping[int, set[int]]) -> list[list[int]]:
    """Each layer in the order of the mean places of what its boxes are linked with, to and fro."""
    near: defaultdict[int, set[int]] = defaultdict(set)
    for source, some in targets.items():
        near[source] |= some
        for target in some:
            near[target].add(source)
    for sweep in range(_SWEEPS):
        place = {box: index / len(layer) for layer in layers for index, box in enumerate(layer)}
        level = {box: number for number, layer in enumerate(layers) for box in layer}
        for number in range(len(layers)) if sweep % 2 == 0 else reversed(range(len(layers))):
            wanted = {}
            for box in layers[number]:
                side = [other for other in near[box] if (level[other] < number) == (sweep % 2 == 0)]
                wanted[box] = sum(place[other] for other in side) / len(side) if side else place[box]
            layers[number].sort(key=lambda box: (wanted[box], box))
            place |= {box: index / len(layers[number]) for index, box in enumerate(layers[number])}
    return layers


def _columns(
    layers: Sequence[Sequence[int]], heights: Sequence[float], limit: float, merging: bool
) -> Columns:
    """Each layer as one column, or as several where it would be higher than `limit`.

    If `merging`, all layers one after the other in columns of about one height, as few as give a compact block.
    """
    if not merging:
        return tuple(part for layer in layers for part in _parts(layer, heights, limit))
    boxes = [box for layer in layers for box in layer]
    return tuple(_parts(boxes, heights, limit, round((len(boxes) * 0.6) ** 0.5)))


def _parts(
    boxes: Sequence[int], heights: Sequence[float], limit: float, least: int = 1
) -> list[tuple[int, ...]]:
    """`boxes` in at least so many parts, and as many as it takes to keep to `limit`, all of about one height."""
    whole = sum(heights[box] + ALLEY for box in boxes)
    count = max(1, least, -(-int(whole) // int(limit + ALLEY + 1)))
    parts: list[list[int]] = [[] for _ in range(count)]
    for box, end in zip(boxes, accumulate(heights[box] + ALLEY for box in boxes), strict=True):
        middle = end - (heights[box] + ALLEY) / 2
        parts[min(count - 1, int(middle / whole * count))].append(box)
    return [tuple(part) for part in parts if part]


def _length(column: Sequence[int], heights: Sequence[float]) -> float:
    return sum(heights[box] for box in column) + ALLEY * (len(column) - 1)


def _block_height(block: Block, heights: Sequence[float]) -> float:
    return HEADING + max(_length(column, heights) for column in block.columns) + FRAME


def _packed(blocks: Sequence[Block], heights: Sequence[float], height: float, limit: int) -> tuple[Row, ...]:
    """In order: under the first stack of the row with room, else beside the last, else in a new row."""
    rows: list[list[list[Block]]] = [[]]
    filled: list[float] = []
    room = (height + HEADING + FRAME) * 1.15
    for block in blocks:
        own = _block_height(block, heights)
        row = rows[-1]
        for number, stack in enumerate(row):
            has_room = len(stack[0].columns) >= len(block.columns) and filled[number] + BETWEEN + own <= room
            if has_room and stack[0].schema == block.schema:
                stack.append(block)
                filled[number] += BETWEEN + own
                break
        else:
            if row and sum(len(stack[0].columns) for stack in row) + len(block.columns) > limit:
                row, filled = [], []
                rows.append(row)
            row.append([block])
            filled.append(own)
    return tuple(_row(row) for row in rows if row)


def _row(stacks: Sequence[Sequence[Block]]) -> Row:
    starts = [0, *accumulate(len(stack[0].columns) for stack in stacks)]
    return tuple(Stack(start, tuple(stack)) for start, stack in zip(starts, stacks, strict=False))


def _scale(rows: Sequence[Row], heights: Sequence[float]) -> float:
    """How large the whole can be drawn in the window."""
    width = max(widths(rows), default=1) * (WIDTH + 1.3 * CHANNEL)
    height = sum(stacked(rows, heights, {}).rows) + len(rows) * 100
    return min(_ASPECT / width, 1 / max(1.0, height))
