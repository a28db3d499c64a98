"""How many rows pass, as the search function takes it to be: what is known together, what is remembered, and that a
wrong number costs time and no rows.
"""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector.psycopg import register_vector

from data_platform.postgres.server import Database
from data_platform.retrieval.exact import nearest
from data_platform.retrieval.pgvector.names import names_of
from data_platform.spec.retrieval import Filter, Retrieval
from retrieval.pgvector.stores import WIDTH, fill, spec_of, store, tenants

ROWS = 1_200


def two_columns() -> Retrieval:
    """`shelf` says `room`: of 30 shelves three are in a room."""
    filters = (Filter(name="room", type="integer"), Filter(name="shelf", type="integer"))
    return spec_of(hybrid=None, filters=filters, settings={"prefilter_rows": 30})


def vectors(rows: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(rows, WIDTH)).astype(np.float32)


def estimate(connection: psycopg.Connection[Any], spec: Retrieval, *given: object) -> float:
    marks = ", ".join(["%s"] * len(given))
    query = f"SELECT help.{names_of(spec).estimate.name}({marks})"
    row = connection.execute(query.encode(), given).fetchone()
    assert row is not None
    return float(row[0])


def search(
    connection: psycopg.Connection[Any], spec: Retrieval, query: np.ndarray, filters: str
) -> list[uuid.UUID]:
    asked = f"SELECT chunk_id FROM help.{names_of(spec).search.name}(%s, 10, {filters})"
    return [one for (one,) in connection.execute(asked.encode(), [query]).fetchall()]


def test_columns_that_depend_on_each_other_are_counted_together(database: Database) -> None:
    spec, found = two_columns(), vectors(ROWS)
    with store(database, spec) as connection:
        fill(connection, spec, found, [{"room": n % 30 // 3, "shelf": n % 30} for n in range(ROWS)])
        connection.execute("ANALYZE")
        # Without statistics of both it would be 1,200 / 10 / 30.
        assert 25 <= estimate(connection, spec, 2, 7) <= 55
        assert estimate(connection, spec, 1, 7) <= 10


def test_an_estimate_is_remembered_and_a_wrong_one_loses_no_rows(database: Database) -> None:
    spec, found = two_columns(), vectors(ROWS)
    with store(database, spec) as connection:
        ids = fill(connection, spec, found, [{"room": int(n < 20), "shelf": 0} for n in range(ROWS)])
        connection.execute("ANALYZE")
        few, many = estimate(connection, spec, 1, None), estimate(connection, spec, 0, None)
        assert few <= 30 < many
        table = f"help.{names_of(spec).embeddings.name}"
        connection.execute(f"UPDATE {table} SET room = 1 - room".encode())
        connection.execute("ANALYZE")
        assert estimate(connection, spec, 1, None) == few, "within a minute nobody asks again"
        for room, rows in ((1, found[20:]), (0, found[:20])):
            wanted = nearest(found[:5], rows, "cosine", 10).ids
            for query, truth in zip(found[:5], wanted, strict=True):
                got = search(connection, spec, query, f"room => {room}")
                own = {ids[20 * room + n] for n in truth}
                assert len(got) == 10
                assert len(own & set(got)) >= 8
        connection.execute(
            "SELECT set_config('dpe.estimate_' || n, 'nonsense', false) FROM generate_series(0, 63) n"
        )
        assert estimate(connection, spec, 1, None) == pytest.approx(many, rel=0.1)


def test_more_rows_than_statistics_know_of_are_searched_by_the_index(database: Database) -> None:
    """What arrays and another column have in common is known to nobody."""
    spec, found = spec_of(hybrid=None, settings={"prefilter_rows": 30}), vectors(ROWS)
    marked = [n % 10 == 0 for n in range(ROWS)]
    rows = [
        {"category": "a" if one else "b", "labels": ["x"] if one else [f"y{n}"]}
        for n, one in enumerate(marked)
    ]
    with store(database, spec) as connection:
        ids = fill(connection, spec, found, rows)
        connection.execute("ANALYZE")
        assert estimate(connection, spec, "a", ["x"]) <= 30 < sum(marked)
        own = {id_ for id_, one in zip(ids, marked, strict=True) if one}
        got = search(connection, spec, found[0], "category => 'a', labels => ARRAY['x']")
        assert len(got) == 10
        assert set(got) <= own
        nobody = search(connection, spec, found[0], "category => 'b', labels => ARRAY['x']")
        assert nobody == []


def test_of_tenants_each_has_an_estimate_of_its_own(database: Database) -> None:
    spec, found = spec_of(hybrid=None, tenants=tenants(), settings={"prefilter_rows": 30}), vectors(ROWS)
    large = [n >= 20 for n in range(ROWS)]
    with store(database, spec) as connection:
        connection.execute("SELECT set_config('app.tenant', '', false)")
        with psycopg.connect(database.admin_conninfo, autocommit=True) as admin:
            register_vector(admin)
            rows = [{"tenant_id": "large" if one else "small", "category": "a"} for one in large]
            ids = fill(admin, spec, found, rows)
            admin.execute("ANALYZE")
        for tenant, first, last in (("large", 20, ROWS), ("small", 0, 20), ("large", 20, ROWS)):
            connection.execute("SELECT set_config('app.tenant', %s, false)", [tenant])
            own = set(ids[first:last])
            for filters in ("category => NULL", "category => 'a'"):
                got = search(connection, spec, found[0], filters)
                assert len(got) == 10, (tenant, filters)
                assert set(got) <= own
