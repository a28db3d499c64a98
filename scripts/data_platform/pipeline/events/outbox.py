"""An outbox: each change of a table's rows as a row more, written by the transaction that makes the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

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
    `zoned` columns of the key are of type timestamptz, which each session writes in its own zone. `virtual` are
    generated columns that are not stored, by their expressions. `partitions` have triggers for TRUNCATE of their own.
    """

    schema: str
    table: Name
    key: tuple[str, ...]
    name: str = ""
    zoned: frozenset[str] = frozenset()
    virtual: Mapping[str, Sql] = field(default_factory=lambda: MappingProxyType({}))
    partitions: tuple[Sql, ...] = ()

    def __post_init__(self) -> None:
        if not self.key:
            raise UsageProblem(
                "no key", where=f"outbox of {self.table}", expected="the primary key's columns"
            )

    @property
    def feed(self) -> Feed:
        """What projections and relays read. `version` of a row is its position: the greater is the newer."""
        return outbox_feed(self.schema)

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
        zone = dict.fromkeys(self.zoned, " AT TIME ZONE 'UTC'")
        parts = joined(", ", [Sql(f"{row}.{identifier(name)}{zone.get(name, '')}") for name in self.key])
        key = Sql(f"jsonb_build_array({parts})::text")
        return phrase("{name} || {key}", name=literal(f"{self.name} "), key=key) if self.name else key

    def payload(self, row: str) -> Sql:
        """What is told of the row that a trigger has under this name."""
        if not self.virtual:
            return Sql(f"to_jsonb({row})")
        made = [phrase("{name}, {sql}", name=literal(name), sql=sql) for name, sql in self.virtual.items()]
        return phrase(
            "to_jsonb({row}) || (SELECT jsonb_build_object({made}) FROM (SELECT {row}.*) AS r)",
            row=Sql(row),
            made=joined(", ", made),
        )


def outbox_feed(schema: str) -> Feed:
    """The outbox of a schema, as its readers see it."""
    return Feed(Name(schema, "outbox"))


def outbox_tables(outbox: Outbox) -> tuple[Sql, ...]:
    """The outbox, the triggers that fill it, its readers. Rows that were there before are not in it.

    A changed key is a delete and an insert. A TRUNCATE is refused, since no rows can be told. The function runs as its
    owner, so that writers need no right to the outbox, and under settings of its own: a value is the same text,
    whoever writes it.
    """
    source, sources = outbox.feed.source, outbox.feed.named("sources")
    return (
        render("pipeline/outbox.sql.j2", schema=outbox.schema, outbox=source, sources=sources),
        function(
            outbox.function,
            Sql("() RETURNS trigger"),
            render(
                "pipeline/into_outbox_body.sql.j2",
                outbox=full(source),
                old=outbox.stream("OLD"),
                new=outbox.stream("NEW"),
                old_payload=outbox.payload("OLD"),
                new_payload=outbox.payload("NEW"),
                inserted=outbox.type("insert"),
                updated=outbox.type("update"),
                deleted=outbox.type("delete"),
            ),
            variables="use_column",
            how=_AS_OWNER,
        ),
        *(_trigger(outbox, qualified_name(outbox.table), events, level) for events, level in _TRIGGERS),
        *(_trigger(outbox, one, *_TRIGGERS[1]) for one in outbox.partitions),
        function(
            outbox.feed.named("outbox_emptied"),
            Sql("() RETURNS trigger"),
            phrase(
                "BEGIN UPDATE {sources} SET generation = gen_random_uuid(); RETURN NULL; END",
                sources=full(sources),
            ),
            how=_AS_OWNER,
        ),
        phrase(
            "CREATE OR REPLACE TRIGGER emptied BEFORE TRUNCATE ON {outbox} FOR EACH STATEMENT"
            " EXECUTE FUNCTION {function}()",
            outbox=qualified_name(source),
            function=qualified_name(outbox.feed.named("outbox_emptied")),
        ),
        *feed_tables(outbox.feed),
    )


_TRIGGERS = (("AFTER INSERT OR UPDATE OR DELETE", "ROW"), ("BEFORE TRUNCATE", "STATEMENT"))
_AS_OWNER = (
    "SECURITY DEFINER SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1"
    " SET bytea_output = 'hex'"
)


def _trigger(outbox: Outbox, table: Sql, events: str, level: str) -> Sql:
    return phrase(
        "CREATE OR REPLACE TRIGGER {name} {events} ON {table} FOR EACH {level} EXECUTE FUNCTION {function}()",
        name=identifier(outbox.trigger(level)),
        events=Sql(events),
        table=table,
        level=Sql(level),
        function=qualified_name(outbox.function),
    )


def generation(outbox: Outbox) -> Sql:
    """Which time this is that read models are filled from its table, and its partitions then. None before the first."""
    return phrase(
        "SELECT generation::text, partitions FROM {sources} WHERE name = {name}",
        sources=qualified_name(outbox.feed.named("sources")),
        name=literal(outbox.name),
    )


def noted(outbox: Outbox, *, anew: bool) -> Sql:
    """Note its partitions; `anew`: what was made of its table before is to be made anew, by whoever reads it."""
    return phrase(
        "INSERT INTO {sources} AS s (name, partitions) VALUES ({name}, ARRAY[{partitions}]::text[])"
        " ON CONFLICT (name) DO UPDATE SET partitions = excluded.partitions, generation = {generation}",
        sources=qualified_name(outbox.feed.named("sources")),
        name=literal(outbox.name),
        partitions=joined(", ", [literal(one) for one in outbox.partitions]),
        generation=Sql("excluded.generation" if anew else "s.generation"),
    )


def last_drawn(feed: Feed) -> Sql:
    """The greatest position that was ever given to a row, or to a row that was taken back."""
    return phrase("SELECT coalesce(pg_sequence_last_value({sequence}), 0)", sequence=_sequence(feed))


def drawn(feed: Feed, count: int = 1) -> Sql:
    """That many positions are drawn, and no row gets them: the last one."""
    return phrase(
        "SELECT max(nextval({sequence})) FROM generate_series(1, {count})",
        sequence=_sequence(feed),
        count=count,
    )


def _sequence(feed: Feed) -> Sql:
    return phrase(
        "pg_get_serial_sequence({outbox}, 'position')::regclass", outbox=literal(qualified_name(feed.source))
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
