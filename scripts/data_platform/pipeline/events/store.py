"""Events: only added, each with its version in its stream, read as the newest schema version says them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.events.feed import Feed, feed_tables, full, function
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, phrase, qualified_name

CONFLICT = "ES409"
"""SQLSTATE of an append whose expected version is not the stream's: read again, decide again. Not 40001, which clients
repeat without reading."""
REFUSED = "ES403"
"""SQLSTATE of an UPDATE, DELETE or TRUNCATE of events."""
TOMBSTONE = "SubjectErased"
"""The event that `erase` appends to each stream it took content from; projections forget the subject by it."""


@dataclass(frozen=True)
class Upcaster:
    """`function(jsonb) RETURNS jsonb` makes the payload of version `since` of a type that of the next version."""

    type: str
    since: int
    function: Name


@dataclass(frozen=True)
class EventStore:
    """The schema that the events lie in, and how old ones are read."""

    schema: str
    upcasters: tuple[Upcaster, ...] = ()

    def __post_init__(self) -> None:
        counted = Counter((one.type, one.since) for one in self.upcasters)
        if twice := [f"{type_} {since}" for (type_, since), count in counted.items() if count > 1]:
            raise UsageProblem(
                f"two upcasters of {', '.join(twice)}",
                where=f"events {self.schema}",
                expected="one function a type and version",
            )

    @property
    def feed(self) -> Feed:
        """What projections read: events as the newest schema version says them."""
        return Feed(Name(self.schema, "current_events"), Name(self.schema, "events"), "append_only")

    @property
    def seed(self) -> int:
        """What makes the locks of its streams others than those of another store; the next one is of its subjects."""
        return sum(self.schema.encode())


def store_tables(store: EventStore) -> tuple[Sql, ...]:
    """Tables, `append`, `erase`, `read_stream`, `save_snapshot`, readers. Again after a change of the upcasters."""
    events, snapshots = Name(store.schema, "events"), Name(store.schema, "snapshots")
    append = Name(store.schema, "append")
    return (
        render("pipeline/events.sql.j2", schema=store.schema, events=events, snapshots=snapshots),
        *_append_only(store, events),
        function(
            append,
            Sql("(stream text, expected bigint, events jsonb, metadata jsonb DEFAULT '{}') RETURNS bigint"),
            render(
                "pipeline/append_body.sql.j2",
                table=full(events),
                conflict=CONFLICT,
                unique="events_stream_version_key",
                seed=store.seed,
                subject_seed=store.seed + 1,
            ),
        ),
        function(
            Name(store.schema, "upcast"),
            Sql("(type text, INOUT schema_version integer, INOUT payload jsonb)"),
            render("pipeline/upcast_body.sql.j2", steps=_steps(store)),
        ),
        _current(store, events),
        *_reading(store, events, snapshots),
        function(
            Name(store.schema, "erase"),
            Sql("(subject text, reason text) RETURNS bigint"),
            render(
                "pipeline/erase_body.sql.j2",
                table=full(events),
                snapshots=full(snapshots),
                append=full(append),
                tombstone=TOMBSTONE,
                conflict=CONFLICT,
                subject_seed=store.seed + 1,
                called="erase",
            ),
        ),
        *feed_tables(store.feed),
    )


def _steps(store: EventStore) -> list[dict[str, Any]]:
    return [{"type": one.type, "since": one.since, "function": full(one.function)} for one in store.upcasters]


def _append_only(store: EventStore, events: Name) -> tuple[Sql, ...]:
    name, table = qualified_name(Name(store.schema, "append_only")), qualified_name(events)
    return (
        function(
            Name(store.schema, "append_only"),
            Sql("() RETURNS trigger"),
            render("pipeline/append_only_body.sql.j2", refused=REFUSED),
        ),
        phrase(
            "CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW"
            " EXECUTE FUNCTION {name}()",
            table=table,
            name=name,
        ),
        phrase(
            "CREATE OR REPLACE TRIGGER append_only_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"
            " EXECUTE FUNCTION {name}()",
            table=table,
            name=name,
        ),
    )


def _current(store: EventStore, events: Name) -> Sql:
    """Content that was erased is not upcast: no function knows what to make of nothing."""
    plain = Sql("SELECT e.schema_version, e.payload")
    upcast = phrase(
        "SELECT u.schema_version, u.payload FROM {upcast}(e.type, e.schema_version, e.payload) AS u"
        " WHERE e.erased_at IS NULL UNION ALL {plain} WHERE e.erased_at IS NOT NULL",
        upcast=qualified_name(Name(store.schema, "upcast")),
        plain=plain,
    )
    return phrase(
        "CREATE OR REPLACE VIEW {view} AS SELECT e.position, e.xid, e.stream, e.version, e.type, r.schema_version,"
        " r.payload, e.metadata, e.subject, e.recorded_at, e.erased_at"
        " FROM {events} AS e CROSS JOIN LATERAL ({read}) AS r",
        view=qualified_name(store.feed.source),
        events=qualified_name(events),
        read=upcast if store.upcasters else plain,
    )


def _reading(store: EventStore, events: Name, snapshots: Name) -> tuple[Sql, ...]:
    read, save = Name(store.schema, "read_stream"), Name(store.schema, "save_snapshot")
    current = full(store.feed.source)
    found = phrase(
        "BEGIN RETURN QUERY SELECT e.* FROM {current} AS e WHERE e.stream = read_stream.stream"
        " AND e.version > read_stream.after ORDER BY e.version; END",
        current=current,
    )
    kept = render(
        "pipeline/save_snapshot_body.sql.j2",
        table=full(events),
        snapshots=full(snapshots),
        tombstone=TOMBSTONE,
        seed=store.seed,
        called="save_snapshot",
    )
    return (
        function(
            read,
            phrase("(stream text, after bigint DEFAULT 0) RETURNS SETOF {current} STABLE", current=current),
            found,
        ),
        function(
            save,
            Sql("(stream text, version bigint, state jsonb, schema_version integer DEFAULT 1) RETURNS void"),
            kept,
        ),
    )
