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
from data_platform.retrieval.pgvector.store import File, column_type
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
    width, type_ = spec.model.dimensions, column_type(spec)
    query = f"{{1:1}}/{width}" if spec.model.non_zero else f"[{', '.join(['1'] * width)}]"
    called = composed.SQL("SELECT count(*) FROM {}(%s::{}, 10)").format(
        composed.Identifier(names.schema, names.search.name), composed.SQL(type_)
    )
    connection.execute(called, [query])
    if spec.hybrid:
        hybrid = composed.Identifier(names.schema, names.hybrid.name)
        connection.execute(
            composed.SQL("SELECT count(*) FROM {}(%s::{}, 'some words', 10)").format(
                hybrid, composed.SQL(type_)
            ),
            [query],
        )
