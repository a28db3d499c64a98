"""What many changes of a table come to: of each key the last row, or that it is gone. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from data_platform.errors import EnvironmentProblem
from data_platform.postgres.replication.decoding import (
    UNCHANGED,
    Change,
    Delete,
    Insert,
    Truncate,
    Update,
    Value,
    Values,
)

Key = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is in the end. Values that are UNCHANGED are those of the row that had the key `origin` before.

    Without an origin there was no such row, and nobody here knows the value.
    """

    values: Values
    origin: Key | None = None

    @property
    def is_partial(self) -> bool:
        return UNCHANGED in self.values


@dataclass
class Net:
    """Changes of one table, told apart by the values at the places `key`. None in `rows` is a row that is gone."""

    key: tuple[int, ...]
    rows: dict[Key, Row | None] = field(default_factory=dict)
    truncated: bool = False
    changes: int = 0

    def add(self, change: Change) -> None:
        """The next change, in the order of the stream."""
        self.changes += 1
        if isinstance(change, Insert):
            self.rows[self._key_of(change.new)] = Row(change.new)
        elif isinstance(change, Update):
            self._update(change)
        elif isinstance(change, Delete):
            self.rows[self._key_of(change.old)] = None
        elif isinstance(change, Truncate):
            self.rows.clear()
            self.truncated = True

    def gone(self) -> Iterator[Key]:
        """Keys that the target has to lose."""
        return (key for key, row in self.rows.items() if row is None)

    def kept(self) -> Iterator[Row]:
        """Rows that the target has to have."""
        return (row for row in self.rows.values() if row is not None)

    def _key_of(self, values: Values) -> Key:
        found = tuple(values[place] for place in self.key)
        if UNCHANGED in found:
            raise EnvironmentProblem("a key is not in the change stream, although it is the replica identity")
        return found

    def _update(self, change: Update) -> None:
        new = change.new
        if change.old is not None:
            places = range(len(new)) if change.whole else self.key
            new = _filled(new, change.old, places)
        key = self._key_of(new)
        before_key = self._key_of(change.old) if change.old is not None else key
        origin: Key | None = None
        if before_key in self.rows:
            before = self.rows[before_key]
            if before is not None:
                new, origin = _filled(new, before.values, range(len(new))), before.origin
        elif not self.truncated:
            origin = before_key
        if before_key != key:
            self.rows[before_key] = None
        self.rows[key] = Row(new, origin)


def _filled(values: Values, others: Values, places: range | tuple[int, ...]) -> Values:
    """The values, at these places those of the others where they were not sent."""
    if UNCHANGED not in values:
        return values
    return tuple(
        others[place] if value is UNCHANGED and place in places else value
        for place, value in enumerate(values)
    )
