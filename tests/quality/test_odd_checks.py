"""Checks of odd tables: names that our own SQL uses, heirs, domains, generated columns, what a server refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_platform.pipeline.quality.told import result
from data_platform.postgres.server import Database, Server
from quality.running import failing, judged
from quality.test_checks import fill


@pytest.mark.parametrize("names", [("n",), ("g", "q"), ("r", "f", "row"), ("count(*)", "n")])
def test_names_that_our_own_queries_use(database: Database, names: tuple[str, ...]) -> None:
    columns = ", ".join(f'"{name}" int' for name in names)
    fill(database, f"CREATE TABLE t ({columns})", "t", [(1,) * len(names)] * 3 + [(2,) * len(names)])
    listed = list(names)
    found = judged(
        database,
        {"on": "t", "check": "unique", "columns": listed},
        {"on": "t", "check": "set", "columns": listed, "values": [1]},
        {"on": "t", "check": "sql", "sql": f'SELECT "{names[0]}", 1 AS q FROM t WHERE "{names[0]}" = 2'},
        {
            "on": "t",
            "check": "reference",
            "columns": listed,
            "to": {"table": "t", "where": f'"{names[0]}" = 1'},
        },
    )
    assert [one.failing for one in found] == [2, 1, 1, 1]
    assert set(names) <= found[0].samples[0].keys()
    assert found[2].samples[0] == {"q": 1, names[0]: 2} | ({"q": 1} if names[0] == "q" else {})


def test_an_index_says_nothing_of_rows_that_inherit(database: Database) -> None:
    ddl = "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE heir () INHERITS (t); INSERT INTO heir VALUES (1), (2)"
    fill(database, ddl, "t", [(1,)])
    assert failing(database, {"on": "t", "check": "unique", "columns": ["id"]}) == [1]


def test_an_index_of_a_partitioned_table_is_of_all_its_rows(database: Database) -> None:
    ddl = "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE p PARTITION OF t DEFAULT"
    fill(database, ddl, "t", [(1,)])
    (found,) = judged(database, {"on": "t", "check": "unique", "columns": ["id"]})
    assert (found.state, found.rows) == ("passed", None)


@pytest.mark.parametrize(
    "condition",
    [
        "unnest(tags) <> ''",
        "nextval('s') > 0",
        "repeat('x', 2000000000) <> ''",
        "fails(id)",
    ],
)
def test_whatever_the_server_refuses_is_a_verdict(database: Database, condition: str) -> None:
    ddl = """CREATE SEQUENCE s; CREATE TABLE t (id int, tags text[]);
        CREATE FUNCTION fails(int) RETURNS boolean LANGUAGE plpgsql AS
        $$BEGIN RAISE unique_violation USING MESSAGE = 'no'; END$$"""
    fill(database, ddl, "t", [(1, ["a"])])
    check = {"on": "t", "check": "condition", "condition": condition}
    found = judged(database, check, {"on": "t", "check": "sql", "sql": f"SELECT {condition} FROM t"})
    assert found[0].state == "not run"
    assert failing(database, check, {"on": "t", "check": "not_null", "columns": ["id"]}) == ["not run", 0]


def test_no_other_way_around_a_mask(database: Database) -> None:
    ddl = """CREATE TABLE t (id int, state text, email text, low text GENERATED ALWAYS AS (lower(email)) STORED);
        CREATE FUNCTION shout(t text) RETURNS boolean LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'look: %', t; END$$;
        INSERT INTO t VALUES (1, 'new', 'secret')"""
    fill(database, ddl, "t", [])
    found = judged(
        database,
        {"on": "t", "check": "condition", "name": "of all", "condition": "id > 1"},
        {"on": "t", "check": "set", "columns": ["low"], "values": ["x"]},
        {"on": "t", "check": "unique", "columns": ["low"], "where": "email <> ''"},
        {"on": "t", "check": "condition", "name": "raised", "condition": "shout(email)"},
        {"on": "t", "check": "condition", "name": "a table", "condition": "email::regclass IS NULL"},
        {"on": "t", "check": "sql", "name": "alias", "sql": "SELECT id, email AS state FROM t"},
        {
            "on": "t",
            "check": "sql",
            "name": "beneath",
            "sql": "WITH q AS (SELECT email AS id FROM t) SELECT * FROM q",
        },
        {"on": "t", "check": "sql", "name": "greatest", "sql": "SELECT max(email) AS state FROM t"},
        {
            "on": "t",
            "check": "sql",
            "name": "both",
            "sql": "SELECT id FROM t WHERE id = 1 UNION SELECT length(email) FROM t",
        },
        {"on": "t", "check": "sql", "name": "wrong", "sql": "SELECT secrets FROM t"},
        sensitive=["email"],
    )
    assert "secret'" not in str([(one.told, one.samples) for one in found]).lower()
    assert "secret " not in str([one.told for one in found])
    assert [one.state for one in found] == [
        *["failed"] * 2,
        "passed",
        *["not run"] * 2,
        *["failed"] * 4,
        "not run",
    ]
    assert found[5].samples == ({"id": 1, "state": "•••"},)
    assert 'column "secrets" does not exist' in found[9].told


def test_another_name_of_a_column_that_may_be_seen_is_shown(database: Database) -> None:
    fill(database, "CREATE TABLE t (id int, email text)", "t", [(1, "secret")])
    (found,) = judged(
        database,
        {"on": "t", "check": "sql", "sql": "SELECT t.id AS number, email FROM t"},
        sensitive=["email"],
    )
    assert found.samples == ({"number": 1, "email": "•••"},)


def test_a_domain_is_what_it_is_of(database: Database) -> None:
    ddl = """CREATE DOMAIN amount AS numeric; CREATE DOMAIN money_ AS amount CHECK (VALUE <> 5);
        CREATE DOMAIN day AS date; CREATE TABLE t (v money_, d day)"""
    fill(database, ddl, "t", [("NaN", "2020-01-01"), ("1", None)])
    checks = [
        {"on": "t", "check": "range", "columns": ["v"], "min": 0},
        {"on": "t", "check": "format", "columns": ["d"], "format": "date"},
    ]
    assert failing(database, *checks) == [1, 0]


@pytest.mark.parametrize(
    ("bounds", "count"),
    [({"min": 0.5}, 1), ({"above": 1.5, "max": 2.0}, 1), ({"max": 3_000_000_000}, 0), ({"below": 1e6}, 0)],
)
def test_bounds_of_whole_numbers(database: Database, bounds: dict[str, Any], count: int) -> None:
    fill(database, "CREATE TABLE t (v int, s smallint, b bigint)", "t", [(0, 0, 0)] if count else [(1, 1, 1)])
    checks = [{"on": "t", "check": "range", "columns": [name], **bounds} for name in "vsb"]
    assert failing(database, *checks) == [count] * 3


def test_infinity_is_no_new_row_and_nan_no_figure(database: Database) -> None:
    fill(
        database,
        "CREATE TABLE t (at timestamp, v float8)",
        "t",
        [("infinity", "NaN"), ("2020-01-01", "Infinity")],
    )
    found = judged(
        database,
        {"on": "t", "check": "freshness", "columns": ["at"], "within": "1 day"},
        {
            "on": "t",
            "check": "freshness",
            "name": "some",
            "columns": ["at"],
            "within": "1 day",
            "where": "v = 'NaN'",
        },
        {"on": "t", "check": "drift", "measure": "max(v)", "change": 0.1},
        {"on": "t", "check": "drift", "name": "least", "measure": "min(v)", "change": 0.1},
    )
    assert [one.state for one in found] == ["failed", "failed", "failed", "no history"]
    told = json.dumps(result(found, 1.0), allow_nan=False)
    assert [one["measured"] for one in json.loads(told)["checks"][1:]] == [None] * 3


def test_a_time_far_ahead_is_no_new_row(database: Database) -> None:
    rows = "SELECT now() + i, i FROM unnest(ARRAY['-3 days', '2 hours', '30 years']::interval[]) i"
    fill(database, f"CREATE TABLE t (at, ahead) AS {rows}", "t", [])
    asked = {"on": "t", "check": "freshness", "columns": ["at"]}
    found = judged(
        database,
        {**asked, "name": "nearly", "within": "1 day"},
        {**asked, "name": "hour", "within": "1 hour"},
        {**asked, "name": "far", "within": "1 day", "where": "ahead > '1 day'"},
    )
    assert [one.state for one in found] == ["passed", "failed", "failed"]
    assert found[1].measured == pytest.approx(3 * 86_400, abs=600)
    assert found[2].measured is None


@pytest.mark.parametrize(
    ("here", "value", "there", "other"),
    [
        ("varchar(6)", "abcdef", "varchar(3)", "abc"),
        ("numeric(10, 3)", "1.005", "numeric(10, 2)", "1.01"),
        ("timestamp", "2020-01-01 00:00:00.6", "timestamp(0)", "2020-01-01 00:00:01"),
        ("bit(4)", "1010", "bit(3)", "101"),
    ],
)
def test_a_key_elsewhere_is_not_cut_until_it_is_equal(
    server: Server, here: str, value: str, there: str, other: str
) -> None:
    to = {"table": "t", "columns": ["k"], "dsn": "env:OTHER", "store": "Other DB"}
    with server.scratch_database() as one, server.scratch_database() as two:
        fill(one, f"CREATE TABLE t (k {here}); INSERT INTO t VALUES ('{value}')", "t", [])
        fill(two, f"CREATE TABLE t (k {there}); INSERT INTO t VALUES ('{other}')", "t", [])
        check = {"on": "t", "check": "reference", "columns": ["k"], "to": to}
        assert [v.failing for v in judged(one, check, others={"env:OTHER": two})] == [1]


@pytest.mark.parametrize("there", ["smallint", "integer", "bigint", "numeric(6, 2)", "numeric"])
@pytest.mark.parametrize("here", ["numeric", "numeric(12, 2)", "bigint", "text"])
def test_whole_numbers_elsewhere_are_found_whatever_they_are_kept_in(
    server: Server, here: str, there: str
) -> None:
    to = {"table": "t", "columns": ["k"], "dsn": "env:OTHER", "store": "Other DB"}
    fractions = ", ('5.50'), ('NaN')" if here == "numeric" else ""
    with server.scratch_database() as one, server.scratch_database() as two:
        rows = f"('5'), ('7'), ('1234567890'){fractions}"
        fill(one, f"CREATE TABLE t (k {here}); INSERT INTO t VALUES {rows}", "t", [])
        fill(two, f"CREATE TABLE t (k {there}); INSERT INTO t VALUES (5), (6)", "t", [])
        check = {"on": "t", "check": "reference", "columns": ["k"], "to": to}
        assert [v.failing for v in judged(one, check, others={"env:OTHER": two})] == [4 if fractions else 2]
