"""How the numbers of a sheet come about, a step at a time: drawn, counted, placed in a key, ordered, or referring back.

Steps keep what they gave out from sheet to sheet, so that keys hold over the whole table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from data_platform.postgres.synthetic.stream import Permutation
from data_platform.postgres.synthetic.units import Numbers, Plain, Reference, Sheet, Unit


class Step(Protocol):
    """One stage in making a sheet."""

    def run(self, sheet: Sheet) -> None: ...


@dataclass(eq=False)
class Drawn:
    """The unit's own random numbers."""

    unit: Unit

    def run(self, sheet: Sheet) -> None:
        sheet.numbers[self.unit] = self.unit.draw(sheet)


@dataclass(eq=False)
class Counted:
    """Every number of the unit once at most, over all worlds but those that are `exempt`.

    `pool` numbers are given out in scattered order first, then the rest. `used_up` tells that none is left.
    """

    unit: Unit
    key: str
    columns: tuple[str, ...]
    random: Random
    pool: int
    in_order: bool = False
    exempt: frozenset[int] = frozenset()
    compare: bool = False
    """Worlds have different spaces, so that texts must be compared, not numbers."""
    used_up: bool = False
    _given: dict[int, int] = field(default_factory=dict)
    _orders: dict[int, Permutation] = field(default_factory=dict)
    _seen: set[tuple[str | None, ...]] = field(default_factory=set)
    _distinct: dict[int, Sequence[int]] = field(default_factory=dict)

    def run(self, sheet: Sheet) -> None:
        if sheet.world in self.exempt:
            sheet.numbers[self.unit] = self.unit.draw(sheet)
            return
        nulls = self.unit.nulls(sheet)
        fresh = iter(self._next(sheet, nulls.count(False)))
        numbers: Numbers = [None if null else next(fresh, None) for null in nulls]
        sheet.numbers[self.unit] = numbers
        self._bury(sheet, nulls)

    def room(self, sheet: Sheet) -> int | None:
        """How many rows of a sheet can still get a number; None if there is no limit to the rows."""
        if sheet.world in self.exempt or may_be_null(self.unit, sheet):
            return None
        return len(self._choices(sheet)) - self._given.get(sheet.world if self.compare else 0, 0)

    def skip(self, worlds: int, numbers: int) -> None:
        """Go on as if so many numbers had been given out."""
        self._given = dict.fromkeys(range(worlds), numbers)

    def _bury(self, sheet: Sheet, nulls: list[bool]) -> None:
        """Rows that wanted a number and got none stay NULL if they may, else they are dead."""
        numbers = sheet.numbers[self.unit]
        missing = [row for row, null in enumerate(nulls) if not null and numbers[row] is None]
        if missing:
            self.used_up = True
            if not may_be_null(self.unit, sheet):
                sheet.dead.update(missing)

    def _next(self, sheet: Sheet, count: int) -> list[int]:
        choices = self._choices(sheet)
        if not choices:
            return []
        if not self.compare:
            return self._take(sheet.world, choices, count)
        found: list[int] = []
        while len(found) < count:
            taken = self._take(sheet.world, choices, count - len(found))
            if not taken:
                break
            found += [number for number in taken if self._is_new(sheet, number)]
        return found

    def _choices(self, sheet: Sheet) -> Sequence[int]:
        """The unit's numbers; one for each value if the key covers only a part of its columns."""
        choices = self.unit.choices(sheet, 0)
        if set(self.columns) >= set(self.unit.columns):
            return choices
        if sheet.world not in self._distinct:
            first = {self._texts(sheet, number): number for number in reversed(choices)}
            self._distinct[sheet.world] = sorted(first.values())
        return self._distinct[sheet.world]

    def _texts(self, sheet: Sheet, number: int) -> tuple[str | None, ...]:
        return tuple(self.unit.text(sheet, 0, number, column) for column in self.columns)

    def _take(self, world: int, choices: Sequence[int], count: int) -> list[int]:
        line = world if self.compare else 0
        given, pool = self._given.get(line, 0), min(self.pool, len(choices))
        count = max(0, min(count, len(choices) - given))
        self._given[line] = given + count
        inside = max(0, min(count, pool - given))
        if line not in self._orders:
            self._orders[line] = Permutation(pool, self.random, in_order=self.in_order)
        places = self._orders[line](given, inside)
        places += range(given + inside, given + count)
        return (
            places
            if isinstance(choices, range) and choices.step == 1
            else [choices[place] for place in places]
        )

    def _is_new(self, sheet: Sheet, number: int) -> bool:
        texts = self._texts(sheet, number)
        if texts in self._seen:
            return False
        self._seen.add(texts)
        return True


