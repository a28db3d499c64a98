"""Sessions of a run, and what the server says as problems of ours: what can pass is told from what cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.connect import connect, redacted
from data_platform.sql.text import Sql

_LOCK_TIMEOUT_MS = 30_000
_PASSING = (
    psycopg.OperationalError,
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
)
_REFUSED = (
    psycopg.DataError,
    psycopg.ProgrammingError,
    psycopg.IntegrityError,
    errors.RaiseException,
    errors.DependentObjectsStillExist,
)
_NOT_PASSING = (errors.DiskFull, errors.InsufficientPrivilege, errors.ConfigurationLimitExceeded)

_ROOM = """
SELECT set_config(name, %(room)s, false) FROM unnest(ARRAY['work_mem', 'temp_buffers']) name
 WHERE pg_size_bytes(current_setting(name)) < pg_size_bytes(%(room)s)
"""
"""Staged batches are sorted, hashed and read again: the server's defaults are for many small queries at once."""
ROOM = "64MB"
_VALUE = re.compile(r'".*"', re.DOTALL)
"""In what the server says of a wrong value; names of objects are not in such a text."""
TEXTS = (
    "SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3;"
    " SET lc_monetary = 'C'; SET bytea_output = 'hex'"
)
"""Texts that are sent, compared and stored must be read the same way on every server."""


class Passing(EnvironmentProblem):
    """A problem that may be gone the next time: a lost connection, a deadlock, a lock that somebody holds."""


@contextmanager
def writing(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    """A session that may write and takes its time. Raises what `telling` raises."""
    with (
        connect(
            conninfo, read_only=False, statement_timeout_ms=0, lock_timeout_ms=_LOCK_TIMEOUT_MS
        ) as connection,
        telling(conninfo),
    ):
        connection.execute("SET client_min_messages = warning")
        connection.execute(TEXTS)
        connection.execute(_ROOM, {"room": ROOM})
        yield connection


def take_every_row(connection: psycopg.Connection[Any]) -> None:
    """From here on rows that a policy hides from this role are an error of the server, and not left out."""
    connection.execute("SET row_security = off")


def flush(conninfo: str) -> None:
    """Everything that any session sees now outlives a crash, whatever its commits were told not to wait for.

    By a commit of a session of its own, which waits until the WAL up to there is on disk.
    """
    with writing(conninfo) as connection, connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        connection.execute("SELECT pg_logical_emit_message(true, 'dpe', '')")


@contextmanager
def telling_types(source: str, unit: str, target: Sql) -> Iterator[None]:
    """UsageProblem where what a source gives is of types that the target's columns do not take."""
    try:
        yield
    except (errors.DatatypeMismatch, errors.UndefinedFunction) as error:
        raise UsageProblem(
            f"`{source}` does not fit into {target}: {error.diag.message_primary}",
            where=unit,
            expected="the types that the table has: a source's may be another one since",
            try_="`columns:` with the table's types, by which each value is looked at",
        ) from error


@contextmanager
def telling(conninfo: str, *, values: bool = True) -> Iterator[None]:
    """Errors of the server: `Passing`, UsageProblem for a wrong value or statement, else EnvironmentProblem.

    `values`: whether a wrong value is told. What is told is written down as a run's error, where nobody erases it.
    """
    try:
        yield
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip() or "the connection is lost"
        if not values and isinstance(error, psycopg.DataError):
            said = _VALUE.sub('"…"', said)
        where = redacted(conninfo)
        if isinstance(error, errors.DiskFull):
            raise EnvironmentProblem(
                f"the server's disk is full: {said}",
                where=where,
                try_="make room, then the same command: what was committed is kept, nothing is half done",
            ) from error
        if isinstance(error, _PASSING) and not isinstance(error, _NOT_PASSING):
            raise Passing(f"the server says: {said}", where=where, try_="the same command again") from error
        if isinstance(error, _REFUSED):
            raise UsageProblem(
                f"the server refuses: {said}", where=where, expected=error.diag.message_hint
            ) from error
        raise EnvironmentProblem(
            f"the server says: {said}", where=where, try_="the same command again"
        ) from error
