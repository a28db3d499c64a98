"""Worlds in which others write while runs go on: what is kept must be what its query or a replay gives at the end."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from data_platform.errors import Problem
from data_platform.pipeline.prove import qdrant
from data_platform.pipeline.prove.child import Child, begun
from data_platform.pipeline.prove.collected import Collected
from data_platform.pipeline.prove.faults import Content, Fault, NotTried, Tell, Trials, Truth
from data_platform.pipeline.prove.kept import Keeps, keeps_of, never_the_same
from data_platform.pipeline.prove.qdrant import Engine
from data_platform.pipeline.prove.stores import Events, Store, Writers, events_of, tables_of
from data_platform.pipeline.prove.trial import Made
from data_platform.pipeline.relaying import address_name
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database, Server
from data_platform.spec import document
from data_platform.spec.pipeline import Pipeline, read_pipeline

_CHANGED = 3
_ROUNDS, _CHANGES = 3, 20
_PATIENCE_SECONDS = 5.0
_AT_WORK = "SELECT FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() LIMIT 1"
"""Such as an autovacuum, which has a transaction of its own."""


@dataclass
class Living:
    """A store with writers, who begin with the first run."""

    database: Database
    folder: Path
    file: Path
    store: Store
    keeps: Keeps
    writers: Writers
    addresses: Mapping[str, str]
    engine: Engine | None = None
    """Of the collections, where there are some."""
    source: None = None
    """There is none beside the store."""

    def start(self) -> Child:
        """A run as a process; the writers are at work."""
        self.writers.start()
        return begun(self.file, self._place())

    def run(self) -> dict[str, Any]:
        """A run to its end, in this process, which nobody kills: what it counted, or its problem."""
        self.writers.start()
        spec = replace(read_pipeline(document.read(self.file)), checks=())
        try:
            return asdict(run(spec, self._place()).counts)
        except Problem as problem:
            return {"problem": problem.what}

    def _place(self) -> Place:
        return Place(self.database.conninfo, self.folder, addresses=self.addresses)

    def quiet(self) -> bool:
        """Wait for the writers, and for whatever else the server does that new events would wait for."""
        had = self.writers.join()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with connect(self.database.admin_conninfo, read_only=True) as admin:
            while admin.execute(_AT_WORK).fetchone() and time.monotonic() < deadline:
                time.sleep(0.01)
        return had

    def content(self) -> dict[str, Counter[str]]:
        """The rows of all that is kept."""
        with connect(self.database.conninfo, read_only=True) as connection:
            return self.keeps.content(connection)

    def wanted(self, truth: Content) -> Content:
        """What it must be, asked of the store itself."""
        with connect(self.database.conninfo, read_only=False) as connection:
            return self.keeps.wanted(connection)


@contextmanager
def living(server: Server, made: Made, folder: Path) -> Iterator[Living]:
    """A database with the store's tables or events in it, and nothing that a run makes."""
    spec = made.spec
    store: Store = (
        events_of(spec.kept.events, made.rows, made.seed)
        if spec.kept.events
        else tables_of(spec, made.rows, made.seed)
    )
    with ExitStack() as stack:
        database = stack.enter_context(server.scratch_database(extensions=_extensions(spec)))
        engine = stack.enter_context(qdrant.running()) if spec.kept.collections else None
        with connect(database.conninfo, read_only=False) as connection:
            # Crashes are of what a run makes: what was there before it stays.
            connection.execute("SET synchronous_commit = on")
            store.fill(connection)
        file = folder / "spec.yaml"
        file.write_text(Path(spec.file).read_text(encoding="utf-8"), encoding="utf-8")
        writers = Writers(database.conninfo, store, f"{made.seed} {folder.name}")
        keeps = keeps_of(spec)
        addresses = {}
        if engine is not None:
            keeps = Collected(spec, keeps, engine)
            addresses = {address_name(one.name): engine.url for one in spec.kept.collections}
        yield Living(database, folder, file, store, keeps, writers, addresses, engine)


def _extensions(spec: Pipeline) -> list[str]:
    """That of pgvector, where a table has its type."""
    types = [str(type_) for one in spec.sources for type_ in one.columns.values()]
    return ["vector"] if any(one.startswith(("vector", "halfvec")) for one in types) else []


