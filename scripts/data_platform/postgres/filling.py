"""Rows for a whole database at the least cost: triggers aside, indexes afterwards, and a few rows made into many.

    with aside(connection), indexes_afterwards(connection, database):
        generator.fill(connection)

`aside` switches off what may refuse or change a synthetic row; `fillable` is the database as the generator of rows
should see it; `multiply` copies the rows of a table within the server, with new values where a key wants them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from data_platform.model.database import Check, Column, Database, Index, IndexElement, Name, Table
from data_platform.sql.statements import column_references
from data_platform.sql.text import (
    NotSql,
    Sql,
    identifier,
    identifiers,
    literal,
    parse,
    qualified,
    relation_literal,
)

Connection = psycopg.Connection[Any]

WITHIN_PARTITIONS = "dpe within partitions"
_STAGED = "dpe_rows"

_SWITCHES = """
WITH relation AS (
    SELECT c.oid, c.relforcerowsecurity
      FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
SELECT format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', r.oid::regclass, t.tgname),
       format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', r.oid::regclass,
              CASE t.tgenabled WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, t.tgname)
  FROM pg_catalog.pg_trigger AS t JOIN relation AS r ON r.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
 UNION ALL
SELECT format('ALTER TABLE %s DISABLE RULE %I', r.oid::regclass, w.rulename),
       format('ALTER TABLE %s ENABLE %s RULE %I', r.oid::regclass,
              CASE w.ev_enabled WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, w.rulename)
  FROM pg_catalog.pg_rewrite AS w JOIN relation AS r ON r.oid = w.ev_class WHERE w.ev_enabled <> 'D'
 UNION ALL
SELECT format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', r.oid::regclass),
       format('ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY', r.oid::regclass)
  FROM relation AS r WHERE r.relforcerowsecurity
"""


@contextmanager
def aside(connection: Connection) -> Iterator[None]:
    """Triggers, rules and forced row-level security are off while the block runs, and then as they were."""
    switches = connection.execute(_SWITCHES).fetchall()
    with connection.transaction():
        for off, _ in switches:
            connection.execute(off.encode())
    yield
    with connection.transaction():
        for _, on in switches:
            connection.execute(on.encode())


@contextmanager
def indexes_afterwards(connection: Connection, tables: Sequence[Table]) -> Iterator[None]:
    """Indexes that no constraint needs are dropped, and built when the block ends."""
    names = [
        Name(table.name.schema, index.name)
        for table in tables
        if table.partition_by is None
        for index in table.indexes
        if not index.unique
    ]
    definitions = []
    for name in names:
        found = connection.execute(f"SELECT pg_get_indexdef({relation_literal(name)}::regclass)".encode())
        definitions.append(_first(found))
        connection.execute(f"DROP INDEX {qualified(name.schema, name.name)}".encode())
    yield
    connection.execute("SET maintenance_work_mem TO '512MB'")
    for definition in definitions:
        connection.execute(definition.encode())
    connection.execute("RESET maintenance_work_mem")


def _first(cursor: psycopg.Cursor[Any]) -> str:
    row = cursor.fetchone()
    assert row is not None
    return str(row[0])


# --- partitions ---


def fillable(connection: Connection, database: Database) -> Database:
    """The database for the generator: a partitioned table takes only what a partition of it takes."""
    children: dict[Name, list[Table]] = {}
    for table in database.tables:
        if table.partition_of:
            children.setdefault(table.partition_of.table, []).append(table)
    held = {table.name for table in database.tables if table.holds_rows}
    tables = []
    for table in database.tables:
        if table.name in held:
            bounds = _bounds(connection, table, children) if table.partition_by else None
            more = (Check(name=WITHIN_PARTITIONS, expression=bounds),) if bounds else ()
            keys = tuple(key for key in table.foreign_keys if key.target in held)
            tables.append(replace(table, checks=(*table.checks, *more), foreign_keys=keys, triggers=()))
    return replace(database, tables=tuple(tables))


def _bounds(connection: Connection, table: Table, children: Mapping[Name, list[Table]]) -> str | None:
    """A condition that holds for the rows that some partition takes; None where all are taken."""
    nodes = list(_limits(table, children))
    if table in nodes:
        return None
    if not nodes:
        return "false"
    return " OR ".join(f"({partition_constraint(connection, node.name)})" for node in nodes)


def _limits(table: Table, children: Mapping[Name, list[Table]]) -> Iterator[Table]:
    """The highest partitions that take everything within their own bounds."""
    below = children.get(table.name, [])
    takes_all = table.partition_by is None or table.partition_by.strategy == "hash"
    takes_all |= any(
        child.partition_of is not None and child.partition_of.bound.upper() == "DEFAULT" for child in below
    )
    if takes_all and not any(child.partition_by for child in below):
        yield table
        return
    for child in below:
        yield from _limits(child, children)


def partition_constraint(connection: Connection, partition: Name) -> str:
    """What holds for every row of a partition, as the server says it."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL search_path TO ''")
        query = f"SELECT pg_get_partition_constraintdef({relation_literal(partition)}::regclass)"
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row and row[0] else "true"


