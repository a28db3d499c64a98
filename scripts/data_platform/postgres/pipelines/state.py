"""What a pipeline remembers, in a schema of its target: runs, checkpoints, quarantine, tombstones.

A checkpoint is written in the transaction of the rows that it stands for, so after any kill both are there or neither.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from typing import Any, TypeAlias

import psycopg

from data_platform.errors import EnvironmentProblem
from data_platform.postgres.pipelines.relations import create_schema
from data_platform.sql.text import Sql, identifier, literal, phrase, qualified

Connection: TypeAlias = psycopg.Connection[Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text NOT NULL,
    kind text NOT NULL DEFAULT 'run' CHECK (kind IN ('run', 'replay')),
    spec_sha256 text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'failed', 'stopped')),
    rows_read bigint NOT NULL DEFAULT 0,
    rows_inserted bigint NOT NULL DEFAULT 0,
    rows_updated bigint NOT NULL DEFAULT 0,
    rows_deleted bigint NOT NULL DEFAULT 0,
    rows_unchanged bigint NOT NULL DEFAULT 0,
    rows_quarantined bigint NOT NULL DEFAULT 0,
    error text
);
CREATE INDEX IF NOT EXISTS runs_pipeline_started_at_idx ON {schema}.runs (pipeline, started_at);
CREATE TABLE IF NOT EXISTS {schema}.checkpoints (
    pipeline text NOT NULL,
    step text NOT NULL,
    unit text NOT NULL,
    position jsonb NOT NULL,
    run_id bigint NOT NULL REFERENCES {schema}.runs,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (pipeline, step, unit)
);
CREATE TABLE IF NOT EXISTS {schema}.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline text NOT NULL,
    source text NOT NULL,
    unit text NOT NULL,
    target text,
    number bigint,
    content jsonb NOT NULL,
    reasons text[] NOT NULL,
    run_id bigint NOT NULL REFERENCES {schema}.runs,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    replayed_at timestamptz
);
CREATE INDEX IF NOT EXISTS quarantine_pipeline_idx ON {schema}.quarantine (pipeline, source) WHERE replayed_at IS NULL;
CREATE TABLE IF NOT EXISTS {schema}.tombstones (
    pipeline text NOT NULL,
    target text NOT NULL,
    key jsonb NOT NULL,
    version text,
    PRIMARY KEY (pipeline, target, key)
);
"""
_LATER = """
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'run' CHECK (kind IN ('run', 'replay'));
ALTER TABLE {schema}.quarantine ADD COLUMN IF NOT EXISTS target text;
"""
"""What tables that were made by an earlier version do not have."""
_KNOWS_KINDS = "SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'kind' AND attnum > 0"
LEFT = "_dpe_left"
"""The step under which it is kept which targets a run left with rows."""
COLUMNS = "_dpe_columns"
"""The step under which the columns of a source are kept that nobody declared."""
_PATIENCE_SECONDS = 5.0
"""A killed run's session is there until the server has noticed."""


