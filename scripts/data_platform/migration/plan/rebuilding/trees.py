"""A table with its partitions on both sides, and what each part is called while both are there.

What is new has its last name from the beginning where nothing else has it; what is old keeps its name for as long as
the new one does not need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from data_platform.ddl.around import Around, around
from data_platform.migration.plan.joining import bound, bound_name
from data_platform.migration.plan.not_null import NOT_NULL_CONSTRAINTS_SINCE, not_null_name
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.text import beside
from data_platform.model.database import Check, Column, Database, Name, NotNull, Table
from data_platform.sql.naming import default_name

Part = Literal["table", "index", "statistics", "sequence"]
Label = Literal["new", "old"]
Key = tuple[Name, str]
"""(table, column)."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A table, the first of `tables`, with its partitions below it; `names` are those that its parts have for a while,
    by their last ones."""

    tables: tuple[Table, ...]
    database: Database
    names: Mapping[tuple[Part, Name], str]
    version: int

    @property
    def table(self) -> Table:
        """The table at the top, by its last name."""
        return self.tables[0]

    @property
    def name(self) -> Name:
        """What the table at the top is called for a while."""
        return self.called("table", self.table.name)

    def called(self, part: Part, name: Name) -> Name:
        """What a part is called for a while."""
        return Name(name.schema, self.names.get((part, name), name.name))

    @cached_property
    def standing_in(self) -> tuple[Table, ...]:
        """The tables by the names that they have for a while, bare: without what the swap gives them."""
        return tuple(self._stand_in(table) for table in self.tables)

    def _stand_in(self, table: Table) -> Table:
        schema = table.name.schema
        return replace(
            table,
            name=self.called("table", table.name),
            columns=tuple(self._column(table, column) for column in self._columns(table)),
            checks=self._checks(table),
            primary_key=self._constraint(schema, table.primary_key) if table.primary_key else None,
            uniques=tuple(self._constraint(schema, key) for key in table.uniques),
            exclusions=tuple(self._constraint(schema, one) for one in table.exclusions),
            indexes=tuple(self._constraint(schema, index) for index in table.indexes),
            statistics=tuple(self._statistics(schema, one) for one in table.statistics),
            partition_of=self._partition_of(table),
            replica_identity=self._index(schema, table.replica_identity),
            cluster_on=self._index(schema, table.cluster_on) if table.cluster_on else None,
            foreign_keys=(),
            triggers=(),
            policies=(),
            rules=(),
            row_security="off",
        )

    def _columns(self, table: Table) -> tuple[Column, ...]:
        """A partition that stands alone for a while has the names of its parent's NOT NULLs at once."""
        is_partition = table is self.table and table.partition_of is not None
        return self._around.columns(table) if is_partition else table.columns

    def _checks(self, table: Table) -> tuple[Check, ...]:
        """A partition that stands alone for a while needs those of its parent, and one of its bound."""
        if table is not self.table or table.partition_of is None:
            return table.checks
        parent = next(one for one in self.database.tables if one.name == table.partition_of.table)
        found = bound(parent, table)
        held = (Check(name=bound_name(table), expression=found),) if found else ()
        return (*self._around.checks(table), *held)

    @cached_property
    def _around(self) -> Around:
        return around(self.database, frozenset(), self.version)

    def _column(self, table: Table, column: Column) -> Column:
        """Without its identity, which the swap moves; its NOT NULL has its last name at once."""
        bare = replace(column, identity=None, sequence=None, sequence_name=None)
        if self.version < NOT_NULL_CONSTRAINTS_SINCE or column.nullable or table is not self.table:
            return bare
        given = column.not_null or NotNull()
        return replace(bare, not_null=replace(given, name=not_null_name(table.name, column)))

    def _constraint(self, schema: str, part):  # type: ignore[no-untyped-def]
        return replace(part, name=self._index(schema, part.name))

    def _statistics(self, schema: str, part):  # type: ignore[no-untyped-def]
        return replace(part, name=self.called("statistics", Name(part.schema or schema, part.name)).name)

    def _index(self, schema: str, name: str) -> str:
        return self.called("index", Name(schema, name)).name

    def _partition_of(self, table: Table):  # type: ignore[no-untyped-def]
        if table.partition_of is None or table is self.table:
            return None
        return replace(table.partition_of, table=self.called("table", table.partition_of.table))


