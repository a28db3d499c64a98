"""A store made on a live server: its tables before the load, its indexes and functions after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.vectors.apply import File, apply


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


def finish(conninfo: str, files: Sequence[File]) -> None:
    """Run those that come after the rows; building an index takes as long as it takes."""
    with connect(conninfo, read_only=False, statement_timeout_ms=0, lock_timeout_ms=0) as connection:
        connection.autocommit = True
        apply(connection, files)


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
