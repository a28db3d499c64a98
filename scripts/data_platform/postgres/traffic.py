"""Live clients: connections of their own that read and write a table all the while something is done to it.

    with traffic(conninfo, scripts, interval=0.005) as clients:
        ...                      # a migration, say
    for client in clients: client.samples

Each client is one thread with one connection. It asks, notes when it asked and when the answer came, waits, and asks
again; an error is noted with its SQLSTATE and does not stop it. Times are those of `time.perf_counter`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

from data_platform.errors import EnvironmentProblem
from data_platform.model.database import Name
from data_platform.postgres.connect import connect

Connection = psycopg.Connection[Any]
Action = Literal["select", "insert", "update", "delete"]
Values = tuple[str | None, ...]

INTERVAL = 0.005
"""Seconds from one answer to the next question."""
_AFTER_ERROR = 0.05
_WARM_UP_SECONDS = 10.0
_APPLICATION = "dpe client"


@dataclass(frozen=True)
class Operation:
    """One statement with `$1`, `$2` …; each time one of `values` is taken.

    With `returned` the values are the row that the operation before it returned, and nothing is asked without one.
    """

    action: Action
    sql: str
    values: tuple[Values, ...] = ((),)
    columns: tuple[str, ...] = ()
    """The columns that the statement names."""
    returned: bool = False


@dataclass(frozen=True)
class Script:
    """What one client does, over and over: its operations in turn."""

    table: Name
    role: Literal["reader", "writer"]
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Failure:
    """What the server said to a client."""

    sqlstate: str
    message: str
    column: str | None = None
    """The column that an integrity error is about."""


@dataclass(frozen=True)
class Sample:
    """One question: when it was asked and answered, and what was wrong with it."""

    action: Action
    start: float
    end: float
    failure: Failure | None = None

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass
class Client:
    """One live client. `samples` grows while it works; `asking_since` is set while it waits for an answer."""

    script: Script
    conninfo: str = field(repr=False)
    interval: float = INTERVAL
    samples: list[Sample] = field(default_factory=list)
    dropped: dict[Action, Failure] = field(default_factory=dict)
    """Operations that failed before anything was done to the table, and are not asked again."""
    pids: set[int] = field(default_factory=set)
    """Its server processes: more than one if it had to connect again."""
    ready: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _random: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311  no secret

    def run(self) -> None:
        """Connect, try every operation once, then ask until `stop`."""
        connection: Connection | None = None
        last: Values | None = None
        try:
            while not self._stop.is_set():
                for operation in self.script.operations:
                    if self._stop.is_set():
                        break
                    if operation.action in self.dropped or (operation.returned and last is None):
                        continue
                    connection = connection or self._connected()
                    last, failure = self._ask(connection, operation, last)
                    if failure is not None:
                        connection = _after(connection, failure)
                    self._stop.wait(self.interval if failure is None else _AFTER_ERROR)
                self._warmed_up()
        finally:
            self.ready.set()
            if connection is not None:
                connection.close()

    def stop(self) -> None:
        """Ask nothing more."""
        self._stop.set()

    def _connected(self) -> Connection:
        while True:
            try:
                opened = connect(self.conninfo, read_only=False, statement_timeout_ms=0, lock_timeout_ms=0)
            except EnvironmentProblem:
                if self._stop.wait(_AFTER_ERROR):
                    raise
                continue
            opened.prepare_threshold = 0
            self.pids.add(opened.info.backend_pid)
            return opened

    def _ask(
        self, connection: Connection, operation: Operation, last: Values | None
    ) -> tuple[Values | None, Failure | None]:
        values = last if operation.returned and last is not None else self._random.choice(operation.values)
        started = time.perf_counter()
        try:
            cursor = psycopg.RawCursor(connection).execute(operation.sql.encode(), values)
            rows = cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            failure = _failure(error)
            self.samples.append(Sample(operation.action, started, time.perf_counter(), failure))
            return None, failure
        self.samples.append(Sample(operation.action, started, time.perf_counter()))
        returns = operation.action == "insert" and rows
        return (tuple(rows[0]) if returns else None), None

    def _warmed_up(self) -> None:
        """After the first round: what failed in it is the table's matter, not that of what is done to it."""
        if self.ready.is_set():
            return
        self.dropped = {sample.action: sample.failure for sample in self.samples if sample.failure}
        self.samples.clear()
        self.ready.set()
        if all(operation.action in self.dropped for operation in self.script.operations):
            self.stop()


def _after(connection: Connection, failure: Failure) -> Connection | None:
    """The connection to go on with: a new one where it is lost, or its prepared statements are."""
    if connection.closed or failure.sqlstate in ("0A000", "42804"):
        with suppress(psycopg.Error):
            connection.close()
        return None
    return connection


def _failure(error: psycopg.Error) -> Failure:
    message = error.diag.message_primary or str(error).strip() or type(error).__name__
    return Failure(error.sqlstate or "08006", message, error.diag.column_name)


@contextmanager
def traffic(
    conninfo: str, scripts: Sequence[Script], interval: float = INTERVAL
) -> Iterator[tuple[Client, ...]]:
    """Clients that work while the block runs; it begins when each has been round once. They end with the block.

    What is still being asked when the block ends is waited for: a stall is known only when it is over.
    """
    clients = tuple(Client(script, conninfo, interval) for script in scripts)
    threads = [threading.Thread(target=client.run, name=_APPLICATION, daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _WARM_UP_SECONDS
    for client in clients:
        client.ready.wait(max(0.0, deadline - time.monotonic()))
    try:
        yield clients
    finally:
        for client in clients:
            client.stop()
        for thread in threads:
            thread.join()


@contextmanager
def idle_reader(conninfo: str, tables: Sequence[str], seconds: float) -> Iterator[None]:
    """A session that has read the tables and sits idle in its transaction for so long, or until the block ends.

    `tables` are quoted names. Its snapshot and its locks are what a report or a forgotten session holds.
    """
    done = threading.Event()
    holding = threading.Event()

    def hold() -> None:
        with suppress(psycopg.Error, EnvironmentProblem), connect(conninfo, read_only=True) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            for table in tables:
                connection.execute(f"SELECT 1 FROM {table} LIMIT 1".encode())  # noqa: S608
            holding.set()
            done.wait(seconds)
        holding.set()

    thread = threading.Thread(target=hold, name=_APPLICATION, daemon=True)
    thread.start()
    holding.wait(_WARM_UP_SECONDS)
    try:
        yield
    finally:
        done.set()
        thread.join()
