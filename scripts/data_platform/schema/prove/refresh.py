"""Materialized views refreshed while somebody reads them: how long the reader waits, and what they hold then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import psycopg

from data_platform.model.database import MaterializedView, Name
from data_platform.postgres.connect import connect
from data_platform.schema.prove.callable import digest
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.materialized import materialized_in_order
from data_platform.schema.prove.result import Refresh
from data_platform.schema.prove.sessions import Connection, Identity, failed, tried
from data_platform.sql.text import qualified_name, relation_literal

MAX_STALL_MS = 1_000
"""A reader that waits longer for a view that is refreshed CONCURRENTLY waits for a lock."""


def refreshes(ground: Ground, conninfo: str) -> tuple[Refresh, ...]:
    """Each materialized view, after those that it reads; `conninfo` is for the reader's session."""
    views = {view.name: view for view in ground.database.materialized_views}
    if not views:
        return ()
    with connect(conninfo, read_only=True, lock_timeout_ms=0) as other:
        names = materialized_in_order(ground.connection)
        return tuple(_refreshed(ground, other, views[name]) for name in names if name in views)


def _refreshed(ground: Ground, other: Connection, view: MaterializedView) -> Refresh:
    made = Refresh(view=view.name, state="proven", detail="", concurrently=_has_key(view))
    before = _rows(ground.connection, view.name)
    word = "CONCURRENTLY " if made.concurrently else ""
    try:
        query_ms = _query_ms(ground.connection, view)
        with _reading(other, view.name) as reader:
            started = time.perf_counter()
            sql = f"REFRESH MATERIALIZED VIEW {word}{qualified_name(view.name)}"
            ground.connection.execute(sql.encode())
            ended = time.perf_counter()
    except psycopg.Error as error:
        if ground.connection.closed:
            raise
        return replace(made, state="failed", detail=f"the refresh fails: `{failed(error).message}`")
    made = replace(
        made,
        rows=_rows(ground.connection, view.name),
        query_ms=query_ms,
        refresh_ms=(ended - started) * 1000,
        stall_ms=reader.longest(started, ended),
        reads=len(reader.reads),
    )
    judged = _judged(ground, view, made, before)
    if reader.refused is not None and judged.state == "proven":
        told = f"nobody could read it meanwhile: `{failed(reader.refused).message}`"
        return replace(judged, state="not checked", detail=told)
    return judged


def _has_key(view: MaterializedView) -> bool:
    """Whether a unique index over all rows and plain columns is there, which CONCURRENTLY needs."""
    return any(
        index.unique and index.where is None and all(element.column for element in index.elements)
        for index in view.indexes
    )


def _judged(ground: Ground, view: MaterializedView, made: Refresh, before: int) -> Refresh:
    same = _holds_its_query(ground, view)
    if before and not made.rows:
        told = (
            f"it is empty after it, and had {before:,} rows without row-level security: its owner sees none"
        )
        return replace(made, state="failed", detail=told)
    if same is False:
        return replace(made, state="failed", detail="its rows are not those of its query")
    if not made.rows:
        return replace(made, state="not checked", detail=_nothing(ground, view))
    if made.concurrently and made.stall_ms > MAX_STALL_MS:
        return replace(made, state="failed", detail=f"a reader waited {made.stall_ms:,.0f} ms")
    told = f"{made.rows:,} rows, those of its query" if same else "its query never answers the same twice"
    if made.concurrently:
        return replace(made, state="proven" if same else "not checked", detail=told)
    warning = (
        "readers wait while it is refreshed: no unique index over all its rows, which CONCURRENTLY needs"
    )
    return replace(made, state="proven" if same else "not checked", detail=told, warning=warning)


def _holds_its_query(ground: Ground, view: MaterializedView) -> bool | None:
    """Whether it holds what its query finds, asked as its owner; None where that is never the same."""
    identity = Identity(view.owner)
    asked = [tried(ground.connection, identity, digest(f"({view.query})")).said for _ in range(2)]
    held = tried(ground.connection, identity, digest(qualified_name(view.name))).said
    if held in asked:
        return True
    return False if asked[0] == asked[1] else None


def _nothing(ground: Ground, view: MaterializedView) -> str:
    """Why it holds nothing."""
    empty = [name for name in _sources(ground.connection, view.name) if not _rows(ground.connection, name)]
    return f"the table is empty: `{empty[0]}`" if empty else "its query finds no row: nothing was refreshed"


def _sources(connection: Connection, view: Name) -> list[Name]:
    relation = relation_literal(view)
    query = f"""
        SELECT DISTINCT n.nspname, c.relname
          FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
          JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE w.ev_class = {relation}::regclass AND d.refobjid <> w.ev_class ORDER BY 1, 2"""  # noqa: S608 - quoted
    return [Name(schema, name) for schema, name in connection.execute(query.encode())]


def _rows(connection: Connection, view: Name) -> int:
    query = f"SELECT count(*) FROM {qualified_name(view)}"  # noqa: S608 - a quoted name
    outcome = tried(connection, Identity(), query)
    return int(outcome.rows[0][0]) if outcome.rows else 0


def _query_ms(connection: Connection, view: MaterializedView) -> float:
    explained = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {view.query}"
    row = connection.execute(explained.encode()).fetchone()
    assert row is not None
    return float(row[0][0]["Execution Time"])


@dataclass
class _Reader:
    """Reads one row again and again, in a thread of its own."""

    connection: Connection
    sql: bytes
    reads: list[tuple[float, float]] = field(default_factory=list)
    refused: psycopg.Error | None = None
    """What ended its reading before its time."""
    begun: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.done.is_set():
            started = time.perf_counter()
            try:
                self.connection.execute(self.sql)
            except psycopg.Error as error:
                self.refused = error
                break
            self.reads.append((started, time.perf_counter()))
            self.begun.set()
            self.done.wait(0.001)
        self.begun.set()

    def longest(self, started: float, ended: float) -> float:
        """Milliseconds of the longest read that ran in that time."""
        within = (last - first for first, last in self.reads if last >= started and first <= ended)
        return max(within, default=0.0) * 1000


@contextmanager
def _reading(connection: Connection, view: Name) -> Iterator[_Reader]:
    reader = _Reader(connection, f"SELECT FROM {qualified_name(view)} LIMIT 1".encode())
    thread = threading.Thread(target=reader.run, daemon=True)
    thread.start()
    reader.begun.wait(10)
    try:
        yield reader
    finally:
        reader.done.set()
        thread.join()
