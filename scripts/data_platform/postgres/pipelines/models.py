"""Read models as a run sees them: a moment in which tables stand still, rights, who is how far behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from data_platform.postgres.pipelines.sessions import writing
from data_platform.sql.text import Sql, joined, phrase

_GRANTS = """
SELECT format('GRANT %%s ON SCHEMA %%I TO %%s%%s', a.privilege_type, n.nspname,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), NULL
  FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = %(schema)s AND a.grantee <> n.nspowner
UNION ALL
SELECT format('GRANT %%s ON TABLE %%I.%%I TO %%s%%s', a.privilege_type, n.nspname, c.relname,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END),
       format('%%I.%%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm') AND a.grantee <> c.relowner
"""
_BEHIND = """
SELECT r.name, count(e.position), extract(epoch FROM clock_timestamp() - min(e.recorded_at))::float8
  FROM {readers} AS r LEFT JOIN {table} AS e
    ON e.xid >= r.window_from AND (e.xid >= r.window_to OR e.position > r.position) AND e.position > r.floor
 WHERE r.slot = 'live' GROUP BY r.name
"""


@dataclass(frozen=True)
class Behind:
    """Events that a reader has not read yet, and how old the oldest of them is; None where there is none."""

    events: int
    age_seconds: float | None


@contextmanager
def standing_still(
    connection: psycopg.Connection[Any], conninfo: str, tables: Sequence[Sql]
) -> Iterator[None]:
    """A transaction that sees one state of the tables, with nobody in the middle of writing to them.

    Writers wait only until it has begun, since another session holds them up.
    """
    lock = phrase("LOCK TABLE {tables} IN SHARE MODE", tables=joined(", ", tables)).encode()
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with ExitStack() as stack:
            with writing(conninfo) as other, other.transaction():
                other.execute(lock)
                stack.enter_context(connection.transaction())
                connection.execute("SELECT pg_current_snapshot()")
            yield
    finally:
        if not connection.closed:
            connection.isolation_level = None


@contextmanager
def rights_kept(connection: psycopg.Connection[Any], schema: str) -> Iterator[None]:
    """What others may do in a schema, given again after the block has exchanged it for one of the same name."""
    found = connection.execute(_GRANTS, {"schema": schema}).fetchall()
    yield
    for grant, table in found:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
        if table is None or (row and row[0]):
            connection.execute(grant.encode())


def behind(connection: psycopg.Connection[Any], readers: Sql, table: Sql) -> Mapping[str, Behind]:
    """By reader; nothing where there are no readers' places yet."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [readers]).fetchone()
    if not row or not row[0]:
        return {}
    rows = connection.execute(phrase(_BEHIND, readers=readers, table=table).encode())
    return {name: Behind(events, age) for name, events, age in rows}
