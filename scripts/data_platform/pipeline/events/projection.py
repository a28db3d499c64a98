"""A read model: tables in a schema of their own, and a statement for each type of event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.events.feed import Feed, full, function, register
from data_platform.spec.pipeline_patterns import MADE, NEXT, WRITES
from data_platform.sql.templates import render
from data_platform.sql.text import (
    MAX_IDENTIFIER_BYTES,
    NotSql,
    Sql,
    body,
    identifier,
    joined,
    literal,
    parse,
    phrase,
    qualified_name,
)

_COUNTED = "OUT read bigint, OUT applied bigint"


@dataclass(frozen=True)
class Projection:
    """`name` is the schema of its tables, which `tables` makes: CREATE TABLE, INDEX, VIEW, GRANT without a schema.

    `handlers` says by type of event the one statement that it leads to: it names tables without a schema, since they
    are made anew in another one, and the event's columns as `e.payload`, `e.stream`, `e.version` …
    Raises UsageProblem where one of these is something else.
    """

    name: str
    feed: Feed
    tables: tuple[Sql, ...]
    handlers: Mapping[str, Sql]

    def __post_init__(self) -> None:
        if len(self.name.encode()) > MAX_IDENTIFIER_BYTES - len("advance_" + NEXT):
            raise UsageProblem("a name too long to build anew beside", where=f"projection {self.name}")
        for text in self.tables:
            _check(self, text, MADE, "CREATE TABLE, INDEX, VIEW, SEQUENCE or GRANT")
        for text in self.handlers.values():
            _check(self, text, WRITES, "one INSERT, UPDATE, DELETE or MERGE")

    @property
    def next(self) -> str:
        """The schema in which it is built anew."""
        return self.name + NEXT


def _check(projection: Projection, text: Sql, kinds: Sequence[str], expected: str) -> None:
    where = f"projection {projection.name}: {text:.60}"
    try:
        statements = parse(text).stmts
    except NotSql as problem:
        raise UsageProblem(str(problem), where=where, expected=expected) from None
    if len(statements) != 1 or statements[0].stmt.WhichOneof("node") not in kinds:
        raise UsageProblem("another statement", where=where, expected=expected)


def projection_tables(projection: Projection) -> tuple[Sql, ...]:
    """Its schema, its function `advance_<name>` beside the feed, its place in the feed: at the beginning."""
    return (
        projection_schema(projection, projection.name),
        projection_function(projection),
        register(projection.feed, projection.name),
    )


def projection_function(projection: Projection, slot: str = "live") -> Sql:
    """The function that applies events, as the handlers say; the tables are as they were."""
    feed = projection.feed
    source = render(
        "pipeline/advance_body.sql.j2",
        readers=full(feed.named("readers")),
        peek=full(feed.named("peek")),
        confirm=full(feed.named("confirm")),
        projection=projection.name,
        live=projection.name,
        next=projection.next,
        handlers=_handlers(projection),
    )
    signature = Sql(f"(at_most bigint DEFAULT 1000, place text DEFAULT 'live', {_COUNTED})")
    return function(_function(projection, slot), signature, source, variables="use_column")


def advance(projection: Projection, at_most: int = 1000, slot: str = "live") -> Sql:
    """Apply the next events, each in order, and move the place, in one transaction.

    Returns how many were read, and how many of them have a handler; 0 read is all.
    """
    return phrase(
        "SELECT read, applied FROM {function}({at_most}, {slot})",
        function=qualified_name(_function(projection, slot)),
        at_most=at_most,
        slot=literal(slot),
    )


def _handlers(projection: Projection) -> Sql:
    listed = [{"type": type_, "statement": text} for type_, text in projection.handlers.items()]
    return render("pipeline/handlers_body.sql.j2", handlers=listed)


def replay(projection: Projection, schema: str, rows: Sql) -> tuple[Sql, Sql, Sql]:
    """Makes, calls and drops a function that applies these rows of a query to the tables in a schema.

    The rows have the columns of `peek` that the handlers use. The call returns what `advance` does.
    """
    name = projection.feed.named(f"replay_{projection.name}")
    source = render("pipeline/replay_body.sql.j2", schema=schema, rows=rows, handlers=_handlers(projection))
    return (
        function(name, Sql(f"({_COUNTED})"), source, variables="use_column"),
        phrase("SELECT read, applied FROM {name}()", name=qualified_name(name)),
        phrase("DROP FUNCTION {name}()", name=qualified_name(name)),
    )


def start_rebuild(projection: Projection) -> tuple[Sql, ...]:
    """An empty one beside, with tables and handlers as they are said now, read from the first event.

    Then run `advance(…, slot="next")` until it returns 0, and `swap`. One that was begun before and not ended is thrown
    away. Readers of the live one notice nothing.
    """
    return (
        phrase("DROP SCHEMA IF EXISTS {next} CASCADE", next=identifier(projection.next)),
        phrase(
            "DELETE FROM {readers} WHERE name = {name} AND slot = 'next'",
            readers=qualified_name(projection.feed.named("readers")),
            name=literal(projection.name),
        ),
        projection_schema(projection, projection.next),
        projection_function(projection, "next"),
        register(projection.feed, projection.name, "next"),
    )


def swap(projection: Projection) -> tuple[Sql, ...]:
    """In one transaction: what is missing is applied, the new one takes the old one's name, the old one goes.

    Views elsewhere that read the old tables make it fail with 2BP01, and then nothing has happened.
    """
    readers = qualified_name(projection.feed.named("readers"))
    name = literal(projection.name)
    functions = {slot: _function(projection, slot) for slot in ("live", "next")}
    arguments = Sql("(bigint, text)")
    return (
        phrase("DO {guard}", guard=body(render("pipeline/others_views_body.sql.j2", schema=projection.name))),
        phrase("SELECT FROM {readers} WHERE name = {name} FOR UPDATE", readers=readers, name=name),
        advance(projection, 2**62, "next"),
        phrase("DELETE FROM {readers} WHERE name = {name} AND slot = 'live'", readers=readers, name=name),
        phrase("UPDATE {readers} SET slot = 'live' WHERE name = {name}", readers=readers, name=name),
        phrase("DROP SCHEMA {live} CASCADE", live=identifier(projection.name)),
        phrase(
            "ALTER SCHEMA {next} RENAME TO {live}",
            next=identifier(projection.next),
            live=identifier(projection.name),
        ),
        phrase(
            # It is not there where the outbox was made anew.
            "DROP FUNCTION IF EXISTS {live}{arguments}",
            live=qualified_name(functions["live"]),
            arguments=arguments,
        ),
        phrase(
            "ALTER FUNCTION {next}{arguments} RENAME TO {live}",
            next=qualified_name(functions["next"]),
            arguments=arguments,
            live=identifier(functions["live"].name),
        ),
    )


def dropped(reader: Name, *, tables: bool) -> tuple[Sql, ...]:
    """A reader's place in the feed of that schema; with `tables` it is a projection, which goes with all of it.

    Views elsewhere that read its tables make it fail with 2BP01, and then nothing has happened.
    """
    readers = qualified_name(Name(reader.schema, "readers"))
    forget = phrase("DELETE FROM {readers} WHERE name = {name}", readers=readers, name=literal(reader.name))
    if not tables:
        return (forget,)
    found = [forget]
    for name in (reader.name, reader.name + NEXT):
        found += [
            phrase("DO {guard}", guard=body(render("pipeline/others_views_body.sql.j2", schema=name))),
            phrase("DROP SCHEMA IF EXISTS {name} CASCADE", name=identifier(name)),
            phrase(
                "DROP FUNCTION IF EXISTS {function}(bigint, text)",
                function=qualified_name(Name(reader.schema, f"advance_{name}")),
            ),
        ]
    return tuple(found)


def projection_schema(projection: Projection, name: str) -> Sql:
    """Its empty tables in a schema of this name: made within CREATE SCHEMA, so that their names need none."""
    return phrase(
        "CREATE SCHEMA {name} {parts}", name=identifier(name), parts=joined("\n", projection.tables)
    )


def _function(projection: Projection, slot: str = "live") -> Name:
    return projection.feed.named("advance_" + (projection.name if slot == "live" else projection.next))