# --- a few rows made into many ---


class NotMultipliable(Exception):
    """A key of the table cannot be given new values, or the server refused them."""


_WHOLE = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


@dataclass(frozen=True)
class Spread:
    """How a column's value differs from one copy to the next: `change` is SQL over the column and `$1`, the copy."""

    column: str
    change: Sql


def spreads(table: Table) -> tuple[str, ...]:
    """One column of each key whose values can be made anew. Raises NotMultipliable where a key has none."""
    if table.exclusions:
        raise NotMultipliable("an exclusion constraint")
    taken = {column for key in table.foreign_keys for column in key.columns}
    chosen: dict[str, None] = {}
    for columns in _keys(table):
        free = [name for name in columns if name not in taken and _kind(table, name)]
        if not free:
            raise NotMultipliable(f"the key over {', '.join(columns)}")
        if not any(name in chosen for name in free):
            chosen[min(free, key=lambda name: _ORDER.index(_kind(table, name)))] = None
    return tuple(chosen)


def _keys(table: Table) -> Iterator[tuple[str, ...]]:
    if table.primary_key:
        yield table.primary_key.columns
    for unique in table.uniques:
        yield unique.columns
    for index in table.indexes:
        if index.unique:
            yield _columns_of(table, index)


def _columns_of(table: Table, index: Index) -> tuple[str, ...]:
    names = {column.name for column in table.columns}
    return tuple(name for element in index.elements for name in _named(element) if name in names)


def _named(element: IndexElement) -> tuple[str, ...]:
    if element.column:
        return (element.column,)
    try:
        (tree,) = parse(f"SELECT {element.expression}").stmts
    except (NotSql, ValueError):
        return ()
    return tuple(parts[-1] for parts in column_references(tree.stmt))


_ORDER = ("whole", "numeric", "uuid", "text", "bytea", "time", "date")


def _kind(table: Table, name: str) -> str:
    """How new values of a column are made; "" where they are not."""
    column = next((c for c in table.columns if c.name == name), None)
    if column is None or column.generated:
        return ""
    base = column.type.split("(")[0].strip()
    if base in _WHOLE:
        return "whole"
    if base in ("timestamp with time zone", "timestamp without time zone") or base.startswith("timestamp"):
        return "time"
    return {
        "numeric": "numeric",
        "double precision": "numeric",
        "uuid": "uuid",
        "text": "text",
        "character varying": "text",
        "citext": "text",
        "public.citext": "text",
        "bytea": "bytea",
        "date": "date",
    }.get(base, "")


def multiply(connection: Connection, table: Table, wanted: int) -> int:
    """More rows like those that are there, up to `wanted`; how many there are then.

    Foreign keys are taken off meanwhile and put back, which checks them at once. Nothing has happened when
    NotMultipliable is raised.
    """
    chosen = spreads(table)
    target = qualified(table.name.schema, table.name.name)
    try:
        with connection.transaction(), _foreign_keys_off(connection, table):
            have = _count(connection, target)
            if 0 < have < wanted:
                _copy_rows(connection, table, chosen, have, wanted)
            _advance(connection, table)
            return max(have, wanted) if have else 0
    except psycopg.Error as error:
        if connection.closed:
            raise
        raise NotMultipliable(error.diag.message_primary or str(error)) from None


