"""A table that is exchanged for a new one, killed in the middle, with somebody who reads it all the while."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from data_platform.pipeline.prove.trial import Trial
from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines.relations import table_name
from data_platform.sql.text import Sql, phrase, qualified

_EVERY = 3


def swapped(one: Trial) -> list[Sql]:
    """The targets that are exchanged."""
    return [table_name(chain.target.table) for chain in one.made.chains if chain.target.swap]


def thinned(one: Trial) -> None:
    """Rows of these targets taken away, and what says that they were written: the next run has to exchange them."""
    with connect(one.database.conninfo, read_only=False) as connection, connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        for table in swapped(one):
            text = "DELETE FROM {table} t WHERE hashtext(t::text) % {every} = 0"
            connection.execute(phrase(text, table=table, every=_EVERY).encode())
        checkpoints = qualified(one.made.spec.state_schema, "checkpoints")
        connection.execute(phrase("DELETE FROM {checkpoints}", checkpoints=checkpoints).encode())


@dataclass
class Reader:
    """Counts the rows of tables again and again, each time in a snapshot that is a little older than the count."""

    conninfo: str
    tables: Sequence[Sql]
    before: dict[Sql, int] = field(default_factory=dict)
    seen: set[tuple[Sql, int]] = field(default_factory=set)
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Reader:
        self.before = self._counts()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        assert self._thread is not None
        self._thread.join()

    def _counts(self) -> dict[Sql, int]:
        with connect(self.conninfo, read_only=True) as connection:
            return {table: _count(connection, table) for table in self.tables}

    def _read(self) -> None:
        with connect(self.conninfo, read_only=True) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while not self._done.is_set():
                with connection.transaction():
                    connection.execute("SELECT pg_current_snapshot()")
                    self._done.wait(0.005)
                    self.seen |= {(table, _count(connection, table)) for table in self.tables}

    def strange(self) -> str:
        """What was seen that is neither the table before nor the one that is there now; empty where nothing is."""
        known = {*self.before.items(), *self._counts().items()}
        told = [f"a reader saw {count:,} rows in {table}" for table, count in sorted(self.seen - known)]
        return "; ".join(told)


def _count(connection: psycopg.Connection[Any], table: Sql) -> int:
    row = connection.execute(phrase("SELECT count(*) FROM {table}", table=table).encode()).fetchone()
    assert row is not None
    return int(row[0])
