"""The store on a real server: searches give k rows and the right ones, whatever is filtered, and only one's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import postgast
import psycopg
import pytest
from psycopg import sql

from data_platform.errors import UsageProblem
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database, Server
from data_platform.postgres.vectors.apply import apply
from data_platform.retrieval.design import design
from data_platform.retrieval.exact import nearest
from data_platform.retrieval.pgvector.beyond import citus, partitioned
from data_platform.retrieval.pgvector.names import names_of, slug
from data_platform.retrieval.pgvector.prove import prove
from data_platform.retrieval.pgvector.store import File, files, indexes
from data_platform.spec.retrieval import Filter, Needs, Retrieval
from data_platform.sql.text import Sql
from retrieval.pgvector.stores import WIDTH, fill, spec_of, store, tenants

ROWS = 1500
SHARES = (0.001, 0.01, 0.05, 0.2)


def values(rows: int = ROWS) -> np.ndarray:
    drawn = np.random.default_rng(7)
    return np.tanh(drawn.normal(size=(rows, 4)) @ drawn.normal(size=(4, WIDTH))).astype(np.float32)


def ask(
    connection: psycopg.Connection[Any], spec: Retrieval, query: Any, k: int = 10, **filters: Any
) -> list[Any]:
    names = names_of(spec)
    given = sql.SQL(", ").join(
        sql.SQL("{} => %s").format(sql.Identifier(name)) for name in ("query", "k", *filters)
    )
    called = sql.SQL("SELECT chunk_id, distance FROM {}({})").format(
        sql.Identifier(names.schema, names.search.name), given
    )
    return connection.execute(called, [query, k, *filters.values()]).fetchall()


def test_filters_of_any_share_give_k_rows_and_the_right_ones(database: Database) -> None:
    found, spec = values(), spec_of(hybrid=None)
    kinds = ["a", "b", "c", "d"]
    rows = [
        {
            "category": next((k for k, s in zip(kinds, SHARES, strict=True) if n % round(1 / s) == 0), "z"),
            "labels": [f"l{n % 7}"],
        }
        for n in range(ROWS)
    ]
    with store(database, spec) as connection:
        ids = fill(connection, spec, found, rows)
        connection.execute("ANALYZE")
        for kind in (*kinds, "z"):
            own = np.array([n for n, row in enumerate(rows) if row["category"] == kind])
            hits = []
            for query in found[:20]:
                got = ask(connection, spec, query, category=kind)
                truth = nearest(query[None], found[own], "cosine", 10)
                assert len(got) == min(10, len(own)), kind
                hits.append(len({one for one, _ in got} & {ids[own[i]] for i in truth.ids[0]}) / len(got))
                assert [d for _, d in got] == sorted(d for _, d in got)
            assert np.mean(hits) >= 0.95, kind
        assert len(ask(connection, spec, found[0], labels=["l1"])) == 10
        assert len(ask(connection, spec, found[0], k=500)) == 500
        assert ask(connection, spec, found[0], category="nothing") == []


def test_the_index_is_used_where_many_rows_pass(database: Database) -> None:
    spec, found = spec_of(hybrid=None), values()
    with store(database, spec) as connection:
        fill(connection, spec, found, [{"category": "a"}] * ROWS)
        connection.execute("ANALYZE")
        connection.execute("SET enable_sort = off")  # so few rows it would read and sort all the same
        ask(connection, spec, found[0], category="a")
        connection.execute("SELECT pg_stat_force_next_flush()")
        ask(connection, spec, found[0])
        used = connection.execute(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s", [names_of(spec).index.name]
        ).fetchone()
    assert used in ((1,), (2,))


@pytest.mark.parametrize(("share", "way"), [(0.005, "compared"), (0.04, "compared"), (0.5, "index")])
@pytest.mark.parametrize("analyzed", [True, False])
def test_few_rows_are_compared_and_many_are_not(
    database: Database, share: float, way: str, analyzed: bool
) -> None:
    """The threshold is 100 rows: 7 are counted, 60 and 750 are known from the statistics, which may be missing."""
    spec, found = spec_of(hybrid=None), values()
    with store(database, spec) as connection:
        ids = fill(connection, spec, found, [{"category": "ab"[n >= share * ROWS]} for n in range(ROWS)])
        if analyzed:
            connection.execute("ANALYZE")
        connection.execute("SET enable_sort = off")
        connection.execute("SET default_transaction_read_only = on")
        got = [one for one, _ in ask(connection, spec, found[0], category="a")]
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("SELECT pg_stat_force_next_flush()")
        used = connection.execute(
            "SELECT idx_scan > 0 FROM pg_stat_user_indexes WHERE indexrelname = %s",
            [names_of(spec).index.name],
        ).fetchone()
    truth = nearest(found[:1], found[: round(share * ROWS)], "cosine", 10)
    wanted = {ids[n] for n in truth.ids[0]}
    assert len(set(got) & wanted) >= (len(wanted) if way == "compared" else 9)
    assert len(got) == min(10, round(share * ROWS))
    if analyzed:
        assert used == (way == "index",)


def test_a_tenant_sees_its_own_rows_only(database: Database) -> None:
    spec = spec_of(tenants=tenants(), filters=(), hybrid=None)
    found = values(60)
    with connect(database.conninfo, read_only=False) as _, store(database, spec) as connection:
        connection.execute("ALTER SCHEMA help OWNER TO CURRENT_USER")
        for table in ("documents", "chunks", "embeddings_mini_lm"):
            connection.execute(f"ALTER TABLE help.{table} NO FORCE ROW LEVEL SECURITY".encode())
        fill(connection, spec, found, [{"tenant_id": f"t{n % 3}"} for n in range(60)])
        for table in ("documents", "chunks", "embeddings_mini_lm"):
            connection.execute(f"ALTER TABLE help.{table} FORCE ROW LEVEL SECURITY".encode())
        assert ask(connection, spec, found[0]) == []
        connection.execute("SET app.tenant = 't1'")
        mine = {one for one, _ in ask(connection, spec, found[0], k=50)}
        assert len(mine) == 20
        assert all((one.int - 1) % 3 == 1 for one in mine)
        assert ask(connection, spec, found[0], tenant_id="t2") == []


def test_hybrid_is_the_weighted_fusion_of_both_orders(database: Database) -> None:
    spec = spec_of(filters=())
    found = values(30)
    rows = [
        {"content": "apples and pears" if n in (3, 9) else "apples" if n == 20 else "nothing"}
        for n in range(30)
    ]
    with store(database, spec) as connection:
        ids = fill(connection, spec, found, rows)
        got = connection.execute(
            "SELECT chunk_id, score FROM help.hybrid_mini_lm(%s, 'Which pears or an apple?', 30)", [found[0]]
        ).fetchall()
        near = [one for one, _ in ask(connection, spec, found[0], k=50)]
    words = [ids[3], ids[9], ids[20]]
    expected = {one: 0.5 / (60 + place) for place, one in enumerate(near, 1)}
    for place, one in enumerate(words, 1):
        expected[one] += 0.5 / (60 + place)
    assert {one: pytest.approx(score) for one, score in got} == expected
    assert got[0][0] in words


@pytest.mark.parametrize(
    "settings",
    [
        {"index": "none"},
        {"type": "vector"},
        {"type": "bit", "rerank": 60},
        {"type": "bit", "rerank": 60, "centred": False},
        {"index": "ivfflat", "type": "vector", "lists": 10, "probes": 10},
    ],
)
def test_every_kind_of_index_answers(database: Database, settings: dict[str, Any]) -> None:
    spec = spec_of(settings={**settings, "prefilter_rows": 100}, hybrid=None)
    found = values(400)
    with store(database, spec) as connection:
        ids = fill(connection, spec, found, [{"category": "a"}] * 400)
        truth = nearest(found[:10], found, "cosine", 10)
        hits = [
            len({one for one, _ in ask(connection, spec, q)} & {ids[i] for i in row}) / 10
            for q, row in zip(found[:10], truth.ids, strict=True)
        ]
    assert np.mean(hits) >= 0.9


def test_bits_are_those_of_the_difference_from_the_mean(database: Database) -> None:
    """All numbers are positive: bits of the vectors themselves are all the same, and find nothing."""
    spec = spec_of(hybrid=None, filters=(), settings={"type": "bit", "rerank": 60, "prefilter_rows": 0})
    made, names, found = design(spec), names_of(spec), values(1000) + 2
    with store(database, spec) as connection:
        connection.execute("DROP INDEX help.embeddings_mini_lm_near")
        connection.execute("DROP FUNCTION help.mean_mini_lm")
        ids = fill(connection, spec, found, [{}] * 1000)
        apply(connection, [File("i", indexes(spec, made, names), transaction=False)])
        connection.execute("SET enable_sort = off")  # so few rows it would read and sort all the same
        truth = nearest(found[:20], found, "cosine", 10)
        hits = [
            len({one for one, _ in ask(connection, spec, q)} & {ids[i] for i in row}) / 10
            for q, row in zip(found[:20], truth.ids, strict=True)
        ]
    assert np.mean(hits) >= 0.8  # of sixteen bits


def test_hostile_names_are_names(server: Server) -> None:
    spec = spec_of(
        name="he\"lp; $body$ 'DROP' $$",
        filters=(Filter(name='a "b" c', type="integer"), Filter(name="select", type="date")),
        settings={"type": "bit"},
    )
    assert "answered" in prove(spec, files(spec, design(spec)), server)


def test_a_file_that_the_server_refuses_is_told(server: Server) -> None:
    with pytest.raises(UsageProblem, match=r"02\.sql: the server refuses it"):
        prove(
            spec_of(),
            (File("01.sql", Sql("SELECT 1")), File("02.sql", Sql("SELECT nonsense"), transaction=False)),
            server,
        )


def test_beyond_one_machine_it_is_partitioned(database: Database) -> None:
    spec = spec_of(needs=Needs(rows_in_a_year=3_000_000_000), hybrid=None, filters=())
    made = design(spec)
    assert made.partitions >= 2
    small = design(spec_of(hybrid=None, filters=()))
    first = files(spec, small)[0]
    with connect(database.admin_conninfo, read_only=False) as admin:
        admin.execute("CREATE EXTENSION vector")
        admin.commit()
    with connect(database.conninfo, read_only=False) as connection:
        connection.autocommit = True
        connection.execute(first.sql.encode())
        connection.execute(b"DROP TABLE help.embeddings_mini_lm")
        connection.execute(partitioned(spec, replace(made, partitions=3)).sql.encode())
        parts = connection.execute("SELECT count(*) FROM pg_inherits").fetchone()
    assert parts == (9,)  # three tables, each with its key and its index of vectors


def test_what_citus_distributes_has_the_keys_that_it_allows(database: Database) -> None:
    """Its own functions are not here: the rest is run, and each key holds the column that says where a row lies."""
    spec = spec_of(hybrid=None, filters=(), tenants=tenants())
    with store(database, spec) as connection:
        for statement in postgast.split(citus(spec, design(spec)).sql):
            if not any(word in statement for word in ("create_", "run_command", "EXTENSION")):
                connection.execute(statement.encode())
        keys = connection.execute(
            "SELECT conrelid::regclass::text, contype, array_agg(attname::text) FROM pg_constraint"
            " JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey) WHERE contype IN ('p', 'u', 'f')"
            " AND connamespace = 'help'::regnamespace GROUP BY conrelid, contype, pg_constraint.oid"
        ).fetchall()
    where = {"help.chunks": "id", "help.embeddings_mini_lm": "chunk_id"}
    unique = [(table, columns) for table, kind, columns in keys if table in where and kind in ("p", "u")]
    assert len(unique) == 2
    assert all(where[table] in columns for table, columns in unique)
    assert ("help.embeddings_mini_lm", "f", ["chunk_id"]) in keys
    assert ("help.chunks", "f", ["document_id"]) in keys


def test_slugs() -> None:
    assert slug("text-embedding-3-small") == "text_embedding_3_small"
    assert slug("…") == "model"
    assert len(slug("x" * 90)) <= 40
    assert slug("x" * 90) != slug("x" * 91)
