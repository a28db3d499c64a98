"""The store's files on a real server before anybody sees them: run in order, searched while empty and with rows."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql as composed

from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database
from data_platform.postgres.server import Server
from data_platform.postgres.vectors.apply import apply
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import File
from data_platform.spec.retrieval import Retrieval


def prove(spec: Retrieval, files: tuple[File, ...], server: Server) -> str:
    """What was run, in a sentence. Raises UsageProblem where the server refuses a file."""
    with server.scratch_database(extensions=["vector"]) as database:
        tried(spec, files, database)
    return f"The {len(files)} files ran on {server.describe()}, and its search functions answered."


def tried(spec: Retrieval, files: tuple[File, ...], database: Database) -> None:
    """Run the files, and call each function once."""
    with connect(database.conninfo, read_only=False) as connection:
        connection.autocommit = True
        apply(connection, files)
        _asked(connection, spec)


def _asked(connection: psycopg.Connection[Any], spec: Retrieval) -> None:
    names = names_of(spec)
    query = f"[{', '.join(['1'] * spec.model.dimensions)}]"
    called = composed.SQL("SELECT count(*) FROM {}(%s::vector, 10)").format(
        composed.Identifier(names.schema, names.search.name)
    )
    connection.execute(called, [query])
    if spec.hybrid:
        hybrid = composed.Identifier(names.schema, names.hybrid.name)
        connection.execute(
            composed.SQL("SELECT count(*) FROM {}(%s::vector, 'some words', 10)").format(hybrid), [query]
        )
