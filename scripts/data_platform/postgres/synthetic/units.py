"""What is chosen together in a row: a plain column, the parent that a foreign key refers to, an interval.

A unit gives each row a number and its columns the texts of that number. None is NULL. A sheet is a stretch of rows of
one world, made column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from data_platform.postgres.synthetic.linear import Scale, interval_texts
from data_platform.postgres.synthetic.space import Space
from data_platform.postgres.synthetic.stream import Draw, Rising, uneven

Texts = list[str | None]
Numbers = list[int | None]


@dataclass(eq=False)
class Sheet:
    """`count` rows of a world in the making. Rows in `dead` found no free value and are left out at the end."""

    world: int
    count: int
    numbers: dict[Unit, Numbers] = field(default_factory=dict)
    values: dict[str, Texts] = field(default_factory=dict)
    dead: set[int] = field(default_factory=set)
    owners: Mapping[str, Unit] = field(default_factory=dict)

    def text(self, column: str, row: int) -> str | None:
        """What a row has in a column so far."""
        if column in self.values:
            return self.values[column][row]
        owner = self.owners[column]
        number = self.numbers[owner][row]
        return owner.text(self, row, number, column)


class Unit(Protocol):
    """The common face; `columns` are those it writes."""

    columns: tuple[str, ...]

    def draw(self, sheet: Sheet) -> Numbers:
        """A number for each row, free of uniqueness."""
        ...

    def nulls(self, sheet: Sheet) -> list[bool]:
        """Which rows are to be NULL."""
        ...

    def choices(self, sheet: Sheet, row: int) -> Sequence[int]:
        """The numbers that this row may have."""
        ...

    def text(self, sheet: Sheet, row: int, number: int | None, column: str) -> str | None:
        """What a column gets for a number."""
        ...

    def write(self, sheet: Sheet) -> None:
        """Put the texts of all rows' numbers into the sheet."""
        ...


def _chances(random: Random, share: float, count: int) -> list[bool]:
    if share <= 0 or share >= 1:
        return [share >= 1] * count
    draw = random.random
    return [draw() < share for _ in range(count)]


def _with_nulls(numbers: Sequence[int], nulls: Sequence[bool]) -> Numbers:
    if True not in nulls:
        return list(numbers)
    return [None if null else number for number, null in zip(numbers, nulls, strict=True)]


@dataclass(frozen=True)
class Choice:
    """A plain column in one world: its space, how draws fall in it, how much of it is NULL."""

    space: Space
    draw: Draw | Rising
    null_share: float = 0.0
    spread: int = 1
    """The distance of drawn numbers, so that few distinct values still cover the natural ones."""


@dataclass(eq=False)
class Plain:
    """A column on its own. In a world where its choice is None it is NULL."""

    column: str
    worlds: tuple[Choice | None, ...]
    random: Random
    pace: int = 1
    """How far apart numbers are that are given out one after the other."""

    def __post_init__(self) -> None:
        self.columns: tuple[str, ...] = (self.column,)

    def draw(self, sheet: Sheet) -> Numbers:
        choice = self.worlds[sheet.world]
        if choice is None:
            return [None] * sheet.count
        numbers = choice.draw(self.random, sheet.count)
        if choice.spread > 1:
            numbers = [number * choice.spread for number in numbers]
        return _with_nulls(numbers, self.nulls(sheet))

    def nulls(self, sheet: Sheet) -> list[bool]:
        choice = self.worlds[sheet.world]
        return _chances(self.random, choice.null_share if choice else 1.0, sheet.count)

    def choices(self, sheet: Sheet, row: int) -> Sequence[int]:
        choice = self.worlds[sheet.world]
        return range(0, choice.space.size, self.pace) if choice else ()

    def text(self, sheet: Sheet, row: int, number: int | None, column: str) -> str | None:
        choice = self.worlds[sheet.world]
        return None if number is None or choice is None else choice.space.texts((number,))[0]

    def write(self, sheet: Sheet) -> None:
        choice, numbers = self.worlds[sheet.world], sheet.numbers[self]
        if choice is None:
            sheet.values[self.column] = [None] * sheet.count
        elif None not in numbers:
            sheet.values[self.column] = list(choice.space.texts(numbers))  # type: ignore[arg-type]
        else:
            texts = iter(choice.space.texts([number for number in numbers if number is not None]))
            sheet.values[self.column] = [None if number is None else next(texts) for number in numbers]


@dataclass(frozen=True)
class Test:
    """A relation between an own column of a foreign key and another one; `holds` takes their texts."""

    column: str
    other: str
    holds: Callable[[str, str], bool]


