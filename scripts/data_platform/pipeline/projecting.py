"""The patterns `events` and `cqrs`: a store or an outbox, and read models and collections that follow it.

An event that a handler refuses stops its projection there: what came before is applied, the event is named, the others
go on. To go past it would leave a read model that is wrong and says nothing. A handler that is mended is another
one, so that the projection is built anew.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline import relaying
from data_platform.pipeline.events import (
    WINDOWS,
    Projection,
    advance,
    dropped,
    peek,
    projection_tables,
    purge,
    start_rebuild,
    swap,
)
from data_platform.pipeline.feeding import Feeding, feeding_of, fill
from data_platform.pipeline.quality.gating import CheckFails, checks_of, look_at_schema
from data_platform.pipeline.quality.verdicts import Verdict
from data_platform.pipeline.steps import Step
from data_platform.pipeline.writing import Work
from data_platform.postgres.pipelines import relations
from data_platform.postgres.pipelines.models import rights_kept
from data_platform.postgres.pipelines.sessions import Passing, telling
from data_platform.postgres.pipelines.state import Counts
from data_platform.sql.text import identifier

MADE, NEXT = "_dpe_projection", "_dpe_projection_next"
"""Under which it is remembered what a projection was made by, and what the one that is built beside."""
BATCH = 5_000
"""Events a transaction."""
_ALL = 2**62


def steps(work: Work) -> Iterator[Step]:
    """Store or outbox first, then each projection and collection to the end, then what nobody waits for goes."""
    feeding = feeding_of(work)
    stopped: list[UsageProblem | Passing] = []
    for spec in work.spec.kept.projections:
        projection = Projection(spec.name, feeding.feed, spec.tables, spec.handlers)
        try:
            yield from _follow(work, feeding, projection)
        except UsageProblem as problem:
            stopped.append(problem)
    for collection in work.spec.kept.collections:
        try:
            yield from relaying.follow(work, feeding, collection)
        except (UsageProblem, Passing) as problem:
            stopped.append(problem)
    if stopped:
        raise stopped[0]
    if feeding.outboxes:  # of all tables there is one
        relations.run(work.state.connection, [purge(feeding.outboxes[0])])


def _follow(work: Work, feeding: Feeding, projection: Projection) -> Iterator[Step]:
    state, digest = work.state, {"sha256": _digest(feeding, projection)}
    known = state.positions(MADE).get(projection.name)
    if known is not None and not relations.has_schema(state.connection, projection.name):
        # Its place in the feed is of tables that are gone: it begins again, or what came before would be missing.
        with state.connection.transaction():
            relations.run(state.connection, dropped(Name(feeding.feed.schema, projection.name), tables=False))
            for step in (MADE, NEXT):
                state.forget(step, projection.name)
        known = None
    if known is None:
        yield from _begin(work, feeding, projection, "live", MADE, digest)
    elif known != digest:
        if state.positions(NEXT).get(projection.name) != digest:
            yield from _begin(work, feeding, projection, "next", NEXT, digest)
        yield from _advance(work, projection, "next")
        started = time.monotonic()
        with state.connection.transaction(), rights_kept(state.connection, projection.name):
            relations.run(state.connection, swap(projection))
            told = look_at_schema(work.spec, state, projection.name)
            state.checkpoint(MADE, projection.name, digest)
            state.checkpoint(NEXT, projection.name, {})
        yield _step(projection, "exchanged", (0, 0), "built anew", started, told)
    yield from _advance(work, projection, "live")


def _digest(feeding: Feeding, projection: Projection) -> str:
    """Of all that its rows depend on besides the events."""
    said = repr((feeding.version, projection.tables, sorted(projection.handlers.items())))
    return hashlib.sha256(said.encode()).hexdigest()


def _begin(
    work: Work, feeding: Feeding, projection: Projection, slot: str, step: str, digest: dict[str, str]
) -> Iterator[Step]:
    """An empty one at the first event; one of an outbox is filled with what the tables have."""
    statements = projection_tables(projection) if slot == "live" else start_rebuild(projection)
    started = time.monotonic()
    try:
        with telling(work.place.conninfo, values=False), feeding.still(work):
            relations.run(work.state.connection, statements)
            counted = fill(work, feeding, projection, slot) if feeding.outboxes else (0, 0)
            told = look_at_schema(work.spec, work.state, projection.name) if slot == "live" else ()
            work.state.checkpoint(step, projection.name, digest)
    except UsageProblem as problem:
        raise UsageProblem(
            f"the projection {projection.name} cannot be begun: {problem.what}",
            where=work.spec.file,
            expected=problem.expected,
            try_="tables and handlers that take what is there",
        ) from problem
    if feeding.outboxes:
        yield _step(projection, "rows that were there", counted, "filled", started, told)


def _advance(work: Work, projection: Projection, slot: str) -> Iterator[Step]:
    """To the end. A projection that checks look at goes there at once: in between a transaction may be half applied."""
    if slot == "live" and checks_of(work.spec, projection.name):
        yield from _at_once(work, projection)
    else:
        yield from _in_batches(work, projection, slot)


def _at_once(work: Work, projection: Projection) -> Iterator[Step]:
    """What is left of the window that was begun, and all that has come since; taken back where a check fails."""
    connection, started = work.state.connection, time.monotonic()
    try:
        with telling(work.place.conninfo, values=False), connection.transaction():
            rows = [relations.run(connection, [advance(projection, _ALL)]) or (0, 0) for _ in range(WINDOWS)]
            counted = [sum(row[number] for row in rows) for number in range(2)]
            told = look_at_schema(work.spec, work.state, projection.name) if counted[0] else ()
    except CheckFails:
        raise
    except UsageProblem:
        # Which event is it? They are applied again, fewer at a time, and taken back.
        with connection.transaction(force_rollback=True):
            for _ in _in_batches(work, projection, "live"):
                pass
        raise
    if counted[0]:
        yield _step(projection, "events", counted, "applied", started, told)


def _in_batches(work: Work, projection: Projection, slot: str) -> Iterator[Step]:
    """A batch a transaction; smaller ones where one is refused, down to the event that is.

    A batch that is not full ends a window. After the one that was begun before, and one that this run has opened, it
    has what was there when it began: others may go on writing for ever.
    """
    size, ended = BATCH, 0
    while ended < WINDOWS:
        started = time.monotonic()
        try:
            with telling(work.place.conninfo, values=False), work.state.connection.transaction():
                row = relations.run(work.state.connection, [advance(projection, size, slot)])
        except UsageProblem as problem:
            if size == 1:
                raise _refused(work, projection, slot, problem) from problem
            size //= 2
            continue
        assert row is not None
        if row[0] == 0:
            return
        ended += row[0] < size
        yield _step(projection, "events", row, "applied" if slot == "live" else "built beside", started)


def _refused(work: Work, projection: Projection, slot: str, problem: UsageProblem) -> UsageProblem:
    query = peek(projection.feed, projection.name, 1, slot)
    row = relations.run(work.state.connection, [query])
    assert row is not None
    position, stream, version, type_ = row[:4]
    return UsageProblem(
        f"the projection {projection.name} stands before event {position} ({type_}, version {version} of {stream}):"
        f" {problem.what}",
        where=work.spec.file,
        expected="a handler that takes every event of its type, also one whose content was erased",
        try_="mend the handler: the projection is then built anew from the first event; or, where its tables are gone,"
        f" DROP SCHEMA {identifier(projection.name)} CASCADE; and the next run makes it again",
    )


def _step(
    projection: Projection,
    unit: str,
    counted: Sequence[int],
    way: str,
    started: float,
    told: tuple[Verdict, ...] = (),
) -> Step:
    """Events without a handler change nothing."""
    read, applied = counted[0], counted[1]
    counts = Counts(read=read, inserted=applied, unchanged=read - applied)
    source = str(projection.feed.source)
    return Step(source, unit, projection.name, counts, way, time.monotonic() - started, told)
