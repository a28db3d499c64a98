"""Sequences of a table that is built again: the new one goes on numbering where the old one stopped."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan.columns import identity_clause
from data_platform.migration.plan.rebuilding.trees import Trees, sequence_of
from data_platform.migration.plan.rebuilding.values import given
from data_platform.migration.plan.text import alter_column, alter_table
from data_platform.model.database import Column, Name, Sequence
from data_platform.sql.text import Sql, identifier, qualified_name, relation_literal


def numbered(trees: Trees) -> Iterator[Sql]:
    """Once the new table has the name, and the old one its name aside."""
    for one in given(trees):
        if one.column.identity is not None:
            clause = identity_clause(one.column)
            yield alter_table(trees.name, alter_column(one.column.name, f"ADD {clause}"))
            yield _continued(trees, sequence_of(trees.new.table, one.column), one.column, one.source)
        for sequence in _owned(trees, one.column):
            if sequence.name not in _before(trees):
                yield _continued(trees, sequence.name, one.column, one.source)
    for column in trees.old.table.columns:
        if column.identity is not None:
            yield alter_table(trees.old.name, alter_column(column.name, "DROP IDENTITY"))
    yield from _handed_over(trees)


def _continued(trees: Trees, sequence: Name, column: Column, source: Column | None) -> Sql:
    former = _former(trees, source)
    this = relation_literal(sequence)
    if former is not None:
        return Sql(f"SELECT setval({this}::regclass, last_value, is_called) FROM {qualified_name(former)}")  # noqa: S608
    name = identifier(column.name)
    return Sql(
        f"SELECT setval({this}::regclass, max({name})) FROM {qualified_name(trees.name)} "  # noqa: S608
        f"HAVING max({name}) IS NOT NULL"
    )


def _former(trees: Trees, source: Column | None) -> Name | None:
    """The sequence that numbered the old column."""
    if source is None:
        return None
    if source.identity is not None:
        return trees.old.called("sequence", sequence_of(trees.old.table, source))
    owned = [s.name for s in trees.old.database.sequences if s.owned_by == (trees.name, source.name)]
    return owned[0] if owned else None


def _owned(trees: Trees, column: Column) -> Iterator[Sequence]:
    for sequence in trees.new.database.sequences:
        if sequence.owned_by == (trees.name, column.name):
            yield sequence


def _before(trees: Trees) -> frozenset[Name]:
    return frozenset(sequence.name for sequence in trees.old.database.sequences)


def _handed_over(trees: Trees) -> Iterator[Sql]:
    """Sequences that belonged to a column of the old table would be dropped with it."""
    mine = {table.name for table in (*trees.old.tables, *trees.new.tables)}
    new = {sequence.name: sequence for sequence in trees.new.database.sequences}
    for sequence in new.values():
        if sequence.owned_by is not None and sequence.owned_by[0] in mine:
            table, column = sequence.owned_by
            yield _owned_by(sequence.name, Sql(f"{qualified_name(table)}.{identifier(column)}"))
    for old in trees.old.database.sequences:
        if (
            old.owned_by is not None
            and old.owned_by[0] in mine
            and old.name in new
            and new[old.name].owned_by is None
        ):
            yield _owned_by(old.name, Sql("NONE"))


def _owned_by(sequence: Name, owner: Sql) -> Sql:
    return Sql(f"ALTER SEQUENCE {qualified_name(sequence)} OWNED BY {owner}")
