"""Documents with their chunks and vectors into a store: what is new is copied, what changed is replaced, what is as it
was is left alone, what vanished is taken out of the searches.

A batch of whole documents is one transaction, so no reader sees half of one, and a load that was stopped is simply run
again. One load at a time: an advisory lock sees to that.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import psycopg
import psycopg.types.json
from psycopg import sql

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.vectors.rights import refuse_hidden
from data_platform.postgres.vectors.sessions import Vector, alone, writing
from data_platform.postgres.vectors.values import Values, columns_of, without_nul

_BATCH_CHUNKS = 5_000


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


def load(
    conninfo: str,
    target: Target,
    documents: Iterable[Document],
    cut: Cut,
    embed: Embed,
    *,
    keep_vanished: bool = False,
) -> Loaded:
    """Bring the store to what the documents say.

    Raises UsageProblem: no such store, two documents of one address, another model than the one that filled it.
    EnvironmentProblem: another load is running, the server or the disk says no; the batches before are kept.
    """
    with writing(conninfo) as connection, alone(connection):
        register(connection, target)
        refuse_hidden(connection, target.schema)
        known = known_of(connection, target)
        seen: set[str] = set()
        done = Loaded()
        for batch, skipped in batches(documents, cut, known, seen, target):
            done = done.plus(skipped)
            if batch.documents:
                done = done.plus(stored(connection, target, batch, embed))
        if not keep_vanished:
            done = done.plus(_gone(connection, target, {one: known[one] for one in known.keys() - seen}))
        return done


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


# --- what is there ---


def known_of(
    connection: psycopg.Connection[Any], target: Target, ids: Sequence[uuid.UUID] | None = None
) -> dict[str, bytes]:
    """Live documents that have their vectors from this model: address → hash. Others are loaded again. Given `ids`,
    only those are looked at.
    """
    query = sql.SQL(
        "SELECT d.uri, d.content_hash FROM {documents} d WHERE d.deleted_at IS NULL AND NOT EXISTS ("
        "SELECT FROM {chunks} c WHERE c.document_id = d.id"
        " AND NOT EXISTS (SELECT FROM {embeddings} e WHERE e.chunk_id = c.id))"
    ).format(**tables_of(target))
    if ids is None:
        return {uri: bytes(hash_) for uri, hash_ in connection.execute(query)}
    some = query + sql.SQL(" AND d.id = ANY(%s)")
    return {uri: bytes(hash_) for uri, hash_ in connection.execute(some, [list(ids)])}


def tables_of(target: Target) -> dict[str, sql.Identifier]:
    """The tables of a store, for `format`: documents, chunks, embeddings."""
    return {
        "documents": sql.Identifier(target.schema, "documents"),
        "chunks": sql.Identifier(target.schema, "chunks"),
        "embeddings": sql.Identifier(target.embeddings.schema, target.embeddings.name),
    }


def batches(
    documents: Iterable[Document], cut: Cut, known: Mapping[str, bytes], seen: set[str], target: Target
) -> Iterator[tuple[Batch, Loaded]]:
    """Documents that are not as they were, cut, in batches of one tenant each, and how many were. Addresses are added
    to `seen`; UsageProblem for one that is in it.
    """
    batch, skipped, tenant = Batch(), Loaded(), None
    for document in documents:
        if document.uri in seen:
            raise UsageProblem("two documents have this address", where=document.uri)
        seen.add(document.uri)
        if known.get(document.uri) == document.content_hash:
            skipped = skipped.plus(Loaded(unchanged=1))
            continue
        own = document.metadata.get(target.tenant) if target.tenant else None
        if batch.documents and (batch.chunks >= _BATCH_CHUNKS or own != tenant):
            yield batch, skipped
            batch, skipped = Batch(), Loaded()
        tenant = own
        chunks = cut(document)
        batch.documents.append((document, chunks, document.uri in known))
        batch.chunks += len(chunks)
    yield batch, skipped


# --- writing ---


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


# --- what is no more ---


def _gone(connection: psycopg.Connection[Any], target: Target, vanished: Mapping[str, bytes]) -> Loaded:
    """Out of the searches, and marked; their texts stay for whoever has to look."""
    if not vanished:
        return Loaded()
    tables = tables_of(target)
    uris = list(vanished)
    with connection.transaction():
        connection.execute(
            sql.SQL(
                "DELETE FROM {embeddings} e USING {chunks} c, {documents} d"
                " WHERE e.chunk_id = c.id AND c.document_id = d.id AND d.uri = ANY(%s)"
            ).format(**tables),
            [uris],
        )
        connection.execute(
            sql.SQL("UPDATE {documents} SET deleted_at = now() WHERE uri = ANY(%s)").format(**tables), [uris]
        )
    return Loaded(vanished=len(uris))
