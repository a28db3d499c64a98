"""The table that a plan is made for, and what the plan depends on beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType

from data_platform.model.database import Column, ForeignKey, Name, Table
from data_platform.model.design import DataHint
from data_platform.postgres.synthetic.checks import CheckReader
from data_platform.postgres.synthetic.facts import NO_FACTS
from data_platform.postgres.synthetic.keys import keys_of
from data_platform.postgres.synthetic.kinds import WHOLE, Kind, Kinds
from data_platform.postgres.synthetic.stream import stream
from data_platform.postgres.synthetic.terms import Fold
from data_platform.postgres.synthetic.values import space_of
from data_platform.postgres.synthetic.wish import NoValues, UnknownType, Wish

Values = Mapping[str, list[str | None]]
"""A table's values so far, by column: what children refer to."""

_CLOCKS = ("now()", "current_timestamp", "clock_timestamp()", "transaction_timestamp()", "localtimestamp")

NO_HINT = DataHint()


class Unfillable(Exception):
    """No row can be made; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a plan depends on beside the table.

    `parents` are the values of the tables that it may refer to; `own` those of the table itself, which grow. Foreign
    keys in `left_open` bind nothing yet; constraints in `late` are checked when other tables are loaded too. `pins`
    are columns whose value is given, `empty` those that are NULL for lack of something to refer to. `beyond` numbers
    were given out already, so that a fresh row takes later ones; None for a table that is filled from the start.
    `confirmed_only`: rows may refer only to those of their own table that the server has taken. `unsupported` are
    types that this server cannot make, though we could.
    """

    kinds: Kinds
    seed: int
    rows: int
    fold: Fold
    hints: Mapping[str, DataHint] = field(default_factory=lambda: MappingProxyType({}))
    parents: Mapping[Name, Values] = field(default_factory=lambda: MappingProxyType({}))
    own: Values = field(default_factory=lambda: MappingProxyType({}))
    left_open: frozenset[str] = frozenset()
    pins: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    empty: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    beyond: int | None = None
    confirmed_only: bool = False
    unsupported: frozenset[str] = frozenset()


class Subject:
    """A table and its setting, with what every part of planning asks about them.

    `columns` are those that get values, `kinds` theirs, `all_kinds` those of every column; `empty` are to be NULL.
    """

    def __init__(self, table: Table, setting: Setting) -> None:
        self.table = table
        self.setting = setting
        self.all_kinds = {column.name: setting.kinds(column.type) for column in table.columns}
        self.columns = {column.name: column for column in self._written()}
        self.kinds = {name: self.all_kinds[name] for name in self.columns}
        self.reader = CheckReader(self.kinds, setting.fold)
        self._loose = {key.name for key in table.foreign_keys if self._names_itself(key)}
        self.empty = setting.empty | self._optional(
            key for key in table.foreign_keys if key.name in self._loose
        )
        pinned = set(setting.pins)
        self.keys = [key for key in keys_of(table) if not {*key.columns, *key.overlap} <= pinned]

    def _written(self) -> Iterator[Column]:
        """All columns but generated ones, and those of unknown types where NULL or a default will do."""
        for column in self.table.columns:
            if column.generated is not None:
                continue
            missing = self._missing_type(self.all_kinds[column.name])
            if missing and column.default is None and not column.nullable:
                raise Unfillable(f"no generator for type {missing} of column {column.name}")
            if not missing or column.name in self.setting.pins:
                yield column

    def _missing_type(self, kind: Kind) -> str | None:
        if kind.base in self.setting.unsupported:
            return kind.base
        for part in (kind.element, *kind.attributes):
            if part is not None and (missing := self._missing_type(part)):
                return missing
        try:
            space_of(kind, NO_FACTS, Wish())
        except UnknownType:
            return kind.base
        except NoValues:
            pass
        return None

    def hint(self, column: str) -> DataHint:
        """What the design says of the column's data."""
        return self.setting.hints.get(column, NO_HINT)

    def stream(self, *names: str) -> Random:
        """Random numbers for a part of the table; others for each fresh row."""
        again = () if self.setting.beyond is None else (f"\0beyond {self.setting.beyond}",)
        return stream(self.setting.seed, str(self.table.name), *names, *again)

    def refers(self, column: str) -> bool:
        """Whether a foreign key has the column."""
        return any(column in key.columns for key in self.table.foreign_keys)

    def may_be_null(self, column: str) -> bool:
        """Whether neither the column nor its domain is NOT NULL."""
        return column in self.columns and self.columns[column].nullable and self.kinds[column].nullable

    def is_serial(self, column: str) -> bool:
        """Whether its values come from a sequence, or it is a whole-number key that looks like it."""
        described = self.columns[column]
        if described.identity or "nextval(" in (described.default or ""):
            return True
        alone = any(key.columns == (column,) and not key.overlap for key in self.keys)
        return alone and self.kinds[column].base in WHOLE and not self.refers(column)

    def is_clock(self, column: str) -> bool:
        """Whether its default is the time of the insert, so that it grows with the rows (a fresh row's may be any)."""
        default = (self.columns[column].default or "").lower()
        return self.setting.beyond is None and any(clock in default for clock in _CLOCKS)

    def is_uuid7(self, column: str) -> bool:
        """Whether its default is a UUID that grows with time."""
        return self.kinds[column].base == "uuid" and "uuidv7" in (self.columns[column].default or "")

    def back_references(self) -> tuple[ForeignKey, ...]:
        """Foreign keys to the table itself, unless its rows are there already, as they are for a fresh row."""
        if self.setting.parents.get(self.table.name):
            return ()
        return tuple(key for key in self._bound() if key.target == self.table.name)

    def backward_columns(self) -> set[str]:
        """The columns that these set. One that refers to itself, as a tenant's does, is the row's own."""
        return {
            column
            for key in self.back_references()
            for column, target in zip(key.columns, key.target_columns, strict=True)
            if column != target
        }

    def foreign_keys(self) -> list[ForeignKey]:
        """The others: leading keys first, then by width, so that shared columns are settled early."""
        keys = [key for key in self._bound() if key not in self.back_references()]
        keys = [key for key in keys if any(column in self.columns for column in key.columns)]
        return sorted(keys, key=lambda key: (not self._leads(key), len(key.columns), key.name))

    def _bound(self) -> Iterator[ForeignKey]:
        open_ = self.setting.left_open | self._loose
        return (key for key in self.table.foreign_keys if key.name not in open_)

    def _names_itself(self, key: ForeignKey) -> bool:
        """Whether a key that may be NULL holds the row's own, new id, as one to its newest version does.

        The rows that it could refer to come after ours, so it stays NULL unless a value is given.
        """
        loose = self._optional([key])
        own = set(key.columns) - loose
        others = {c for other in self.table.foreign_keys if other != key for c in other.columns}
        new = [self.columns[c] for c in own - others if c in self.columns]
        given = any(self.setting.pins.get(column) is not None for column in loose)
        made = bool(new) and all(column.identity or column.default is not None for column in new)
        return bool(loose) and made and not given and any(set(k.columns) <= own for k in keys_of(self.table))

    def _optional(self, keys: Iterable[ForeignKey]) -> frozenset[str]:
        return frozenset(column for key in keys for column in key.columns if self.may_be_null(column))

    def _leads(self, key: ForeignKey) -> bool:
        """Whether a key of ours lies within a composite foreign key: then the parents are what must not repeat."""
        if len(key.columns) == 1 or any(self.may_be_null(column) for column in key.columns):
            return False
        return any(set(own.columns) <= set(key.columns) and not own.overlap for own in self.keys)
