"""A batch of whole documents into a store, in one transaction, so that no reader sees half of one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import psycopg.types.json
from psycopg import sql

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.vectors.sessions import Vector
from data_platform.postgres.vectors.store import Batch, Embed, Loaded, Target, tables_of
from data_platform.postgres.vectors.values import Values, columns_of, without_nul


def stored(connection: psycopg.Connection[Any], target: Target, batch: Batch, embed: Embed) -> Loaded:
    """One transaction. Vectors are made before it, so that no lock waits for a model.

    EnvironmentProblem where somebody else has changed these documents meanwhile; then nothing is written.
    """
    tables = tables_of(target)
    with connection.transaction():
        found = found_of(connection, target, batch)
        given = values_of(connection, target, batch)
    old, there, wanted, every = found.old, found.there, found.wanted, batch.every
    vectors = embed(list(found.texts.items())) if found.texts else {}
    with connection.transaction():
        _as_tenant(connection, target, batch)
        if old:
            _still(connection, tables, old, there)
        _documents(connection, target, batch, tables, old, given)
        if there:
            connection.execute(
                sql.SQL("DELETE FROM {chunks} WHERE document_id = ANY(%s) AND NOT id = ANY(%s)").format(
                    **tables
                ),
                [list(old), [c.id for c in every]],
            )
        _chunks(connection, target, batch, tables, there, given)
        _vectors(connection, target, batch, tables, wanted, vectors, given)
    new = len(batch.documents) - len(old)
    return Loaded(new=new, changed=len(old), chunks=len(every), embedded=len(vectors))


@dataclass(frozen=True)
class Found:
    """What is there of a batch: documents, chunks and whether each has its vector; and the texts that need one."""

    old: set[uuid.UUID]
    there: Mapping[uuid.UUID, bool]
    wanted: set[uuid.UUID] | None
    """Chunks without a vector; None is all of them."""
    texts: Mapping[bytes, str]


def found_of(connection: psycopg.Connection[Any], target: Target, batch: Batch) -> Found:
    """Looked up for the tenant of the batch, in the transaction that the caller has begun."""
    tables = tables_of(target)
    _as_tenant(connection, target, batch)
    old = _there(connection, tables, [document.id for document, _, _ in batch.documents])
    there = _chunks_there(connection, tables, old) if old else {}
    wanted = {c.id for c in batch.every if not there.get(c.id)} if there else None
    texts = {c.content_hash: c.text for c in batch.every if wanted is None or c.id in wanted}
    return Found(old, there, wanted, texts)


def _there(
    connection: psycopg.Connection[Any], tables: Mapping[str, sql.Identifier], ids: Sequence[uuid.UUID]
) -> set[uuid.UUID]:
    """Those of the documents that have a row, live or not."""
    query = sql.SQL("SELECT id FROM {documents} WHERE id = ANY(%s)").format(**tables)
    return {row[0] for row in connection.execute(query, [list(ids)])}


def _as_tenant(connection: psycopg.Connection[Any], target: Target, batch: Batch) -> None:
    if target.tenant is None:
        return
    value = batch.documents[0][0].metadata.get(target.tenant)
    if value is None:
        raise UsageProblem(f"there is no `{target.tenant}`: whose is it?", where=batch.documents[0][0].uri)
    connection.execute("SELECT set_config('app.tenant', %s, true)", [str(value)])


def _chunks_there(
    connection: psycopg.Connection[Any], tables: Mapping[str, sql.Identifier], ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, bool]:
    """Chunks of these documents, and whether each has its vector."""
    query = sql.SQL(
        "SELECT c.id, e.chunk_id IS NOT NULL FROM {chunks} c LEFT JOIN {embeddings} e ON e.chunk_id = c.id"
        " WHERE c.document_id = ANY(%s)"
    ).format(**tables)
    return dict(connection.execute(query, [list(ids)]).fetchall())


def _still(
    connection: psycopg.Connection[Any],
    tables: Mapping[str, sql.Identifier],
    old: Collection[uuid.UUID],
    there: Mapping[uuid.UUID, bool],
) -> None:
    """Lock the rows of documents, whose chunks must be what was found before. A new one that is there by now needs no
    lock: its key is taken.
    """
    query = sql.SQL("SELECT FROM {documents} WHERE id = ANY(%s) ORDER BY id FOR UPDATE").format(**tables)
    connection.execute(query, [list(old)])
    if _chunks_there(connection, tables, old) != there:
        raise EnvironmentProblem(
            "another load has changed the same documents meanwhile", try_="the same command again"
        )


def _documents(
    connection: psycopg.Connection[Any],
    target: Target,
    batch: Batch,
    tables: Mapping[str, sql.Identifier],
    old: Collection[uuid.UUID],
    values: Values,
) -> None:
    """Insert their rows, or replace those that are there."""
    extra = [target.tenant] if target.tenant else []
    columns = ["id", "uri", "title", "media_type", "content_hash", "metadata", *extra]
    new = [d for d, _, _ in batch.documents if d.id not in old]
    _copy(connection, tables["documents"], columns, [_row(d, target, values) for d in new])
    changed = [d for d, _, _ in batch.documents if d.id in old]
    assigned = ["title", "media_type", "content_hash", "metadata", *extra, "updated_at", "deleted_at"]
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.executemany(
            _update(tables["documents"], assigned, "id"),
            [(*_row(d, target, values)[2:], now, None, d.id) for d in changed],
        )


def _row(document: Any, target: Target, values: Values) -> tuple[Any, ...]:
    rest = values[document.id][:1] if target.tenant else ()
    return (
        document.id,
        document.uri,
        without_nul(document.title),
        document.media_type,
        document.content_hash,
        _json(document.metadata),
        *rest,
    )


def _json(metadata: Mapping[str, Any]) -> psycopg.types.json.Jsonb:
    return psycopg.types.json.Jsonb(
        without_nul(dict(metadata)), dumps=lambda value: json.dumps(value, default=str)
    )


def _chunks(
    connection: psycopg.Connection[Any],
    target: Target,
    batch: Batch,
    tables: Mapping[str, sql.Identifier],
    there: Mapping[uuid.UUID, bool],
    values: Values,
) -> None:
    columns = [
        *("id", "document_id", "ordinal", "content", "content_hash", "start_offset", "end_offset"),
        *("heading_path", "tokens", *_own(target)),
    ]
    rows, moved = [], []
    for document, chunks, _ in batch.documents:
        given, owner = values[document.id], document.id
        for c in chunks:
            if c.id in there:
                moved.append(
                    (c.ordinal, c.start, c.end, without_nul(list(c.headings)), c.tokens, *given, c.id)
                )
            else:
                rows.append(
                    (
                        c.id,
                        owner,
                        c.ordinal,
                        c.text.replace("\0", "\ufffd") if "\0" in c.text else c.text,
                        c.content_hash,
                        c.start,
                        c.end,
                        without_nul(list(c.headings)),
                        c.tokens,
                        *given,
                    )
                )
    _copy(connection, tables["chunks"], columns, rows)
    if moved:
        names = ["ordinal", "start_offset", "end_offset", "heading_path", "tokens", *_own(target)]
        with connection.cursor() as cursor:
            cursor.executemany(_update(tables["chunks"], names, "id"), moved)
            if _own(target):
                own = [(*row[5:-1], row[-1]) for row in moved]
                cursor.executemany(_update(tables["embeddings"], list(_own(target)), "chunk_id"), own)


def values_of(connection: psycopg.Connection[Any], target: Target, batch: Batch) -> Values:
    """What the chunks of each document have in the columns for tenant and filters. UsageProblem for a value that is
    none of its column.
    """
    names, each = _own(target), [document for document, _, _ in batch.documents]
    if not names:
        return {document.id: () for document in each}
    columns = columns_of(connection, target.schema, "chunks", names)
    found = [columns.column(name, [(one.metadata.get(name), one.uri) for one in each]) for name in names]
    return dict(zip((document.id for document in each), zip(*found, strict=True), strict=True))


def _update(table: sql.Identifier, names: Sequence[str], key: str) -> sql.Composed:
    assigned = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in names)
    return sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(table, assigned, sql.Identifier(key))


def _vectors(
    connection: psycopg.Connection[Any],
    target: Target,
    batch: Batch,
    tables: Mapping[str, sql.Identifier],
    wanted: Collection[uuid.UUID] | None,
    vectors: Mapping[bytes, Vector],
    values: Values,
) -> None:
    rows = []
    for document, chunks, _ in batch.documents:
        given = values[document.id]
        rows += [(c.id, vectors[c.content_hash], *given) for c in chunks if wanted is None or c.id in wanted]
    _copy(connection, tables["embeddings"], ["chunk_id", "embedding", *_own(target)], rows)


def _own(target: Target) -> tuple[str, ...]:
    return (*((target.tenant,) if target.tenant else ()), *target.filters)


def _copy(
    connection: psycopg.Connection[Any],
    table: sql.Identifier,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Binary, with the types that the columns have."""
    if not rows:
        return
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM {} LIMIT 0").format(names, table))
        types = [column.type_code for column in cursor.description or ()]
        with cursor.copy(
            sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT binary)").format(table, names)
        ) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)
