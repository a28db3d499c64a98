"""A store with rows, made as the files say."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
from pgvector.psycopg import register_vector

from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database
from data_platform.postgres.vectors.apply import apply
from data_platform.retrieval.design import design
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import files
from data_platform.spec.retrieval import Chunking, Filter, Hybrid, Model, Needs, Retrieval, Tenants

WIDTH = 16


def spec_of(**more: Any) -> Retrieval:
    """A small store with everything but tenants."""
    made = Retrieval(
        store="Shop",
        name="help",
        model=Model(name="Mini LM", provider="onnx", dimensions=WIDTH, path="m"),
        chunking=Chunking(),
        needs=Needs(rows_now=1000, rows_in_a_year=1_000_000),
        filters=(Filter(name="category", type="text"), Filter(name="labels", type="text[]")),
        hybrid=Hybrid(),
        settings={"prefilter_rows": 100},
    )
    return replace(made, **more)


def tenants() -> Tenants:
    return Tenants(column="tenant_id", type="text", count=3)


@contextmanager
def store(database: Database, spec: Retrieval) -> Iterator[psycopg.Connection[Any]]:
    """The files run on an empty database."""
    with connect(database.admin_conninfo, read_only=False) as admin:
        admin.execute("CREATE EXTENSION IF NOT EXISTS vector")
        admin.commit()
    with connect(database.conninfo, read_only=False) as connection:
        connection.autocommit = True
        apply(connection, files(spec, design(spec)))
        register_vector(connection)
        yield connection


def fill(
    connection: psycopg.Connection[Any], spec: Retrieval, values: np.ndarray, rows: list[dict[str, Any]]
) -> list[uuid.UUID]:
    """One document and one chunk a row."""
    names = names_of(spec)
    ids = [uuid.UUID(int=number + 1) for number in range(len(rows))]
    extra = [spec.tenants.column] if spec.tenants else []
    filters = [one.name for one in spec.filters]
    for id_, row, value in zip(ids, rows, values, strict=True):
        own = [row[name] for name in extra]
        _insert(
            connection,
            f"{names.schema}.documents",
            ["id", "uri", "content_hash", *extra],
            [id_, str(id_), b"", *own],
        )
        given = [row.get(name) for name in filters]
        _insert(
            connection,
            f"{names.schema}.chunks",
            [
                "id",
                "document_id",
                "ordinal",
                "content",
                "content_hash",
                "start_offset",
                "end_offset",
                *extra,
                *filters,
            ],
            [id_, id_, 0, row.get("content", "words"), b"", 0, 5, *own, *given],
        )
        columns = ["chunk_id", "embedding", *extra, *filters]
        _insert(connection, f"{names.schema}.{names.embeddings.name}", columns, [id_, value, *own, *given])
    return ids


def _insert(connection: psycopg.Connection[Any], table: str, columns: list[str], values: list[Any]) -> None:
    marks = ", ".join(["%s"] * len(values))
    connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})".encode(), values)


def copied(
    connection: psycopg.Connection[Any], spec: Retrieval, values: np.ndarray, categories: list[str]
) -> list[uuid.UUID]:
    """Many chunks of one document, quickly."""
    ids = [uuid.UUID(int=number + 1) for number in range(len(values))]
    _insert(connection, "help.documents", ["id", "uri", "content_hash"], [ids[0], "all", b""])
    _copy(
        connection,
        "chunks",
        {"id": "uuid", "document_id": "uuid", "ordinal": "int4", "content": "text", "content_hash": "bytea"}
        | {"start_offset": "int4", "end_offset": "int4", "category": "text"},
        [
            (id_, ids[0], n, "words", b"", 0, 5, c)
            for n, (id_, c) in enumerate(zip(ids, categories, strict=True))
        ],
    )
    _copy(
        connection,
        names_of(spec).embeddings.name,
        {"chunk_id": "uuid", "embedding": "vector", "category": "text"},
        zip(ids, values, categories, strict=True),
    )
    return ids


def _copy(
    connection: psycopg.Connection[Any], table: str, columns: dict[str, str], rows: Iterable[tuple[Any, ...]]
) -> None:
    sql = f"COPY help.{table} ({', '.join(columns)}) FROM STDIN WITH (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)