@dataclass(frozen=True)
class Counts:
    """Rows of a step: read = inserted + updated + unchanged + quarantined. Rows `deleted` from the target are apart.

    `unchanged` counts rows that the target has already, those that a later row of their key replaces, and rows that
    say that another is gone.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    quarantined: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Counts)))

    @property
    def written(self) -> int:
        return self.inserted + self.updated


class State:
    """The memory of one pipeline, over a session on its target."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str, pipeline: str) -> None:
        self.connection = connection
        self.schema = schema
        self.pipeline = pipeline
        self.run_id = 0

    def _sql(self, text: str) -> bytes:
        return phrase(text, schema=identifier(self.schema)).encode()

    def table(self, name: str) -> Sql:
        """One of its tables, quoted."""
        return qualified(self.schema, name)

    def _create(self) -> None:
        """Its schema and tables, where they are not there."""
        if not self.exists():
            create_schema(self.connection, self.schema)
            self.connection.execute(self._sql(_TABLES))
        elif not self.knows_kinds():
            self.connection.execute(self._sql(_LATER))

    def exists(self) -> bool:
        """Whether any run was ever begun there."""
        row = self.connection.execute("SELECT to_regclass(%s)", [qualified(self.schema, "runs")]).fetchone()
        return bool(row and row[0])

    def knows_kinds(self) -> bool:
        """Whether its tables are of this version: they tell runs from replays."""
        return self.connection.execute(_KNOWS_KINDS, [self.table("runs")]).fetchone() is not None

    @contextmanager
    def run(self, spec_sha256: str, kind: str = "run") -> Iterator[int]:
        """One run: no other of this pipeline beside it, its end and what it counted written down.

        `kind` is `run`, or `replay` for one that reads no source.

        Raises EnvironmentProblem while another run is going on.
        """
        with self._alone():
            self._create()
            self.connection.execute(
                self._sql(
                    "UPDATE {schema}.runs SET status = 'stopped', finished_at = clock_timestamp()"
                    " WHERE pipeline = %s AND status = 'running'"
                ),
                [self.pipeline],
            )
            row = self.connection.execute(
                self._sql(
                    "INSERT INTO {schema}.runs (pipeline, spec_sha256, kind) VALUES (%s, %s, %s) RETURNING id"
                ),
                [self.pipeline, spec_sha256, kind],
            ).fetchone()
            assert row is not None
            self.run_id = row[0]
            yield self.run_id

    @property
    def lock_name(self) -> Sql:
        """What the advisory lock of a run is a hash of, as a constant."""
        return literal(f"dpe pipeline {self.schema} {self.pipeline}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            lock = phrase("SELECT pg_try_advisory_lock(hashtextextended({name}, 0))", name=self.lock_name)
            row = self.connection.execute(lock.encode()).fetchone()
            if row and row[0]:
                break
            if time.monotonic() > deadline:
                raise EnvironmentProblem(
                    f"another run of {self.pipeline} is going on",
                    try_="dpe pipeline status, and wait until it is done",
                )
            time.sleep(0.1)
        try:
            yield
        finally:
            if not self.connection.closed and not self.connection.broken:
                unlock = phrase("SELECT pg_advisory_unlock(hashtextextended({name}, 0))", name=self.lock_name)
                self.connection.execute(unlock.encode())

    def finish(self, counts: Counts, error: str | None = None) -> None:
        """The run's end: `done`, or `failed` with the error."""
        self.connection.execute(
            self._sql(
                "UPDATE {schema}.runs SET finished_at = clock_timestamp(), status = %s, error = %s, rows_read = %s,"
                " rows_inserted = %s, rows_updated = %s, rows_deleted = %s, rows_unchanged = %s,"
                " rows_quarantined = %s WHERE id = %s"
            ),
            ["failed" if error else "done", error, *astuple(counts), self.run_id],
        )

    def positions(self, step: str) -> dict[str, Any]:
        """Checkpoints of a step: unit → position."""
        query = "SELECT unit, position FROM {schema}.checkpoints WHERE pipeline = %s AND step = %s"
        return dict(self.connection.execute(self._sql(query), [self.pipeline, step]).fetchall())

    def left_filled(self) -> tuple[str, ...]:
        """Targets that the last run left with rows."""
        return tuple(table for table, left in sorted(self.positions(LEFT).items()) if left.get("filled"))

    def others(self, step: str, unit: str) -> tuple[str, ...]:
        """Other pipelines that have a checkpoint of this name here."""
        query = "SELECT pipeline FROM {schema}.checkpoints WHERE pipeline <> %s AND step = %s AND unit = %s ORDER BY 1"
        return tuple(
            name for (name,) in self.connection.execute(self._sql(query), [self.pipeline, step, unit])
        )

    def loads(self, step: str) -> dict[str, int]:
        """Units of a step with the run that did each last."""
        query = "SELECT unit, run_id FROM {schema}.checkpoints WHERE pipeline = %s AND step = %s"
        return dict(self.connection.execute(self._sql(query), [self.pipeline, step]).fetchall())

    def checkpoint(self, step: str, unit: str, position: Mapping[str, Any]) -> None:
        """Within the transaction of the rows: this unit is done up to here."""
        self.connection.execute(
            self._sql(
                "INSERT INTO {schema}.checkpoints (pipeline, step, unit, position, run_id) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT (pipeline, step, unit)"
                " DO UPDATE SET position = excluded.position, run_id = excluded.run_id, at = excluded.at"
            ),
            [self.pipeline, step, unit, json.dumps(dict(position)), self.run_id],
        )

    def forget(self, step: str, unit: str) -> None:
        """A unit that is no more."""
        query = "DELETE FROM {schema}.checkpoints WHERE pipeline = %s AND step = %s AND unit = %s"
        self.connection.execute(self._sql(query), [self.pipeline, step, unit])

    def forget_step(self, step: str) -> None:
        """All units of a step."""
        query = "DELETE FROM {schema}.checkpoints WHERE pipeline = %s AND step = %s"
        self.connection.execute(self._sql(query), [self.pipeline, step])

    def touch(self, step: str, unit: str) -> None:
        """Rows of a unit that was done before have come since: by this run."""
        self.connection.execute(
            self._sql(
                "UPDATE {schema}.checkpoints SET run_id = %s, at = clock_timestamp()"
                " WHERE pipeline = %s AND step = %s AND unit = %s"
            ),
            [self.run_id, self.pipeline, step, unit],
        )

    def supersede_same(self, unit: str) -> None:
        """Rows in quarantine that this run has read again, and set aside again: each is there once."""
        self.connection.execute(
            self._sql(
                "UPDATE {schema}.quarantine q SET replayed_at = clock_timestamp() FROM {schema}.quarantine again"
                " WHERE q.pipeline = %(pipeline)s AND q.unit = %(unit)s AND q.run_id < %(run)s"
                " AND q.replayed_at IS NULL"
                " AND again.pipeline = q.pipeline AND again.source = q.source AND again.unit = q.unit"
                " AND again.run_id = %(run)s AND again.replayed_at IS NULL AND again.content = q.content"
            ),
            {"pipeline": self.pipeline, "unit": unit, "run": self.run_id},
        )

    def supersede(self, sources: Sequence[str] | None, unit: str | None) -> None:
        """Rows in quarantine whose unit is read again as a whole now: what is still bad of it comes in anew."""
        self.connection.execute(
            self._sql(
                "UPDATE {schema}.quarantine SET replayed_at = clock_timestamp() WHERE pipeline = %(pipeline)s"
                " AND replayed_at IS NULL AND (%(sources)s::text[] IS NULL OR source = ANY (%(sources)s))"
                " AND (%(unit)s::text IS NULL OR unit = %(unit)s)"
            ),
            {"pipeline": self.pipeline, "sources": list(sources) if sources else None, "unit": unit},
        )
