"""The proof: DDL applied, catalog compared, tables filled, patterns run, constraints and deletes tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from data_platform.model.database import Database, Name
from data_platform.model.design import Design
from data_platform.model.differences import Differences, differences
from data_platform.postgres.canonical import canonical
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database as ScratchDatabase
from data_platform.postgres.server import Server, available_extensions
from data_platform.postgres.synthetic import Filled, Generator
from data_platform.schema.prove.attempts import Trials
from data_platform.schema.prove.constraints import probe_constraints
from data_platform.schema.prove.deletes import probe_deletes
from data_platform.schema.prove.indexes import index_uses
from data_platform.schema.prove.patterns import Bench, baseline_ms, measure
from data_platform.schema.prove.result import Measured, Proof, Refused, Verdict
from data_platform.schema.render import search_path, statements
from data_platform.sql.text import identifier, literal, qualified_name

DEFAULT_ROWS = 10_000
INDEX_MEMORY = "512MB"
"""Enough for the graph of some 200,000 vectors of 384 dimensions; the server takes what it needs."""
_NO_LIMIT = 0
Progress = Callable[[str, float], None]
"""Called with what is being done and the share done, 0 … 1."""


@dataclass(frozen=True)
class Plan:
    """How much data to try a design with. `rows` are the tables that the user named."""

    default_rows: int | None = None
    rows: Mapping[Name, int] | None = None
    seed: int = 1

    def rows_of(self, design: Design) -> dict[Name, int]:
        """Rows for each table: as asked, else 10,000, or fewer where the model expects fewer."""
        asked = self.rows or {}
        return {
            table.name: asked[table.name]
            if table.name in asked
            else self.default_rows
            if self.default_rows is not None
            else min(DEFAULT_ROWS, design.rows.get(table.name, DEFAULT_ROWS))
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
        return replace(proof, verdict="not_provable", reasons=missing)
    plain = [extension.name for extension in design.database.extensions if not extension.schema]
    with server.scratch_database(extensions=plain) as database:
        _create_placed_extensions(design, database)
        with connect(database.conninfo, read_only=False, statement_timeout_ms=_NO_LIMIT) as connection:
            # The driver drops all prepared statements after a rollback, ours among them, if it prepares some itself.
            connection.prepare_threshold = None
            proof = _run(_Trial(design, connection, plan, progress), proof)
    verdict, reasons = _judge(proof)
    return replace(proof, verdict=verdict, reasons=reasons, seconds=time.perf_counter() - started)


@dataclass(frozen=True)
class _Trial:
    design: Design
    connection: psycopg.Connection[Any]
    plan: Plan
    progress: Progress


def _missing(design: Design, server: Server) -> Iterator[str]:
    major = server.version_num // 10000
    if major < design.server_version:
        yield f"the model is for PostgreSQL {design.server_version}, the server is {server.version}"
    there = available_extensions(server)
    for extension in design.database.extensions:
        if extension.name not in there:
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
    trial.progress("applying the DDL", 0.0)
    count, refused = _apply(trial)
    proof = replace(proof, statements=count, refused=refused)
    if refused:
        return proof
    trial.progress("comparing the catalog", 0.05)
    found = read(trial.connection)
    proof = replace(proof, catalog=_compare(trial, found))
    generator = Generator(found, trial.plan.rows_of(trial.design), trial.design.hints, trial.plan.seed)
    with _indexes_built_afterwards(trial.connection, found):
        filled = _fill(trial, generator)
    trial.connection.execute("VACUUM (ANALYZE)")
    bench = Bench(trial.connection, generator, search_path(trial.design))
    proof = replace(
        proof,
        filled=filled,
        baseline_ms=baseline_ms(trial.connection),
        patterns=tuple(_patterns(trial, bench)),
    )
    trial.progress("trying constraints", 0.8)
    trials = Trials(trial.connection, generator, found)
    constraints = tuple(probe_constraints(trials))
    trial.progress("trying deletes", 0.9)
    return replace(
        proof,
        constraints=constraints,
        deletes=tuple(probe_deletes(trials)),
        indexes=tuple(index_uses(trial.connection, found, proof.patterns)),
    )


def _apply(trial: _Trial) -> tuple[int, Refused | None]:
    made = statements(trial.design)
    names = ", ".join(identifier(schema) for schema in ("public", trial.design.default_schema))
    for number, statement in enumerate(made):
        try:
            trial.connection.execute(statement.sql.encode())
        except psycopg.Error as error:
            message = (error.diag.message_primary or str(error)) + _hint(error)
            return number, Refused(
                object=statement.object, sql=statement.sql, sqlstate=error.sqlstate or "?", message=message
            )
        if statement.section == "setup":
            trial.connection.execute(f"SET search_path TO {names}".encode())
    return len(made), None


def _hint(error: psycopg.Error) -> str:
    parts = (error.diag.message_detail, error.diag.message_hint)
    return "".join(f" ({part})" for part in parts if part)


def _compare(trial: _Trial, found: Database) -> Differences:
    return differences(canonical(trial.connection, trial.design), found)


@contextmanager
def _indexes_built_afterwards(connection: psycopg.Connection[Any], database: Database) -> Iterator[None]:
    """Load first, then index: many times faster for HNSW and GIN, and IVFFlat takes its lists from the rows."""
    names = [
        Name(t.name.schema, index.name) for t in database.tables for index in t.indexes if not index.unique
    ]
    definitions = []
    for name in names:
        relation = literal(qualified_name(name))
        row = connection.execute(f"SELECT pg_get_indexdef({relation}::regclass)".encode()).fetchone()
        assert row is not None
        definitions.append(row[0])
        connection.execute(f"DROP INDEX {qualified_name(name)}".encode())
    yield
    connection.execute(f"SET maintenance_work_mem TO '{INDEX_MEMORY}'".encode())
    for definition in definitions:
        connection.execute(definition.encode())
    connection.execute("RESET maintenance_work_mem")


def _fill(trial: _Trial, generator: Generator) -> tuple[Filled, ...]:
    total = sum(trial.plan.rows_of(trial.design).values()) or 1
    done: dict[Name, int] = {}

    def progress(table: Name, rows: int) -> None:
        done[table] = rows
        trial.progress(f"filling {table}", 0.1 + 0.4 * sum(done.values()) / total)

    return generator.fill(trial.connection, progress=progress)


def _patterns(trial: _Trial, bench: Bench) -> Iterator[Measured]:
    patterns = trial.design.access_patterns
    for number, pattern in enumerate(patterns):
        trial.progress(f"running {pattern.name}", 0.5 + 0.3 * number / len(patterns))
        yield measure(bench, pattern)


def _judge(proof: Proof) -> tuple[Verdict, tuple[str, ...]]:
    failures = tuple(_failures(proof))
    if failures:
        return "failed", failures
    gaps = tuple(
        f"`{fill.table}`: no row that satisfies every constraint was found (`{fill.note}`)"
        for fill in proof.filled
        if fill.wanted and not fill.rows
    )
    return ("not_provable", gaps) if gaps else ("proven", ())


def _failures(proof: Proof) -> Iterator[str]:
    if proof.refused:
        yield f"the server refused `{proof.refused.object}`: `{proof.refused.message}`"
        return
    if proof.catalog and not proof.catalog.equal:
        count = len(proof.catalog.added) + len(proof.catalog.removed) + len(proof.catalog.changed)
        yield f"the catalog differs from the model in {count} place{'s' if count != 1 else ''}"
    for measured in proof.patterns:
        if measured.error:
            yield f"access pattern `{measured.pattern.name}` does not run: `{measured.error}`"
        elif measured.meets_target is False:
            yield (
                f"access pattern `{measured.pattern.name}` takes {measured.median_ms:.2f} ms, "
                f"target {measured.pattern.latency_ms:g} ms"
            )
    yield from (
        f"constraint `{p.constraint}` on `{p.table}`: {p.detail}"
        for p in proof.constraints
        if p.state == "failed"
    )
    yield from (
        f"foreign key `{p.constraint}` on `{p.table}`: {p.detail}"
        for p in proof.deletes
        if p.state == "failed"
    )
