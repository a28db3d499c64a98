"""A few rows made into many, within the server: copies with new values where a key wants them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from data_platform.model.database import Column, Index, IndexElement, Table
from data_platform.postgres.filling.partitions import names_in
from data_platform.sql.text import NotSql, Sql, identifier, identifiers, literal, qualified, relation_literal

Connection = psycopg.Connection[Any]

_STAGED = "dpe_rows"


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


def _named(element: IndexElement) -> list[str]:
    try:
        return names_in(element)
    except NotSql:
        return []


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