def may_be_null(unit: Unit, sheet: Sheet) -> bool:
    """Whether the unit may be NULL in this world."""
    if isinstance(unit, Reference):
        return unit.can_be_null(sheet)
    if isinstance(unit, Plain):
        choice = unit.worlds[sheet.world]
        return choice is None or choice.null_share > 0
    return False


@dataclass(eq=False)
class Differs:
    """Two plain columns that must be equal, or must not be, in one world."""

    left: Plain
    right: Plain
    equal: bool
    world: int

    def run(self, sheet: Sheet) -> None:
        if sheet.world != self.world:
            return
        for unit in (self.left, self.right):
            if unit.column not in sheet.values:
                unit.write(sheet)
        left, right = sheet.values[self.left.column], sheet.values[self.right.column]
        if self.equal:
            sheet.values[self.right.column] = [b and a for a, b in zip(left, right, strict=True)]
            return
        choice = self.right.worlds[self.world]
        for row, (a, b) in enumerate(zip(left, right, strict=True)):
            if a is not None and a == b and choice:
                number = ((sheet.numbers[self.right][row] or 0) + 1) % choice.space.size
                right[row] = choice.space.texts((number,))[0]


@dataclass(eq=False)
class Backward:
    """A foreign key to the same table: rows refer to rows before them, the first ones to NULL or to themselves.

    `targets` are the columns that `columns` refer to, in the same order; `kept` are the table's values so far.
    """

    columns: tuple[str, ...]
    targets: tuple[str, ...]
    null_share: tuple[float, ...]
    random: Random
    kept: Mapping[str, list[str | None]]
    unique: bool = False
    inside: bool = True
    """Whether rows that the server has not taken yet may be referred to; not when it may still refuse some."""
    _rows: dict[tuple[str | None, ...], list[tuple[str | None, ...]]] = field(default_factory=dict)

    def run(self, sheet: Sheet) -> None:
        shared = [place for place, column in enumerate(self.columns) if column in sheet.owners]
        own = [place for place, column in enumerate(self.columns) if column not in sheet.owners]
        if not self.inside:
            self._learn_kept(shared)
        for place in own:
            sheet.values[self.columns[place]] = [None] * sheet.count
        for row in range(sheet.count):
            if row in sheet.dead:
                continue
            itself = tuple(sheet.text(target, row) for target in self.targets)
            wanted = tuple(sheet.text(self.columns[place], row) for place in shared)
            chosen = self._choose(sheet.world, self._rows.get(wanted, ()), itself)
            for place in own:
                sheet.values[self.columns[place]][row] = chosen[place] if chosen else None
            if self.inside:
                self._rows.setdefault(tuple(itself[place] for place in shared), []).append(itself)

    def _learn_kept(self, shared: list[int]) -> None:
        self._rows.clear()
        for row in zip(*(self.kept[target] for target in self.targets), strict=True):
            self._rows.setdefault(tuple(row[place] for place in shared), []).append(row)

    def _choose(
        self, world: int, earlier: Sequence[tuple[str | None, ...]], itself: tuple[str | None, ...]
    ) -> tuple[str | None, ...] | None:
        share = self.null_share[world]
        if share > 0 and (not earlier or self.random.random() < share):
            return None
        if not earlier or (self.unique and share <= 0):
            return itself
        return earlier[-1] if self.unique else earlier[int(self.random.random() * len(earlier))]
