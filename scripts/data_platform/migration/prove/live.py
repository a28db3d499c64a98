"""The migration under live clients, on filled tables: the run whose figures are reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from data_platform.migration.files import Statement
from data_platform.migration.prove import clients as asking
from data_platform.migration.prove import observe, run
from data_platform.migration.prove.crowd import Crowd, deployed
from data_platform.migration.prove.options import Options
from data_platform.migration.prove.rehearsal import Touched
from data_platform.migration.prove.result import ClientError, Filled, LockSpan, StatementResult
from data_platform.migration.prove.rows import Wish, fill, settle
from data_platform.migration.prove.session import open_session
from data_platform.migration.prove.watch import Watch
from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database
from data_platform.postgres.traffic import Client, Script, idle_reader
from data_platform.sql.text import qualified

Progress = Callable[[str, float], None]

QUIET_SECONDS = 0.2
"""Of clients alone before the first statement, to know how fast they are answered here."""
AFTER_SECONDS = 0.12
"""Of clients alone after the last one, to see which are broken."""


@dataclass(frozen=True)
class Lived:
    """What was seen."""

    results: tuple[StatementResult, ...]
    filled: tuple[Filled, ...]
    errors: tuple[ClientError, ...] = ()
    spans: tuple[LockSpan, ...] = ()
    latency: tuple[tuple[float, float, bool], ...] = ()
    seconds: float = 0.0
    clients: int = 0
    idle_latency_s: float = 0.0
    untried: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def live(
    database: Database,
    wish: Wish,
    statements: Sequence[Statement],
    seen: Touched,
    gone: Mapping[Name, Collection[str]],
    options: Options,
    progress: Progress = lambda _what, _share: None,
) -> Lived:
    """Fill `database`, which has the empty schema, and run the migration in it."""
    with connect(database.conninfo, read_only=False, statement_timeout_ms=0) as connection:
        generator, filled = fill(connection, wish, progress)
        for view in wish.database.materialized_views:
            connection.execute(
                f"REFRESH MATERIALIZED VIEW {qualified(view.name.schema, view.name.name)}".encode()
            )
        settle(connection, wish)
        scripts: tuple[Script, ...] = ()
        tables: list[Name] = []
        if options.clients:
            has_rows = {one.table for one in filled if one.rows}
            tables = [name for name in sorted(_asked(wish, seen)) if str(name) in has_rows]
            views = [view.name for view in wish.database.materialized_views if view.name in seen.all]
            scripts = asking.scripts(connection, wish.database, generator, tables, gone)
            scripts += asking.readers(connection, views)
    crowd = Crowd(
        database.conninfo,
        scripts,
        seen.relations,
        deploy_after=options.deploy_after if scripts else None,
        deploy=lambda: deployed(database, wish, seen.after, tables),
    )
    return _run(database, crowd, filled, statements, options, progress)


def _asked(wish: Wish, seen: Touched) -> frozenset[Name]:
    """The tables that hold the rows of those that are touched."""
    known = {table.name: table for table in wish.database.tables}
    found = set()
    for name in seen.all & known.keys():
        table = known[name]
        while table.partition_of and table.partition_of.table in known:
            table = known[table.partition_of.table]
        found.add(table.name)
    return frozenset(found) & wish.rows.keys()


def _run(
    database: Database,
    crowd: Crowd,
    filled: tuple[Filled, ...],
    statements: Sequence[Statement],
    options: Options,
    progress: Progress,
) -> Lived:
    scripts = crowd.scripts
    with (
        connect(database.admin_conninfo, read_only=False) as admin,
        connect(database.admin_conninfo, read_only=False) as sampler,
        open_session(database) as session,
        _watching(Watch(admin, sampler, session.pid)) as watch,
    ):
        base = [oid for oid, relation in watch.relations().items() if relation.kind != "index"]
        runner = run.Runner(session, watch, retries=options.retries)
        try:
            _attend(crowd, runner, statements)
            time.sleep(QUIET_SECONDS if scripts else 0)
            origin = time.perf_counter()
            with _long_reader(database, scripts, options):
                runner.run(statements, progress)
            seconds = time.perf_counter() - origin
            time.sleep(AFTER_SECONDS if scripts else 0)
        finally:
            crowd.leave()
    found = tuple(observe.windows(runner.seen))
    return Lived(
        results=observe.results(statements, runner.seen, crowd.all, base),
        filled=filled,
        errors=asking.errors(crowd.all, [(w.seen.statement.number, w.seen.started, w.closed) for w in found]),
        spans=observe.spans(runner.seen, origin),
        latency=observe.latency(crowd.all, origin, seconds),
        seconds=seconds,
        clients=len(scripts),
        idle_latency_s=_idle(crowd.all, origin),
        untried=tuple(_untried(crowd.all)),
    )


def _attend(crowd: Crowd, runner: run.Runner, statements: Sequence[Statement]) -> None:
    if not crowd.scripts:
        return

    def attend(group: run.Group) -> None:
        crowd.attend(group.statements[0].number, group.statements[-1].number)

    first = next(iter(run.groups(statements)), None)
    if first is not None:
        attend(first)
    runner.before = attend


@contextmanager
def _watching(watch: Watch) -> Iterator[Watch]:
    try:
        yield watch
    finally:
        watch.end()


def _long_reader(
    database: Database, scripts: tuple[Script, ...], options: Options
) -> AbstractContextManager[None]:
    if not options.long_reader_s or not scripts:
        return nullcontext()
    tables = sorted({qualified(script.table.schema, script.table.name) for script in scripts})
    return idle_reader(database.conninfo, tables, options.long_reader_s)


def _idle(clients: Sequence[Client], origin: float) -> float:
    """The longest answer before the first statement."""
    return max((s.seconds for c in clients for s in c.samples if s.end <= origin), default=0.0)


def _untried(clients: Sequence[Client]) -> Iterator[str]:
    for client in clients:
        for action, failure in client.dropped.items():
            yield f"{action} on {client.script.table}: {failure.sqlstate} {failure.message}"
