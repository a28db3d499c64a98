"""Indexes that are built once the rows are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from data_platform.model.database import Name, Table
from data_platform.sql.text import qualified_name, relation_literal

INDEX_MEMORY = "512MB"
"""Enough for the graph of some 200,000 vectors of 384 dimensions; the server takes what it needs."""


@contextmanager
def indexes_afterwards(connection: psycopg.Connection[Any], tables: Sequence[Table]) -> Iterator[None]:
    """Load first, then index: many times faster for HNSW and GIN, and IVFFlat takes its lists from the rows.

    Indexes that no constraint needs are dropped, and built when the block ends.
    """
    names = [
        Name(table.name.schema, index.name)
        for table in tables
        if table.partition_by is None
        for index in table.indexes
        if not index.unique
    ]
    definitions = []
    for name in names:
        query = f"SELECT pg_get_indexdef({relation_literal(name)}::regclass)"
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        definitions.append(row[0])
        connection.execute(f"DROP INDEX {qualified_name(name)}".encode())
    yield
    connection.execute(f"SET maintenance_work_mem TO '{INDEX_MEMORY}'".encode())
    for definition in definitions:
        connection.execute(definition.encode())
    connection.execute("RESET maintenance_work_mem")