def _count(connection: Connection, target: Sql) -> int:
    row = connection.execute(f"SELECT count(*) FROM {target}".encode()).fetchone()  # noqa: S608
    return int(row[0]) if row else 0


def _copy_rows(connection: Connection, table: Table, chosen: Sequence[str], have: int, wanted: int) -> None:
    target = qualified(table.name.schema, table.name.name)
    columns = [column for column in table.columns if not column.generated]
    connection.execute(f"CREATE TEMP TABLE {_STAGED} ON COMMIT DROP AS SELECT * FROM {target}".encode())  # noqa: S608
    changes = {name: _change(connection, table.column(name), _kind(table, name)) for name in chosen}
    values = ", ".join(changes.get(column.name, identifier(column.name)) for column in columns)
    names = identifiers(column.name for column in columns)
    insert = (
        f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE"  # noqa: S608
        f" SELECT {values} FROM pg_temp.{_STAGED} LIMIT $2::bigint"
    )
    cursor = psycopg.RawCursor(connection)
    for copy in range(1, -(-wanted // have)):
        cursor.execute(insert.encode(), [copy, wanted - copy * have], prepare=True)


def _change(connection: Connection, column: Column, kind: str) -> Sql:
    name = identifier(column.name)
    if kind in ("whole", "numeric"):
        return Sql(f"({name} + $1::bigint * {_span(connection, column.name)})")
    if kind == "time":
        seconds = f"extract(epoch FROM max({name}) - min({name})) + 1"
        return Sql(f"({name} + $1::bigint * interval '1 second' * {_number(connection, seconds)})")
    if kind == "date":
        return Sql(
            f"({name} + ($1::bigint * {_number(connection, f'max({name}) - min({name}) + 1')})::integer)"
        )
    return Sql(
        {
            "uuid": f"md5({name}::text || $1::bigint::text)::uuid",
            "text": f"$1::bigint::text || {name}",
            "bytea": f"{name} || convert_to($1::bigint::text, 'UTF8')",
        }[kind]
    )


def _span(connection: Connection, column: str) -> int:
    name = identifier(column)
    return _number(connection, f"ceil(max({name}) - min({name})) + 1")


def _number(connection: Connection, expression: str) -> int:
    row = connection.execute(f"SELECT ({expression})::bigint FROM pg_temp.{_STAGED}".encode()).fetchone()  # noqa: S608
    return int(row[0]) if row and row[0] is not None else 1


@contextmanager
def _foreign_keys_off(connection: Connection, table: Table) -> Iterator[None]:
    keys = () if table.partition_by else table.foreign_keys
    target = qualified(table.name.schema, table.name.name)
    query = """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
                WHERE conrelid = {}::regclass AND contype = 'f' AND conparentid = 0"""
    found = connection.execute(query.format(relation_literal(table.name)).encode()).fetchall() if keys else []
    for name, _ in found:
        connection.execute(f"ALTER TABLE {target} DROP CONSTRAINT {identifier(name)}".encode())
    yield
    for name, definition in found:
        connection.execute(f"ALTER TABLE {target} ADD CONSTRAINT {identifier(name)} {definition}".encode())


def _advance(connection: Connection, table: Table) -> None:
    """Sequences go on after the highest value."""
    target = qualified(table.name.schema, table.name.name)
    for column in table.columns:
        if not column.identity and "nextval(" not in (column.default or ""):
            continue
        highest = f"max({identifier(column.name)})"
        sequence = f"pg_get_serial_sequence({relation_literal(table.name)}, {literal(column.name)})"
        query = f"SELECT setval({sequence}, {highest}) FROM {target} HAVING {highest} > 0"  # noqa: S608
        connection.execute(query.encode())
