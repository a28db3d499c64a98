"""The second connection: which locks a session holds, who waits, how much WAL and disk it takes.

It is the admin's, and reads nothing but the system's own catalogs. While a statement runs a thread looks every few
milliseconds, so that locks are seen which a statement takes and gives back (CONCURRENTLY).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

INTERVAL = 0.002
_DISK_INTERVAL = 0.05
_TERMINATE_SECONDS = 10.0

_RELATIONS = """
SELECT c.oid::bigint, n.nspname, c.relname, c.relkind, pg_catalog.pg_relation_filenode(c.oid)::bigint
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind <> 'c'
"""
_LOCKS = """
SELECT pid, relation::bigint, mode, granted FROM pg_catalog.pg_locks
 WHERE (pid = %(pid)s AND locktype = 'relation' AND granted) OR NOT granted
"""
_ASKED = """
SELECT relation::bigint, mode FROM pg_catalog.pg_locks
 WHERE pid = %(pid)s AND locktype = 'relation' AND NOT granted
"""
_DISK = """
SELECT pg_catalog.pg_database_size(pg_catalog.current_database())
       + coalesce((SELECT sum(size) FROM pg_catalog.pg_ls_tmpdir()), 0)
"""
_FOREIGN_KEYS = "SELECT conname, conrelid::bigint FROM pg_catalog.pg_constraint WHERE contype = 'f'"
_WORDS = {
    "AccessShareLock": "ACCESS SHARE",
    "RowShareLock": "ROW SHARE",
    "RowExclusiveLock": "ROW EXCLUSIVE",
    "ShareUpdateExclusiveLock": "SHARE UPDATE EXCLUSIVE",
    "ShareLock": "SHARE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ExclusiveLock": "EXCLUSIVE",
    "AccessExclusiveLock": "ACCESS EXCLUSIVE",
}
_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "i": "index",
    "I": "index",
    "m": "materialized view",
    "v": "view",
    "S": "sequence",
    "f": "foreign table",
}


@dataclass(frozen=True)
class Relation:
    """A relation of the user's as others see it: its name, kind and file."""

    oid: int
    schema: str
    name: str
    kind: str
    file: int | None

    @property
    def full(self) -> str:
        return f"{self.schema}.{self.name}"


Held = frozenset[tuple[int, str]]
"""Locks as (relation, mode)."""


@dataclass
class Look:
    """What was seen while one statement ran. `held` has the first and the last time at which a lock was seen."""

    started: float = 0.0
    held: dict[tuple[int, str], tuple[float, float]] = field(default_factory=dict)
    waits: list[tuple[float, frozenset[int]]] = field(default_factory=list)
    """When which server processes waited for a lock."""
    disk: int = 0
    """The largest that was seen."""

    def note(self, moment: float, held: Held, waiting: frozenset[int]) -> None:
        """Add what was seen at a moment."""
        for lock in held:
            first, _ = self.held.get(lock, (moment, moment))
            self.held[lock] = (first, moment)
        if waiting:
            self.waits.append((moment, waiting))


