"""The table that keeps each job's place. It is written in the transaction of the batch, so it can never be wrong.

One row a job. A run takes an advisory lock on its job; should two run nevertheless (a pooler may hand the session
with the lock to somebody else), the second finds a place that it did not write, and stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.backfill.way import Place
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, literal, qualified

Connection = psycopg.Connection[Any]

TABLE = "dpe_backfill"
_WAIT_FOR_OTHER = "5s"
"""A server notices within a moment that the client of a killed run is gone."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How far a job is. `found` are the rows of this pass, `rows` those of all; `seen` of `total` of this pass."""

    after: Place | None
    end: Place
    number: int = 1
    found: int = 0
    seen: int = 0
    total: int
    rows: int = 0
    batches: int = 0
    done: bool = False


class Places:
    """The places of all jobs, in a table of its own in `schema`."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self.table = qualified(schema, TABLE)

    def make(self) -> None:
        """Make the table where there is none. Raises UsageProblem without the right to."""
        if self.exists():
            return
        try:
            self._connection.execute(self._sql("places"))
        except (errors.InsufficientPrivilege, errors.InvalidSchemaName) as error:
            raise UsageProblem(
                f"the table {self.table}, which keeps the place, cannot be made: {error.diag.message_primary}",
                try_="--place-schema with a schema in which this role may create a table",
            ) from None

    def exists(self) -> bool:
        found = self._connection.execute("SELECT to_regclass(%s) IS NOT NULL", [self.table]).fetchone()
        return bool(found and found[0])

    def take(self, mark: str, what: str) -> None:
        """Be the only run of this job until the session ends. Raises UsageProblem while there is another."""
        try:
            with self._connection.transaction():
                self._connection.execute(
                    Sql(
                        f"SET LOCAL lock_timeout = {literal(_WAIT_FOR_OTHER)}; SET LOCAL statement_timeout = 0"
                    )
                )
                self._connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [mark])
        except errors.LockNotAvailable:
            raise EnvironmentProblem(
                f"another run of this backfill ({what}) is under way",
                try_="wait for it, or stop it: the next run goes on where it was",
            ) from None

    def give(self, mark: str) -> None:
        """Let others run this job."""
        self._connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [mark])

    def read(self, mark: str) -> Kept | None:
        """Where an earlier run was."""
        found = self._connection.execute(self._sql("read_place"), [mark]).fetchone()
        if found is None:
            return None
        after, end, number, passed, seen, total, rows, batches, done = found
        return Kept(
            after=None if after is None else tuple(after),
            end=tuple(end),
            number=number,
            found=passed,
            seen=seen,
            total=total,
            rows=rows,
            batches=batches,
            done=done,
        )

    def begin(self, mark: str, what: str, kept: Kept) -> None:
        """A place before the first row; one that is there is forgotten."""
        values = {"job": mark, "what": what, "ends": list(kept.end), "total": kept.total}
        self._connection.execute(self._sql("begin_place"), values)

    def write(self, mark: str, before: Kept, kept: Kept) -> None:
        """The next place, in the transaction that is open. Raises EnvironmentProblem if it is not at `before`."""
        values = {
            **vars(kept),
            "after": None if kept.after is None else list(kept.after),
            "end": list(kept.end),
            "job": mark,
            "batches_before": before.batches,
            "number_before": before.number,
        }
        if self._connection.execute(self._sql("keep_place"), values).rowcount != 1:
            raise EnvironmentProblem(
                f"the place in {self.table} was moved by somebody else",
                expected="one run at a time, on a session of its own (a pooler in transaction mode gives none)",
            )

    def _sql(self, name: str) -> Sql:
        return render(f"backfill/{name}.sql.j2", places=self.table)
