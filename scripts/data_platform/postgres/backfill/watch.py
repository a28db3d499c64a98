"""A second session that sees what the first does to others: who waits, what lags behind, how busy it all is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from data_platform.postgres.backfill.job import Limits
from data_platform.postgres.connect import connect
from data_platform.postgres.queries import query

Connection = psycopg.Connection[Any]

_WAITS_EVERY = 0.05
_SIGNS_EVERY = 0.5


@dataclass(frozen=True)
class Signs:
    """The server as it was a moment ago. `no_lag` and `no_load` where this role may not see them."""

    lag_s: float = 0.0
    lag_bytes: int = 0
    active: int = 0
    no_lag: bool = False
    no_load: bool = False


def reason(signs: Signs, limits: Limits) -> str | None:
    """Why the next batch has to wait."""
    if limits.max_lag_s is not None and signs.lag_s > limits.max_lag_s:
        return "replication lag"
    if limits.max_lag_bytes is not None and signs.lag_bytes > limits.max_lag_bytes:
        return "replication lag"
    if limits.max_active is not None and signs.active > limits.max_active:
        return "load"
    return None


def blind(signs: Signs, limits: Limits) -> tuple[str, ...]:
    """What was to be waited for and cannot be seen."""
    lag = signs.no_lag and (limits.max_lag_s is not None or limits.max_lag_bytes is not None)
    load = signs.no_load and limits.max_active is not None
    unseen = [*(["replication lag"] if lag else []), *(["load"] if load else [])]
    return tuple(
        f"this role may not see the {what} (GRANT pg_monitor): it was not waited for" for what in unseen
    )


class Watch:
    """What the second session saw last. Its thread ends with the session, whatever ends it."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self._connection = connection
        self._pid = pid
        self._stop = threading.Event()
        self._waited = threading.Event()
        self.signs = self._look()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def waited(self) -> bool:
        """Whether somebody has waited for the session that is watched since this was asked last."""
        waited = self._waited.is_set()
        self._waited.clear()
        return waited

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        looked = time.monotonic()
        try:
            while not self._stop.wait(_WAITS_EVERY):
                if self._connection.execute(query("waiting_for"), {"pid": self._pid}).fetchone():
                    self._waited.set()
                if time.monotonic() - looked > _SIGNS_EVERY:
                    self.signs, looked = self._look(), time.monotonic()
        except psycopg.Error:
            return  # the other session meets the same and says it

    def _look(self) -> Signs:
        found = self._connection.execute(query("signs"), {"pid": self._pid}).fetchone()
        assert found is not None
        return Signs(float(found[0]), int(found[1]), int(found[2]), bool(found[3]), bool(found[4]))


@contextmanager
def watching(conninfo: str, pid: int) -> Iterator[Watch]:
    """Watch the session with this process ID until the block ends."""
    with connect(conninfo, read_only=True) as connection:
        watch = Watch(connection, pid)
        try:
            yield watch
        finally:
            watch.stop()
