"""The proof: DDL applied, catalog compared, tables filled, patterns run, constraints and deletes tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import psycopg

from data_platform.model.database import Database, Name
from data_platform.model.design import Design
from data_platform.model.differences import differences
from data_platform.postgres.canonical import canonical
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.server import PROVABLE_EXTENSIONS, Server, available_extensions
from data_platform.postgres.server import Database as ScratchDatabase
from data_platform.postgres.synthetic import Filled, Generator
from data_platform.schema.lint import lint
from data_platform.schema.prove.attempts import Trials
from data_platform.schema.prove.checklist import checklist
from data_platform.schema.prove.constraints import probe_constraints
from data_platform.schema.prove.deletes import probe_deletes
from data_platform.schema.prove.indexes import index_uses
from data_platform.schema.prove.patterns import Bench, baseline_ms, measure
from data_platform.schema.prove.result import Measured, Proof, Refused
from data_platform.schema.prove.verdict import judge
from data_platform.schema.render import statements
from data_platform.sql.text import identifier, identifiers, qualified_name, relation_literal

DEFAULT_ROWS = 10_000
INDEX_MEMORY = "512MB"
"""Enough for the graph of some 200,000 vectors of 384 dimensions; the server takes what it needs."""
STATEMENT_SECONDS = 300
"""For one statement of the DDL, one COPY or one index; access patterns have a limit of their own."""
Progress = Callable[[str, float], None]
"""Called with what is being done and the share done, 0 … 1."""


@dataclass(frozen=True)
class Plan:
    """How much data to try a design with. `rows` are the tables that the user named."""

    default_rows: int = DEFAULT_ROWS
    rows: Mapping[Name, int] | None = None
    seed: int = 1

    def rows_of(self, design: Design) -> dict[Name, int]:
        """Rows for each table: as asked for it, else the default, or fewer where the model expects fewer."""
        asked = self.rows or {}
        return {
            table.name: asked[table.name]
            if table.name in asked
            else min(self.default_rows, design.rows.get(table.name, self.default_rows))
            for table in design.database.tables
        }


def prove(
    design: Design, server: Server, plan: Plan, progress: Progress = lambda _what, _share: None
) -> Proof:
    """Try the design on a scratch database of `server`, which is dropped afterwards.

    Raises EnvironmentProblem when the scratch database cannot be made; what the server has against the design is in
    the result.
    """
    started = time.perf_counter()
    proof = Proof(
        server=server.describe(),
        server_version=server.version,
        seed=plan.seed,
        baseline_ms=0.0,
        seconds=0.0,
        verdict="proven",
        reasons=(),
    )
    missing = tuple(_missing(design, server))
    if missing:
        checks = checklist(proof, lint(design))
        return replace(proof, verdict="not_provable", reasons=missing, checks=checks)
    plain = [extension.name for extension in design.database.extensions if not extension.schema]
    with server.scratch_database(extensions=plain) as database:
        _create_placed_extensions(design, database)
        with connect(
            database.conninfo, read_only=False, statement_timeout_ms=STATEMENT_SECONDS * 1000
        ) as connection:
            # The driver drops all prepared statements after a rollback, ours among them, if it prepares some itself.
            connection.prepare_threshold = None
            proof = _run(_Trial(design, connection, plan, progress), proof)
    proof = replace(proof, checks=checklist(proof, lint(design)))
    verdict, reasons = judge(proof)
    return replace(proof, verdict=verdict, reasons=reasons, seconds=time.perf_counter() - started)


@dataclass(frozen=True)
class _Trial:
    """One run on one connection; the catalog is read when it is first asked for, after the DDL."""

    design: Design
    connection: psycopg.Connection[Any]
    plan: Plan
    progress: Progress

    @cached_property
    def found(self) -> Database:
        return read(self.connection)

    @cached_property
    def generator(self) -> Generator:
        return Generator(self.found, self.plan.rows_of(self.design), self.design.hints, self.plan.seed)

    @cached_property
    def trials(self) -> Trials:
        return Trials(self.connection, self.generator, self.found)


def _missing(design: Design, server: Server) -> Iterator[str]:
    major = server.version_num // 10000
    if major < design.server_version:
        yield f"the model is for PostgreSQL {design.server_version}, the server is {server.version}"
    there = available_extensions(server)
    for extension in design.database.extensions:
        if extension.name not in PROVABLE_EXTENSIONS:
            yield f"the extension `{extension.name}` can reach beyond the database, so a proof does not make it"
        elif extension.name not in there:
            yield f"the extension `{extension.name}` is not available on this server"


def _create_placed_extensions(design: Design, database: ScratchDatabase) -> None:
    """Extensions with a schema of their own; only the role that made the database may create most of them."""
    placed = [extension for extension in design.database.extensions if extension.schema]
    if not placed:
        return
    with connect(database.admin_conninfo, read_only=False) as connection:
        for extension in placed:
            assert extension.schema is not None
            schema = identifier(extension.schema)
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
            connection.execute(f"CREATE EXTENSION {identifier(extension.name)} WITH SCHEMA {schema} CASCADE")


def _run(trial: _Trial, proof: Proof) -> Proof:
    """All stages; one that the server ends (a time limit, a backend that was killed) is told in `broken`."""
    for what, share, stage in _STAGES:
        trial.progress(what, share)
        try:
            proof = stage(trial, proof)
        except (psycopg.Error, OverflowError) as error:
            said = str(error).splitlines() or [type(error).__name__]
            return replace(proof, broken=f"{what}: {said[0]}")
        if proof.refused:
            break
    return proof


def _applied(trial: _Trial, proof: Proof) -> Proof:
    count, refused = _apply(trial)
    return replace(proof, statements=count, refused=refused)


def _compared(trial: _Trial, proof: Proof) -> Proof:
    return replace(proof, catalog=differences(canonical(trial.connection, trial.design), trial.found))


def _filled(trial: _Trial, proof: Proof) -> Proof:
    with _indexes_built_afterwards(trial.connection, trial.found):
        filled = _fill(trial)
    trial.connection.execute("VACUUM (ANALYZE)")
    return replace(proof, filled=filled)


def _measured(trial: _Trial, proof: Proof) -> Proof:
    bench = Bench(trial.connection, trial.found, trial.generator, trial.design.search_path)
    empty_trip = baseline_ms(trial.connection)
    return replace(proof, baseline_ms=empty_trip, patterns=tuple(_patterns(trial, bench)))


def _constrained(trial: _Trial, proof: Proof) -> Proof:
    return replace(proof, constraints=tuple(probe_constraints(trial.trials)))


def _deleted(trial: _Trial, proof: Proof) -> Proof:
    return replace(proof, deletes=tuple(probe_deletes(trial.trials)))


def _explained(trial: _Trial, proof: Proof) -> Proof:
    return replace(proof, indexes=tuple(index_uses(trial.connection, trial.found, proof.patterns)))


_STAGES: tuple[tuple[str, float, Callable[[_Trial, Proof], Proof]], ...] = (
    ("applying the DDL", 0.0, _applied),
    ("comparing the catalog", 0.05, _compared),
    ("filling the tables", 0.1, _filled),
    ("running the access patterns", 0.5, _measured),
    ("trying the constraints", 0.8, _constrained),
    ("trying the deletes", 0.9, _deleted),
    ("looking at the indexes", 0.95, _explained),
)


def _apply(trial: _Trial) -> tuple[int, Refused | None]:
    made = statements(trial.design)
    path = ("public", *trial.design.search_path)
    for number, statement in enumerate(made):
        try:
            trial.connection.execute(statement.sql.encode())
        except psycopg.Error as error:
            message = (error.diag.message_primary or str(error)) + _hint(error)
            return number, Refused(
                object=statement.object,
                table=statement.table,
                sql=statement.sql,
                sqlstate=error.sqlstate or "?",
                message=message,
            )
        if statement.section == "setup":
            trial.connection.execute(f"SET search_path TO {identifiers(dict.fromkeys(path))}".encode())
    return len(made), None


def _hint(error: psycopg.Error) -> str:
    parts = (error.diag.message_detail, error.diag.message_hint)
    return "".join(f" ({part})" for part in parts if part)


@contextmanager
def _indexes_built_afterwards(connection: psycopg.Connection[Any], database: Database) -> Iterator[None]:
    """Load first, then index: many times faster for HNSW and GIN, and IVFFlat takes its lists from the rows."""
    names = [
        Name(t.name.schema, index.name) for t in database.tables for index in t.indexes if not index.unique
    ]
    definitions = []
    for name in names:
        relation = relation_literal(name)
        row = connection.execute(f"SELECT pg_get_indexdef({relation}::regclass)".encode()).fetchone()
        assert row is not None
        definitions.append(row[0])
        connection.execute(f"DROP INDEX {qualified_name(name)}".encode())
    yield
    connection.execute(f"SET maintenance_work_mem TO '{INDEX_MEMORY}'".encode())
    for definition in definitions:
        connection.execute(definition.encode())
    connection.execute("RESET maintenance_work_mem")


def _fill(trial: _Trial) -> tuple[Filled, ...]:
    total = sum(trial.plan.rows_of(trial.design).values()) or 1
    done: dict[Name, int] = {}

    def progress(table: Name, rows: int) -> None:
        done[table] = rows
        trial.progress(f"filling {table}", 0.1 + 0.4 * sum(done.values()) / total)

    return trial.generator.fill(trial.connection, progress=progress)


def _patterns(trial: _Trial, bench: Bench) -> Iterator[Measured]:
    patterns = trial.design.access_patterns
    for number, pattern in enumerate(patterns):
        trial.progress(f"running {pattern.name}", 0.5 + 0.3 * number / len(patterns))
        yield measure(bench, pattern)