@dataclass(frozen=True, kw_only=True)
class Trees:
    """The old and the new one, and all that is asked about both together."""

    pair: Pair
    old: Tree
    new: Tree

    @property
    def name(self) -> Name:
        """The table's name, before and after."""
        return self.new.table.name

    @property
    def reversed(self) -> Trees:
        """The way back: the old table as the new one."""
        hints = self.pair.hints
        back = replace(
            hints,
            values=_rekeyed(hints.back, hints.columns),
            back=_rekeyed(hints.values, hints.columns),
            columns={(table, old): new for (table, new), old in hints.columns.items()},
        )
        pair = replace(self.pair, before=self.pair.after, after=self.pair.before, hints=back)
        return Trees(pair=pair, old=self.new, new=self.old)


def _rekeyed(values: Mapping[Key, str], columns: Mapping[Key, str]) -> dict[Key, str]:
    """By the names of the other side."""
    return {(key[0], columns.get(key, key[1])): value for key, value in values.items()}


def trees(pair: Pair, old: Table, new: Table) -> Trees:
    """For a table that is in both."""
    before, after = (old, *_below(pair.before, old)), (new, *_below(pair.after, new))
    taken = set(_names_in(pair.before)) | set(_names(before, pair.before))
    last = set(_names(after, pair.after))
    return Trees(
        pair=pair,
        old=_tree(pair.before, before, last, "old", pair.version),
        new=_tree(pair.after, after, taken | {("table", new.name)}, "new", pair.version),
    )


def _tree(
    database: Database, tables: tuple[Table, ...], taken: Set[tuple[str, Name]], label: Label, version: int
) -> Tree:
    """What clashes stands aside: relations of all kinds share their names, statistics have their own."""
    clashing = {(_space(part), name) for part, name in taken}
    names = {
        (part, name): beside(name.name, label)
        for part, name in _names(tables, database)
        if (_space(part), name) in clashing
    }
    return Tree(tables=tables, database=database, names=names, version=version)


def _space(part: str) -> str:
    return "statistics" if part == "statistics" else "relation"


def _below(database: Database, table: Table) -> Iterator[Table]:
    for one in database.tables:
        if one.partition_of is not None and one.partition_of.table == table.name:
            yield one
            yield from _below(database, one)


def _names_in(database: Database) -> Iterator[tuple[Part, Name]]:
    yield from _names(database.tables, database)
    for relation in (*database.views, *database.materialized_views, *database.sequences, *database.types):
        yield "table", relation.name
    for view in database.materialized_views:
        yield from (("index", Name(view.name.schema, index.name)) for index in view.indexes)


def _names(tables: tuple[Table, ...], database: Database) -> Iterator[tuple[Part, Name]]:
    """Every part with a name that no other may have."""
    for table in tables:
        yield "table", table.name
        keys = (table.primary_key,) if table.primary_key else ()
        for index in (*keys, *table.indexes, *table.uniques, *table.exclusions):
            yield "index", Name(table.name.schema, index.name)
        for one in table.statistics:
            yield "statistics", Name(one.schema or table.name.schema, one.name)
        for column in table.columns:
            if column.identity is not None and table.partition_of is None:
                yield "sequence", sequence_of(table, column)


def sequence_of(table: Table, column: Column) -> Name:
    """The sequence behind an identity column."""
    usual = default_name(table.name.name, column.name, "seq")
    return column.sequence_name or Name(table.name.schema, usual)
