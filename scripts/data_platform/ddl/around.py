"""What must be known of the other tables to write one: parents, heirs, sequences, and what is put off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

from data_platform.ddl.piece import PartKey
from data_platform.model.database import Check, Column, Database, ForeignKey, Name, NotNull, Sequence, Table
from data_platform.sql.naming import default_name
from data_platform.sql.references import Reference, References


@dataclass(frozen=True)
class Around:
    """The database around a table."""

    tables: Mapping[Name, Table]
    heirs: Set[Name]
    """Tables that others inherit from."""
    sequences: Mapping[Name, tuple[Sequence, ...]]
    """By the table whose column owns them."""
    late: Set[PartKey]
    version: int
    """The server's major version."""
    constraint_names: Set[tuple[str, str]]
    """What the spec calls constraints itself, by schema."""

    def parent(self, table: Table) -> Table | None:
        """The partitioned table that it is a partition of, if it is one."""
        return self.tables.get(table.partition_of.table) if table.partition_of else None

    def columns(self, table: Table) -> tuple[Column, ...]:
        """The columns to declare. An identity comes to a partition with its parent, and cannot be there before.

        Its NOT NULLs have the names of the parent's, as if PostgreSQL had copied them.
        """
        own = tuple(column for column in table.columns if not column.inherited)
        parent = self.parent(table)
        if parent is None:
            return tuple(self._with_taken_name(table, column) for column in own)
        from_parent = {column.name for column in parent.columns if column.identity is not None}
        columns = (_without_identity(column) if column.name in from_parent else column for column in own)
        return tuple(self._with_not_null_of(parent, column) for column in columns)

    def _with_taken_name(self, table: Table, column: Column) -> Column:
        """A NOT NULL whose usual name another table holds is named: PostgreSQL would make up another one."""
        given = column.not_null or NotNull()
        usual = default_name(table.name.name, column.name, "not_null")
        if (
            column.nullable
            or given.name is not None
            or (table.name.schema, usual) not in self.constraint_names
        ):
            return column
        return replace(column, not_null=replace(given, name=usual))

    def _with_not_null_of(self, parent: Table, column: Column) -> Column:
        given = column.not_null or NotNull()
        name = self._not_null_name(parent, column.name)
        if column.nullable or given.name is not None or name is None:
            return column
        return replace(column, not_null=replace(given, name=name))

    def _not_null_name(self, table: Table, column: str) -> str | None:
        """What a column's NOT NULL is called; None where the table has none."""
        own = next((part for part in table.columns if part.name == column), None)
        if own is None or own.nullable:
            return None
        parent = self.parent(table)
        if own.not_null is not None and own.not_null.name is not None:
            return own.not_null.name
        inherited = self._not_null_name(parent, column) if parent else None
        return inherited or default_name(table.name.name, column, "not_null")

    def checks(self, table: Table) -> tuple[Check, ...]:
        """The table's checks; a partition must have those of its parents before it is attached."""
        found = {check.name: check for check in table.checks}
        parent = self.parent(table)
        while parent is not None:
            for check in parent.checks:
                if not check.no_inherit:
                    found.setdefault(check.name, replace(check, comment=None))
            parent = self.parent(parent)
        return tuple(found.values())

    def inherited(self, table: Table, column: str) -> Iterator[Column]:
        """The columns of that name in the tables that it inherits from."""
        for name in table.inherits:
            parent = self.tables.get(name)
            yield from (found for found in (parent.columns if parent else ()) if found.name == column)

    def key_needs(self, key: ForeignKey) -> References:
        """The unique index behind a foreign key, where no constraint of its target is."""
        target = self.tables.get(key.target)
        if target is None:
            return ()
        wanted = set(key.target_columns)
        keys = (target.primary_key, *target.uniques)
        if any(constraint is not None and set(constraint.columns) == wanted for constraint in keys):
            return ()
        return tuple(
            Reference("relation", target.name.schema, index.name)
            for index in target.indexes
            if index.unique and {element.column for element in index.elements} == wanted
        )


def around(database: Database, late: Set[PartKey], version: int) -> Around:
    """For the tables of a database on a server of that major version."""
    sequences: defaultdict[Name, tuple[Sequence, ...]] = defaultdict(tuple)
    for sequence in database.sequences:
        if sequence.owned_by is not None:
            sequences[sequence.owned_by[0]] += (sequence,)
    return Around(
        tables={table.name: table for table in database.tables},
        heirs={parent for table in database.tables for parent in table.inherits},
        sequences=sequences,
        late=late,
        version=version,
        constraint_names=frozenset(_given_names(database)),
    )


def _given_names(database: Database) -> Iterator[tuple[str, str]]:
    for table in database.tables:
        schema = table.name.schema
        yield from ((schema, constraint.name) for constraint in table.constraints)
        for column in table.columns:
            if column.not_null is not None and column.not_null.name is not None:
                yield schema, column.not_null.name


def _without_identity(column: Column) -> Column:
    return replace(column, identity=None, sequence=None, sequence_name=None)
