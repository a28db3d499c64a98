"""Keys over several units: combinations that do not repeat, however dense they are."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from data_platform.postgres.synthetic.steps import may_be_null
from data_platform.postgres.synthetic.units import Reference, Sheet, Unit


@dataclass(eq=False)
class Placed:
    """The units of a key together: the last one counts within each combination of the others.

    The others keep what they drew while there is room, else they move on to a combination that has some. Units in
    `fixed` must not move, because another key or unit relies on them.
    """

    key: str
    columns: tuple[str, ...]
    levels: tuple[Unit, ...]
    fixed: frozenset[Unit]
    exempt: frozenset[int] = frozenset()
    compare: bool = False
    in_order: bool = False
    start: int = 0
    used_up: bool = False
    _given: dict[tuple[str | None, ...], int] = field(default_factory=dict)
    _full: set[tuple[str | None, ...]] = field(default_factory=set)
    _seen: set[tuple[str | None, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._covered = [[c for c in unit.columns if c in self.columns] for unit in self.levels]
        partial = len(self._covered[-1]) < len(self.levels[-1].columns)
        loose = self._conditional(len(self.levels) - 1) or self.levels[-1] in self.fixed
        self._remembers = self.compare or partial or loose
        """Counting alone does not keep rows apart, so combinations must be remembered."""
        self._movable = not any(
            unit in self.fixed or self._conditional(level) for level, unit in enumerate(self.levels)
        )
        """What is full for one row is full for all."""

    def run(self, sheet: Sheet) -> None:
        last = self.levels[-1]
        if sheet.world in self.exempt:
            sheet.numbers.setdefault(last, last.draw(sheet))
            return
        if last in self.fixed:
            empty = [number is None for number in sheet.numbers[last]]
        else:
            sheet.numbers[last] = [None] * sheet.count
            empty = last.nulls(sheet)
        for row in range(sheet.count):
            if row in sheet.dead or empty[row] or self._free(sheet, row):
                continue
            if not self._place(sheet, row, 0, (str(sheet.world),) if self.compare else ()):
                self.used_up = True
                if not may_be_null(last, sheet):
                    sheet.dead.add(row)
        self._fill_free(sheet, empty)

    def _fill_free(self, sheet: Sheet, empty: list[bool]) -> None:
        """Rows that a NULL frees from the key draw the last unit like any other."""
        last = self.levels[-1]
        if len(self.levels) > 1 and any(
            not null and self._free(sheet, row) for row, null in enumerate(empty)
        ):
            drawn = last.draw(sheet)
            for row, null in enumerate(empty):
                if not null and self._free(sheet, row):
                    sheet.numbers[last][row] = drawn[row]

    def _free(self, sheet: Sheet, row: int) -> bool:
        return any(sheet.text(column, row) is None for columns in self._covered[:-1] for column in columns)

    def _place(self, sheet: Sheet, row: int, level: int, prefix: tuple[str | None, ...]) -> bool:
        if prefix in self._full:
            return False
        if level == len(self.levels) - 1:
            return self._count(sheet, row, prefix)
        unit = self.levels[level]
        before = sheet.numbers[unit][row]
        for number in self._alternatives(sheet, row, unit):
            sheet.numbers[unit][row] = number
            texts = tuple(unit.text(sheet, row, number, column) for column in self._covered[level])
            if self._place(sheet, row, level + 1, (*prefix, *texts)):
                return True
        sheet.numbers[unit][row] = before
        if self._movable:
            self._full.add(prefix)
        return False

    def _conditional(self, level: int) -> bool:
        """Whether what this level offers depends on more than the prefix."""
        unit = self.levels[level]
        if not isinstance(unit, Reference):
            return False
        known = {column for columns in self._covered[:level] for column in columns}
        return bool(unit.tests) or not set(unit.shared) <= known

    def _alternatives(self, sheet: Sheet, row: int, unit: Unit) -> Iterable[int | None]:
        """What the unit drew, then everything else it could be, in turn."""
        drawn = sheet.numbers[unit][row]
        if unit in self.fixed:
            return (drawn,)
        choices = unit.choices(sheet, row)
        if not choices:
            return ()
        return _turned(choices, _place_of(choices, drawn))

    def _count(self, sheet: Sheet, row: int, prefix: tuple[str | None, ...]) -> bool:
        unit = self.levels[-1]
        if unit in self.fixed:
            return self._accepts(sheet, row, sheet.numbers[unit][row], prefix)
        choices = unit.choices(sheet, row)
        size = len(choices)
        given = self._given.get(prefix, 0)
        start = (
            self.start
            if self.in_order or not size
            else (self.start + crc32(repr((self.key, prefix)).encode())) % size
        )
        while given < size:
            number = choices[(start + given) % size]
            given += 1
            if self._accepts(sheet, row, number, prefix):
                sheet.numbers[unit][row] = number
                self._given[prefix] = given
                return True
        if self._movable:
            self._full.add(prefix)
        self._given[prefix] = (
            given if not self._conditional(len(self.levels) - 1) else self._given.get(prefix, 0)
        )
        return False

    def _accepts(self, sheet: Sheet, row: int, number: int | None, prefix: tuple[str | None, ...]) -> bool:
        unit = self.levels[-1]
        if isinstance(unit, Reference) and number is not None and not unit.accepts(sheet, row, number):
            return False
        if not self._remembers:
            return True
        shown = prefix[1:] if self.compare else prefix
        texts = (*shown, *(unit.text(sheet, row, number, column) for column in self._covered[-1]))
        if texts in self._seen:
            return False
        self._seen.add(texts)
        return True


def _place_of(choices: Sequence[int], number: int | None) -> int:
    if number is None:
        return 0
    if isinstance(choices, range):
        return (number - choices.start) // choices.step % len(choices)
    return bisect_left(choices, number) % len(choices)  # parents are listed in rising order


def _turned(choices: Sequence[int], start: int) -> Iterator[int]:
    """The choices from a place on, and then the ones before it."""
    for place in range(len(choices)):
        yield choices[(start + place) % len(choices)]
