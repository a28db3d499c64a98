"""The statements that make a table beside another one: its partitions, its keys, its owner and who may do what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from typing import Any

from data_platform.ddl.clauses import index_sql
from data_platform.ddl.pieces import ordered_pieces
from data_platform.migration.plan.rebuilding.names import granted
from data_platform.migration.plan.rebuilding.trees import Tree, Trees
from data_platform.migration.plan.rebuilding.values import Key, given, keeps_value, unique_keys
from data_platform.migration.plan.text import bare
from data_platform.model.database import Check, Column, Database, Grant, Index, Table, Unique
from data_platform.model.design import Design
from data_platform.sql.references import References
from data_platform.sql.text import Sql


def made(trees: Trees, key: Key) -> tuple[tuple[Sql, ...], References]:
    """The new table by its name for a while, and what must be there for it."""
    tables = tuple(_at_first(trees, table, place) for place, table in enumerate(trees.new.standing_in))
    sql, needs = _statements(trees.new, tables)
    if key.helper is not None:
        sql += (bare(index_sql(trees.new.name, key.helper)),)
    return sql, needs


def as_it_is(tree: Tree) -> tuple[Sql, ...]:
    """A table whole, by its names for a while."""
    return _statements(tree, tree.standing_in)[0]


def _statements(tree: Tree, tables: tuple[Table, ...]) -> tuple[tuple[Sql, ...], References]:
    database = Database(tables=tables, grants=tuple(_grants(tree)))
    pieces = ordered_pieces(Design(store="", server_version=tree.version, database=database)).pieces
    mine = {reference for piece in pieces for reference in piece.makes}
    needs = (
        need for piece in pieces for need in (*piece.needs, *(n for part in piece.parts for n in part.needs))
    )
    return (
        tuple(bare(piece.statement.sql) for piece in pieces),
        tuple(dict.fromkeys(need for need in needs if need not in mine and need.kind != "partitions")),
    )


def _grants(tree: Tree) -> Iterator[Grant]:
    names = {granted(table.name): granted(tree.called("table", table.name)) for table in tree.tables}
    for grant in tree.database.grants:
        if grant.kind == "table" and grant.object in names:
            yield replace(grant, object=names[grant.object])


# --- what comes only when the rows are there ---


def _at_first(trees: Trees, table: Table, place: int) -> Table:
    """Without what rows, or the old application's writes, may violate, and what is made faster afterwards."""
    parts: tuple[Index | Unique, ...] = (*late_indexes(trees, place), *late_uniques(trees, place))
    late = {part.name for part in parts}
    if place:
        return replace(table, **_without(table, late))
    columns = {column.name for column in late_not_nulls(trees)}
    return replace(
        table,
        columns=tuple(_optional(c) if c.name in columns else c for c in table.columns),
        checks=tuple(check for check in table.checks if check not in late_checks(trees)),
        **_without(table, late),
    )


def _without(table: Table, late: Set[str]) -> dict[str, Any]:
    return {
        "uniques": tuple(key for key in table.uniques if key.name not in late),
        "indexes": tuple(index for index in table.indexes if index.name not in late),
    }


def _optional(column: Column) -> Column:
    return replace(column, nullable=True, not_null=None)


def late_checks(trees: Trees) -> tuple[Check, ...]:
    """Checks that the old table has not, or not of all its rows."""
    held = {check.expression for check in trees.old.table.checks if check.validated and check.enforced}
    renamed = bool(trees.pair.hints.columns)
    return tuple(
        check
        for check in trees.new.table.checks
        if renamed or check.expression not in held or not check.validated
    )


def late_not_nulls(trees: Trees) -> tuple[Column, ...]:
    """Columns that may hold NULL in the old table."""
    optional = {one.column.name for one in given(trees) if one.source is not None and one.source.nullable}
    key = trees.new.table.primary_key.columns if trees.new.table.primary_key else ()
    return tuple(
        c for c in trees.new.table.columns if not c.nullable and c.name in optional and c.name not in key
    )


def late_uniques(trees: Trees, place: int = 0) -> tuple[Unique, ...]:
    """Keys that no key of the old table implies: a row that broke one would be left out without a word."""
    return tuple(
        key for key in trees.new.standing_in[place].uniques if not _implied(trees, key.columns, key.deferral)
    )


def late_indexes(trees: Trees, place: int = 0) -> tuple[Index, ...]:
    """Indexes that are built when the rows are there."""
    return tuple(index for index in trees.new.standing_in[place].indexes if not _is_key(trees, index))


def _is_key(trees: Trees, index: Index) -> bool:
    columns = [element.column or "" for element in index.elements]
    return index.unique and index.where is None and _implied(trees, columns, "not deferrable")


def not_implied(trees: Trees) -> Iterator[str]:
    """What can only be made with the table, and may be broken by rows that are there."""
    for table in trees.new.tables:
        key = table.primary_key
        if key is not None and not _implied(trees, key.columns, key.deferral):
            yield f"primary key {key.name}"
        held = [replace(one, name="", comment=None) for one in trees.old.table.exclusions]
        for one in table.exclusions:
            if replace(one, name="", comment=None) not in held:
                yield f"exclusion constraint {one.name}"


def _implied(trees: Trees, columns: Iterable[str], deferral: str) -> bool:
    """Whether rows that hold the old table's keys hold one over these columns."""
    keys = [*unique_keys(trees.old.table)]
    if deferral != "not deferrable":
        old = trees.old.table
        keys += [key.columns for key in (old.primary_key, *old.uniques) if key is not None]
    same = {
        one.column.name: one.source.name
        for one in given(trees)
        if one.source is not None and keeps_value(one)
    }
    sources = {same.get(column, "") for column in columns}
    return any(set(key) <= sources for key in keys)
