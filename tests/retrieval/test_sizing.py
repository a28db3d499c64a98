"""Sizes by formula against what the server makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pytest

from data_platform.postgres.connect import connect
from data_platform.postgres.server import Server
from data_platform.postgres.vectors.bench import bench
from data_platform.postgres.vectors.settings import Index, VectorType
from data_platform.retrieval.design import design
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import embeddings
from data_platform.retrieval.sizing import (
    build_bytes,
    free_m,
    heap_bytes,
    hnsw_bytes,
    ivfflat_build_bytes,
    ivfflat_bytes,
    rows_a_page,
)
from data_platform.spec.retrieval import Filter, Model
from retrieval.pgvector.stores import spec_of

ROWS = 3_000
MB = 1024 * 1024


@pytest.mark.parametrize(
    ("type_", "dimensions", "m"),
    [("vector", 384, 16), ("vector", 384, 24), ("halfvec", 768, 16), ("bit", 1024, 16)],
)
def test_an_index_on_disk_within_five_per_cent(
    server: Server, type_: VectorType, dimensions: int, m: int
) -> None:
    values = np.random.default_rng(1).normal(size=(ROWS, dimensions)).astype(np.float32)
    with bench(server, values, values[:1], "l2") as table:
        built = table.build(Index("hnsw", type_, m=m, ef_construction=2 * m), memory_mb=64)
    assert built.size_bytes == pytest.approx(hnsw_bytes(ROWS, type_, dimensions, m), rel=0.05)


@pytest.mark.parametrize("type_", ["vector", "halfvec"])
def test_lists_on_disk_within_five_per_cent(server: Server, type_: VectorType) -> None:
    values = np.random.default_rng(1).normal(size=(ROWS, 128)).astype(np.float32)
    with bench(server, values, values[:1], "l2") as table:
        built = table.build(Index("ivfflat", type_, lists=20), memory_mb=64)
    assert built.size_bytes == pytest.approx(ivfflat_bytes(ROWS, type_, 128, 20), rel=0.05)


def test_an_index_of_sparse_vectors_within_five_per_cent(server: Server) -> None:
    made = "format('{%s}/10000', (SELECT string_agg(g * 9 + i || ':1', ',') FROM generate_series(1, 60) i))"
    with server.scratch_database(extensions=["vector"]) as database:
        size = _size(
            database.conninfo,
            "CREATE TABLE s (v sparsevec(10000))",
            f"INSERT INTO s SELECT {made}::sparsevec FROM generate_series(1, 1000) g",
            "CREATE INDEX near ON s USING hnsw (v sparsevec_l2_ops)",
            "SELECT pg_relation_size('near')",
        )
    assert size == pytest.approx(hnsw_bytes(1000, "sparsevec", 10_000, 16, non_zero=60), rel=0.05)


@pytest.mark.parametrize(
    ("dimensions", "rows"), [(64, 20_000), (384, 3_000), (1536, 3_000), (2500, 2_000), (3072, 2_000)]
)
def test_the_table_of_vectors_and_its_key_within_five_per_cent(
    server: Server, dimensions: int, rows: int
) -> None:
    filters = (Filter(name="category", type="text"), Filter(name="year", type="integer"))
    model = Model(name="M", provider="onnx", path="m", dimensions=dimensions)
    spec = spec_of(hybrid=None, filters=filters, model=model)
    value = f"ARRAY(SELECT random() + 0 * g FROM generate_series(1, {dimensions}))::vector"
    with server.scratch_database(extensions=["vector"]) as database:
        size = _size(
            database.conninfo,
            "CREATE SCHEMA help",
            f"CREATE TABLE help.chunks AS SELECT md5(g::text)::uuid AS id, g FROM generate_series(1, {rows}) g",
            "ALTER TABLE help.chunks ADD PRIMARY KEY (id)",
            embeddings(spec, design(spec), names_of(spec)),
            f"INSERT INTO help.embeddings_m SELECT id, 'guide', 2020, {value} FROM help.chunks ORDER BY g",
            "SELECT pg_total_relation_size('help.embeddings_m')",
        )
    assert size == pytest.approx(heap_bytes(rows, dimensions, spec), rel=0.05)


def test_a_table_of_sparse_vectors_within_five_per_cent(server: Server) -> None:
    model = Model(name="M", provider="precomputed", path="m", dimensions=30_000, non_zero=120)
    spec = spec_of(hybrid=None, filters=(), model=model)
    value = "format('{%s}/30000', (SELECT string_agg(g * 7 + i || ':1', ',') FROM generate_series(1, 120) i))"
    with server.scratch_database(extensions=["vector"]) as database:
        size = _size(
            database.conninfo,
            "CREATE SCHEMA help",
            "CREATE TABLE help.chunks AS SELECT md5(g::text)::uuid AS id, g FROM generate_series(1, 3000) g",
            "ALTER TABLE help.chunks ADD PRIMARY KEY (id)",
            embeddings(spec, design(spec), names_of(spec)),
            f"INSERT INTO help.embeddings_m SELECT id, {value}::sparsevec FROM help.chunks ORDER BY g",
            "SELECT pg_total_relation_size('help.embeddings_m')",
        )
    assert size == pytest.approx(heap_bytes(3_000, 30_000, spec), rel=0.05)


def _size(conninfo: str, *statements: str) -> Any:
    with connect(conninfo, read_only=False) as connection:
        connection.autocommit = True
        for one in statements[:-1]:
            connection.execute(one.encode())
        row = connection.execute(statements[-1].encode()).fetchone()
    assert row is not None
    return row[0]


def test_a_build_fits_into_the_memory_that_is_computed_for_it_and_not_into_less(server: Server) -> None:
    values = np.random.default_rng(1).normal(size=(12_000, 64)).astype(np.float32)
    need = build_bytes(len(values), "vector", 64, 16, parallel=False) / MB
    with bench(server, values, values[:1], "l2") as table:
        index = Index("hnsw", "vector", m=16, ef_construction=32)
        assert not table.build(index, memory_mb=round(need * 1.05), workers=0).spilled
        assert table.build(index, memory_mb=round(need * 0.9), workers=0).spilled


def test_lists_are_refused_less_memory_than_is_computed(server: Server) -> None:
    values = np.random.default_rng(1).normal(size=(20_000, 64)).astype(np.float32)
    need = ivfflat_build_bytes(len(values), "vector", 64, 400) / MB
    with bench(server, values, values[:1], "l2") as table:
        index = Index("ivfflat", "vector", lists=400)
        assert table.build(index, memory_mb=round(need * 1.05)).size_bytes
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="memory required"):
            table.build(index, memory_mb=round(need * 0.95))


def test_links_are_free_up_to_the_page() -> None:
    free = free_m(384, "vector", 16)
    assert free > 16
    assert rows_a_page("vector", 384, free) == rows_a_page("vector", 384, 16)
    assert rows_a_page("vector", 384, free + 1) < rows_a_page("vector", 384, 16)
