"""How the numbers of a sheet come about, a step at a time: drawn, counted, placed in a key, ordered, or referring back.

Steps keep what they gave out from sheet to sheet, so that keys hold over the whole table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd
from random import Random
from typing import Protocol
from zlib import crc32

from data_platform.postgres.synthetic.facts import Relation
from data_platform.postgres.synthetic.space import Linear
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
        return bool(unit.unlike) or not set(unit.shared) <= known

    def _alternatives(self, sheet: Sheet, row: int, unit: Unit) -> Sequence[int | None]:
        """What the unit drew, then everything else it could be, in turn."""
        drawn = sheet.numbers[unit][row]
        if unit in self.fixed:
            return (drawn,)
        choices = unit.choices(sheet, row)
        if not choices:
            return ()
        place = _place_of(choices, drawn)
        return _Turned(choices, place)

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
    # Parents are listed in rising order, so the place can be searched for.
    low, high = 0, len(choices)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if choices[middle] < number else (low, middle)
    return low % len(choices)


class _Turned(Sequence[int | None]):
    """A sequence that begins at another place and comes round."""

    def __init__(self, items: Sequence[int], start: int) -> None:
        self._items, self._start = items, start

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place):  # type: ignore[no-untyped-def, override]
        if place >= len(self._items):
            raise IndexError(place)
        return self._items[(self._start + place) % len(self._items)]


@dataclass(eq=False)
class Ordered:
    """Columns that are compared with one another, such as start_at < end_at, each after those it must exceed."""

    units: Mapping[str, Plain]
    relations: tuple[Relation, ...]
    world: int
    given: frozenset[str]
    """Columns whose numbers an earlier step made."""
    random: Random

    def __post_init__(self) -> None:
        self._spaces = {name: _linear(unit, self.world) for name, unit in self.units.items()}
        self._unit = _common_tick(self._spaces.values())
        self._factor = {name: int(space.scale.tick / self._unit) for name, space in self._spaces.items()}
        self._limits = self._tightened()
        self._order = self._topological()

    def run(self, sheet: Sheet) -> None:
        if sheet.world != self.world:
            return
        places: dict[str, list[int | None]] = {}
        for name in self._order:
            unit = self.units[name]
            if name in self.given:
                numbers = sheet.numbers[unit]
                ticks = iter(self._spaces[name].ticks([number for number in numbers if number is not None]))
                places[name] = [None if n is None else next(ticks) * self._factor[name] for n in numbers]
            else:
                places[name] = self._column(sheet, name, places)

    def _column(self, sheet: Sheet, name: str, places: Mapping[str, list[int | None]]) -> list[int | None]:
        space, factor = self._spaces[name], self._factor[name]
        lows, highs = self._row_limits(sheet, name, places)
        made: list[int | None] = []
        usual_end, reach, step = space.first + (space.natural - 1) * space.step, _reach(space), space.step
        draw = self.random.random
        for row, null in enumerate(self.units[name].nulls(sheet)):
            if null:
                made.append(None)
                continue
            first, last = -(-lows[row] // factor), highs[row] // factor
            if first > last:
                first = last
                sheet.dead.add(row)
            start = space.first if first < space.first <= last else first
            end = min(last, max(usual_end, start + reach))
            made.append(start + int(draw() * ((end - start) // step + 1)) * step)
        present = [tick for tick in made if tick is not None]
        texts = iter(space.scale.write(present))
        sheet.values[name] = [None if tick is None else next(texts) for tick in made]
        return [None if tick is None else tick * factor for tick in made]

    def _row_limits(
        self, sheet: Sheet, name: str, places: Mapping[str, list[int | None]]
    ) -> tuple[list[int], list[int]]:
        low, high = self._limits[name]
        lows, highs = [low] * sheet.count, [high] * sheet.count
        for relation in self.relations:
            gap = self._gap(relation)
            if relation.right == name and relation.left in places:
                lows = [
                    a if b is None else max(a, b + gap)
                    for a, b in zip(lows, places[relation.left], strict=True)
                ]
            if relation.left == name and relation.right in places:
                highs = [
                    a if b is None else min(a, b - gap)
                    for a, b in zip(highs, places[relation.right], strict=True)
                ]
        return lows, highs

    def _gap(self, relation: Relation) -> int:
        gap = relation.gap / self._unit
        whole = -(-gap.numerator // gap.denominator)
        return whole + 1 if relation.comparison == "<" and whole == gap else whole

    def _tightened(self) -> dict[str, tuple[int, int]]:
        """Limits that leave room for what must come before and after."""
        limits = {
            name: (s.low * self._factor[name], s.high * self._factor[name])
            for name, s in self._spaces.items()
        }
        for _ in limits:
            for relation in self.relations:
                (low, high), (right_low, right_high) = limits[relation.left], limits[relation.right]
                gap = self._gap(relation)
                limits[relation.left] = (low, min(high, right_high - gap))
                limits[relation.right] = (max(right_low, low + gap), right_high)
        return limits

    def _topological(self) -> list[str]:
        """Smaller columns first; `given` ones before all."""
        before = {
            name: {r.left for r in self.relations if r.right == name and self._gap(r) >= 0} - self.given
            for name in self.units
        }
        order = [name for name in self.units if name in self.given]
        waiting = [name for name in self.units if name not in self.given]
        while waiting:
            ready = next((name for name in waiting if before[name] <= set(order)), waiting[0])
            waiting.remove(ready)
            order.append(ready)
        return order


def _linear(unit: Plain, world: int) -> Linear:
    choice = unit.worlds[world]
    assert choice is not None
    assert isinstance(choice.space, Linear)
    return choice.space


def _common_tick(spaces: Sequence[Linear] | object) -> Fraction:
    ticks = [space.scale.tick for space in spaces]  # type: ignore[attr-defined]
    common = ticks[0]
    for tick in ticks[1:]:
        denominator = common.denominator * tick.denominator
        common = Fraction(gcd(int(common * denominator), int(tick * denominator)), denominator)
    return common


def _reach(space: Linear) -> int:
    """How far past a lower neighbour a value may lie: a month for times, else a tenth of what is usual."""
    month = int(Fraction(30 * 86_400_000_000) / space.scale.tick) if space.scale.tick >= 1_000_000 else 0
    return month or max(1, space.natural // 10)


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
