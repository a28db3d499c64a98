"""A table that is only added to, read on by many readers, each with a place of its own.

The table has position, xid (of the writing transaction), stream, version, type, payload, metadata, recorded_at.
"""

from __future__ import annotations

from dataclasses import dataclass

from data_platform.model.database import Name
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, body, literal, phrase, qualified, qualified_name

ROWS = Sql(
    '"position" bigint, stream text, version bigint, type text, payload jsonb, metadata jsonb,'
    " recorded_at timestamptz, window_from xid8, window_to xid8"
)
"""What `peek` returns: the rows, and the window of transactions they are of, which `confirm` wants again."""
WINDOWS = 2
"""Of transactions, after which a reader has all that was there when it began: one begun before, and one of its own."""


@dataclass(frozen=True)
class Feed:
    """What is read. Readers and functions lie in its schema.

    `table` holds the rows where `source` is a view of it, and `guard` is its trigger that refuses an UPDATE.
    """

    source: Name
    table: Name | None = None
    guard: str | None = None

    @property
    def schema(self) -> str:
        """Where all of it lies."""
        return self.source.schema

    def named(self, name: str) -> Name:
        """Something else in that schema."""
        return Name(self.schema, name)


def feed_tables(feed: Feed) -> tuple[Sql, ...]:
    """Readers, `peek(reader, at_most)`, `confirm(reader, from, to, position)` and `adopt()`.

    The last is for a database restored from a dump, whose rows name transactions of another cluster: `peek` refuses
    to go on from there, since new transactions have smaller numbers and would be lost.
    """
    readers = feed.named("readers")
    return (
        render("pipeline/readers.sql.j2", readers=readers),
        function(
            feed.named("peek"),
            phrase(
                "(reader text, at_most bigint DEFAULT 1000, place text DEFAULT 'live') RETURNS TABLE ({rows})",
                rows=ROWS,
            ),
            render("pipeline/peek_body.sql.j2", readers=full(readers), source=full(feed.source)),
            variables="use_column",
        ),
        function(
            feed.named("confirm"),
            Sql(
                "(reader text, reached_from xid8, reached_to xid8, reached bigint, place text DEFAULT 'live')"
                " RETURNS void"
            ),
            render("pipeline/confirm_body.sql.j2", readers=full(readers)),
        ),
        function(
            feed.named("adopt"),
            Sql("() RETURNS void"),
            render(
                "pipeline/adopt_body.sql.j2",
                readers=full(readers),
                table=full(feed.table or feed.source),
                guard=feed.guard,
            ),
        ),
    )


def register(feed: Feed, reader: str, slot: str = "live") -> Sql:
    """Make a reader that begins at the first row; nothing where it is there."""
    return phrase(
        "INSERT INTO {readers} (name, slot) VALUES ({name}, {slot}) ON CONFLICT DO NOTHING",
        readers=qualified_name(feed.named("readers")),
        name=literal(reader),
        slot=literal(slot),
    )


def peek(feed: Feed, reader: str, at_most: int = 1000, slot: str = "live") -> Sql:
    """The next rows, each stream's in order. Writes nothing, so a slow reader keeps nobody waiting.

    A relay into another store reads so, writes them there by id and version, and then calls `confirm` with the last
    row's window_from, window_to and position. Killed in between it reads them again: at least once. Two relays of one
    name are kept apart by `pg_try_advisory_lock`, held by the session.
    """
    return phrase(
        "SELECT * FROM {peek}({reader}, {at_most}, {slot})",
        peek=qualified_name(feed.named("peek")),
        reader=literal(reader),
        at_most=at_most,
        slot=literal(slot),
    )


def confirm(feed: Feed, reader: str, window: tuple[object, object], position: int) -> Sql:
    """That a relay has done everything up to here: the window and the position of the last row that `peek` gave."""
    return phrase(
        "SELECT {confirm}({reader}, {reached_from}::xid8, {reached_to}::xid8, {position})",
        confirm=qualified_name(feed.named("confirm")),
        reader=literal(reader),
        reached_from=literal(str(window[0])),
        reached_to=literal(str(window[1])),
        position=position,
    )


def full(name: Name) -> Sql:
    """With its schema, also where that is public: within our functions nothing is on the search path."""
    return qualified(name.schema, name.name)


def function(name: Name, signature: Sql, source: Sql, *, variables: str = "", how: str = "") -> Sql:
    """CREATE OR REPLACE FUNCTION in PL/pgSQL; no name in `source` can end it. `how` says more of how it runs."""
    conflict = f"#variable_conflict {variables}\n" if variables else ""
    return phrase(
        "CREATE OR REPLACE FUNCTION {name} {signature} LANGUAGE plpgsql{how} SET search_path = pg_catalog, pg_temp"
        " AS {source}",
        how=Sql(f" {how}" if how else ""),
        name=qualified_name(name),
        signature=signature,
        source=body(f"\n{conflict}{source}\n"),
    )
