"""How keys are kept: which units count, so that they never repeat, and which are placed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_platform.postgres.synthetic.facts import World
from data_platform.postgres.synthetic.keys import Key
from data_platform.postgres.synthetic.kinds import LINEAR, TREES
from data_platform.postgres.synthetic.placing import Placed
from data_platform.postgres.synthetic.space import Space
from data_platform.postgres.synthetic.steps import Counted
from data_platform.postgres.synthetic.stream import stream
from data_platform.postgres.synthetic.subject import NO_HINT, Subject
from data_platform.postgres.synthetic.units import Plain, Reference, Sheet, Slots, Unit

_WIDE = 4
"""A column that has this many times more values than the table rows can keep a wider key unique on its own."""


class Keying:
    """Finds the steps for the keys of one table, whose columns have these owners."""

    def __init__(self, subject: Subject, worlds: Sequence[World], owners: Mapping[str, Unit]) -> None:
        self._subject = subject
        self._worlds = worlds
        self._owners = owners
        self._rows = subject.setting.rows
        back = {column for key in subject.back_references() for column in key.columns}
        self._backward = back - owners.keys()
        self.counted = self._count()
        self.placed = self._place()

    def _count(self) -> dict[Unit, Counted]:
        """Units whose numbers never repeat, so that every key with one of them holds."""
        self.counted = {}
        for key in self._subject.keys:
            units = self._open_units(key)
            if units:
                unit = units[0] if len(units) == 1 else self._wide(units, key)
                if unit is not None and not (isinstance(unit, Reference) and unit.shared):
                    self.counted[unit] = self._counted(unit, key)
        return self.counted

    def _open_units(self, key: Key) -> Sequence[Unit]:
        """The key's units, if they do not keep it yet; none if one of its columns has no unit: the server judges."""
        columns = [c for c in (*key.columns, *key.overlap) if c not in self._subject.setting.pins]
        if any(column not in self._owners and column not in self._backward for column in columns):
            return []
        units = list(dict.fromkeys(self._owners[column] for column in columns if column in self._owners))
        if any(self._settles(unit, key) for unit in units):
            return []
        if self._backward & set(columns):
            return [unit for unit in units if isinstance(unit, Plain)][:1]
        return units

    def _settles(self, unit: Unit, key: Key) -> bool:
        """Whether what is counted for another key is enough for this one too."""
        other = self.counted.get(unit)
        return (
            other is not None and set(other.columns) <= set(key.columns) and other.exempt <= self._exempt(key)
        )

    def _wide(self, units: Sequence[Unit], key: Key) -> Plain | None:
        """A text, UUID or the like with many more values than rows, of which no hint says anything."""
        exempt = self._exempt(key)
        for unit in units:
            if (
                not isinstance(unit, Plain)
                or self._is_linear(unit)
                or self._subject.hint(unit.column) != NO_HINT
            ):
                continue
            spaces = [c.space for world, c in enumerate(unit.worlds) if c and world not in exempt]
            if spaces and all(space.size >= _WIDE * self._rows for space in spaces):
                return unit
        return None

    def _is_linear(self, unit: Unit) -> bool:
        return isinstance(unit, Plain) and self._subject.kinds[unit.column].base in LINEAR | TREES

    def _exempt(self, key: Key) -> frozenset[int]:
        return frozenset(place for place, world in enumerate(self._worlds) if key.name in world.exempt)

    def _counted(self, unit: Unit, key: Key) -> Counted:
        columns = tuple(column for column in unit.columns if column in key.columns) or unit.columns
        step = Counted(
            unit,
            key.name,
            columns,
            # Not the subject's stream: a fresh row goes on in the order that the table began.
            stream(self._subject.setting.seed, str(self._subject.table.name), "\0key", *columns),
            pool=max(1, 2 * self._rows, *(space.natural for space in _spaces(unit))),
            in_order=self._grows(unit),
            exempt=self._exempt(key),
            compare=_varies(unit),
        )
        if self._subject.setting.beyond and not isinstance(unit, Reference):
            step.skip(len(self._worlds), self._skipped(unit, self._subject.setting.beyond))
        return step

    def _skipped(self, unit: Unit, beyond: int) -> int:
        """Past the table's rows where there are so many values; else from the start, and the server judges."""
        smallest = min((space.size for space in _spaces(unit)), default=beyond + 1)
        return beyond if beyond < smallest else 0

    def _grows(self, unit: Unit) -> bool:
        if not isinstance(unit, Plain):
            return isinstance(unit, Slots)
        is_tree = self._subject.kinds[unit.column].base in TREES
        return is_tree or self._subject.is_serial(unit.column) or self._subject.is_uuid7(unit.column)

    def _place(self) -> list[Placed]:
        placed: list[Placed] = []
        moved: set[Unit] = set()
        self._members = {unit for key in self._subject.keys for unit in self._open_units(key)}
        for key in self._subject.keys:
            units = self._open_units(key)
            if units and (len(units) > 1 or units[0] not in self.counted):
                step = self._placed(key, units, moved)
                placed.append(step)
                moved.update(step.levels)
        return placed

    def _placed(self, key: Key, units: Sequence[Unit], moved: set[Unit]) -> Placed:
        levels = tuple(sorted(units, key=lambda unit: (unit not in moved, *self._rank(unit))))
        fixed = {u for u in levels if u in moved or u in self.counted or self._is_relied_on(u, levels)}
        return Placed(
            key.name,
            (*key.columns, *key.overlap),
            levels,
            frozenset(fixed),
            exempt=self._exempt(key),
            compare=any(_varies(unit) for unit in levels),
            in_order=self._counts_up(levels[-1], key),
            start=self._start(levels[-1]),
        )

    def _rank(self, unit: Unit) -> tuple[int, int]:
        """Small choices come first; last what counts nicely within a group."""
        if isinstance(unit, Slots):
            return 3, 0
        if self._is_linear(unit):
            return 2, max((space.size for space in _spaces(unit)), default=0)
        if isinstance(unit, Reference):
            return int(bool(unit.shared)), max((len(places or ()) for places in unit.eligible), default=0)
        return 0, max((space.size for space in _spaces(unit)), default=0)

    def _is_relied_on(self, unit: Unit, levels: Sequence[Unit]) -> bool:
        """Whether a foreign key of another key shares a column with the unit, so that it must not move."""
        return any(
            isinstance(other, Reference)
            and other not in levels
            and bool(set(other.shared) & set(unit.columns))
            for other in self._members
        )

    def _counts_up(self, last: Unit, key: Key) -> bool:
        """Whether each group starts from the first value, like lines of an order; not if two such make a key."""
        if not isinstance(last, Plain):
            return isinstance(last, Slots)
        others = [other for other in self._subject.keys if other != key and len(other.columns) > 1]
        return self._is_linear(last) and not any(last.column in other.columns for other in others)

    def _start(self, last: Unit) -> int:
        """For a fresh row: a number that no group can have reached."""
        beyond = self._subject.setting.beyond
        if beyond is None or isinstance(last, Reference):
            return beyond or 0
        sizes = [len(last.choices(Sheet(world, 1), 0)) for world in range(len(self._worlds))]
        smallest = max(1, min(sizes))
        return beyond if smallest > beyond else self._subject.stream("\0start").randrange(smallest)


def _spaces(unit: Unit) -> list[Space]:
    return [choice.space for choice in unit.worlds if choice] if isinstance(unit, Plain) else []


def _varies(unit: Unit) -> bool:
    """Whether a unit's numbers mean something else from world to world."""
    if isinstance(unit, Reference):
        bound = [places for places in unit.eligible if places is not None]
        return any(places != bound[0] for places in bound[1:])
    spaces = _spaces(unit)
    return any(space != spaces[0] for space in spaces[1:])
