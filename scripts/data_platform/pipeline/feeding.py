"""What projections are fed from: an event store, or an outbox that triggers on the spec's tables fill."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.events import (
    EventStore,
    Feed,
    Outbox,
    Projection,
    Upcaster,
    generation,
    noted,
    outbox_beside,
    outbox_triggers,
    replay,
    store_tables,
)
from data_platform.pipeline.writing import Work
from data_platform.postgres.pipelines import followed, relations, views
from data_platform.postgres.pipelines.models import standing_still
from data_platform.postgres.pipelines.relations import table_name
from data_platform.postgres.pipelines.state import Connection
from data_platform.spec.pipeline import Pipeline, Source
from data_platform.spec.pipeline_patterns import EventsSpec
from data_platform.sql.text import Sql, body, identifier, joined, literal, phrase, qualified, qualified_name

STEP = "_dpe_feed"
"""Under which it is remembered what a store or outbox was made by."""
_TRIGGERS = 2


@dataclass(frozen=True)
class Feeding:
    """The feed and, of `cqrs`, the outboxes behind it. `version` is another one once projections must be built anew."""

    feed: Feed
    outboxes: tuple[Outbox, ...] = ()
    version: str = ""

    @contextmanager
    def still(self, work: Work) -> Iterator[None]:
        """A transaction in which the tables of the outboxes stand still; a dry run keeps nothing, and stops nobody."""
        if self.outboxes and not work.dry_run:
            tables = [table_name(one.table) for one in self.outboxes]
            with standing_still(work.state.connection, work.place.conninfo, tables):
                yield
        else:
            with work.state.connection.transaction():
                yield


def feeding_of(work: Work) -> Feeding:
    """Made where it is not there, and again where the spec or this package say it otherwise."""
    return _store(work) if work.spec.kept.events else _outboxes(work)


def event_store(spec: EventsSpec) -> EventStore:
    """The store of a spec."""
    upcasters = (Upcaster(one.type, one.since, Name(spec.schema, one.function)) for one in spec.upcasters)
    return EventStore(spec.schema, tuple(upcasters))


def outboxes_of(spec: Pipeline, connection: Connection) -> tuple[Outbox, ...]:
    """One for each source, all in one schema, as the tables are now."""
    return tuple(
        _outbox(spec.kept.outbox, one.name, one.table, one.key, connection)
        for one in spec.sources
        if one.table is not None
    )


def _outbox(schema: str, name: str, table: Name, key: tuple[str, ...], connection: Connection) -> Outbox:
    there = table_name(table)
    kinds = followed.kinds(connection, there, key)
    return Outbox(
        schema,
        table,
        key,
        name,
        zoned=frozenset(name for name, kind in kinds.items() if kind.type == "timestamp with time zone"),
        virtual=followed.virtual_columns(connection, there),
        partitions=followed.tables_below(connection, there),
    )


# --- an event store ---


def _store(work: Work) -> Feeding:
    spec = work.spec.kept.events
    assert spec is not None
    said = repr(spec.upcasters)
    digest = hashlib.sha256(said.encode()).hexdigest()
    _refuse_gone(work, spec.schema)
    statements = (*store_statements(spec), *definition(spec.schema, work.spec.name, digest))
    _install(work, spec.schema, statements, upcasters=digest)
    return Feeding(event_store(spec).feed, version=said)


def _refuse_gone(work: Work, schema: str) -> None:
    """UsageProblem where a run has made this store before, and its events are not there: nothing gives them again."""
    state = work.state
    made = schema in state.positions(STEP)
    if made and relations.read_relation(state.connection, table_name(Name(schema, "events"))) is None:
        forget = phrase(
            "DELETE FROM {checkpoints} WHERE pipeline = {pipeline};",
            checkpoints=state.table("checkpoints"),
            pipeline=literal(work.spec.name),
        )
        raise UsageProblem(
            f"the event store {schema} is gone, and its events with it",
            where=work.spec.file,
            expected=f"the table {schema}.events, as the runs before have left it",
            try_="restore it from a backup; or, to begin with an empty store: drop the schemas of the projections, and"
            f" {forget}",
        )


def store_statements(spec: EventsSpec) -> tuple[Sql, ...]:
    """What makes it, in a schema that is there."""
    return (*_upcasters(spec), *store_tables(event_store(spec)))


def _upcasters(spec: EventsSpec) -> Iterator[Sql]:
    """A function for each; none of them reads anything but the payload."""
    for one in spec.upcasters:
        yield phrase(
            "CREATE OR REPLACE FUNCTION {name}(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS {source}",
            name=qualified(spec.schema, one.function),
            source=body(f"SELECT {one.sql}"),
        )


def definition(schema: str, pipeline: str, digest: str) -> tuple[Sql, ...]:
    """By what upcasters a store reads, and whose they are."""
    table = qualified(schema, "definition")
    return (
        phrase(
            "CREATE TABLE IF NOT EXISTS {table} (id int PRIMARY KEY CHECK (id = 1), upcasters text NOT NULL,"
            " pipeline text NOT NULL)",
            table=table,
        ),
        phrase(
            "INSERT INTO {table} AS d VALUES (1, {digest}, {pipeline}) ON CONFLICT (id) DO UPDATE"
            " SET upcasters = excluded.upcasters, pipeline = excluded.pipeline"
            " WHERE d.upcasters <> excluded.upcasters",
            table=table,
            digest=literal(digest),
            pipeline=literal(pipeline),
        ),
    )


def _refuse_other_upcasters(work: Work, schema: str, mine: str, known: str | None) -> None:
    """UsageProblem where another pipeline reads this store by other upcasters, and they are not changed by us now."""
    connection, table = work.state.connection, qualified(schema, "definition")
    if relations.read_relation(connection, table) is None:
        return
    row = relations.run(connection, [phrase("SELECT upcasters, pipeline FROM {table}", table=table)])
    if row is not None and row[0] not in (mine, known):
        raise UsageProblem(
            f"the event store {schema} reads old events by the upcasters of the pipeline {row[1]}; these are others",
            where=work.spec.file,
            expected="the same `upcasters:` in every spec of a store, since all of them read the same events",
            try_=f"copy them from the spec of {row[1]}",
        )


def _install(work: Work, schema: str, statements: Sequence[Sql], upcasters: str | None = None) -> None:
    """Run them, unless they were run before."""
    state = work.state
    position = {"sha256": hashlib.sha256("\n".join(statements).encode()).hexdigest()}
    position |= {"upcasters": upcasters} if upcasters else {}
    known = state.positions(STEP).get(schema, {})
    if known == position and upcasters is None:
        return
    with state.connection.transaction():
        # Another pipeline may be making the same one.
        relations.run(state.connection, [_lock(schema)])
        if upcasters is not None:
            _refuse_other_upcasters(work, schema, upcasters, known.get("upcasters"))
        if known == position:
            return
        relations.create_schema(state.connection, schema)
        relations.run(state.connection, statements)
        state.checkpoint(STEP, schema, position)


def _lock(schema: str) -> Sql:
    return phrase(
        "SELECT pg_advisory_xact_lock(hashtextextended({name}, 0))", name=literal(f"dpe feed {schema}")
    )


# --- an outbox ---


def _outboxes(work: Work) -> Feeding:
    connection, schema = work.state.connection, work.spec.kept.outbox
    for source in work.spec.sources:
        _refuse_unfollowed(work, source)
    found = outboxes_of(work.spec, connection)
    for one in found:
        _take_over(work, one)
    silent = [one for one in found if _is_silent(connection, one)]
    statements = [statement for one in found for statement in outbox_beside(one)]
    if not work.dry_run:  # whose transaction goes on to its end, and would hold up who writes to the tables
        statements += [statement for one in found for statement in outbox_triggers(one)]
    if silent:
        # What changed while nobody told it is in no outbox: all that was made from it is to be made anew, by every
        # pipeline that reads it. Another one may be about to say so.
        with connection.transaction():
            relations.run(connection, [_lock(schema)])
            relations.create_schema(connection, schema)
            silent = [one for one in silent if _is_silent(connection, one)]
            relations.run(connection, [*statements, *(noted(one, anew=True) for one in silent)])
    _install(work, schema, [*statements, *(noted(one, anew=False) for one in found)])
    generations = [(relations.run(connection, [generation(one)]) or ("",))[0] for one in found]
    return Feeding(
        found[0].feed, found, repr((generations, [(one.name, one.table, one.key) for one in found]))
    )


def _refuse_unfollowed(work: Work, source: Source) -> None:
    """UsageProblem for a table whose rows triggers cannot tell, or whose key does not tell rows apart."""
    connection = work.state.connection
    assert source.table is not None
    name = table_name(source.table)
    if relations.read_relation(connection, name) is None:
        raise UsageProblem(f"there is no table {source.table}", where=work.spec.file)
    if not relations.has_key(connection, name, source.key):
        listed = ", ".join(source.key)
        raise UsageProblem(f"{source.table} has no unique index on {listed}", where=work.spec.file)
    if empty := [column for column in source.key if column in followed.nullable(connection, name)]:
        raise UsageProblem(
            f"{', '.join(empty)} of {source.table} may be NULL, and rows without a key are one and the same",
            where=work.spec.file,
            expected="a key of columns that are NOT NULL",
            try_=f"ALTER TABLE {name} ALTER COLUMN {identifier(empty[0])} SET NOT NULL, or another key:",
        )
    below = followed.tables_below(connection, name)
    if below and not followed.is_partitioned(connection, name):
        raise UsageProblem(
            f"{', '.join(below)} inherits from {source.table}: its rows have no key in common with the others",
            where=work.spec.file,
            expected="a table that none inherits from, or a partitioned one",
            try_="each of the tables below as a source of its own, or PARTITION BY",
        )


def _take_over(work: Work, outbox: Outbox) -> None:
    """Let go of what an earlier version of the spec had under this name. UsageProblem where others may live by it.

    A table whose changes come under the name of another one would be read as rows of that.
    """
    connection, function = work.state.connection, qualified_name(outbox.function)
    strange = views.strangers(connection, table_name(outbox.table), function, outbox.triggers)
    others = work.state.others(STEP, outbox.schema) if strange else ()
    if others:
        told = ", ".join(f"{one.table} by {one.function}()" for one in dict.fromkeys(strange))
        raise UsageProblem(
            f"the outbox in {outbox.schema} has another table or name for `{outbox.name}`: {told}",
            where=work.spec.file,
            expected=f"one table for each name of a source in an outbox that {', '.join(others)} reads too",
            try_="another `outbox:` or the same `sources:`; if no spec has that any more:"
            f" DROP TRIGGER {identifier(strange[0].name)} ON {strange[0].table};",
        )
    with connection.transaction():
        for one in strange:
            drop = phrase("DROP TRIGGER {name} ON {table}", name=identifier(one.name), table=Sql(one.table))
            relations.run(connection, [drop])


def _is_silent(connection: Connection, outbox: Outbox) -> bool:
    """Whether rows may have changed that it was not told of.

    Its triggers are not all there and on; a partition went with its rows, or came with some.
    """
    on = views.triggers_on(connection, table_name(outbox.table), qualified_name(outbox.function))
    if on < _TRIGGERS or relations.read_relation(connection, _sources(outbox)) is None:
        return True
    row = relations.run(connection, [generation(outbox)])
    if row is None:
        return True
    known, there = set(row[1]), set(outbox.partitions)
    return bool(known - there) or followed.is_any_row_in(connection, [Sql(one) for one in there - known])


def _sources(outbox: Outbox) -> Sql:
    return table_name(outbox.feed.named("sources"))


def fill(work: Work, feeding: Feeding, projection: Projection, slot: str) -> tuple[int, int]:
    """Apply what the tables have now, and let the reader begin behind it.

    Nobody is writing to the tables, so what their outbox holds is in them, and what comes gets greater positions.
    """
    connection, feed = work.state.connection, feeding.feed
    floor = _floor(feed)
    rows = rows_of_tables(feeding.outboxes)
    make, call, drop = replay(projection, projection.name if slot == "live" else projection.next, rows)
    relations.run(connection, [make])
    counted = relations.run(connection, [call])
    assert counted is not None
    relations.run(connection, [drop, begin_behind(feed, projection.name, slot, floor)])
    return int(counted[0]), int(counted[1])


def begin_behind(feed: Feed, reader: str, slot: str, floor: Sql) -> Sql:
    """What is up to that position the reader has from elsewhere."""
    return phrase(
        "UPDATE {readers} SET floor = {floor} WHERE name = {name} AND slot = {slot}",
        readers=qualified_name(feed.named("readers")),
        floor=floor,
        name=literal(reader),
        slot=literal(slot),
    )


def rows_of_tables(outboxes: Sequence[Outbox]) -> Sql:
    """What the tables have, as the events that would have told it."""
    floor = _floor(outboxes[0].feed)
    return joined(" UNION ALL ", [rows_of_table(one, floor) for one in outboxes])


def _floor(feed: Feed) -> Sql:
    return phrase("(SELECT coalesce(max(position), 0) FROM {outbox})", outbox=qualified_name(feed.source))


def rows_of_table(outbox: Outbox, floor: Sql) -> Sql:
    """The rows of a table, each as the event that would have told its insert."""
    return phrase(
        "SELECT {floor} AS position, {stream} AS stream, {floor} AS version, {type} AS type, to_jsonb(r.*) AS payload,"
        " '{{}}'::jsonb AS metadata, clock_timestamp() AS recorded_at FROM {table} AS r",
        floor=floor,
        stream=outbox.stream("r"),
        type=literal(outbox.type("insert")),
        table=qualified(outbox.table.schema, outbox.table.name),
    )
