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
    assert rule in {one.rule for one in queries.findings(query, found, lambda q, s: explained(admin, q, s))}
    assert queries.findings(SOUND, found, lambda q, s: explained(admin, q, s)) == ()


def rules_of(admin: psycopg.Connection[Any], query: str, found: Facts | None = None) -> dict[str, str]:
    """Rule → severity."""
    told_ = queries.findings(query, found or facts(admin), lambda q, s: explained(admin, q, s))
    return {one.rule: one.severity for one in told_}


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("SELECT id, embedding <-> '[1,2,3,4]' AS d FROM items ORDER BY d LIMIT 10", "vector-operator-mismatch"),
        ("SELECT id, embedding <-> '[1,2,3,4]' FROM items ORDER BY 2 LIMIT 10", "vector-operator-mismatch"),
        (
            "SELECT id FROM (SELECT id, embedding <-> '[1,2,3,4]' AS d FROM public.items) s ORDER BY d LIMIT 10",
            "vector-operator-mismatch",
        ),
        (f"WITH near AS ({SOUND.replace('<=>', '<->')}) SELECT * FROM near", "vector-operator-mismatch"),
        (f"SET hnsw.ef_search = 50; {SOUND.replace('10', '60')};", "vector-limit-over-ef-search"),
        (f"{SOUND} OFFSET 35", "vector-limit-over-ef-search"),
        (
            "SELECT i.id FROM items i JOIN kinds k ON k.id = i.kind WHERE k.name = 'a'"
            " ORDER BY i.embedding <=> '[1,2,3,4]' LIMIT 10",
            "vector-filter-after-index",
        ),
    ],
)  # fmt: skip
def test_searches_wherever_they_stand(admin: psycopg.Connection[Any], query: str, rule: str) -> None:
    table(admin)
    admin.execute("CREATE TABLE kinds (id int PRIMARY KEY, name text)")
    index(admin)
    admin.execute("SET enable_sort = off")
    assert rule in rules_of(admin, query)


@pytest.mark.parametrize(
    "query",
    [
        f"BEGIN; SET LOCAL hnsw.ef_search = 100; {SOUND.replace('10', '60')}; COMMIT;",
        f"SET hnsw.iterative_scan = relaxed_order; {SOUND.replace('ORDER', 'WHERE kind = 3 ORDER')}",
        "SELECT id FROM items ORDER BY embedding <=> $1 LIMIT $2",
        "SELECT id FROM items ORDER BY '[1,2,3,4]' <=> embedding LIMIT 10",
        "WITH passing AS MATERIALIZED (SELECT id, embedding FROM items WHERE kind = 3)"
        " SELECT id FROM passing ORDER BY embedding <=> '[1,2,3,4]' LIMIT 10",
        "SELECT id FROM (SELECT id, embedding FROM items ORDER BY embedding <=> '[1,2,3,4]' LIMIT 40) c"
        " ORDER BY embedding <-> '[1,2,3,4]' LIMIT 10",
    ],
)
def test_sound_searches_have_nothing_against_them(admin: psycopg.Connection[Any], query: str) -> None:
    table(admin)
    index(admin)
    admin.execute("SET enable_sort = off")
    assert rules_of(admin, query) == {}


def test_what_the_planner_rightly_does_is_no_fault(admin: psycopg.Connection[Any]) -> None:
    """A table so small that all of it is compared; an index of the rows that the filter leaves."""
    table(admin)
    index(admin)
    admin.execute("SET enable_indexscan = off")
    assert rules_of(admin, SOUND) == {"vector-index-unused": "info"}
    filtered = SOUND.replace("ORDER", "WHERE kind = 3 ORDER")
    assert "warning" not in rules_of(admin, filtered).values()
    admin.execute("RESET enable_indexscan")
    admin.execute("DROP INDEX near")
    index(admin, "hnsw (embedding vector_cosine_ops) WHERE kind = 3")
    admin.execute("SET enable_sort = off")
    assert rules_of(admin, filtered) == {}


