"""Two schemas on a real server, and the steps from one to the other run there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.order import in_order
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Refusal, Step
from data_platform.model.database import Database
from data_platform.model.differences import Differences, differences
from data_platform.postgres.catalog import read
from data_platform.postgres.server import Server

Recipe = Callable[[Pair], Iterable[Step | Refusal]]


def made(server: Server, sql: str) -> Database:
    """What the server makes of a script."""
    with server.scratch_database() as scratch, connected(scratch.admin_conninfo) as connection:
        connection.execute(sql.encode())
        return read(connection)


@contextmanager
def connected(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


NO_HINTS = Hints()


class Ground:
    """A database with the old schema, and the steps to the new one."""

    def __init__(
        self,
        conninfo: str,
        connection: psycopg.Connection[Any],
        target: Database,
        recipe: Recipe,
        hints: Hints,
    ) -> None:
        self.conninfo = conninfo
        self.connection = connection
        self.target = target
        self.before = read(connection)
        version = connection.info.server_version // 10000
        pair = Pair(before=self.before, after=target, hints=hints, version=version)
        found = list(recipe(pair))
        self.refused = [step for step in found if isinstance(step, Refusal)]
        self.steps = in_order(step for step in found if isinstance(step, Step))

    def up(self) -> None:
        for step in self.steps:
            self.run(step.up, together=step.transaction)

    def down(self) -> None:
        for step in reversed(self.steps):
            self.run(step.down, together=step.transaction)

    def run(self, statements: Sequence[str], *, together: bool) -> None:
        if together:
            with self.connection.transaction():
                for statement in statements:
                    self.connection.execute(statement.encode())
            return
        for statement in statements:
            self.connection.execute(statement.encode())

    def patiently(self, statements: Sequence[str], *, together: bool) -> None:
        """With a lock_timeout, tried again: as a migration is run beside clients."""
        for _ in range(200):
            self.connection.execute("SET lock_timeout = '200ms'" if together else "SET lock_timeout = '10s'")
            try:
                self.run(statements, together=together)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                time.sleep(0.02)
                continue
            return
        raise AssertionError("no lock in 200 tries")

    def killed(self, statements: Sequence[str], *, after: str) -> None:
        """Run in a session of its own, which is ended as soon as the query `after` says so."""
        with psycopg.connect(self.conninfo, autocommit=True) as victim:
            runner = threading.Thread(target=_until_killed, args=(victim, statements), daemon=True)
            runner.start()
            while not self.rows(after)[0][0]:
                assert runner.is_alive()
            self.connection.execute("SELECT pg_terminate_backend(%s)", [victim.info.backend_pid])
            runner.join(30)

    @property
    def left(self) -> Differences:
        """What is not yet as it should be."""
        return differences(read(self.connection), self.target)

    @property
    def taken_back(self) -> Differences:
        return differences(self.before, read(self.connection))

    def rows(self, query: str) -> list[Any]:
        return self.connection.execute(query.encode()).fetchall()

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


def _until_killed(connection: psycopg.Connection[Any], statements: Sequence[str]) -> None:
    with suppress(psycopg.OperationalError):
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def ground(
    server: Server, before: str, after: str, recipe: Recipe, *, rows: str = "", hints: Hints = NO_HINTS
) -> Iterator[Ground]:
    """The old schema with its rows, ready for the steps."""
    target = made(server, after)
    with server.scratch_database() as scratch, connected(scratch.admin_conninfo) as connection:
        connection.execute((before + rows).encode())
        yield Ground(scratch.admin_conninfo, connection, target, recipe, hints)
