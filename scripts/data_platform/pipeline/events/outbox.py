"""An outbox: each change of a table's rows as a row more, written by the transaction that makes the change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.events.feed import Feed, feed_tables, full, function
from data_platform.sql.templates import render
from data_platform.sql.text import (
    Sql,
    identifier,
    identifiers,
    joined,
    literal,
    phrase,
    qualified_name,
)


@dataclass(frozen=True)
class Outbox:
    """The table and the schema that its outbox lies in; `key` is what tells one row from another.

    Several tables may share a schema where each has a `name`, which their events' types and streams begin with.
    """

    schema: str
    table: Name
    key: tuple[str, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if not self.key:
            raise UsageProblem(
                "no key", where=f"outbox of {self.table}", expected="the primary key's columns"
            )

    @property
    def feed(self) -> Feed:
        """What projections and relays read. `version` of a row is its position: the greater is the newer."""
        return Feed(Name(self.schema, "outbox"))

    @property
    def function(self) -> Name:
        """What its triggers call."""
        return Name(self.schema, f"into_outbox_{self.name}" if self.name else "into_outbox")

    def trigger(self, level: str) -> str:
        """The name of one of its triggers. A table may be in the outboxes of several schemas."""
        return f"{self.schema}_{level.lower()}"

    @property
    def triggers(self) -> tuple[str, ...]:
        """The names of all of them, on its table."""
        return tuple(self.trigger(level) for _, level in _TRIGGERS)

    def type(self, change: str) -> str:
        """Of the event that tells an insert, update or delete."""
        return f"{self.name}.{change}" if self.name else change

    def stream(self, row: str) -> Sql:
        """The stream of a row of this alias, as an expression."""
        parts = joined(", ", [Sql(f"{row}.{identifier(name)}") for name in self.key])
        key = Sql(f"jsonb_build_array({parts})::text")
        return phrase("{name} || {key}", name=literal(f"{self.name} "), key=key) if self.name else key


def outbox_tables(outbox: Outbox) -> tuple[Sql, ...]:
    """The outbox, the triggers that fill it, its readers. Rows that were there before are not in it.

    A changed key is a delete and an insert. A TRUNCATE is refused, since no rows can be told.
    """
    source = outbox.feed.source
    return (
        render("pipeline/outbox.sql.j2", schema=outbox.schema, outbox=source),
        function(
            outbox.function,
            Sql("() RETURNS trigger"),
            render(
                "pipeline/into_outbox_body.sql.j2",
                outbox=full(source),
                old=outbox.stream("OLD"),
                new=outbox.stream("NEW"),
                inserted=outbox.type("insert"),
                updated=outbox.type("update"),
                deleted=outbox.type("delete"),
            ),
        ),
        *(_trigger(outbox, events, level) for events, level in _TRIGGERS),
        *feed_tables(outbox.feed),
    )


_TRIGGERS = (("AFTER INSERT OR UPDATE OR DELETE", "ROW"), ("BEFORE TRUNCATE", "STATEMENT"))


def _trigger(outbox: Outbox, events: str, level: str) -> Sql:
    return phrase(
        "CREATE OR REPLACE TRIGGER {name} {events} ON {table} FOR EACH {level} EXECUTE FUNCTION {function}()",
        name=identifier(outbox.trigger(level)),
        events=Sql(events),
        table=qualified_name(outbox.table),
        level=Sql(level),
        function=qualified_name(outbox.function),
    )


def purge(outbox: Outbox) -> Sql:
    """Deletes what every reader has confirmed; whoever comes later begins with what is left."""
    return phrase(
        "DELETE FROM {outbox} AS o WHERE o.xid < (SELECT min(r.window_from) FROM {readers} AS r)",
        outbox=qualified_name(outbox.feed.source),
        readers=qualified_name(outbox.feed.named("readers")),
    )


def guarded_upsert(table: str, key: Sequence[str], columns: Sequence[str]) -> Sql:
    """A statement for a projection: the row of payload, unless the table has one that is as new.

    The table needs `_version bigint` and `_gone boolean`: a deleted row stays as a tombstone, or an older event told
    again would bring it back.
    """
    every = [*key, *columns]
    rest = [*(f"{identifier(name)} = excluded.{identifier(name)}" for name in columns)]
    return phrase(
        "INSERT INTO {table} AS t ({every}, _version, _gone) SELECT {r}, e.version, right(e.type, 6) = 'delete'"
        " FROM jsonb_populate_record(NULL::{table}, e.payload) AS r"
        " ON CONFLICT ({key}) DO UPDATE SET {rest} WHERE t._version < excluded._version",
        table=identifier(table),
        every=identifiers(every),
        r=Sql(", ".join(f"r.{identifier(name)}" for name in every)),
        key=identifiers(key),
        rest=Sql(", ".join([*rest, "_version = excluded._version", "_gone = excluded._gone"])),
    )
