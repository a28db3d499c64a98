"""Searches whose pages are in no cache: what the first question after a restart, or of a rarely asked store, takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from data_platform.errors import UsageProblem
from data_platform.postgres.connect import connect
from data_platform.postgres.vectors.ask import Store, Vector, latencies, session
from data_platform.postgres.vectors.sessions import telling

_FROM_17, _FROM_18 = 170_000, 180_000
_RELATIONS = """
WITH tables AS (SELECT c.oid, reltoastrelid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE nspname = %s AND relkind IN ('r', 'm')),
     stored AS (SELECT oid FROM tables UNION SELECT reltoastrelid FROM tables WHERE reltoastrelid <> 0)
SELECT oid, pg_relation_filepath(oid)
  FROM (SELECT oid FROM stored UNION SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM stored)) every
"""
_EVICT = "SELECT pg_buffercache_evict_relation(one) FROM unnest(%s::oid[]) one"
_EVICT_17 = """
SELECT pg_buffercache_evict(b.bufferid) FROM pg_buffercache b JOIN unnest(%s::oid[]) one
    ON b.relfilenode = pg_relation_filenode(one)
 WHERE b.reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True)
class Cold:
    """Milliseconds of each question. `system`: its pages were not in the operating system's cache either."""

    ms: NDArray[np.float64]
    system: bool


def cold_latencies(
    conninfo: str, caches: str, store: Store, questions: Sequence[tuple[Vector, str]], k: int
) -> Cold:
    """Each question asked alone, once the store's pages are out of the cache. `caches` is a session that may do that.

    The server's pages go by pg_buffercache (manual, F.25); the operating system's where its files are on this machine
    and ours to read. Raises UsageProblem where the server cannot or the role may not.
    """
    with (
        connect(caches, read_only=True, statement_timeout_ms=60_000, autocommit=True) as emptying,
        telling(caches),
    ):
        _refuse(emptying)
        emptying.execute("CHECKPOINT")  # a page that has to be written stays
        relations = emptying.execute(_RELATIONS, [store.chunks.schema]).fetchall()
        files = _files(emptying, [path for _, path in relations])
        evict = _EVICT if emptying.info.server_version >= _FROM_18 else _EVICT_17
        found = []
        with session(conninfo, store) as one:
            for question in questions:
                emptying.execute(evict, [[oid for oid, _ in relations]])
                for file in files:
                    _forget(file)
                found += list(latencies(one, "vector", [question], k))
    return Cold(np.array(found), bool(files))


def with_cache_control(conninfo: str) -> bool:
    """Whether pages can be put out of the cache in this database of one's own, where pg_buffercache is made for it."""
    with connect(conninfo, read_only=False, statement_timeout_ms=60_000, autocommit=True) as connection:
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_buffercache")
            _refuse(connection)
        except (psycopg.Error, UsageProblem):
            return False
    return True


def _refuse(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version < _FROM_17:
        raise UsageProblem(
            "this server cannot put pages out of its cache", expected="PostgreSQL 17 or later for --cold"
        )
    row = connection.execute(
        "SELECT to_regclass('pg_buffercache') IS NOT NULL, current_setting('is_superuser') = 'on'"
    ).fetchone()
    if row != (True, True):
        raise UsageProblem(
            "pages are put out of the server's cache by pg_buffercache, as a superuser",
            try_="CREATE EXTENSION pg_buffercache, and --dsn of a superuser; or without --cold",
        )


def _files(connection: psycopg.Connection[Any], paths: Iterable[str | None]) -> list[Path]:
    """The relations' files with all their segments; none where one of them is not here, or not ours to read."""
    row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    if not hasattr(os, "posix_fadvise") or row is None:
        return []
    first = [Path(row[0], path) for path in paths if path]
    if not all(os.access(path, os.R_OK) for path in first):
        return []
    return [segment for path in first for segment in (path, *path.parent.glob(f"{path.name}.*"))]


def _forget(file: Path) -> None:
    with file.open("rb") as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
