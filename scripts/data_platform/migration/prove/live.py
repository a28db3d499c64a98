"""The migration under live clients, on filled tables: the run whose figures are reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field

from data_platform.migration.files import Statement
from data_platform.migration.prove import clients as asking
from data_platform.migration.prove import observe, run
from data_platform.migration.prove.options import Options
from data_platform.migration.prove.result import ClientError, Filled, LockSpan, StatementResult
from data_platform.migration.prove.rows import Wish, fill, settle
from data_platform.migration.prove.session import open_session
from data_platform.migration.prove.watch import Watch
from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database
from data_platform.postgres.traffic import INTERVAL, Client, Script, idle_reader, traffic
from data_platform.sql.text import qualified

Progress = Callable[[str, float], None]

QUIET_SECONDS = 0.2
"""Of clients alone before the first statement, to know how fast they are answered here."""
AFTER_SECONDS = 0.12
"""Of clients alone after the last one, to see which are broken."""
MOST_TABLES = 12
"""With clients at a time; of more, those that the statements at hand touch."""
_BUSY = 8
"""More clients than this ask less often, so that they do not keep the machine from the migration."""


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


@dataclass
class Crowd:
    """The clients that are at work, and those that have been."""

    conninfo: str = field(repr=False)
    scripts: tuple[Script, ...]
    by_statement: Mapping[int, frozenset[Name]]
    all: list[Client] = field(default_factory=list)
    _now: frozenset[Name] | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def attend(self, numbers: Sequence[int]) -> None:
        """Let clients work on the tables that these statements touch; on all tables where they are few."""
        tables = {script.table for script in self.scripts}
        if len(tables) > MOST_TABLES:
            touched = sorted(
                {name for number in numbers for name in self.by_statement.get(number, ())} & tables
            )
            tables = set(touched[:MOST_TABLES])
        if frozenset(tables) == self._now:
            return
        self.leave()
        chosen = [script for script in self.scripts if script.table in tables]
        interval = INTERVAL * max(1.0, len(chosen) / _BUSY)
        self.all += self._stack.enter_context(traffic(self.conninfo, chosen, interval))
        self._now = frozenset(tables)
        time.sleep(QUIET_SECONDS / 4)

    def leave(self) -> None:
        """Let them go; what they still ask is waited for."""
        self._stack.close()
        self._now = None


def live(
    database: Database,
    wish: Wish,
    statements: Sequence[Statement],
    touched: Mapping[int, frozenset[Name]],
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
        if options.clients:
            has_rows = {one.table for one in filled if one.rows}
            tables = [name for name in sorted(_asked(wish, touched)) if str(name) in has_rows]
            views = [v.name for v in wish.database.materialized_views if v.name in _all(touched)]
            scripts = asking.scripts(connection, wish.database, generator, tables, gone)
            scripts += asking.readers(connection, views)
    return _run(database, scripts, filled, statements, touched, options, progress)


def _all(touched: Mapping[int, frozenset[Name]]) -> frozenset[Name]:
    return frozenset(name for names in touched.values() for name in names)


def _asked(wish: Wish, touched: Mapping[int, frozenset[Name]]) -> frozenset[Name]:
    """The tables that hold the rows of those that are touched."""
    known = {table.name: table for table in wish.database.tables}
    found = set()
    for name in _all(touched) & known.keys():
        table = known[name]
        while table.partition_of and table.partition_of.table in known:
            table = known[table.partition_of.table]
        found.add(table.name)
    return frozenset(found) & wish.rows.keys()


def _run(
    database: Database,
    scripts: tuple[Script, ...],
    filled: tuple[Filled, ...],
    statements: Sequence[Statement],
    touched: Mapping[int, frozenset[Name]],
    options: Options,
    progress: Progress,
) -> Lived:
    crowd = Crowd(database.conninfo, scripts, touched)
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
    first = next(iter(run.groups(statements)), None)
    if first is not None:
        crowd.attend([statement.number for statement in first.statements])
    runner.before = lambda group: crowd.attend([statement.number for statement in group.statements])


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
