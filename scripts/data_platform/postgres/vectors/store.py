"""A store as a load sees it: where it is, what goes into it, and the registry of its models."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
from psycopg import sql

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.vectors.sessions import Vector


class Chunk(Protocol):
    """A piece of a document."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def ordinal(self) -> int: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def headings(self) -> tuple[str, ...]: ...
    @property
    def tokens(self) -> int | None: ...
    @property
    def content_hash(self) -> bytes: ...


class Document(Protocol):
    """What is loaded."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def uri(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def content_hash(self) -> bytes: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Target:
    """Where it goes. `filters` are columns of chunks and vectors, whose values are in a document's metadata."""

    schema: str
    embeddings: Name
    model: Mapping[str, Any]
    """name, provider, dimensions, distance, normalised and fingerprint, as the registry has them."""
    filters: tuple[str, ...] = ()
    tenant: str | None = None


@dataclass(frozen=True)
class Loaded:
    """What was done, in documents and chunks."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    vanished: int = 0
    chunks: int = 0
    embedded: int = 0
    """Chunks whose vector was not there."""

    def plus(self, other: Loaded) -> Loaded:
        return Loaded(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


Embed = Callable[[Sequence[tuple[bytes, str]]], Mapping[bytes, Vector]]
Cut = Callable[[Any], Sequence[Chunk]]


@dataclass
class Batch:
    """Whole documents that are stored together."""

    documents: list[tuple[Any, Sequence[Chunk], bool]] = field(default_factory=list)
    """(document, its chunks, whether it is there already)."""
    chunks: int = 0

    @property
    def every(self) -> list[Chunk]:
        """The chunks of all of them."""
        return [chunk for _, chunks, _ in self.documents for chunk in chunks]


def tables_of(target: Target) -> dict[str, sql.Identifier]:
    """The tables of a store, for `format`: documents, chunks, embeddings."""
    return {
        "documents": sql.Identifier(target.schema, "documents"),
        "chunks": sql.Identifier(target.schema, "chunks"),
        "embeddings": sql.Identifier(target.embeddings.schema, target.embeddings.name),
    }


# --- which model ---


def registered(connection: psycopg.Connection[Any], target: Target) -> bool:
    """Whether the model is in the registry. UsageProblem where there is no store, or another model of its name."""
    models = sql.Identifier(target.schema, "models")
    try:
        found = connection.execute(
            sql.SQL("SELECT fingerprint FROM {} WHERE table_name = %s").format(models),
            [target.embeddings.name],
        ).fetchone()
    except psycopg.errors.UndefinedTable:
        raise UsageProblem(
            f"there is no store `{target.schema}`",
            try_="run what `dpe retrieval render` wrote, or load with --create",
        ) from None
    if found is not None and found[0] != target.model["fingerprint"]:
        raise UsageProblem(
            f"the vectors of `{target.embeddings.name}` were made by another model, although it has the same name",
            expected=f"fingerprint {found[0][:12]}…, this one has {target.model['fingerprint'][:12]}…",
            try_="dpe retrieval migrate-model, or another `name:` of the model",
        )
    return found is not None


def register(connection: psycopg.Connection[Any], target: Target) -> None:
    """The model in the registry; refuse another one under its name. The first one is active at once."""
    if registered(connection, target):
        return
    models = sql.Identifier(target.schema, "models")
    columns = [*target.model, "table_name", "state", "activated_at"]
    values = [*target.model.values(), target.embeddings.name]
    insert = sql.SQL(
        "INSERT INTO {0} ({1}) SELECT {2}, CASE WHEN active THEN 'building' ELSE 'active' END,"
        " CASE WHEN NOT active THEN now() END FROM (SELECT EXISTS (SELECT FROM {0} WHERE state = 'active') AS active) s"
    ).format(
        models,
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(values)),
    )
    connection.execute(insert, values)
