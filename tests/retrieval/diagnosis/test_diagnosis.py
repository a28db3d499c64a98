"""Each fault made for real on a server is found, and its clean twin is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database
from data_platform.postgres.vectors.facts import Asked, Facts, explained, facts
from data_platform.retrieval.diagnosis import queries, rules

ROWS = 2_000
UNIT = "l2_normalize(ARRAY[sin(n), cos(n * 1.7), sin(n * 2.3), 0.5]::vector(4))"


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with connect(database.admin_conninfo, read_only=False) as connection:
        connection.autocommit = True
        connection.execute("CREATE EXTENSION vector")
        yield connection


def table(
    admin: psycopg.Connection[Any], value: str = UNIT, rows: int = ROWS, type_: str = "vector(4)"
) -> None:
    admin.execute(f"CREATE TABLE items (id int PRIMARY KEY, embedding {type_}, kind int)".encode())
    admin.execute(
        f"INSERT INTO items SELECT n, {value}, n % 10 FROM generate_series(1, {rows}) AS n".encode()
    )


def index(
    admin: psycopg.Connection[Any], how: str = "hnsw (embedding vector_cosine_ops)", name: str = "near"
) -> None:
    admin.execute("SELECT pg_stat_force_next_flush()")
    admin.execute("ANALYZE items")
    admin.execute(f"CREATE INDEX {name} ON items USING {how}".encode())


def told(admin: psycopg.Connection[Any]) -> set[str]:
    admin.execute("SELECT pg_stat_force_next_flush()")
    return {one.rule for one in rules.findings(facts(admin))}


def test_a_sound_table_has_nothing_against_it(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    index(admin)
    assert told(admin) <= {"vector-index-needless", "pgvector-not-updated"}


def test_without_pgvector_it_is_said(database: Database) -> None:
    with (
        connect(database.admin_conninfo, read_only=False) as connection,
        pytest.raises(UsageProblem, match="no pgvector"),
    ):
        facts(connection)


@pytest.mark.parametrize(
    ("value", "type_", "rule"),
    [
        (f"CASE WHEN n % 50 = 0 THEN '[0,0,0,0]'::vector ELSE {UNIT} END", "vector(4)", "vector-zero"),
        (f"CASE WHEN n % 3 = 0 THEN {UNIT} ELSE '[3,4,1,2]'::vector END", "vector(4)", "vector-normalisation-mixed"),
        (f"CASE WHEN n % 9 = 0 THEN '[1,2]'::vector ELSE {UNIT} END", "vector", "vector-dimensions-mixed"),
        (UNIT, "vector", "vector-dimension-unchecked"),
        (f"CASE WHEN n < {ROWS // 2} THEN l2_normalize(ARRAY[3, 1, sin(n), cos(n)]::vector(4))"
         " ELSE l2_normalize(ARRAY[-3, 2, cos(n), sin(n)]::vector(4)) END", "vector(4)", "vector-model-changed"),
    ],
)  # fmt: skip
def test_vectors(admin: psycopg.Connection[Any], value: str, type_: str, rule: str) -> None:
    table(admin, value, type_=type_)
    assert rule in told(admin)


def test_a_table_of_two_subjects_is_no_change_of_model(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    assert "vector-model-changed" not in told(admin)


def test_indexes(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    index(admin)
    index(admin, name="again")
    index(admin, "ivfflat (embedding vector_l2_ops) WITH (lists = 900)", name="lists")
    admin.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'again'::regclass")
    found = told(admin)
    assert {"vector-index-twice", "ivfflat-lists", "vector-index-invalid"} <= found


def test_a_graph_that_does_not_fit(admin: psycopg.Connection[Any]) -> None:
    table(admin, rows=30_000)
    index(admin, "hnsw (embedding vector_cosine_ops) WITH (m = 4, ef_construction = 8)")
    admin.execute("SET maintenance_work_mem = '4MB'")
    assert "vector-build-memory" in told(admin)
    admin.execute("SET maintenance_work_mem = '64MB'")
    assert "vector-build-memory" not in told(admin)


def test_dead_rows_and_bloat(admin: psycopg.Connection[Any]) -> None:
    table(admin, rows=6_000)
    index(admin, "hnsw (embedding vector_cosine_ops) WITH (m = 4, ef_construction = 8)")
    admin.execute("DELETE FROM items WHERE id > 2500")
    found = told(admin)
    assert "vector-dead-rows" in found
    assert "vector-index-bloat" in found
    admin.execute("VACUUM items")
    admin.execute("REINDEX INDEX near")
    assert not told(admin) & {"vector-dead-rows", "vector-index-bloat"}


def test_what_only_figures_show(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    index(admin)
    sound = facts(admin)

    def rules_of(changed: Facts) -> set[str]:
        return {one.rule for one in rules.findings(changed)}

    assert "pgvector-known-fault" in rules_of(replace(sound, version="0.8.1"))
    assert "pgvector-known-fault" not in rules_of(replace(sound, version="0.8.4"))
    assert "pgvector-not-updated" in rules_of(replace(sound, version="0.8.5", available="0.8.6"))
    assert "vector-index-exceeds-cache" in rules_of(replace(sound, shared_buffers=1000))
    (column,) = sound.columns
    big = replace(column, live=50_000_000, rows=50_000_000)
    assert "vector-index-missing" in rules_of(replace(sound, indexes=(), columns=(big,)))
    busy = replace(column, updates=90_000, hot_updates=10)
    assert "vector-updated-with-the-row" in rules_of(replace(sound, columns=(busy,)))
    slow = Asked("INSERT INTO items VALUES ($1, $2::vector)", 5000, 1.0)
    assert "vector-load-row-by-row" in rules_of(replace(sound, asked=(slow,)))


SOUND = "SELECT id FROM items ORDER BY embedding <=> '[1,2,3,4]' LIMIT 10"


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        (SOUND.replace("<=>", "<->"), "vector-operator-mismatch"),
        (
            "SELECT id FROM items ORDER BY 1 - (embedding <=> '[1,2,3,4]') DESC LIMIT 10",
            "vector-order-hides-distance",
        ),
        (SOUND.replace(" LIMIT", " DESC LIMIT"), "vector-order-descending"),
        (SOUND.replace("LIMIT 10", "LIMIT 100"), "vector-limit-over-ef-search"),
        (SOUND.replace(" LIMIT 10", ""), "vector-no-limit"),
        (SOUND.replace("ORDER", "WHERE kind = 3 ORDER"), "vector-filter-after-index"),
        (
            SOUND.replace("embedding <=> '[1,2,3,4]'", "embedding::halfvec(4) <=> '[1,2,3,4]'"),
            "vector-index-unused",
        ),
    ],
)
def test_queries(admin: psycopg.Connection[Any], query: str, rule: str) -> None:
    table(admin)
    index(admin)
    admin.execute("SET enable_sort = off")
    found = facts(admin)
    assert rule in {one.rule for one in queries.findings(query, found, lambda q: explained(admin, q))}
    assert queries.findings(SOUND, found, lambda q: explained(admin, q)) == ()


def test_what_is_no_search_is_told(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    found = facts(admin)
    for text in ("SELECT", "SELECT 1; SELECT 2", "nonsense", "SELECT id FROM items"):
        with pytest.raises(UsageProblem):
            queries.findings(text, found, lambda q: explained(admin, q))
    with pytest.raises(UsageProblem, match="does not plan it"):
        queries.findings(
            "SELECT no FROM items ORDER BY embedding <=> '[1]' LIMIT 1", found, lambda q: explained(admin, q)
        )
