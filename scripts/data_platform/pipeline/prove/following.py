"""A source whose change stream is followed: its tables, and a history of transactions that it goes through.

The history has inserts, updates of one column (long values beside it are not sent), changes of keys, deletes, a
truncate and transactions that are taken back. What the source holds in the end is the truth.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from data_platform.pipeline.capturing import slot_of
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.prove.data import Row, Shape, rows_of, shape_of
from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines import relations
from data_platform.postgres.pipelines.relations import table_name
from data_platform.postgres.server import Database, Server
from data_platform.spec.pipeline import Pipeline, Source
from data_platform.sql.text import Sql, columns_of, identifier, identifiers, joined, phrase

LOGICAL = {"wal_level": "logical", "max_wal_senders": "10", "max_replication_slots": "10"}
"""Settings of a source's cluster."""
_CHANGES_OF_ONE = 25
_LONG = 400
_DROP = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s"
_END_SENDERS = """
SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = %s AND active_pid IS NOT NULL
"""


@dataclass
class Followed:
    """The source of one trial. `changes` has begun once `begin` was called; `settle` waits for its end."""

    database: Database
    spec: Pipeline
    chains: Sequence[Chain]
    rows: Mapping[str, Sequence[Row]]
    seed: str
    _writer: threading.Thread | None = None
    _failed: list[BaseException] = field(default_factory=list)

    def begin(self) -> None:
        """Let the history happen beside what is done here."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, daemon=True)
            self._writer.start()

    def settle(self) -> None:
        """Until all of it has happened. Raises what it failed with."""
        self.begin()
        assert self._writer is not None
        self._writer.join()
        if self._failed:
            raise self._failed[0]

    def alter(self, source: Source, column: str) -> int:
        """A column that nobody declared, and a value of it in some rows; how many."""
        assert source.table is not None
        parts = {"table": table_name(source.table), "column": identifier(column)}
        some = phrase(
            "UPDATE {table} SET {column} = 'x' WHERE ctid IN (SELECT ctid FROM {table} LIMIT {some})",
            **parts,
            some=_CHANGES_OF_ONE,
        )
        with connect(self.database.conninfo, read_only=False) as connection:
            connection.execute("SET synchronous_commit = on")
            connection.execute(phrase("ALTER TABLE {table} ADD COLUMN {column} text", **parts).encode())
            return connection.execute(some.encode()).rowcount

    def content(self) -> dict[str, Counter[str]]:
        """What the targets have to hold."""
        with connect(self.database.conninfo, read_only=True) as connection:
            return {str(chain.target.table): _rows(connection, chain.sources[0]) for chain in self.chains}

    def _write(self) -> None:
        try:
            with connect(self.database.conninfo, read_only=False) as connection:
                _History(connection, self).happen()
        except BaseException as problem:
            self._failed.append(problem)


def _rows(connection: psycopg.Connection[Any], source: Source) -> Counter[str]:
    assert source.table is not None
    query = phrase(
        "SELECT ROW({columns})::text FROM {table} r",
        columns=columns_of("r", source.columns),
        table=table_name(source.table),
    )
    return Counter(row[0] for row in connection.execute(query.encode()))


@contextmanager
def followed(
    server: Server, spec: Pipeline, chains: Sequence[Chain], count: int, seed: int
) -> Iterator[Followed]:
    """A database with the sources' tables, a part of their rows in them; its slot goes with it."""
    with server.scratch_database() as database:
        shapes = {source.name: shape_of(source, chains) for source in spec.sources}
        rows = {name: rows_of(shape, count, f"{seed} {name}") for name, shape in shapes.items()}
        with connect(database.admin_conninfo, read_only=False) as admin:
            owner = str(conninfo_to_dict(database.conninfo)["user"])
            admin.execute(phrase("ALTER ROLE {owner} REPLICATION", owner=identifier(owner)).encode())
        with connect(database.conninfo, read_only=False) as connection:
            connection.execute("SET synchronous_commit = on")
            for source in spec.sources:
                _create(connection, source, shapes[source.name], rows[source.name])
        try:
            yield Followed(database, spec, chains, rows, f"{seed}")
        finally:
            with connect(database.admin_conninfo, read_only=False) as admin:
                admin.execute(_END_SENDERS, [slot_of(spec)])
                admin.execute(_DROP, [slot_of(spec)])


