"""What the live clients of a table ask, and what an error on one of them means.

A reader asks for rows by their key; a writer inserts a row, updates one that is there, and deletes the one it
inserted. Both name their columns, as an application does that was written before the migration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from data_platform.migration.prove.result import ClientError, Effect
from data_platform.model.database import Database, Name, Table
from data_platform.postgres.synthetic import Generator
from data_platform.postgres.traffic import Client, Connection, Failure, Operation, Script
from data_platform.sql.text import Sql, identifier, identifiers, qualified

_KEYS = 200
"""Rows that clients ask for, by turns."""


@dataclass(frozen=True)
class Asked:
    """A table as its clients see it: the columns that they name, the key that they look rows up by."""

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def target(self) -> Sql:
        return qualified(self.table.name.schema, self.table.name.name)

    @property
    def where(self) -> str:
        if not self.key:
            return f"ctid = (SELECT ctid FROM {self.target} LIMIT 1)"  # noqa: S608
        return " AND ".join(f"{identifier(name)} = ${n}" for n, name in enumerate(self.key, 1))

    @property
    def returned(self) -> str:
        """The key of a row that was inserted, as texts."""
        return ", ".join(f"{identifier(name)}::text" for name in self.key) if self.key else "ctid::text"


def asked(table: Table, gone: Collection[str]) -> Asked:
    """`gone` are columns that the application has stopped to name."""
    columns = tuple(column.name for column in table.columns if column.name not in gone)
    keys = [table.primary_key.columns] if table.primary_key else []
    keys += [unique.columns for unique in table.uniques]
    null = {column.name for column in table.columns if column.nullable}
    key = next((k for k in keys if not null.intersection(k) and set(k) <= set(columns)), ())
    return Asked(table, columns, key)


def scripts(
    connection: Connection,
    database: Database,
    generator: Generator,
    tables: Sequence[Name],
    gone: Mapping[Name, Collection[str]],
) -> tuple[Script, ...]:
    """A reader and a writer for each of the tables; rows to ask for are looked up now."""
    found: list[Script] = []
    for name in tables:
        look = asked(database.table(name), gone.get(name, ()))
        if look.columns:
            keys = _keys(connection, look)
            found.append(Script(name, "reader", (_select(look, keys),)))
            fresh = _fresh(connection, generator, name)
            found.append(Script(name, "writer", tuple(_writes(look, keys, fresh))))
    return tuple(script for script in found if script.operations)


def readers(connection: Connection, views: Sequence[Name]) -> tuple[Script, ...]:
    """Readers of materialized views, which nobody writes."""
    query = """SELECT attname FROM pg_catalog.pg_attribute
                WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
    found = []
    for name in views:
        target = qualified(name.schema, name.name)
        columns = tuple(row[0] for row in connection.execute(query, [str(target)]))
        sql = f"SELECT {identifiers(columns)} FROM {target} LIMIT 1"  # noqa: S608
        found.append(Script(name, "reader", (Operation("select", sql, columns=columns),)))
    return tuple(found)


def _keys(connection: Connection, look: Asked) -> tuple[tuple[str | None, ...], ...]:
    if not look.key:
        return ((),)
    columns = ", ".join(f"{identifier(name)}::text" for name in look.key)
    for sample in ("TABLESAMPLE SYSTEM (10)", ""):
        query = f"SELECT {columns} FROM {look.target} {sample} LIMIT {_KEYS}"  # noqa: S608
        with suppress(psycopg.Error):
            rows = connection.execute(query.encode()).fetchall()
            if rows:
                return tuple(tuple(row) for row in rows)
    return ((None,) * len(look.key),)


def _fresh(connection: Connection, generator: Generator, name: Name) -> Mapping[str, str | None] | None:
    try:
        return generator.fresh(connection, name)
    except (psycopg.Error, KeyError):
        return None


def _select(look: Asked, keys: tuple[tuple[str | None, ...], ...]) -> Operation:
    where = f"WHERE {look.where}" if look.key else "LIMIT 1"
    sql = f"SELECT {identifiers(look.columns)} FROM {look.target} {where}"  # noqa: S608
    return Operation("select", sql, keys, look.columns)


def _writes(
    look: Asked, keys: tuple[tuple[str | None, ...], ...], fresh: Mapping[str, str | None] | None
) -> Iterator[Operation]:
    row = {name: value for name, value in (fresh or {}).items() if name in look.columns}
    if row:
        listed = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        sql = f"INSERT INTO {look.target} ({identifiers(row)}) VALUES ({listed}) RETURNING {look.returned}"  # noqa: S608
        yield Operation("insert", sql, (tuple(row.values()),), tuple(row))
        where = look.where if look.key else "ctid = $1::tid"
        # Right after the INSERT: only the operation before it returned the row's key.
        sql = f"DELETE FROM {look.target} WHERE {where}"  # noqa: S608
        yield Operation("delete", sql, columns=look.key, returned=True)
    settable = tuple(
        column.name
        for column in look.table.columns
        if column.name in look.columns and not column.generated and column.identity != "always"
    )
    if settable:
        changes = ", ".join(f"{identifier(name)} = {identifier(name)}" for name in settable)
        yield Operation("update", f"UPDATE {look.target} SET {changes} WHERE {look.where}", keys, settable)  # noqa: S608


# --- what an error means ---


def effect(failure: Failure, columns: Collection[str]) -> Effect:
    """What an error does to an application. `columns` are those that its statement names."""
    if failure.sqlstate == "0A000" and "cached plan" in failure.message:
        return "planned again"
    if failure.sqlstate == "XX000" and "cache lookup failed for type" in failure.message:
        return "planned again"  # a parameter of a statement that was prepared before had a type that is gone
    if failure.sqlstate == "42804" and "but expression is of type" in failure.message:
        return "planned again"  # a parameter has the type that its column had when the statement was prepared
    if failure.sqlstate == "23502" and failure.column not in columns:
        return "broken"  # a column that it does not know of wants a value
    return "refused" if failure.sqlstate.startswith(("22", "23")) else "broken"


def errors(clients: Sequence[Client], windows: Sequence[tuple[int, float, float]]) -> tuple[ClientError, ...]:
    """The errors on clients, those of one kind put together; `windows` are (statement, start, end) in order."""
    found: dict[tuple[str, str, str, str], ClientError] = {}
    for client in clients:
        columns = {operation.action: operation.columns for operation in client.script.operations}
        answered = {sample.action: sample.end for sample in client.samples if sample.failure is None}
        for sample in client.samples:
            if sample.failure is None:
                continue
            key = (str(client.script.table), client.script.role, sample.action, sample.failure.sqlstate)
            before = found.get(key)
            found[key] = ClientError(
                table=key[0],
                client=client.script.role,
                action=sample.action,
                sqlstate=sample.failure.sqlstate,
                message=before.message if before else sample.failure.message,
                count=before.count + 1 if before else 1,
                statement=before.statement if before else _at(sample.end, windows),
                effect=effect(sample.failure, columns[sample.action]),
                passed=answered.get(sample.action, 0.0) > sample.end,
            )
    return tuple(sorted(found.values(), key=lambda e: (e.statement or 0, e.table, e.client, e.action)))


def _at(moment: float, windows: Sequence[tuple[int, float, float]]) -> int | None:
    """The statement during which, or after which, something happened."""
    started = [number for number, start, _ in windows if start <= moment]
    return started[-1] if started else None
