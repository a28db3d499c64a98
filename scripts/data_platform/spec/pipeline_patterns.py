"""What the patterns `views`, `events` and `cqrs` say beside sources: kept results, an event store, what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from data_platform.model.database import Name
from data_platform.sql.statements import relations
from data_platform.sql.text import Sql, parse

WITHIN = ("events", "cqrs", "views")
"""Patterns over tables of the store itself, which have no targets."""
WRITES = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")
"""What a handler of a projection may be."""
MADE = ("create_stmt", "index_stmt", "view_stmt", "grant_stmt", "create_seq_stmt")
"""What the tables of a projection may be made by."""
ERASED = "SubjectErased"
"""The event that says that a subject's content is gone; any event store may have it."""
NEXT = "__next"
"""What the schema is called in which a projection is built anew, behind its name."""
CHANGES = ("insert", "update", "delete")
"""What an outbox tells of a row; a handler of `upsert` is one of the first two."""

Function = Literal["count", "sum", "avg", "min", "max"]
Distance = Literal["cosine", "dot", "euclid", "manhattan"]


@dataclass(frozen=True, kw_only=True)
class View:
    """A materialized view. `unique` columns tell its rows apart, so that it is refreshed beside its readers."""

    name: Name
    sql: Sql
    unique: tuple[str, ...]

    @property
    def reads(self) -> frozenset[Name]:
        """Tables and views that its query names."""
        found = {one for statement in parse(self.sql).stmts for one in relations(statement.stmt)}
        return frozenset(Name(one.schema or "public", one.name) for one in found)


@dataclass(frozen=True, kw_only=True)
class SummarySpec:
    """Aggregates a group that follow each statement on the source. `measures`: name → function and column."""

    view: Name
    source: str
    groups: tuple[str, ...]
    measures: Mapping[str, tuple[Function, str | None]]
    where: Sql = Sql("true")  # noqa: RUF009 - a text, and texts do not change
    verify: bool = False


@dataclass(frozen=True, kw_only=True)
class UpcasterSpec:
    """`sql` over `payload` makes that of version `since` of a type that of the next version."""

    type: str
    since: int
    sql: Sql

    @property
    def function(self) -> str:
        """What it is called in the store's schema."""
        return f"upcast_{self.type}_{self.since}"


@dataclass(frozen=True, kw_only=True)
class EventType:
    """What an event of a type holds. `subject` is whether it is about a person, who may ask to be forgotten."""

    payload: Mapping[str, Sql] = field(default_factory=lambda: MappingProxyType({}))
    subject: bool = False


@dataclass(frozen=True, kw_only=True)
class EventsSpec:
    """An event store: its schema, its types in order (a stream begins with the first), how old ones are read."""

    schema: str
    types: Mapping[str, EventType]
    upcasters: tuple[UpcasterSpec, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ProjectionSpec:
    """A read model: its schema, what makes its tables, a statement by type of event."""

    name: str
    tables: tuple[Sql, ...]
    handlers: Mapping[str, Sql]


@dataclass(frozen=True, kw_only=True)
class CollectionSpec:
    """A collection of Qdrant that follows a source: a point for each row that has a vector.

    `payload` are the columns beside the key's; none means all but the vector's. `vector` is the vector's name there.
    """

    name: str
    store: str
    url: str
    collection: str
    source: str
    column: str
    dimensions: int
    distance: Distance = "cosine"
    vector: str = ""
    payload: tuple[str, ...] = ()
    api_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """All of it. `views` are in the order in which they can be made; `rebuild`: a changed definition is made anew."""

    views: tuple[View, ...] = ()
    summaries: tuple[SummarySpec, ...] = ()
    events: EventsSpec | None = None
    projections: tuple[ProjectionSpec, ...] = ()
    collections: tuple[CollectionSpec, ...] = ()
    outbox: str = ""
    """The schema of the outbox; that of cqrs only."""
    rebuild: bool = False
