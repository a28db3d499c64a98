"""Sizes by formula against what the server makes."""

from __future__ import annotations

import numpy as np
import pytest

from data_platform.postgres.server import Server
from data_platform.postgres.vectors.bench import bench
from data_platform.postgres.vectors.settings import Index, VectorType
from data_platform.retrieval.sizing import build_bytes, free_m, hnsw_bytes, rows_a_page

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


def test_a_build_fits_into_the_memory_that_is_computed_for_it_and_not_into_less(server: Server) -> None:
    values = np.random.default_rng(1).normal(size=(12_000, 64)).astype(np.float32)
    need = build_bytes(len(values), "vector", 64, 16, parallel=False) / MB
    with bench(server, values, values[:1], "l2") as table:
        index = Index("hnsw", "vector", m=16, ef_construction=32)
        assert not table.build(index, memory_mb=round(need * 1.05), workers=0).spilled
        assert table.build(index, memory_mb=round(need * 0.9), workers=0).spilled


def test_links_are_free_up_to_the_page() -> None:
    free = free_m(384, "vector", 16)
    assert free > 16
    assert rows_a_page("vector", 384, free) == rows_a_page("vector", 384, 16)
    assert rows_a_page("vector", 384, free + 1) < rows_a_page("vector", 384, 16)
