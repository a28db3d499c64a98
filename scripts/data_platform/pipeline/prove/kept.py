"""What a pipeline keeps and what that must be: a view its query, a summary its aggregate, a read model its replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from data_platform.pipeline.events import Feed, Projection, outbox_feed, projection_schema, replay
from data_platform.pipeline.feeding import event_store, outboxes_of, rows_of_tables
from data_platform.pipeline.prove.trial import rows_in
from data_platform.pipeline.summarizing import summary_of
from data_platform.pipeline.views.statements import aggregate
from data_platform.postgres.pipelines import relations
from data_platform.postgres.pipelines.relations import table_name
from data_platform.spec.pipeline import Pipeline
from data_platform.sql.text import Sql, identifier, phrase, qualified, qualified_name

Connection = psycopg.Connection[Any]
Rows = dict[str, Counter[str]]
_TRUE = "__true"
_TABLES = """
SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'p', 'v', 'm')
 ORDER BY 1
"""


class Keeps(Protocol):
    """What is there, what should be, and another spec that says the same."""

    def content(self, connection: Connection) -> Rows: ...
    def wanted(self, connection: Connection) -> Rows: ...
    def change(self, data: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Views:
    """Materialized views and summaries."""

    spec: Pipeline

    def content(self, connection: Connection) -> Rows:
        names = [one.name for one in self.spec.kept.views] + [one.view for one in self.spec.kept.summaries]
        found = {}
        for name in names:
            if relations.read_relation(connection, table_name(name)) is not None:
                found[str(name)] = rows_in(connection, table_name(name))
        return found

    def wanted(self, connection: Connection) -> Rows:
        """Views from the bottom up: each query reads views that are compared themselves."""
        found = {str(one.name): rows_in(connection, _inner(one.sql)) for one in self.spec.kept.views}
        for one in self.spec.kept.summaries:
            query = aggregate(summary_of(self.spec, connection, one))
            found[str(one.view)] = rows_in(connection, _inner(query))
        return found

    def change(self, data: dict[str, Any]) -> None:
        data["changed"] = "rebuild"
        for one in data.get("views", ()):
            one["sql"] = str(phrase("SELECT * FROM ({query}\n) AS again", query=Sql(one["sql"])))


def never_the_same(spec: Pipeline, connection: Connection) -> Iterator[str]:
    """Views with rows whose `unique` columns are NULL, which is equal to nothing: each refresh writes them anew."""
    for view in spec.kept.views:
        for column in view.unique:
            row = connection.execute(
                phrase(
                    "SELECT count(*) FROM {view} WHERE {column} IS NULL",
                    view=table_name(view.name),
                    column=identifier(column),
                ).encode()
            ).fetchone()
            if row and row[0]:
                yield (
                    f"{row[0]:,} of {view.name} have NULL in `{column}`, which no refresh finds again;"
                    f" coalesce({identifier(column)}, …) gives them a value"
                )


def _inner(query: Sql) -> Sql:
    return phrase("({query}\n)", query=query)


@dataclass(frozen=True)
class Models:
    """Projections. The truth does not go by places: all events in order, or the rows of the tables as they are."""

    spec: Pipeline
    feed: Feed

    def content(self, connection: Connection) -> Rows:
        return dict(self._tables(connection, ""))

    def wanted(self, connection: Connection) -> Rows:
        rows = self._rows(connection)
        for one in self._projections:
            made = phrase("DROP SCHEMA IF EXISTS {name} CASCADE", name=identifier(one.name + _TRUE))
            make, call, drop = replay(one, one.name + _TRUE, rows)
            relations.run(connection, [made, projection_schema(one, one.name + _TRUE), make, call, drop])
        return dict(self._tables(connection, _TRUE))

    @property
    def _projections(self) -> list[Projection]:
        return [
            Projection(one.name, self.feed, one.tables, one.handlers) for one in self.spec.kept.projections
        ]

    def _rows(self, connection: Connection) -> Sql:
        if self.spec.kept.events:
            return phrase("SELECT * FROM {source} ORDER BY position", source=qualified_name(self.feed.source))
        return rows_of_tables(outboxes_of(self.spec, connection))

    def _tables(self, connection: Connection, suffix: str) -> Iterator[tuple[str, Counter[str]]]:
        for one in self._projections:
            schema = one.name + suffix
            for (table,) in connection.execute(_TABLES, [identifier(schema)]).fetchall():
                yield f"{one.name}.{table}", rows_in(connection, qualified(schema, table))

    def change(self, data: dict[str, Any]) -> None:
        for one in data.get("projections", ()):
            handlers: Mapping[str, str] = one["handlers"]
            one["handlers"] = {type_: f"{text}\n-- again" for type_, text in handlers.items()}


def keeps_of(spec: Pipeline) -> Keeps:
    """By the pattern."""
    if spec.pattern == "views":
        return Views(spec)
    if spec.kept.events:
        return Models(spec, event_store(spec.kept.events).feed)
    return Models(spec, outbox_feed(spec.kept.outbox))
