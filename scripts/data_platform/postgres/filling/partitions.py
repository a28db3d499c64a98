"""The database as the generator of rows should see it: partitions get theirs through their parent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import postgast
import psycopg
from postgast import pg_query_pb2 as pb

from data_platform.model.database import Check, Database, IndexElement, Name, Table
from data_platform.model.design import DataHint
from data_platform.postgres.synthetic import Generator
from data_platform.sql.statements import column_references
from data_platform.sql.text import expression_tree, identifier, qualified_name, relation_literal

Connection = psycopg.Connection[Any]
Children = dict[Name, list[Table]]

WITHIN_PARTITIONS = "dpe within partitions"
REFERRED = "dpe referred"
MAX_BOUNDS = 200
"""Partitions beside DEFAULT within whose bounds rows are looked for."""


Hints = Mapping[tuple[Name, str], DataHint]


def fillable(connection: Connection, database: Database, hints: Hints = MappingProxyType({})) -> Database:
    """The database as the generator of rows should see it, while triggers are set aside.

    A partitioned table takes only rows that one of its partitions takes, so it gets that as one more check; that of
    its DEFAULT partition is left out of it where rows can be had without, or most partitions would be empty. A row
    that others refer to by a generated column must have a value there.
    """
    children = _children(database)
    held = {table.name for table in database.tables if table.holds_rows}
    referred = _generated_targets(database)
    tables = []
    for table in database.tables:
        if table.holds_rows:
            given = [check for name in sorted(referred.get(table.name, ())) for check in _given(table, name)]
            checks = (*table.checks, *given)
            keys = tuple(key for key in table.foreign_keys if key.target in held)
            plain = replace(table, checks=checks, foreign_keys=keys, triggers=())
            tables.append(_partitioned(connection, plain, children, hints, database))
    return replace(database, tables=tuple(tables))


def _generated_targets(database: Database) -> dict[Name, set[str]]:
    """Generated columns that generated columns refer to: no row can be made to refer to one that is NULL."""
    found: dict[Name, set[str]] = {}
    for table in database.tables:
        for key in table.foreign_keys:
            target = database.table(key.target)
            pairs = zip(key.columns, key.target_columns, strict=True)
            both = [there for here, there in pairs if table.column(here).generated]
            found.setdefault(key.target, set()).update(n for n in both if target.column(n).generated)
    return found


def _given(table: Table, column: str) -> Iterator[Check]:
    """What must hold for a generated column to have a value: the tests for NULL that its expression makes."""
    generated = table.column(column).generated
    tree = expression_tree(generated.expression if generated else "NULL")
    for node in postgast.find_nodes(tree, pb.NullTest):
        if node.arg.HasField("column_ref"):
            tested = node.arg.column_ref.fields[-1].string.sval
            word = "IS NULL" if node.nulltesttype == pb.IS_NULL else "IS NOT NULL"
            yield Check(name=f"{REFERRED} {column}", expression=f"{identifier(tested)} {word}")


def _partitioned(
    connection: Connection, table: Table, children: Children, hints: Hints, database: Database
) -> Table:
    """With the bounds of its partitions as a check, without DEFAULT where rows are found."""
    if table.partition_by is None:
        return table
    all_ = list(_limits(table, children, within=False))
    narrow = list(_limits(table, children, within=True))
    if narrow != all_ and len(narrow) <= MAX_BOUNDS:
        bounded = _bounded(connection, table, narrow)
        if _has_rows(connection, database, bounded, hints):
            return bounded
    return table if table in all_ else _bounded(connection, table, all_)


def _bounded(connection: Connection, table: Table, nodes: Sequence[Table]) -> Table:
    check = Check(name=WITHIN_PARTITIONS, expression=_bounds(connection, nodes))
    return replace(table, checks=(*table.checks, check))


def _has_rows(connection: Connection, database: Database, table: Table, hints: Hints) -> bool:
    """Whether a row is found within the bounds, foreign keys aside; one that has a column of the key decides there."""
    assert table.partition_by is not None
    parts = {name for part in table.partition_by.key for name in names_in(part)}
    if any(parts & set(key.columns) for key in table.foreign_keys):
        return False
    alone = replace(table, foreign_keys=())
    with connection.transaction(force_rollback=True):
        for key in table.foreign_keys:
            sql = f"ALTER TABLE {qualified_name(table.name)} DROP CONSTRAINT {identifier(key.name)}"
            connection.execute(sql.encode())
        generator = Generator(replace(database, tables=(alone,)), {}, hints, 1)
        return generator.fresh(connection, table.name) is not None


def names_in(element: IndexElement) -> list[str]:
    """The columns of a part of a key, each once."""
    if element.column:
        return [element.column]
    return list(
        dict.fromkeys(parts[-1] for parts in column_references(expression_tree(element.expression or "")))
    )


def _children(database: Database) -> dict[Name, list[Table]]:
    found: dict[Name, list[Table]] = {}
    for table in database.tables:
        if table.partition_of:
            found.setdefault(table.partition_of.table, []).append(table)
    return found


def _bounds(connection: Connection, nodes: Sequence[Table]) -> str:
    """A condition that holds for the rows that one of these partitions takes."""
    if not nodes:
        return "false"
    texts = [partition_constraint(connection, node.name) for node in nodes]
    return " OR ".join(f"({text})" for text in texts)


def _limits(table: Table, children: Children, *, within: bool) -> Iterator[Table]:
    """The highest partitions that take everything within their own bounds; `within`: without DEFAULT ones."""
    below = children.get(table.name, [])
    bounded = [child for child in below if not takes_rest(child)]
    if within and len(bounded) < len(below) and bounded:
        for child in bounded:
            yield from _limits(child, children, within=within)
        return
    takes_all = table.partition_by is None or table.partition_by.strategy == "hash"
    takes_all |= any(takes_rest(child) and child.partition_by is None for child in below)
    splits = any(child.partition_by for child in below)
    if takes_all and not splits:
        yield table
        return
    for child in below:
        yield from _limits(child, children, within=within)


def takes_rest(table: Table) -> bool:
    """Whether it is a DEFAULT partition."""
    return table.partition_of is not None and table.partition_of.bound.upper() == "DEFAULT"


def partition_constraint(connection: Connection, partition: Name) -> str:
    """What holds for every row of a partition, as the server says it."""
    relation = relation_literal(partition)
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL search_path TO ''")
        query = f"SELECT pg_get_partition_constraintdef({relation}::regclass)"
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row and row[0] else "true"
