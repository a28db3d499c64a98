"""Documents with their chunks and vectors into a store: what is new is copied, what changed is replaced, what is as it
was is left alone, what vanished is taken out of the searches.

A batch of whole documents is one transaction, so no reader sees half of one, and a load that was stopped is simply run
again. One load at a time: an advisory lock sees to that.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.rights import refuse_hidden
from data_platform.postgres.vectors.sessions import alone, writing
from data_platform.postgres.vectors.store import (
    Batch,
    Cut,
    Document,
    Embed,
    Loaded,
    Target,
    register,
    tables_of,
)
from data_platform.postgres.vectors.storing import stored

_BATCH_CHUNKS = 5_000


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
