"""What a store holds, point by point, for another system: read in order of the key, from where one stopped."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from data_platform.postgres.vectors.ask import Session

_BATCH = 500


@dataclass(frozen=True)
class Point:
    """A chunk with its vector, what it is filtered by, and its place."""

    id: uuid.UUID
    vector: NDArray[np.float32]
    payload: dict[str, Any]


def points(one: Session, filters: Sequence[str], after: uuid.UUID | None = None) -> Iterator[list[Point]]:
    """Batches of live chunks in the order of their ids, those after `after`."""
    last = after or uuid.UUID(int=0)
    listed = sql.SQL("").join(sql.SQL(", e.{}").format(sql.Identifier(name)) for name in filters)
    store = one.store
    query = sql.SQL(
        "SELECT e.chunk_id, e.embedding, d.uri, c.ordinal, c.content{listed} FROM {embeddings} e"
        " JOIN {chunks} c ON c.id = e.chunk_id JOIN {documents} d ON d.id = c.document_id AND d.deleted_at IS NULL"
        " WHERE e.chunk_id > %s ORDER BY e.chunk_id LIMIT %s"
    ).format(
        listed=listed,
        embeddings=sql.Identifier(store.embeddings.schema, store.embeddings.name),
        chunks=sql.Identifier(store.chunks.schema, store.chunks.name),
        documents=sql.Identifier(store.documents.schema, store.documents.name),
    )
    while rows := one.connection.execute(query, [last, _BATCH]).fetchall():
        yield [_point(row, filters) for row in rows]
        last = rows[-1][0]


def _point(row: psycopg.rows.TupleRow, filters: Sequence[str]) -> Point:
    id_, vector, uri, ordinal, content, *given = row
    named = {name: _plain(value) for name, value in zip(filters, given, strict=True) if value is not None}
    values = vector.to_numpy() if hasattr(vector, "to_numpy") else vector
    return Point(id_, values, {**named, "uri": uri, "ordinal": ordinal, "content": content})


def _plain(value: Any) -> Any:
    """As JSON has it: dates and uuids are texts."""
    return value if isinstance(value, str | int | float | bool | list) else str(value)
