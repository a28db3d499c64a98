"""Rows for every table that holds some: partitions get theirs through their parent, other servers' tables none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg

from data_platform.model.database import Check, Database, Name, Table
from data_platform.sql.text import qualified_name, relation_literal

Connection = psycopg.Connection[Any]

INDEX_MEMORY = "512MB"
"""Enough for the graph of some 200,000 vectors of 384 dimensions; the server takes what it needs."""
WITHIN_PARTITIONS = "dpe within partitions"


def fillable(connection: Connection, database: Database) -> Database:
    """The database as the generator of rows should see it, while triggers are set aside.

    A partitioned table takes only rows that one of its partitions takes, so it gets that as one more check.
    """
    children = _children(database)
    held = {table.name for table in database.tables if table.holds_rows}
    tables = []
    for table in database.tables:
        if table.holds_rows:
            bounds = _bounds(connection, table, children) if table.partition_by else None
            checks = (
                (*table.checks, Check(name=WITHIN_PARTITIONS, expression=bounds)) if bounds else table.checks
            )
            keys = tuple(key for key in table.foreign_keys if key.target in held)
            tables.append(replace(table, checks=checks, foreign_keys=keys, triggers=()))
    return replace(database, tables=tuple(tables))


def _children(database: Database) -> dict[Name, list[Table]]:
    found: dict[Name, list[Table]] = {}
    for table in database.tables:
        if table.partition_of:
            found.setdefault(table.partition_of.table, []).append(table)
    return found


def _bounds(connection: Connection, table: Table, children: dict[Name, list[Table]]) -> str | None:
    """A condition that holds for the rows that some partition takes; None where all are taken."""
    nodes = list(_limits(table, children))
    if table in nodes:
        return None
    if not nodes:
        return "false"
    texts = [partition_constraint(connection, node.name) for node in nodes]
    return " OR ".join(f"({text})" for text in texts)


def _limits(table: Table, children: dict[Name, list[Table]]) -> Iterator[Table]:
    """The highest partitions that take everything within their own bounds."""
    below = children.get(table.name, [])
    takes_all = table.partition_by is None or table.partition_by.strategy == "hash"
    takes_all |= any(takes_rest(child) and child.partition_by is None for child in below)
    splits = any(child.partition_by for child in below)
    if takes_all and not splits:
        yield table
        return
    for child in below:
        yield from _limits(child, children)


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


@contextmanager
def indexes_built_afterwards(connection: Connection, database: Database) -> Iterator[None]:
    """Load first, then index: many times faster for HNSW and GIN, and IVFFlat takes its lists from the rows."""
    plain = [t for t in database.tables if t.holds_rows and t.partition_by is None]
    names = [Name(t.name.schema, index.name) for t in plain for index in t.indexes if not index.unique]
    definitions = []
    for name in names:
        relation = relation_literal(name)
        row = connection.execute(f"SELECT pg_get_indexdef({relation}::regclass)".encode()).fetchone()
        assert row is not None
        definitions.append(row[0])
        connection.execute(f"DROP INDEX {qualified_name(name)}".encode())
    yield
    connection.execute(f"SET maintenance_work_mem TO '{INDEX_MEMORY}'".encode())
    for definition in definitions:
        connection.execute(definition.encode())
    connection.execute("RESET maintenance_work_mem")


_MATERIALIZED = """
WITH RECURSIVE reads(view, source) AS (
    SELECT w.ev_class, d.refobjid
      FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
     WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
), reaches(view, source) AS (
    SELECT view, source FROM reads
    UNION
    SELECT r.view, s.source FROM reaches AS r JOIN reads AS s ON s.view = r.source)
SELECT n.nspname, c.relname
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind = 'm' AND n.nspname <> ALL (%s)
 ORDER BY (SELECT count(*) FROM reaches AS r JOIN pg_class AS s ON s.oid = r.source
            WHERE r.view = c.oid AND s.relkind = 'm'), 1, 2
"""


def materialized_in_order(connection: Connection) -> tuple[Name, ...]:
    """The materialized views, each after those that it reads."""
    return tuple(
        Name(*row) for row in connection.execute(_MATERIALIZED, [["pg_catalog", "information_schema"]])
    )


def refresh_all(connection: Connection, views: tuple[Name, ...]) -> None:
    """With the rows that are there now, so that access patterns find some; one that fails is tried again later."""
    for view in views:
        with suppress(psycopg.DatabaseError), connection.transaction():
            connection.execute(f"REFRESH MATERIALIZED VIEW {qualified_name(view)}".encode())