def test_why_an_index_is_not_used(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    index(admin, "hnsw ((embedding::halfvec(4)) halfvec_cosine_ops)")
    found = facts(admin)

    def why(query: str = SOUND) -> str:
        told_ = queries.findings(query, facts(admin), lambda q, s: explained(admin, q, s))
        return next(one.message for one in told_ if one.rule == "vector-index-unused")

    assert "is not what the query orders by" in why()
    admin.execute("SET enable_sort = off")
    halves = "SELECT id FROM items ORDER BY embedding::halfvec(4) <=> $1::halfvec(4) LIMIT 10"
    assert rules_of(admin, halves, found) == {}
    admin.execute("DROP INDEX near")
    index(admin, "hnsw (embedding vector_cosine_ops) WHERE kind = 3")
    assert "WHERE (kind = 3)" in why()


def test_an_index_belongs_to_its_own_column(admin: psycopg.Connection[Any]) -> None:
    admin.execute("CREATE TABLE items (id int PRIMARY KEY, a vector(2), b vector(900))")
    admin.execute(
        "INSERT INTO items SELECT n, ARRAY[n, 1]::vector(2), array_fill(n::real, ARRAY[900])::vector(900)"
        " FROM generate_series(1, 3000) AS n"
    )
    index(admin, "hnsw (a vector_l2_ops) WITH (m = 4, ef_construction = 8)")
    admin.execute("SET maintenance_work_mem = '4MB'")
    assert "vector-build-memory" not in told(admin)  # a graph of b would take more
    assert rules_of(admin, "SELECT id FROM items ORDER BY b <=> $1 LIMIT 10") == {}


def test_partitions_have_indexes_of_their_own(admin: psycopg.Connection[Any]) -> None:
    admin.execute("CREATE TABLE items (id int, kind int, embedding vector(4)) PARTITION BY LIST (kind)")
    for kind in range(10):
        admin.execute(f"CREATE TABLE items_{kind} PARTITION OF items FOR VALUES IN ({kind})".encode())
    admin.execute(f"INSERT INTO items SELECT n, n % 10, {UNIT} FROM generate_series(1, 30000) AS n".encode())
    index(admin, "hnsw (embedding vector_cosine_ops) WITH (m = 4, ef_construction = 8)")
    admin.execute("SET maintenance_work_mem = '4MB'")
    assert "vector-build-memory" not in told(admin)
    admin.execute("SET enable_sort = off")
    assert rules_of(admin, SOUND) == {}
    assert "vector-operator-mismatch" in rules_of(admin, SOUND.replace("<=>", "<->"))


def test_zero_is_as_good_as_any_other_for_the_other_distances(admin: psycopg.Connection[Any]) -> None:
    table(admin, f"CASE WHEN n % 50 = 0 THEN '[0,0,0,0]'::vector ELSE {UNIT} END")
    index(admin, "hnsw (embedding vector_l2_ops)")
    assert "vector-zero" not in told(admin)


def test_lengths_that_lie_around_one_are_not_mixed(admin: psycopg.Connection[Any]) -> None:
    length = "array_fill((1 + 0.05 * sin(n * 7.1))::real, ARRAY[4])::vector(4)"
    table(admin, f"{UNIT} * {length}")
    assert "vector-normalisation-mixed" not in told(admin)


def test_what_applications_asked_is_looked_at(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    index(admin)
    asked = (
        Asked("SELECT id FROM items ORDER BY embedding <-> $1 LIMIT $2", 1234, 1.0),
        Asked("SELECT id FROM items ORDER BY embedding <=> $1 LIMIT $2", 10, 1.0),
        Asked("SELECT id FROM gone ORDER BY embedding <-> $1 LIMIT $2", 10, 1.0),
        Asked("INSERT INTO items VALUES ($1, $2::vector)", 10, 1.0),
    )
    (only,) = queries.of_applications(replace(facts(admin), asked=asked), lambda q, s: explained(admin, q, s))
    assert only.rule == "vector-operator-mismatch"
    assert "1,234 times" in only.message


def test_a_table_named_as_that_of_our_registry_is_no_trouble(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    admin.execute("CREATE TABLE models (name text PRIMARY KEY, fingerprint text NOT NULL)")
    assert "vector-zero" not in told(admin)


def test_what_a_role_may_not_read_is_left_out(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    admin.execute("CREATE SCHEMA closed")
    admin.execute("CREATE TABLE closed.items (embedding vector(3))")
    admin.execute("CREATE ROLE looks_only")
    admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public, closed TO looks_only")
    try:
        admin.execute("SET ROLE looks_only")
        assert {str(one.table) for one in facts(admin).columns} == {"public.items"}
    finally:
        admin.execute("RESET ROLE")
        admin.execute("DROP OWNED BY looks_only")
        admin.execute("DROP ROLE looks_only")


def test_what_is_no_search_is_told(admin: psycopg.Connection[Any]) -> None:
    table(admin)
    found = facts(admin)
    for text in ("SELECT", "SELECT 1; SELECT 2", "nonsense", "SELECT id FROM items"):
        with pytest.raises(UsageProblem):
            queries.findings(text, found, lambda q, s: explained(admin, q, s))
    with pytest.raises(UsageProblem, match="does not plan it"):
        queries.findings(
            "SELECT no FROM items ORDER BY embedding <=> '[1]' LIMIT 1",
            found,
            lambda q, s: explained(admin, q, s),
        )
