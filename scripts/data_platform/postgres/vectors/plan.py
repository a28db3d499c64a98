"""What a load would do, found out without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

from data_platform.postgres.connect import connect
from data_platform.postgres.vectors.load import batches, known_of
from data_platform.postgres.vectors.rights import refuse_hidden
from data_platform.postgres.vectors.sessions import telling
from data_platform.postgres.vectors.store import Cut, Document, Target, registered
from data_platform.postgres.vectors.storing import found_of


@dataclass(frozen=True)
class Plan:
    """Addresses of documents, and how many chunks they come to."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: int = 0
    vanished: tuple[str, ...] = ()
    chunks: int = 0


Note = Callable[[Mapping[bytes, str]], None]
"""Is given the texts of each batch that need a vector, by their hashes."""


def plan(
    conninfo: str,
    target: Target,
    documents: Iterable[Document],
    cut: Cut,
    note: Note,
    *,
    keep_vanished: bool = False,
) -> Plan:
    """What `load` would do now. The session is read-only. Raises what `load` raises before it writes."""
    with closing(connect(conninfo, read_only=True, statement_timeout_ms=0)) as connection, telling(conninfo):
        registered(connection, target)
        refuse_hidden(connection, target.schema)
        known = known_of(connection, target)
        seen: set[str] = set()
        new: list[str] = []
        changed: list[str] = []
        unchanged = chunks = 0
        for batch, skipped in batches(documents, cut, known, seen, target):
            unchanged += skipped.unchanged
            if not batch.documents:
                continue
            with connection.transaction():
                found = found_of(connection, target, batch)
            for document, _, _ in batch.documents:
                (changed if document.id in found.old else new).append(document.uri)
            chunks += batch.chunks
            note(found.texts)
        vanished = () if keep_vanished else tuple(sorted(known.keys() - seen))
        return Plan(tuple(new), tuple(changed), unchanged, vanished, chunks)


def plan_new(target: Target, documents: Iterable[Document], cut: Cut, note: Note) -> Plan:
    """The same for a store that is not there yet. UsageProblem for two documents of one address."""
    new: list[str] = []
    chunks = 0
    for batch, _ in batches(documents, cut, {}, set(), target):
        new += [document.uri for document, _, _ in batch.documents]
        chunks += batch.chunks
        note({chunk.content_hash: chunk.text for chunk in batch.every})
    return Plan(new=tuple(new), chunks=chunks)
