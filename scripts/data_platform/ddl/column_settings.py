"""What ALTER TABLE says of single columns: storage, statistics, NOT NULL that is not checked, what is inherited."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.ddl.around import Around
from data_platform.ddl.clauses import optional_needs, relation
from data_platform.ddl.piece import Piece
from data_platform.ddl.small import alter, table_kind
from data_platform.model.database import Column, NotNull, Table
from data_platform.sql.phrases import default, number
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, keyword, options, qualified_name


def pieces(table: Table, around: Around) -> Iterator[Piece]:
    """One statement for each; ONLY, as the table's partitions and heirs say their own."""
    own = qualified_name(table.name)
    for column in table.columns:
        for action in _actions(table, column):
            yield _alter(table, column, Sql(f"ONLY {own}"), action)
        if column.inherited:
            yield from _differences(table, column, around)
        elif not column.nullable and column.not_null and not column.not_null.validated:
            yield _alter(table, column, own, _added(column, column.not_null))


def _alter(table: Table, column: Column, object_: Sql, action: Sql) -> Piece:
    made = f"column {table.name}.{column.name}"
    needs = (relation(table.name), *(optional_needs(column.default) if column.inherited else ()))
    return alter(table_kind(table), object_, action, made, "tables", table.name, needs)


def _actions(table: Table, column: Column) -> Iterator[Sql]:
    if column.storage is not None:
        yield _set(column, f"STORAGE {keyword(column.storage)}")
    if column.compression is not None:
        yield _set(column, f"COMPRESSION {identifier(column.compression)}")
    if column.statistics is not None:
        yield _set(column, f"STATISTICS {number(column.statistics)}")
    if column.options and table.foreign is None:
        yield _set(column, f"({options(column.options)})")


def _set(column: Column, what: str) -> Sql:
    return Sql(f"ALTER COLUMN {identifier(column.name)} SET {what}")


def _added(column: Column, not_null: NotNull) -> Sql:
    clause = render("ddl/not_null.sql.j2", column=column.name, constraint=not_null)
    return Sql(f"ADD {clause}")


def _differences(table: Table, column: Column, around: Around) -> Iterator[Piece]:
    """Where an inherited column is not as its parents have it."""
    object_ = Sql(f"ONLY {qualified_name(table.name)}")
    parents = list(around.inherited(table, column.name))
    if column.generated is None and column.default not in {parent.default for parent in parents}:
        what = "DROP DEFAULT" if column.default is None else f"SET DEFAULT {default(column.default)}"
        yield _alter(table, column, object_, Sql(f"ALTER COLUMN {identifier(column.name)} {what}"))
    if not column.nullable and all(parent.nullable for parent in parents):
        action = _added(column, column.not_null) if column.not_null else _set(column, "NOT NULL")
        yield _alter(table, column, object_, action)
    # Before 16 a column cannot be told to go back to its type's own storage.
    if column.storage is None and any(parent.storage for parent in parents) and around.version >= 16:
        yield _alter(table, column, object_, _set(column, "STORAGE DEFAULT"))
    if column.compression is None and any(parent.compression for parent in parents):
        yield _alter(table, column, object_, _set(column, "COMPRESSION default"))
