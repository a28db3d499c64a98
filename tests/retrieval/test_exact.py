"""Exact search in memory: the same rows that the server finds without an index."""

from __future__ import annotations

import numpy as np
import pytest

from data_platform.postgres.server import Server
from data_platform.postgres.vectors.bench import bench
from data_platform.postgres.vectors.settings import Distance, Search
from data_platform.retrieval.exact import distances, nearest


@pytest.mark.parametrize("distance", ["cosine", "l2", "ip"])
def test_as_the_server_does(server: Server, distance: Distance) -> None:
    drawn = np.random.default_rng(5)
    values = drawn.normal(size=(400, 12)).astype(np.float32)
    queries = drawn.normal(size=(15, 12)).astype(np.float32)
    truth = nearest(queries, values, distance, 7)
    with bench(server, values, queries, distance) as table:
        asked = table.ask(Search(), k=7, count=15)
    assert (asked.ids == truth.ids).all()


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.random.default_rng(6)
    values, queries = drawn.normal(size=(90, 5)).astype("f4"), drawn.normal(size=(11, 5)).astype("f4")
    whole = nearest(queries, values, "l2", 4)
    monkeypatch.setattr("data_platform.retrieval.exact._BLOCK", 200)
    assert (nearest(queries, values, "l2", 4).ids == whole.ids).all()


def test_a_zero_row_is_never_near() -> None:
    values = np.array([[0, 0], [1, 1], [1, 0]], dtype=np.float32)
    assert nearest(values[1:2], values, "cosine", 3).ids.tolist() == [[1, 2, 0]]
    assert np.isinf(distances(values[1], values[:1], "cosine"))[0]


def test_close_rows_far_from_zero_keep_their_order() -> None:
    values = (10_000 + np.arange(50)[:, None] / 100).astype(np.float32)
    assert nearest(values[20:21], values, "l2", 3).ids[0, 0] == 20