class LivingTrials(Trials):
    """The faults that any pipeline meets, while others write; and those of what follows a store."""

    def world(self, *, copied: bool = False) -> Any:
        return living(self.server, self.made, self.fresh())

    def why_again(self, one: Living) -> str:
        with connect(one.database.conninfo, read_only=True) as connection:
            found = [*never_the_same(self.made.spec, connection)]
        return f": {'; '.join(found)}" if found else ""

    def others(self, truth: Truth, tell: Tell) -> Iterator[Fault | NotTried]:
        """A commit that comes after the run that began after it; definitions that change; subjects forgotten."""
        yield self.late(truth)
        tell("made anew", 0.92)
        for _ in range(_CHANGED):
            yield self.changed(truth)
        if self.made.spec.kept.collections:
            tell("collections", 0.95)
            yield from self.collections(truth)
        events = self.made.spec.kept.events
        if events is None:
            return
        if any(one.subject for one in events.types.values()):
            yield self.forgotten(truth)
        else:
            yield NotTried("subjects forgotten", "no event of the spec is about a subject")

    def late(self, truth: Truth) -> Fault:
        """A transaction that is open while others commit and a run goes by."""
        with self.world() as one:
            assert isinstance(one, Living)
            one.run()
            one.quiet()
            with connect(one.database.conninfo, read_only=False) as late, late.transaction():
                for _ in range(5):
                    one.store.change(late, self.draw)
                self._others_commit(one)
                one.run()
            return self._again("committed late", "a run later", one, truth)

    def _others_commit(self, one: Living) -> None:
        """Changes that are later and are there sooner; what the open transaction holds is left alone."""
        for _ in range(10):
            with suppress(psycopg.Error), psycopg.connect(one.database.conninfo) as other:
                other.execute("SET lock_timeout = '50ms'")
                one.store.change(other, self.draw)

    def changed(self, truth: Truth) -> Fault:
        """Its definitions changed, so that all is made anew; killed in the middle, and run again."""
        with self.world() as one:
            assert isinstance(one, Living)
            one.run()
            data = document.read(one.file).data
            one.keeps.change(data)
            one.file.write_text(json.dumps(data), encoding="utf-8")
            after = self.draw.uniform(0, truth.seconds)
            child = one.start()
            if not child.wait(after):
                child.kill()
            child.end()
            return self._again("killed while made anew", f"{after:.3f} s", one, truth)

    def collections(self, truth: Truth) -> Iterator[Fault]:
        """What can happen between a collection and its outbox."""
        for filled in (False, True, True):
            yield self.unconfirmed(truth, filled=filled)
        yield self.out_of_reach(truth)
        yield self.sent_again(truth)

    def unconfirmed(self, truth: Truth, *, filled: bool) -> Fault:
        """The run killed after a write was done, before it heard of that: it is done again."""
        with self.world() as one:
            assert one.engine is not None
            if filled:
                one.run()
                self._changes(one)
            children: list[Child] = []

            def after(_: int) -> None:
                while not children:
                    time.sleep(0.001)
                children[0].kill()

            one.engine.after = after
            children.append(one.start())
            children[0].end()
            one.engine.after = lambda number: None
            at = "while it follows" if filled else "while it is filled"
            return self._again("killed before a confirmation", at, one, truth)

    def out_of_reach(self, truth: Truth) -> Fault:
        """Two of three writes get no good answer, of which one is done all the same; then it is well again."""
        with self.world() as one:
            assert one.engine is not None
            # Each run gives up at once, so that the next one begins where it was.
            data = {**document.read(one.file).data, "retries": 0}
            one.file.write_text(json.dumps(data), encoding="utf-8")
            one.engine.before = lambda number: 503 if number % 3 == 1 else None
            one.engine.after = lambda number: 503 if number % 3 == 2 else None
            for _ in range(2 * _ROUNDS):
                one.run()
                self._changes(one)
            one.engine.before = one.engine.after = lambda number: None
            return self._again("Qdrant down in the middle", "two writes of three", one, truth)

    def sent_again(self, truth: Truth) -> Fault:
        """At the end every write of all runs once more, the last ones first: as if on the way till now."""
        with self.world() as one:
            assert one.engine is not None
            for _ in range(_ROUNDS):
                one.run()
                self._changes(one)
            one.quiet()
            # Filled anew at the end, so that what was before the filling comes too.
            data = document.read(one.file).data
            one.keeps.change(data)
            one.file.write_text(json.dumps(data), encoding="utf-8")
            one.run()
            writes = one.engine.writes[:]
            for name, body in reversed(writes):
                one.engine.write(name, body)
            return self._again("delivered twice, out of order", f"{len(writes)} writes", one, truth)

    def _changes(self, one: Living) -> None:
        """Some, by one who is done before the next run."""
        with connect(one.database.conninfo, read_only=False) as connection:
            for _ in range(_CHANGES):
                one.store.change(connection, self.draw)

    def forgotten(self, truth: Truth) -> Fault:
        """Every subject's content taken: read models that follow are those of a store without it."""
        with self.world() as one:
            assert isinstance(one, Living)
            assert isinstance(one.store, Events)
            one.run()
            one.quiet()
            one.run()
            with connect(one.database.conninfo, read_only=False) as connection:
                for subject in one.store.subjects:
                    one.store.erase(connection, subject)
            return self._again("subjects forgotten", "all of them", one, truth)
