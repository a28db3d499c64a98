"""A store made on a live server: its tables before the load, its indexes and functions after it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import psycopg
from psycopg import sql

from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.vectors.apply import File, apply
from data_platform.postgres.vectors.sessions import telling


def missing(conninfo: str, schema: str) -> bool:
    """Whether the store is not there yet."""
    with connect(conninfo, read_only=True) as connection:
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = %s AND relname = 'models')",
            [schema],
        ).fetchone()
    return not (row and row[0])


def create(conninfo: str, files: Sequence[File]) -> None:
    """Run the files that make the tables."""
    with connect(conninfo, read_only=False) as connection:
        connection.autocommit = True
        apply(connection, files)


def finished(conninfo: str, search: Name, secured: Name | None) -> bool:
    """Whether the last of the files has run: the search function is there, and row security of this table is on."""
    with connect(conninfo, read_only=True) as connection:
        if not present(connection, search, function=True):
            return False
        if secured is None:
            return True
        table = sql.Identifier(secured.schema, secured.name).as_string(connection)
        row = connection.execute(
            "SELECT relrowsecurity FROM pg_class WHERE oid = %s::regclass", [table]
        ).fetchone()
        return bool(row and row[0])


def finish(conninfo: str, schema: str, files: Callable[[Collection[str]], Sequence[File]]) -> None:
    """Run those that come after the rows; building an index takes as long as it takes. `files` is told which indexes a
    run before has made: an index that it had not finished is dropped first, since nobody can use it.

    Documents and chunks are analyzed: until autovacuum comes by, the planner takes them for a few rows, and asked for
    words among 24,000 chunks read the index once for each document (2.3 s instead of 0.07).
    """
    with connect(conninfo, read_only=False, statement_timeout_ms=0, lock_timeout_ms=0) as connection:
        connection.autocommit = True
        with telling(conninfo):
            there = _indexes(connection, schema)
        apply(connection, files(there))
        with telling(conninfo):
            connection.execute(
                sql.SQL("ANALYZE {}, {}").format(
                    sql.Identifier(schema, "documents"), sql.Identifier(schema, "chunks")
                )
            )


def _indexes(connection: psycopg.Connection[Any], schema: str) -> set[str]:
    """The valid ones of this schema; the others are dropped."""
    found = connection.execute(
        "SELECT relname, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
        " JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s",
        [schema],
    ).fetchall()
    for name, valid in found:
        if not valid:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, name)))
    return {name for name, valid in found if valid}


def present(connection: psycopg.Connection[Any], name: Name, *, function: bool = False) -> bool:
    """Whether there is a table, or a function, of this name."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace"
        " WHERE (nspname, proname) = (%s, %s))"
        if function
        else "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE (nspname, relname) = (%s, %s))"
    )
    row = connection.execute(query, [name.schema, name.name]).fetchone()
    return bool(row and row[0])
