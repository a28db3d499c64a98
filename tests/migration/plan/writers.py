"""Clients that write a table while it is migrated, each keeping a model of what its rows must be."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

Row = tuple[int, str, str]
"""(customer, day, note)."""


class Writer(threading.Thread):
    """Inserts, updates (the partition key too), deletes and rolls back rows of its own, and remembers all of it."""

    def __init__(self, conninfo: str, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.number, self.stop, self.conninfo = number, stop, conninfo
        self.random = random.Random(number)
        self.model: dict[int, Row] = {}
        self.errors: list[str] = []
        self.longest = 0.0
        self.done = 0
        self.isolation = ("READ COMMITTED", "REPEATABLE READ", "READ COMMITTED")[number % 3]

    def take(self, rows: dict[int, Row]) -> None:
        self.model.update({key: row for key, row in rows.items() if key % 3 == self.number})

    def run(self) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            while not self.stop.is_set():
                start = time.monotonic()
                try:
                    self._once(connection)
                except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                    pass
                except psycopg.Error as error:
                    self.errors.append(f"{error.sqlstate} {error}")
                    return
                self.longest = max(self.longest, time.monotonic() - start)
                self.done += 1

    def _once(self, connection: psycopg.Connection[Any]) -> None:
        draft = dict(self.model)
        with connection.transaction() as transaction:
            connection.execute(f"SET TRANSACTION ISOLATION LEVEL {self.isolation}".encode())
            for _ in range(self.random.randint(1, 4)):
                self._write(connection, draft)
            if self.random.random() < 0.1:
                raise psycopg.Rollback(transaction)
        if transaction.status.name == "COMMITTED":
            self.model = draft

    def _write(self, connection: psycopg.Connection[Any], draft: dict[int, Row]) -> None:
        row = self._row()
        what = self.random.choice(["insert", "update", "note", "move", "delete", "again"])
        keys = self.random.sample(sorted(draft), min(len(draft), 1)) if what != "insert" else []
        if not keys:
            key = self._free(draft)
            connection.execute(_INSERT, [key, *row])
            draft[key] = row
            return
        (key,) = keys
        if what == "note":
            row = (*draft[key][:2], row[2])
        if what in ("update", "note"):
            connection.execute(_UPDATE, [key, *row, key])
            draft[key] = row
        elif what == "move":
            other = self._free(draft)
            connection.execute(_UPDATE, [other, *row, key])
            del draft[key]
            draft[other] = row
        else:
            connection.execute("DELETE FROM events WHERE id = %s", [key])
            del draft[key]
            if what == "again":
                connection.execute(_INSERT, [key, *row])
                draft[key] = row

    def _row(self) -> Row:
        year, month, day_ = (
            self.random.randint(2023, 2026),
            self.random.randint(1, 12),
            self.random.randint(1, 28),
        )
        day = f"{year}-{month:02}-{day_:02}"
        return self.random.randint(1, 10), day, f"w{self.random.randint(0, 10**9)}"

    def _free(self, draft: dict[int, Row]) -> int:
        while True:
            key = self.random.randint(1, 30000) * 3 + self.number
            if key not in draft:
                return key


_INSERT = """
INSERT INTO events (id, customer_id, created_at, note) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s::timestamptz, %s)
"""
_UPDATE = "UPDATE events SET id = %s, customer_id = %s, created_at = %s::timestamptz, note = %s WHERE id = %s"


def rows_of(connection: psycopg.Connection[Any]) -> dict[int, Row]:
    """What the table holds."""
    query = "SELECT id, customer_id, created_at::date::text, note FROM events"
    found = connection.execute(query).fetchall()
    rows = {key: (customer, day, note) for key, customer, day, note in found}
    assert len(rows) == len(found)
    return rows


@contextmanager
def writing(conninfo: str, connection: psycopg.Connection[Any]) -> Iterator[list[Writer]]:
    """Three writers, until the block ends; then nothing may be missing and nothing too much."""
    stop = threading.Event()
    writers = [Writer(conninfo, number, stop) for number in range(3)]
    for writer in writers:
        writer.take(rows_of(connection))
        writer.start()
    try:
        yield writers
    finally:
        stop.set()
        for writer in writers:
            writer.join(30)
    assert [error for writer in writers for error in writer.errors] == []
    model = {key: row for writer in writers for key, row in writer.model.items()}
    held = rows_of(connection)
    assert held.keys() - model.keys() == set()
    assert model.keys() - held.keys() == set()
    assert [(key, model[key], held[key]) for key in model if model[key] != held[key]] == []
