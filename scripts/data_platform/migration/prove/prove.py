"""The proof: schema loaded, tables filled, the migration run under clients, taken back, killed, and asked about."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from data_platform.migration.files import Statement
from data_platform.migration.prove.copies import Copies
from data_platform.migration.prove.growth import extrapolate
from data_platform.migration.prove.live import Lived, live
from data_platform.migration.prove.options import MOST_RUN, Base, Options, allowed, named, run_rows
from data_platform.migration.prove.patterns import Which, fates
from data_platform.migration.prove.recovery import kills
from data_platform.migration.prove.rehearsal import Rehearsed, Touched, rehearse, touched
from data_platform.migration.prove.result import (
    Estimate,
    Kill,
    Lock,
    PatternFate,
    Proof,
    RoundTrip,
    StatementResult,
)
from data_platform.migration.prove.roundtrip import round_trip
from data_platform.migration.prove.rows import PARENT_ROWS, Wish, parents
from data_platform.migration.prove.session import own_extensions
from data_platform.migration.prove.verdict import judge
from data_platform.model.database import Database as Model
from data_platform.model.database import Name
from data_platform.model.design import Design
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.load import Loaded, load
from data_platform.postgres.load.stubs import stub_for
from data_platform.postgres.scratch import Database
from data_platform.postgres.server import Server
from data_platform.sql.text import qualified

Progress = Callable[[str, float], None]

SETTINGS: Mapping[str, str] = {
    # A server that keeps WAL for replicas or archives, as production does; minimal would spare rewrites theirs.
    "wal_level": "replica",
    "max_connections": "120",
    "max_locks_per_transaction": "256",
    "max_wal_size": "4GB",
}
"""For the embedded server that a migration is proven on."""
SHARES = (0.1, 0.3)
"""Smaller sizes that are run when a time at more rows is asked for."""


@dataclass(frozen=True)
class _Ground:
    """What all stages stand on."""

    server: Server
    copies: Copies
    empty: Database
    model: Model
    statements: tuple[Statement, ...]
    options: Options
    base: Base
    progress: Progress


def prove(
    statements: Sequence[Statement],
    base: Base,
    server: Server,
    options: Options,
    *,
    down: Sequence[Statement] = (),
    progress: Progress = lambda _what, _share: None,
) -> Proof:
    """Try the migration on scratch databases of `server`, an embedded one started with `SETTINGS`.

    Raises UsageProblem when the base schema cannot be loaded, EnvironmentProblem when a database cannot be made; what
    the server has against the migration is in the result.
    """
    with server.scratch_database() as empty:
        progress("loading the base schema", 0.02)
        loaded = load(empty, base.scripts, progress=lambda what, _share: progress(what, 0.02))
        own_extensions(empty)
        with connect(empty.conninfo, read_only=True) as connection:
            model = read(connection)
        copies = Copies(server.conninfo, server.version_num, server.embedded)
        ground = _Ground(server, copies, empty, model, tuple(statements), options, base, progress)
        proof = _stages(ground, tuple(down))
    proof = replace(
        proof, notes=(*base.notes, *_notes(loaded), *proof.notes), stubs=(*_stubs(loaded), *proof.stubs)
    )
    verdict, reasons = judge(proof, options)
    return replace(proof, verdict=verdict, reasons=reasons)


def _notes(loaded: Loaded) -> tuple[str, ...]:
    return tuple(f"{note.file}:{note.line} `{note.what}`: {note.why}" for note in loaded.skipped)


def _stubs(loaded: Loaded) -> tuple[str, ...]:
    """Extensions that this server has only a stand-in for, without their types and functions."""
    found = ((name, stub_for(name)) for name in loaded.stubs)
    return tuple(name for name, stub in found if stub is None or stub.empty)


def _stages(ground: _Ground, down: tuple[Statement, ...]) -> Proof:
    ground.progress("running on empty tables", 0.05)
    seen = touched(ground.copies, ground.empty, ground.model, ground.statements)
    wish = _wish(ground, seen)
    with ExitStack() as stack:
        few = stack.enter_context(ground.copies.copy(ground.empty))
        ground.progress("running on a few rows", 0.08)
        rehearsed = rehearse(ground.copies, few, wish, ground.statements, seen)
        ground.progress("taking it back", 0.1)
        trip = round_trip(ground.copies, few, ground.statements, down) if down else RoundTrip()
        ground.progress("killing it in the middle", 0.15)
        killed = _killed(ground, few, seen, rehearsed)
        ground.progress("asking what the application asks", 0.25)
        patterns = _fates(ground, few)
        # Last, as a copy of a small database would have to wait for the large one's rows to be written out.
        lived = _live(ground, seen, rehearsed, 1.0)
        return replace(
            _reported(ground, seen, rehearsed, lived),
            round_trip=trip,
            kills=killed,
            patterns=patterns,
            estimates=_estimates(ground, seen, rehearsed, lived),
        )


def _wish(ground: _Ground, seen: Touched) -> Wish:
    tables = frozenset(table.name for table in ground.model.tables)
    reached = parents(ground.model, seen.all & tables)
    at_hand = parents(_keyless(ground.model), seen.all & tables)
    rows = run_rows(ground.options, at_hand)
    asked = named(ground.options, reached)
    few = min(PARENT_ROWS, max(rows.values(), default=PARENT_ROWS))
    rows |= {name: min(MOST_RUN, asked.get(name, few)) for name in reached - at_hand}
    return Wish(ground.model, rows, dict(ground.base.hints), ground.options.seed)


def _keyless(model: Model) -> Model:
    return replace(model, tables=tuple(replace(table, foreign_keys=()) for table in model.tables))


def _gone(ground: _Ground) -> Mapping[Name, Collection[str]]:
    """Columns that the user says may be lost: the application does not name them any more."""
    return {
        table.name: [c.name for c in table.columns if allowed(ground.options, f"{table.name}.{c.name}")]
        for table in ground.model.tables
    }


def _live(ground: _Ground, seen: Touched, rehearsed: Rehearsed, share: float) -> Lived:
    most = max(rehearsed.wish.rows.values(), default=0)
    wish = rehearsed.wish if share == 1.0 else rehearsed.wish.scaled(most, share)
    with ground.copies.copy(ground.empty) as database:
        return live(
            database,
            wish,
            ground.statements,
            seen,
            _gone(ground),
            ground.options,
            lambda what, part: ground.progress(what, 0.3 + 0.5 * part),
        )


def _reported(ground: _Ground, seen: Touched, rehearsed: Rehearsed, lived: Lived) -> Proof:
    results = tuple(
        replace(
            one,
            depends_on_rows=rehearsed.depends_on_rows.get(one.index),
            locks=with_asked(one, seen.asked.get(one.index, ())),
        )
        for one in lived.results
    )
    return Proof(
        server=ground.server.describe(),
        server_version=ground.server.version,
        statements=results,
        filled=lived.filled,
        schema=ground.model,
        seed=ground.options.seed,
        clients=lived.clients,
        idle_latency_s=lived.idle_latency_s,
        client_errors=lived.errors,
        untried=lived.untried,
        spans=lived.spans,
        latency=lived.latency,
        seconds=lived.seconds,
        lost=rehearsed.lost,
        again=rehearsed.again,
        notes=lived.notes,
        stubs=seen.stubs,
        declared=_declared(ground, rehearsed),
    )


def _estimates(ground: _Ground, seen: Touched, rehearsed: Rehearsed, lived: Lived) -> tuple[Estimate, ...]:
    """Stalls at production's rows, where these are more than were run."""
    ran = rehearsed.wish.rows
    wanted = {**_production(ground, frozenset(ran)), **named(ground.options, frozenset(ran))}
    larger = {name: count for name, count in wanted.items() if count > ran[name]}
    if not larger or not any(_stall(one) for one in lived.results):
        return ()
    runs = [(1.0, lived)]
    for share in SHARES:
        ground.progress(f"running with {share:.0%} of the rows", 0.85)
        runs.append((share, _live(ground, seen, rehearsed, share)))
    found = []
    for place, statement in enumerate(lived.results):
        names = [name for name in seen.relations.get(statement.index, ()) if name in larger]
        if not names or not _stall(statement):
            continue
        name = max(names, key=lambda one: larger[one])
        points = [(max(1, round(ran[name] * share)), _stall(run.results[place])) for share, run in runs]
        made = extrapolate(points, larger[name])
        if made is not None:
            found.append(
                Estimate(
                    statement=statement.index,
                    relation=str(name),
                    rows=larger[name],
                    seconds=made.seconds,
                    low=made.low,
                    high=made.high,
                    sizes=tuple(sorted(size for size, _ in points)),
                )
            )
    return tuple(found)