def _create(connection: psycopg.Connection[Any], source: Source, shape: Shape, rows: Sequence[Row]) -> None:
    """The table with the first fifth of the rows, long texts stored aside as they would be."""
    assert source.table is not None
    table = table_name(source.table)
    relations.create_table(connection, source.table, {n: str(t) for n, t in shape.columns.items()}, shape.key)
    for name in _texts(shape):
        statement = "ALTER TABLE {table} ALTER COLUMN {name} SET STORAGE EXTERNAL"
        connection.execute(phrase(statement, table=table, name=identifier(name)).encode())
    with connection.transaction():
        for number, row in enumerate(rows[: len(rows) // 5]):
            _put(connection, table, shape, _long(shape, row, number))


def _texts(shape: Shape) -> list[str]:
    return [name for name, type_ in shape.columns.items() if type_ == "text" and name not in shape.key]


def _long(shape: Shape, row: Row, number: int) -> Row:
    """Every fourth row has texts that PostgreSQL keeps beside the table."""
    if number % 4:
        return row
    return {**row, **{name: f"{number} {row[name]}" * _LONG for name in _texts(shape)}}


def _put(connection: psycopg.Connection[Any], table: Sql, shape: Shape, row: Row) -> None:
    others = [name for name in shape.columns if name not in shape.key]
    sets = [Sql(f"{identifier(name)} = excluded.{identifier(name)}") for name in others]
    statement = phrase(
        "INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT ({key}) DO {action}",
        table=table,
        columns=identifiers(shape.columns),
        values=joined(", ", [Sql(f"%s::{type_}") for type_ in shape.columns.values()]),
        key=identifiers(shape.key),
        action=phrase("UPDATE SET {sets}", sets=joined(", ", sets)) if others else Sql("NOTHING"),
    )
    connection.execute(statement.encode(), [row[name] for name in shape.columns])


class _History:
    """What happens to a source, the same for the same seed, whenever it happens."""

    def __init__(self, connection: psycopg.Connection[Any], source: Followed) -> None:
        self.connection, self.source = connection, source
        self.draw = random.Random(source.seed)  # noqa: S311 - made-up changes
        self.shapes = {one.name: shape_of(one, source.chains) for one in source.spec.sources}
        connection.execute("SET synchronous_commit = on")

    def happen(self) -> None:
        """Transactions over all tables; one in ten is taken back, one truncates."""
        most = max(len(rows) for rows in self.source.rows.values())
        firsts = [*range(most // 5, most, _CHANGES_OF_ONE)]
        for number, first in enumerate(firsts):
            with self.connection.transaction(force_rollback=number % 10 == 9):
                for one in self.source.spec.sources:
                    if number == len(firsts) // 2 and one is self.source.spec.sources[-1]:
                        self._execute("TRUNCATE {table}", one)
                    rows = self.source.rows[one.name][first : first + _CHANGES_OF_ONE]
                    for at, row in enumerate(rows, first):
                        self._change(one, row, at)

    def _change(self, one: Source, row: Row, number: int) -> None:
        shape = self.shapes[one.name]
        assert one.table is not None
        chance = self.draw.random()
        key = [row[name] for name in shape.key]
        same = joined(" AND ", [Sql(f"{identifier(n)} = %s::{shape.columns[n]}") for n in shape.key])
        others = [name for name in shape.columns if name not in shape.key]
        if chance < 0.1:
            self._execute("DELETE FROM {table} WHERE {same}", one, key, same=same)
        elif chance < 0.5 and others:
            name = self.draw.choice(others)
            value = Sql(f"{identifier(name)} = %s::{shape.columns[name]}")
            statement = "UPDATE {table} SET {value} WHERE {same}"
            self._execute(statement, one, [row[name], *key], value=value, same=same)
        elif chance < 0.6:
            # A row takes a key that nobody has: that of one which is deleted before it.
            other = self.draw.choice(self.source.rows[one.name])
            new = [other[name] for name in shape.key]
            if new != key:
                self._execute("DELETE FROM {table} WHERE {same}", one, new, same=same)
                sets = joined(", ", [Sql(f"{identifier(n)} = %s::{shape.columns[n]}") for n in shape.key])
                statement = "UPDATE {table} SET {sets} WHERE {same}"
                self._execute(statement, one, [*new, *key], sets=sets, same=same)
        else:
            _put(self.connection, table_name(one.table), shape, _long(shape, row, number))

    def _execute(self, statement: str, one: Source, values: Sequence[Any] = (), **parts: Sql) -> None:
        assert one.table is not None
        made = phrase(statement, table=table_name(one.table), **parts)
        self.connection.execute(made.encode(), list(values))