class Watch:
    """Looks at one session, `pid`, from connections of its own. `open` and `close` frame a statement."""

    def __init__(self, connection: Connection, sampler: Connection | None, pid: int) -> None:
        self._connection = connection
        self._sampler = sampler
        self.pid = pid
        self._look = Look()
        self._running = threading.Event()
        self._stop = threading.Event()
        self._sampling = threading.Lock()
        self._disk_due = 0.0
        self._thread: threading.Thread | None = None
        if sampler is not None:
            self._thread = threading.Thread(target=self._sample, name="dpe watch", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._running.set()
        if self._thread is not None:
            self._thread.join()

    def relations(self) -> Mapping[int, Relation]:
        """The relations that are there for everybody."""
        rows = self._connection.execute(_RELATIONS)
        return {row[0]: Relation(row[0], row[1], row[2], _KINDS.get(row[3], row[3]), row[4]) for row in rows}

    def wal(self) -> int:
        """Bytes of WAL that the server has written since it was made."""
        row = self._connection.execute(
            "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::bigint"
        ).fetchone()
        return int(row[0]) if row else 0

    def foreign_keys(self) -> Mapping[str, tuple[int, ...]]:
        """The tables that foreign keys are on, by the keys' names."""
        found: dict[str, tuple[int, ...]] = {}
        for name, table in self._connection.execute(_FOREIGN_KEYS):
            found[name] = (*found.get(name, ()), table)
        return found

    def disk(self) -> int:
        """Bytes of the database and the server's temporary files."""
        row = self._connection.execute(_DISK).fetchone()
        return int(row[0]) if row else 0

    def open(self) -> None:
        """Begin to look."""
        self._look = Look(time.perf_counter())
        self._running.set()

    def held_now(self) -> Held:
        """The relations that the session has locked at this moment."""
        held, _ = _locks(self._connection, self.pid)
        return held

    def asked_for(self) -> Held:
        """The locks on relations that the session waits for at this moment."""
        rows = self._connection.execute(_ASKED, {"pid": self.pid}, prepare=True)
        return frozenset((relation, _WORDS[mode]) for relation, mode in rows if mode in _WORDS)

    def close(self) -> Look:
        """End looking; what was seen."""
        if self._thread is not None:
            self._running.clear()
            with self._sampling:  # what is being looked at now belongs to this statement still
                pass
        return self._look

    def _sample(self) -> None:
        while True:
            self._running.wait()
            if self._stop.is_set():
                return
            with self._sampling:
                if self._running.is_set():
                    self._look_once(self._look)
            time.sleep(INTERVAL)

    def _look_once(self, look: Look) -> None:
        assert self._sampler is not None
        held, waiting = _locks(self._sampler, self.pid)
        moment = time.perf_counter()
        look.note(moment, held, waiting)
        if moment - look.started > _DISK_INTERVAL and moment > self._disk_due:
            row = self._sampler.execute(_DISK).fetchone()
            look.disk = max(look.disk, int(row[0]) if row else 0)
            self._disk_due = time.perf_counter() + _DISK_INTERVAL


class Blind(Watch):
    """Looks at nothing, for runs of which only the end is of interest."""

    def __init__(self) -> None:
        self.pid = 0
        self._thread = None
        self._look = Look()
        self._running, self._stop = threading.Event(), threading.Event()

    def relations(self) -> Mapping[int, Relation]:
        return {}

    def foreign_keys(self) -> Mapping[str, tuple[int, ...]]:
        return {}

    def wal(self) -> int:
        return 0

    def disk(self) -> int:
        return 0

    def held_now(self) -> Held:
        return frozenset()


def _locks(connection: Connection, pid: int) -> tuple[Held, frozenset[int]]:
    held: set[tuple[int, str]] = set()
    waiting: set[int] = set()
    for other, relation, mode, granted in connection.execute(_LOCKS, {"pid": pid}, prepare=True):
        if not granted:
            waiting.add(other)
        elif relation is not None and mode in _WORDS:
            held.add((relation, _WORDS[mode]))
    return frozenset(held), frozenset(waiting)


def wait_until_waiting(connection: Connection, pid: int, seconds: float, done: threading.Event) -> bool:
    """Whether the session was seen waiting for a lock within so many seconds, before `done`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not done.is_set():
        _, waiting = _locks(connection, pid)
        if pid in waiting:
            return True
        time.sleep(INTERVAL)
    return False


def terminate(connection: Connection, pids: Collection[int]) -> None:
    """End server processes, and wait until they are gone."""
    waiting = list(pids)
    connection.execute("SELECT pg_catalog.pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [waiting])
    deadline = time.monotonic() + _TERMINATE_SECONDS
    alive = "SELECT FROM pg_catalog.pg_stat_activity WHERE pid = ANY (%s)"
    while connection.execute(alive, [waiting]).fetchone() is not None and time.monotonic() < deadline:
        time.sleep(INTERVAL)
