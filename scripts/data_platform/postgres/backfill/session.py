"""The session that fills, its limits, and what its errors mean to the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors

from data_platform.errors import EnvironmentProblem, Problem, UsageProblem
from data_platform.postgres.backfill.job import Job, Limits
from data_platform.postgres.backfill.way import Way, way_of
from data_platform.postgres.connect import connect
from data_platform.sql.text import Sql

Connection = psycopg.Connection[Any]

HINDERED = (
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.QueryCanceled,
)
"""What a batch is tried again after, with fewer rows."""
_TIMES_TARGET = 20
_LEAST_TIMEOUT_S = 5.0


@contextmanager
def session(conninfo: str, limits: Limits) -> Iterator[Connection]:
    """A session that writes, each statement within bounds."""
    timeout = max(_LEAST_TIMEOUT_S, _TIMES_TARGET * limits.batch_s)
    with connect(
        conninfo,
        read_only=False,
        statement_timeout_ms=round(timeout * 1000),
        lock_timeout_ms=round(limits.lock_timeout_s * 1000),
    ) as connection:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        # A place is kept as text; in this style a time is read as what it was written from.
        connection.execute("SET DateStyle = 'ISO'")
        yield connection


def as_problem(error: psycopg.Error, what: str, connection: Connection) -> Problem:
    """The error for the user; what was committed before it stays."""
    goes_on = "run the same command again: it goes on where it stopped"
    if connection.closed or connection.broken:
        return EnvironmentProblem(f"{what}: the server went away", try_=goes_on)
    message = error.diag.message_primary or type(error).__name__
    return UsageProblem(f"{what}: {message} (SQLSTATE {error.sqlstate})", try_=f"mend it, then {goes_on}")


def checked(connection: Connection, job: Job) -> tuple[Way, str]:
    """How the job goes through its table, and its mark. Raises UsageProblem for what the server would not run."""
    way, key = way_of(connection, job)
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(Sql(f"EXPLAIN {job.statement(Sql('false'))}"))
    except HINDERED:
        pass  # somebody holds the table at this moment
    except psycopg.Error as error:
        raise as_problem(error, job.what, connection) from None
    return way, job.mark(key)
