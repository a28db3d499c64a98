"""The proof: DDL applied, catalog compared, tables filled, patterns run, constraints and deletes tried."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from data_platform.model.database import Database, Name, Table, View
from data_platform.model.design import Design
from data_platform.postgres.canonical import canonical, comparable
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.filling import fillable, indexes_afterwards
from data_platform.postgres.filling.aside import Switch, switch_off, switch_on, switches
from data_platform.postgres.server import PROVABLE_EXTENSIONS, Server, available_extensions
from data_platform.postgres.server import Database as ScratchDatabase
from data_platform.postgres.synthetic import Filled, Generator
from data_platform.schema.lint import lint
from data_platform.schema.prove.apply import apply, search_path
from data_platform.schema.prove.attempts import Trials
from data_platform.schema.prove.checklist import checklist
from data_platform.schema.prove.comparison import compared, named_roles
from data_platform.schema.prove.constraints import probe_constraints
from data_platform.schema.prove.deletes import probe_deletes
from data_platform.schema.prove.grants import grants
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.indexes import index_uses
from data_platform.schema.prove.isolation import isolation
from data_platform.schema.prove.materialized import materialized_in_order, refresh_all
from data_platform.schema.prove.partitions import partitions
from data_platform.schema.prove.patterns import Bench, baseline_ms, empty_relations, measure
from data_platform.schema.prove.refresh import refreshes
from data_platform.schema.prove.result import Measured, Proof, counted
from data_platform.schema.prove.samples import usual_settings
from data_platform.schema.prove.tenancy import tenancy
from data_platform.schema.prove.triggers import track_calls, triggers, untried
from data_platform.schema.prove.verdict import judge
from data_platform.sql.text import NotSql, identifier, identifiers

DEFAULT_ROWS = 10_000
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
            if table.holds_rows
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
    with _interruptible(), server.scratch_database(extensions=plain) as database:
        _create_placed_extensions(design, database)
        with connect(
            database.conninfo, read_only=False, statement_timeout_ms=STATEMENT_SECONDS * 1000
        ) as connection:
            # The driver drops all prepared statements after a rollback, ours among them, if it prepares some itself.
            connection.prepare_threshold = None
            connection.execute(f"SET search_path TO {identifiers(search_path(design))}")
            proof = _run(_Trial(design, connection, database, plan, progress), proof)
    proof = replace(proof, checks=checklist(proof, lint(design)))
    verdict, reasons = judge(proof)
    return replace(proof, verdict=verdict, reasons=reasons, seconds=time.perf_counter() - started)


@contextmanager
def _interruptible() -> Iterator[None]:
    """An interruption says what became of the database, and the driver nothing of what it could not roll back."""
    driver, silent = logging.getLogger("psycopg"), logging.NullHandler()
    before, driver.propagate = driver.propagate, False
    driver.addHandler(silent)
    try:
        yield
    except KeyboardInterrupt as interruption:
        said = "".join(f"{word}: " for word in interruption.args)
        raise type(interruption)(
            f"{said}the scratch database was dropped, and with it all that was tried"
        ) from None
    finally:
        driver.removeHandler(silent)
        driver.propagate = before


@dataclass(frozen=True)
class _Trial:
    """One run on one connection; the catalog is read when it is first asked for, after the DDL."""

    design: Design
    connection: psycopg.Connection[Any]
    scratch: ScratchDatabase
    plan: Plan
    progress: Progress

    @cached_property
    def found(self) -> Database:
        """Of the roles of the cluster only those that the design names."""
        named = named_roles(self.design.database)
        # What only a superuser may make belongs to the one that made it here: to nobody of the model.
        admin = str(conninfo_to_dict(self.scratch.admin_conninfo).get("user"))
        found = read(self.connection, anonymous=[admin], roles=named)
        return replace(found, roles=tuple(role for role in found.roles if role.name in named))

    @cached_property
    def switches(self) -> tuple[Switch, ...]:
        return switches(self.connection)

    @cached_property
    def generator(self) -> Generator:
        rows = self.plan.rows_of(self.design)
        return Generator(
            fillable(self.connection, self.found, self.design.hints), rows, self.design.hints, self.plan.seed
        )

    @cached_property
    def trials(self) -> Trials:
        return Trials(self.connection, self.generator, self.found)

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        """For a stage that needs a session in which nothing has been set yet."""
        with connect(self.scratch.conninfo, read_only=False) as connection:
            connection.prepare_threshold = None
            connection.execute(f"SET search_path TO {identifiers(search_path(self.design))}")
            yield Ground(connection, self.found, self.generator, self.switches, self.design.search_path)


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
    with (
        connect(database.conninfo, read_only=False) as owner,
        connect(database.admin_conninfo, read_only=False) as admin,
    ):
        for extension in placed:
            assert extension.schema is not None
            schema = identifier(extension.schema)
            owner.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
            admin.execute(
                f"CREATE EXTENSION {identifier(extension.name)} WITH SCHEMA {schema} CASCADE".encode()
            )


def _run(trial: _Trial, proof: Proof) -> Proof:
    """All stages; one that the server ends (a time limit, a backend that was killed) is told in `broken`."""
    for what, share, stage in _STAGES:
        trial.progress(what, share)
        try:
            proof = stage(trial, proof)
        except (psycopg.Error, OverflowError, NotSql) as error:
            said = str(error).splitlines() or [type(error).__name__]
            return replace(proof, broken=f"{what}: {said[0]}")
        if proof.refused:
            break
    return proof


def _applied(trial: _Trial, proof: Proof) -> Proof:
    done = apply(trial.design, trial.scratch, STATEMENT_SECONDS)
    return replace(proof, statements=done.statements, refused=done.refused, left_out=done.left_out)


def _compared(trial: _Trial, proof: Proof) -> Proof:
    said = canonical(trial.connection, trial.design, trial.found)
    found = comparable(trial.found, trial.design)
    return replace(proof, catalog=compared(said, found, proof.left_out))


def _set_aside(trial: _Trial, proof: Proof) -> Proof:
    switch_off(trial.connection, trial.switches)
    return replace(proof, aside=counted(trial.switches))


def _filled(trial: _Trial, proof: Proof) -> Proof:
    held = [table for table in trial.found.tables if table.holds_rows]
    with indexes_afterwards(trial.connection, held):
        filled = _fill(trial)
    if trial.found.materialized_views:
        refresh_all(trial.connection, materialized_in_order(trial.connection))
    trial.connection.execute("VACUUM (ANALYZE)")
    return replace(proof, filled=filled)


def _measured(trial: _Trial, proof: Proof) -> Proof:
    path, settings = trial.design.search_path, usual_settings(trial.connection, tenancy(trial.found))
    empty = empty_relations(trial.connection, trial.found)
    bench = Bench(trial.connection, trial.found, trial.generator, path, settings, empty)
    empty_trip = baseline_ms(trial.connection)
    return replace(proof, baseline_ms=empty_trip, patterns=tuple(_patterns(trial, bench)))


def _constrained(trial: _Trial, proof: Proof) -> Proof:
    return replace(proof, constraints=tuple(probe_constraints(trial.trials)))


def _deleted(trial: _Trial, proof: Proof) -> Proof:
    return replace(proof, deletes=tuple(probe_deletes(trial.trials)))


def _explained(trial: _Trial, proof: Proof) -> Proof:
    uses = index_uses(trial.connection, trial.found, proof.patterns, trial.trials.followers)
    return replace(proof, indexes=tuple(uses))


def _routed(trial: _Trial, proof: Proof) -> Proof:
    if not any(table.partition_by for table in trial.found.tables):
        return proof
    with trial.ground() as ground:
        return replace(proof, partitions=partitions(ground, proof.patterns))


def _restored(trial: _Trial, proof: Proof) -> Proof:
    switch_on(trial.connection, trial.switches)
    return proof


def _isolated(trial: _Trial, proof: Proof) -> Proof:
    if not any(table.policies for table in trial.found.tables):
        return proof
    with trial.ground() as ground:
        return replace(proof, isolation=isolation(ground))


def _refreshed(trial: _Trial, proof: Proof) -> Proof:
    if not trial.found.materialized_views:
        return proof
    with trial.ground() as ground:
        return replace(proof, refreshes=refreshes(ground, trial.scratch.conninfo))


def _fired(trial: _Trial, proof: Proof) -> Proof:
    owners: tuple[Table | View, ...] = (*trial.found.tables, *trial.found.views)
    if not any(owner.triggers for owner in owners):
        return proof
    counts = track_calls(trial.scratch, trial.connection.info.user)
    with trial.ground() as ground:
        return replace(proof, triggers=triggers(ground) if counts else untried(ground))


def _granted(trial: _Trial, proof: Proof) -> Proof:
    if not trial.found.roles:
        return proof
    with trial.ground() as ground:
        wanted = trial.design.database
        return replace(proof, grants=grants(ground, wanted.grants, wanted.default_privileges))


_STAGES: tuple[tuple[str, float, Callable[[_Trial, Proof], Proof]], ...] = (
    ("applying the DDL", 0.0, _applied),
    ("comparing the catalog", 0.05, _compared),
    ("setting triggers aside", 0.1, _set_aside),
    ("filling the tables", 0.1, _filled),
    ("running the access patterns", 0.5, _measured),
    ("trying the constraints", 0.75, _constrained),
    ("trying the deletes", 0.8, _deleted),
    ("looking at the indexes", 0.85, _explained),
    ("looking at the partitions", 0.85, _routed),
    ("restoring the triggers", 0.87, _restored),
    ("trying to read another tenant's rows", 0.88, _isolated),
    ("refreshing the materialized views", 0.92, _refreshed),
    ("firing the triggers", 0.94, _fired),
    ("trying the privileges", 0.97, _granted),
)


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
