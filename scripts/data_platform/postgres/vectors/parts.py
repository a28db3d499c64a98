"""A load in parts that run at once, on several machines: each part stores its own documents, one session watches.

    done = spread(conninfo, target, run)        the session that begins and ends it; `run` has the parts done
    load_part(conninfo, target, documents, …)   in each part

A part may be killed, and run again while its first try still writes: what is stored is skipped, and a document is
stored whole or not at all. Which documents were seen is kept in the table `loading` of the store while a load runs, so
that no machine has to hold all addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from data_platform.postgres.vectors.load import batches, known_of
from data_platform.postgres.vectors.rights import refuse_hidden
from data_platform.postgres.vectors.sessions import alone, writing
from data_platform.postgres.vectors.store import Cut, Document, Embed, Loaded, Target, register, tables_of
from data_platform.postgres.vectors.storing import stored

_GROUP_DOCUMENTS, _GROUP_CHARACTERS = 500, 16_000_000
"""Held at once by a part."""


def spread(
    conninfo: str, target: Target, run: Callable[[], Iterable[Loaded]], *, keep_vanished: bool = False
) -> Loaded:
    """Begin a load, have its parts `run`, and take out what none of them has seen.

    Raises what `load` raises, and whatever `run` raises: then nothing is taken out.
    """
    with writing(conninfo) as connection, alone(connection):
        register(connection, target)
        refuse_hidden(connection, target.schema)
        tables = {**tables_of(target), "loading": _loading(target)}
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {loading}").format(**tables))
        connection.execute(sql.SQL("CREATE UNLOGGED TABLE {loading} (uri text NOT NULL)").format(**tables))
        done = Loaded()
        for part in run():
            done = done.plus(part)
        if not keep_vanished:
            done = done.plus(_gone(connection, tables))
        connection.execute(sql.SQL("DROP TABLE {loading}").format(**tables))
        return done


def load_part(conninfo: str, target: Target, documents: Iterable[Document], cut: Cut, embed: Embed) -> Loaded:
    """Store the documents of one part, which no other part of this load holds. Raises what `load` raises."""
    with writing(conninfo) as connection:
        register(connection, target)
        seen: set[str] = set()
        done = Loaded()
        for group in _groups(documents, target):
            known = known_of(connection, target, [document.id for document in group])
            for batch, skipped in batches(group, cut, known, seen, target):
                done = done.plus(skipped)
                if batch.documents:
                    done = done.plus(stored(connection, target, batch, embed))
            _note(connection, target, [document.uri for document in group])
        return done


def _loading(target: Target) -> sql.Identifier:
    return sql.Identifier(target.schema, "loading")


def _groups(documents: Iterable[Any], target: Target) -> Iterator[list[Any]]:
    """So many at once that one question finds out which are known; those of a tenant together."""
    group: list[Any] = []
    size = 0
    for document in documents:
        group.append(document)
        size += len(document.text)
        if len(group) >= _GROUP_DOCUMENTS or size >= _GROUP_CHARACTERS:
            yield _by_tenant(group, target)
            group, size = [], 0
    if group:
        yield _by_tenant(group, target)


def _by_tenant(group: list[Any], target: Target) -> list[Any]:
    if target.tenant is None:
        return group
    return sorted(group, key=lambda document: str(document.metadata.get(target.tenant)))


def _note(connection: psycopg.Connection[Any], target: Target, uris: Sequence[str]) -> None:
    copy_sql = sql.SQL("COPY {} (uri) FROM STDIN").format(_loading(target))
    with connection.cursor() as cursor, cursor.copy(copy_sql) as copy:
        for uri in uris:
            copy.write_row((uri,))


def _gone(connection: psycopg.Connection[Any], tables: dict[str, sql.Identifier]) -> Loaded:
    """What was not seen, out of the searches, and marked; its texts stay for whoever has to look."""
    connection.execute(sql.SQL("ANALYZE {loading}").format(**tables))
    unseen = "d.deleted_at IS NULL AND NOT EXISTS (SELECT FROM {loading} l WHERE l.uri = d.uri)"
    with connection.transaction():
        connection.execute(
            sql.SQL(
                "DELETE FROM {embeddings} e USING {chunks} c, {documents} d"  # noqa: S608 - no value is put in
                f" WHERE e.chunk_id = c.id AND c.document_id = d.id AND {unseen}"
            ).format(**tables)
        )
        marked = connection.execute(
            sql.SQL(f"UPDATE {{documents}} d SET deleted_at = now() WHERE {unseen}").format(**tables)  # noqa: S608
        )
    return Loaded(vanished=marked.rowcount)
