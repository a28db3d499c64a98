"""What a store holds, point by point, for another system and back: read in the key's order, written all at once."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import psycopg
from pgvector import SparseVector
from psycopg import sql

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.ask import Session
from data_platform.postgres.vectors.sessions import Vector
from data_platform.postgres.vectors.store import Target, tables_of

_BATCH = 500
_WORDS = "(SELECT jsonb_object_agg(lexeme, coalesce(cardinality(positions), 1)) FROM unnest(c.search))"
STORED = "stored"
"""The key of a payload that holds what no search asks for, so that the way back loses nothing."""


@dataclass(frozen=True)
class Point:
    """A chunk with its vector, what it is filtered by, and its place. `words` are its lexemes with how often each."""

    id: uuid.UUID
    vector: Vector
    payload: Mapping[str, Any]
    words: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


def points(
    one: Session, filters: Sequence[str], *, words: bool = False, only: Sequence[uuid.UUID] | None = None
) -> Iterator[list[Point]]:
    """Batches of live chunks in the order of their ids; of `only` these, where given."""
    last = uuid.UUID(int=0)
    listed = sql.SQL("").join(sql.SQL(", e.{}").format(sql.Identifier(name)) for name in filters)
    store = one.store
    query = sql.SQL(
        "SELECT e.chunk_id, e.embedding, {words}, d.uri, c.ordinal, c.content, jsonb_build_object("
        "'title', d.title, 'media_type', d.media_type, 'metadata', d.metadata, 'hash', encode(d.content_hash, 'hex'),"
        " 'start', c.start_offset, 'end', c.end_offset, 'headings', c.heading_path, 'tokens', c.tokens,"
        " 'document', d.id, 'chunk_hash', encode(c.content_hash, 'hex')){listed} FROM {embeddings} e"
        " JOIN {chunks} c ON c.id = e.chunk_id JOIN {documents} d ON d.id = c.document_id AND d.deleted_at IS NULL"
        " WHERE e.chunk_id > %s AND (%s::uuid[] IS NULL OR e.chunk_id = ANY (%s)) ORDER BY e.chunk_id LIMIT %s"
    ).format(
        words=sql.SQL(_WORDS if words else "NULL"),
        listed=listed,
        embeddings=sql.Identifier(store.embeddings.schema, store.embeddings.name),
        chunks=sql.Identifier(store.chunks.schema, store.chunks.name),
        documents=sql.Identifier(store.documents.schema, store.documents.name),
    )
    wanted = list(only) if only is not None else None
    while rows := one.connection.execute(query, [last, wanted, wanted, _BATCH]).fetchall():
        yield [_point(row, filters) for row in rows]
        last = rows[-1][0]


def _point(row: psycopg.rows.TupleRow, filters: Sequence[str]) -> Point:
    id_, vector, words, uri, ordinal, content, stored, *given = row
    named = {name: _plain(value) for name, value in zip(filters, given, strict=True) if value is not None}
    dense = hasattr(vector, "to_numpy") and not isinstance(vector, SparseVector)
    values = vector.to_numpy() if dense else vector
    payload = {**named, "uri": uri, "ordinal": ordinal, "content": content, STORED: stored}
    return Point(id_, values, payload, words or {})


def _plain(value: Any) -> Any:
    """As JSON has it: dates and uuids are texts."""
    return value if isinstance(value, str | int | float | bool | list) else str(value)


# --- and back ---


def keep(connection: psycopg.Connection[Any], target: Target, batches: Iterable[Sequence[Point]]) -> int:
    """Points into the store's tables in one transaction, those that are there replaced; how many.

    What a payload does not hold is made: a document's hash from its address, so that the next load reads it again.
    Raises UsageProblem for a point without an address or a text. Other documents of the store are left alone.
    """
    tables = tables_of(target)
    own = [*([target.tenant] if target.tenant else []), *target.filters]
    with connection.transaction():
        for name in tables:
            like = sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DROP")
            connection.execute(like.format(_staged(name), tables[name]))
        documents: set[uuid.UUID] = set()
        count = 0
        for batch in batches:
            rows = [_rows(one, target, own) for one in batch]
            fresh = {row[0][0]: row[0] for row in rows if row[0][0] not in documents}
            documents |= fresh.keys()
            _copy(connection, "documents", _columns("documents", target, own), list(fresh.values()))
            _copy(connection, "chunks", _columns("chunks", target, own), [row[1] for row in rows])
            _copy(connection, "embeddings", _columns("embeddings", target, own), [row[2] for row in rows])
            count += len(batch)
        for name in tables:
            _merge(connection, name, tables[name], _columns(name, target, own))
    return count


def _columns(name: str, target: Target, own: Sequence[str]) -> list[str]:
    tenant = [target.tenant] if target.tenant else []
    return {
        "documents": ["id", "uri", "title", "media_type", "metadata", "content_hash", *tenant],
        "chunks": [
            *("id", "document_id", "ordinal", "content", "content_hash"),
            *("start_offset", "end_offset", "heading_path", "tokens", *own),
        ],
        "embeddings": ["chunk_id", "embedding", *own],
    }[name]


def _rows(one: Point, target: Target, own: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    """Its document's row, its chunk's and its vector's."""
    uri, content = one.payload.get("uri"), one.payload.get("content")
    if not isinstance(uri, str) or not isinstance(content, str) or not content:
        raise UsageProblem(
            f"the point {one.id} does not say where its text is from, or has none",
            expected="a payload with `uri` and `content`, as `dpe qdrant load` writes it",
        )
    stored = one.payload.get(STORED) or {}
    tenant = [one.payload.get(target.tenant)] if target.tenant else []
    document = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([*tenant, uri]))
    if "document" in stored:
        document = uuid.UUID(stored["document"])
    given = [one.payload.get(name) for name in own]
    start = stored.get("start", 0)
    return (
        (
            *(document, uri, stored.get("title", ""), stored.get("media_type", "text/plain")),
            json.dumps(stored.get("metadata", {})),
            bytes.fromhex(stored["hash"]) if "hash" in stored else hashlib.sha256(uri.encode()).digest(),
            *tenant,
        ),
        (
            *(one.id, document, one.payload.get("ordinal", 0), content),
            bytes.fromhex(stored["chunk_hash"])
            if "chunk_hash" in stored
            else hashlib.sha256(content.encode()).digest(),
            *(start, stored.get("end", start + len(content))),
            *(stored.get("headings", []), stored.get("tokens"), *given),
        ),
        (one.id, one.vector, *given),
    )


def _staged(name: str) -> sql.Identifier:
    return sql.Identifier(f"copied_{name}")


def _copy(
    connection: psycopg.Connection[Any], name: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(_staged(name), names)) as copy,
    ):
        for row in rows:
            copy.write_row(row)


def _merge(
    connection: psycopg.Connection[Any], name: str, table: sql.Identifier, columns: Sequence[str]
) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    sets: list[sql.Composable] = [
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in columns[1:]
    ]
    sets += [sql.SQL("deleted_at = NULL")] if name == "documents" else []
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO UPDATE SET {}").format(
            table, names, names, _staged(name), sql.Identifier(columns[0]), sql.SQL(", ").join(sets)
        )
    )
