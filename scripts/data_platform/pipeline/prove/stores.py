"""Stores that others write to: tables of the spec with random changes, an event store with random streams."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg

from data_platform.errors import UsageProblem
from data_platform.pipeline.feeding import store_statements
from data_platform.pipeline.prove.data import Row, Shape, as_json, rows_of
from data_platform.postgres.pipelines import relations
from data_platform.postgres.pipelines.relations import table_name
from data_platform.spec.pipeline import Pipeline, Source
from data_platform.spec.pipeline_patterns import CollectionSpec, EventsSpec
from data_platform.sql.text import Sql, identifier, identifiers, joined, literal, phrase, qualified

Connection = psycopg.Connection[Any]
_WRITERS, _TRANSACTIONS, _LATE_SECONDS = 3, 10, 0.03
_ROLLED_BACK = 0.1
_STREAMS = 30
_ONE_OF_THEM = "ctid = (SELECT ctid FROM {table} ORDER BY random() LIMIT 1)"


class Store(Protocol):
    """What is there before the first run, and one random change."""

    def fill(self, connection: Connection) -> None: ...
    def change(self, connection: Connection, draw: random.Random) -> None: ...


# --- tables ---


@dataclass(frozen=True)
class Tables:
    """The spec's sources as tables: rows are put in, changed and deleted."""

    sources: Sequence[Source]
    rows: Mapping[str, Sequence[Row]]

    def fill(self, connection: Connection) -> None:
        """Each table with its key, and the first half of its rows; those of a key that comes again replace it."""
        for source in self.sources:
            assert source.table is not None
            columns = {name: str(type_) for name, type_ in source.columns.items()}
            relations.create_table(connection, source.table, columns, source.key)
            rows = self.rows[source.name]
            with connection.cursor() as cursor:
                cursor.executemany(
                    _put(source).encode(),
                    [[row[name] for name in source.columns] for row in rows[: len(rows) // 2]],
                )

    def change(self, connection: Connection, draw: random.Random) -> None:
        """A row of one of them comes, changes or goes."""
        source = draw.choice(self.sources)
        assert source.table is not None
        row = draw.choice(self.rows[source.name])
        kind = draw.random()
        one = phrase(_ONE_OF_THEM, table=table_name(source.table))
        rest = [name for name in source.columns if name not in source.key]
        if kind < 0.5 or not rest:
            connection.execute(_put(source).encode(), [row[name] for name in source.columns])
        elif kind < 0.8:
            text = "UPDATE {table} SET {rest} WHERE {one}"
            set_ = joined(", ", [Sql(f"{identifier(name)} = %s") for name in rest])
            update = phrase(text, table=table_name(source.table), rest=set_, one=one)
            connection.execute(update.encode(), [row[name] for name in rest])
        else:
            delete = phrase("DELETE FROM {table} WHERE {one}", table=table_name(source.table), one=one)
            connection.execute(delete.encode())


def tables_of(spec: Pipeline, rows: int, seed: int) -> Tables:
    """Made up from the columns of the spec's sources. UsageProblem where it does not say them."""
    made = {}
    for source in spec.sources:
        if not source.columns:
            raise UsageProblem(
                f"what columns has `{source.name}`?",
                where=spec.file,
                expected="columns: {id: bigint, …}, so that rows can be made for it",
            )
        shape = Shape(source.columns, source.key, None, None)
        made[source.name] = rows_of(shape, rows, f"{seed} {source.name}")
        for one in spec.kept.collections:
            if one.source == source.name:
                _with_vectors(made[source.name], one, source.columns[one.column])
    return Tables(spec.sources, made)


def _with_vectors(rows: Sequence[Row], one: CollectionSpec, type_: Sql) -> None:
    """As many numbers as the collection has; one row in ten has none yet."""
    draw = random.Random(one.name)  # noqa: S311 - made-up data
    begin, end = "{}" if type_.strip().endswith("[]") else "[]"
    for row in rows:
        values = ",".join(str(draw.randrange(-99, 100) / 8) for _ in range(one.dimensions))
        row[one.column] = None if draw.random() < 0.1 else f"{begin}{values}{end}"


def _put(source: Source) -> Sql:
    """An INSERT of one row, which replaces that of its key."""
    assert source.table is not None
    rest = [name for name in source.columns if name not in source.key]
    set_ = joined(", ", [Sql(f"{identifier(name)} = excluded.{identifier(name)}") for name in rest])
    again = Sql("")
    if source.key:
        action = phrase("DO UPDATE SET {set_}", set_=set_) if rest else Sql("DO NOTHING")
        again = phrase(" ON CONFLICT ({key}) {action}", key=identifiers(source.key), action=action)
    return phrase(
        "INSERT INTO {table} ({columns}) VALUES ({values}){again}",
        table=table_name(source.table),
        columns=identifiers(source.columns),
        values=joined(", ", [Sql("%s")] * len(source.columns)),
        again=again,
    )


# --- events ---


@dataclass(frozen=True)
class Events:
    """An event store: streams that begin with the first type and go on at random; subjects that are forgotten."""

    spec: EventsSpec
    payloads: Mapping[str, Sequence[Mapping[str, Any]]]
    count: int

    def fill(self, connection: Connection) -> None:
        relations.create_schema(connection, self.spec.schema)
        relations.run(connection, store_statements(self.spec))
        draw = random.Random(self.count)  # noqa: S311 - made-up data
        with connection.transaction():
            for _ in range(self.count // 4):
                self.append(connection, draw)

    def change(self, connection: Connection, draw: random.Random) -> None:
        """Append to a stream, or forget a subject."""
        if draw.random() < 0.05 and any(one.subject for one in self.spec.types.values()):
            self.erase(connection, _subject(draw.randrange(_STREAMS)))
        else:
            self.append(connection, draw)

    def append(self, connection: Connection, draw: random.Random) -> None:
        """An event or two, by who has seen the stream as it is; refused where somebody was first."""
        number = draw.randrange(_STREAMS)
        events = qualified(self.spec.schema, "events")
        seen = phrase("SELECT coalesce(max(version), 0) FROM {events} WHERE stream = %s", events=events)
        row = connection.execute(seen.encode(), [f"stream {number}"]).fetchone()
        assert row is not None
        types = [*self.spec.types]
        chosen = [draw.choice(types) if row[0] or later else types[0] for later in range(draw.randint(1, 2))]
        written = [self._event(type_, number, draw) for type_ in chosen]
        append = phrase("SELECT {append}(%s, %s, %s)", append=qualified(self.spec.schema, "append"))
        connection.execute(append.encode(), [f"stream {number}", row[0], json.dumps(written)])

    def _event(self, type_: str, number: int, draw: random.Random) -> dict[str, Any]:
        versions = [one.since for one in self.spec.upcasters if one.type == type_]
        event = {
            "type": type_,
            "payload": draw.choice(self.payloads[type_]),
            "schema_version": draw.choice([*versions, max(versions, default=0) + 1]),
        }
        return {**event, "subject": _subject(number)} if self.spec.types[type_].subject else event

    def erase(self, connection: Connection, subject: str) -> None:
        """Its content goes, and each of its streams says so."""
        erase = phrase("SELECT {erase}({subject}, 'asked for')", erase=qualified(self.spec.schema, "erase"),
                       subject=literal(subject))  # fmt: skip
        connection.execute(erase.encode())

    @property
    def subjects(self) -> list[str]:
        """All that there can be."""
        return [_subject(number) for number in range(_STREAMS)]


def events_of(spec: EventsSpec, rows: int, seed: int) -> Events:
    """Payloads made up from the types of the spec."""
    payloads: dict[str, Sequence[Mapping[str, Any]]] = {}
    for type_, one in spec.types.items():
        source = Source(name=type_, columns=one.payload)
        rows_ = rows_of(Shape(one.payload, (), None, None), 50, f"{seed} {type_}")
        payloads[type_] = [as_json(row, source) for row in rows_]
    return Events(spec, payloads, rows)


def _subject(number: int) -> str:
    return f"person {number}"


# --- writers ---


@dataclass
class Writers:
    """Others at work, each in sessions of its own: transactions of a few changes that commit late, or never."""

    conninfo: str = field(repr=False)
    store: Store
    seed: str
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Once; they end by themselves."""
        if not self.threads:
            names = [f"{self.seed} {number}" for number in range(_WRITERS)]
            self.threads = [threading.Thread(target=self._write, args=(name,), daemon=True) for name in names]
            for one in self.threads:
                one.start()

    def join(self) -> bool:
        """Wait until they are done; whether there were any."""
        for one in self.threads:
            one.join()
        return bool(self.threads)

    def _write(self, seed: str) -> None:
        draw = random.Random(seed)  # noqa: S311 - made-up data
        for _ in range(_TRANSACTIONS):
            try:
                with psycopg.connect(self.conninfo, application_name="writer") as connection:
                    connection.execute("SET lock_timeout = '10s'")
                    for _ in range(draw.randint(1, 4)):
                        self.store.change(connection, draw)
                    time.sleep(draw.random() * _LATE_SECONDS)
                    if draw.random() < _ROLLED_BACK:
                        connection.rollback()
            except psycopg.Error:  # a deadlock, another was first, the server is coming up again
                time.sleep(_LATE_SECONDS)