@dataclass(eq=False)
class Reference:
    """A foreign key. Numbers are places in the lists of the parents' values.

    `own` maps the columns that this unit writes, `shared` those that another one writes, to the parents' values.
    `eligible` are the parents that a world allows (None: NULL there); `nullable` the own columns that can be NULL.
    `tests` must hold for a parent to be chosen.
    """

    own: Mapping[str, Sequence[str | None]]
    shared: Mapping[str, Sequence[str | None]]
    nullable: frozenset[str]
    eligible: tuple[Sequence[int] | None, ...]
    null_share: tuple[float, ...]
    random: Random
    skew: float = 0.0
    tests: tuple[Test, ...] = ()

    def __post_init__(self) -> None:
        self.columns = tuple(self.own)
        self._matching: dict[int, dict[tuple[str | None, ...], list[int]]] = {}
        self._draws: dict[int, Draw] = {}

    def nulls(self, sheet: Sheet) -> list[bool]:
        if self.eligible[sheet.world] is None:
            return [True] * sheet.count
        return _chances(self.random, self.null_share[sheet.world], sheet.count)

    def choices(self, sheet: Sheet, row: int) -> Sequence[int]:
        eligible = self.eligible[sheet.world]
        if eligible is None or not self.shared:
            return eligible or ()
        if sheet.world not in self._matching:
            self._matching[sheet.world] = self._by_shared(eligible)
        wanted = tuple(sheet.text(column, row) for column in self.shared)
        return self._matching[sheet.world].get(wanted, ())

    def _by_shared(self, eligible: Sequence[int]) -> dict[tuple[str | None, ...], list[int]]:
        found: dict[tuple[str | None, ...], list[int]] = {}
        for place in eligible:
            found.setdefault(tuple(values[place] for values in self.shared.values()), []).append(place)
        return found

    def shared_values(self) -> set[tuple[str | None, ...]]:
        """The combinations of shared columns for which there is a parent in some world."""
        places = {place for eligible in self.eligible if eligible is not None for place in eligible}
        return {tuple(values[place] for values in self.shared.values()) for place in places}

    def draw(self, sheet: Sheet) -> Numbers:
        nulls = self.nulls(sheet)
        eligible = self.eligible[sheet.world]
        if not self.shared and not self.tests and eligible:
            places = self._places(len(eligible), sheet.count)
            return _with_nulls([eligible[place] for place in places], nulls)
        return [None if null else self._draw_one(sheet, row) for row, null in enumerate(nulls)]

    def _draw_one(self, sheet: Sheet, row: int) -> int | None:
        choices = self.choices(sheet, row)
        if choices:
            start = self._places(len(choices), 1)[0]
            for step in range(len(choices)):
                number = choices[(start + step) % len(choices)]
                if self.accepts(sheet, row, number):
                    return number
        if not self.can_be_null(sheet) and not self._loose(sheet, row):
            sheet.dead.add(row)
        return None

    def _loose(self, sheet: Sheet, row: int) -> bool:
        """Whether a shared column is NULL, so that the key binds nothing and there is nothing of its own to fill."""
        return not self.own and any(sheet.text(column, row) is None for column in self.shared)

    def can_be_null(self, sheet: Sheet) -> bool:
        """Whether this key may be left open."""
        return self.null_share[sheet.world] > 0

    def accepts(self, sheet: Sheet, row: int, number: int) -> bool:
        """Whether the relations with columns of other units hold."""
        for test in self.tests:
            mine, theirs = self.text(sheet, row, number, test.column), sheet.text(test.other, row)
            if mine is not None and theirs is not None and not test.holds(mine, theirs):
                return False
        return True

    def _places(self, size: int, count: int) -> list[int]:
        """Uneven on purpose: the first tenth of the parents gets about a fifth of the children, or as `skew` says."""
        if self.skew:
            if size not in self._draws:
                self._draws[size] = Draw(size, skew=self.skew)
            return self._draws[size](self.random, count)
        return uneven(self.random, size, count)

    def text(self, sheet: Sheet, row: int, number: int | None, column: str) -> str | None:
        if number is None:
            return None if column in self.nullable else self._any_parent(sheet, row, column)
        return self.own[column][number]

    def _any_parent(self, sheet: Sheet, row: int, column: str) -> str | None:
        eligible = self.eligible[sheet.world] or range(len(self.own[column]))
        return self.own[column][eligible[row % len(eligible)]] if eligible else None

    def write(self, sheet: Sheet) -> None:
        numbers = sheet.numbers[self]
        for column, values in self.own.items():
            if None in numbers:
                sheet.values[column] = [self.text(sheet, row, n, column) for row, n in enumerate(numbers)]
            else:
                sheet.values[column] = [values[number] for number in numbers]  # type: ignore[index]


@dataclass(eq=False)
class Slots:
    """Intervals that do not overlap: number n is the n-th slot of the line. One range column, or a start and an end."""

    columns: tuple[str, ...]
    scale: Scale
    low: int
    slot: int
    length: int
    size: int
    random: Random

    def draw(self, sheet: Sheet) -> Numbers:
        return [int(self.random.random() * self.size) for _ in range(sheet.count)]

    def nulls(self, sheet: Sheet) -> list[bool]:
        return [False] * sheet.count

    def choices(self, sheet: Sheet, row: int) -> Sequence[int]:
        return range(self.size)

    def text(self, sheet: Sheet, row: int, number: int | None, column: str) -> str | None:
        return None if number is None else self._texts([number])[self.columns.index(column)][0]

    def _texts(self, numbers: Sequence[int]) -> list[list[str]]:
        starts = [self.low + number * self.slot for number in numbers]
        ends = [start + self.length for start in starts]
        if len(self.columns) == 1:
            return [interval_texts(self.scale, starts, ends)]
        return [self.scale.write(starts), self.scale.write(ends)]

    def write(self, sheet: Sheet) -> None:
        numbers = [number or 0 for number in sheet.numbers[self]]
        for column, texts in zip(self.columns, self._texts(numbers), strict=True):
            sheet.values[column] = list(texts)