def with_asked(one: StatementResult, asked: tuple[Lock, ...]) -> tuple[Lock, ...]:
    """The locks that were seen, and those that it asked for on empty tables if it was too fast to be seen here."""
    known = {(lock.relation, lock.mode) for lock in one.locks}
    more = [replace(lock, since=one.index) for lock in asked if (lock.relation, lock.mode) not in known]
    return tuple(sorted((*one.locks, *more), key=lambda lock: (-lock.strength, lock.relation)))


def _declared(ground: _Ground, rehearsed: Rehearsed) -> dict[str, int]:
    tables = frozenset(rehearsed.wish.rows)
    known = {**_production(ground, tables), **named(ground.options, tables)}
    return {str(name): count for name, count in known.items()}


def _production(ground: _Ground, tables: frozenset[Name]) -> dict[Name, int]:
    return {name: count for name, count in ground.base.production.items() if name in tables}


def _stall(statement: StatementResult) -> float:
    return statement.blocked_s


def _killed(ground: _Ground, few: Database, seen: Touched, rehearsed: Rehearsed) -> tuple[Kill, ...]:
    if not ground.options.kills or rehearsed.errors:
        return ()
    tables = [qualified(name.schema, name.name) for name in sorted(seen.all)]
    return kills(ground.copies, few, ground.statements, tables)


def _fates(ground: _Ground, few: Database) -> tuple[PatternFate, ...]:
    models: list[tuple[Which, Design]] = []
    if ground.base.old is not None:
        models.append(("old", ground.base.old))
    if ground.base.new is not None:
        models.append(("new", ground.base.new))
    return fates(ground.copies, few, ground.statements, models)
