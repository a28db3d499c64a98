"""From one model to another while searches go on: a table of the new model's vectors beside the old one, filled in
batches that can be stopped, and an entry of the registry that says which is active.

Clients read the active model and call its function; both are there all the while, so no search fails.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.sessions import Vector, alone
from data_platform.postgres.vectors.store import Target, tables_of

Embed = Callable[[Sequence[tuple[bytes, str]]], Mapping[bytes, Vector]]
Tell = Callable[[str, float], None]

_BATCH = 500
_SHORT = "SET LOCAL lock_timeout = '400ms'"
"""Searches queue behind a lock that is waited for."""


@dataclass(frozen=True)
class Registered:
    """A model of the registry."""

    name: str
    table: str
    state: str
    fingerprint: str


def registered(connection: psycopg.Connection[Any], schema: str) -> list[Registered]:
    """The models of a store: the active one, then the others, the one that was active last at the end. UsageProblem
    where there is no store.
    """
    query = sql.SQL(
        "SELECT name, table_name, state, fingerprint FROM {}"
        " ORDER BY state <> 'active', activated_at NULLS FIRST, id"
    )
    try:
        rows = connection.execute(query.format(sql.Identifier(schema, "models"))).fetchall()
    except psycopg.errors.UndefinedTable:
        raise UsageProblem(f"there is no store `{schema}`", try_="dpe retrieval load --create") from None
    return [Registered(*row) for row in rows]


def fill(connection: psycopg.Connection[Any], target: Target, embed: Embed, tell: Tell) -> int:
    """Vectors for every chunk of a live document that has none in the target's table; how many were made.

    A batch is a transaction of its own: stopped at any point, the same call goes on with what is missing.
    """
    done, every = 0, _missing(connection, target)
    while batch := _next(connection, target):
        vectors = embed([(hash_, content) for _, hash_, content in batch])
        done += _add(connection, target, [(id_, vectors[hash_]) for id_, hash_, _ in batch])
        tell(f"embedding again: {done:,} of {every:,} chunks", done / max(done, every, 1))
    return done


_WITHOUT = (
    "FROM {chunks} c JOIN {documents} d ON d.id = c.document_id AND d.deleted_at IS NULL"
    " WHERE NOT EXISTS (SELECT FROM {embeddings} e WHERE e.chunk_id = c.id)"
)


def _missing(connection: psycopg.Connection[Any], target: Target) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) " + _WITHOUT).format(**tables_of(target))).fetchone()
    return int(row[0]) if row else 0


def _next(connection: psycopg.Connection[Any], target: Target) -> list[tuple[uuid.UUID, bytes, str]]:
    query = sql.SQL("SELECT c.id, c.content_hash, c.content " + _WITHOUT + " ORDER BY c.id LIMIT %s")
    rows = connection.execute(query.format(**tables_of(target)), [_BATCH]).fetchall()
    return [(id_, bytes(hash_), content) for id_, hash_, content in rows]


def _add(
    connection: psycopg.Connection[Any], target: Target, rows: Sequence[tuple[uuid.UUID, Vector]]
) -> int:
    """Those whose chunk is still there, with its filters as they are now."""
    own = [*([target.tenant] if target.tenant else []), *target.filters]
    listed = sql.SQL("").join(sql.SQL(", {}").format(sql.Identifier(name)) for name in own)
    given = sql.SQL("").join(sql.SQL(", c.{}").format(sql.Identifier(name)) for name in own)
    insert = sql.SQL(
        "INSERT INTO {embeddings} (chunk_id, embedding{listed}) SELECT c.id, %s{given} FROM {chunks} c"
        " WHERE c.id = %s FOR KEY SHARE ON CONFLICT DO NOTHING"
    ).format(listed=listed, given=given, **tables_of(target))
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(insert, [(vector, id_) for id_, vector in rows])
        return len(rows)


def switch(connection: psycopg.Connection[Any], target: Target, embed: Embed, tell: Tell) -> str:
    """Make the target's model the active one, once every chunk has its vector; the name of the one before.

    No load runs meanwhile. The change itself is one short transaction.
    """
    with alone(connection):
        fill(connection, target, embed, tell)
        return activate(connection, target.schema, target.embeddings.name)


def activate(connection: psycopg.Connection[Any], schema: str, table: str) -> str:
    """Swap the registry's entry; back again it is the same."""
    models = sql.Identifier(schema, "models")
    with connection.transaction():
        connection.execute(_SHORT)
        old = connection.execute(
            sql.SQL("UPDATE {} SET state = 'retired' WHERE state = 'active' RETURNING name").format(models)
        ).fetchone()
        new = connection.execute(
            sql.SQL("UPDATE {} SET state = 'active', activated_at = now() WHERE table_name = %s").format(
                models
            ),
            [table],
        )
        if new.rowcount != 1:
            raise UsageProblem(f"there is no model with the table `{table}` in the registry")
    return str(old[0]) if old else ""


def forget(
    connection: psycopg.Connection[Any], schema: str, one: Registered, functions: Sequence[str]
) -> None:
    """Drop a retired model's table and functions. UsageProblem for one that is active."""
    if one.state == "active":
        raise UsageProblem(
            f"`{one.name}` is the active model", try_="--rollback, or switch to another one first"
        )
    with connection.transaction():
        connection.execute(_SHORT)
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(schema, one.table)))
        for name in functions:
            connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}").format(sql.Identifier(schema, name)))
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE table_name = %s").format(sql.Identifier(schema, "models")),
            [one.table],
        )
