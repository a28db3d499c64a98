"""Views give on each engine the rows that they give on PostgreSQL, or are refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
import sqlglot

from data_platform.ddl import statements
from data_platform.model.database import Index, IndexElement, MaterializedView, Name, View
from data_platform.model.design import Design
from data_platform.postgres.server import Server
from data_platform.schema.dialects import TARGETS, Dialect, render
from schema.designs import design
from schema.dialects.engines import EXECUTED, Engine, opened

TABLES = """
types:
  state: {enum: [new, paid]}
tables:
  people:
    columns:
      id: {type: integer, primary_key: true}
      name: text
      boss: {type: integer, nullable: true}
  orders:
    columns:
      id: {type: integer, primary_key: true}
      person: {type: integer, references: {table: people, on_delete: restrict}}
      state: state
      total: {type: "numeric(10,2)", nullable: true}
      note: {type: text, nullable: true}
"""
DATA = (
    "INSERT INTO people (id, name, boss) VALUES (1, 'Ann', NULL), (2, 'Bob', 1), (3, 'cy', 1)",
    "INSERT INTO orders (id, person, state, total, note) VALUES (1, 1, 'new', 10.50, NULL), "
    "(2, 1, 'paid', 0.25, 'x'), (3, 2, 'paid', 7, 'y'), (4, 2, 'new', NULL, 'x')",
)
VIEWS = {
    "plain": "SELECT id, name FROM people WHERE boss IS NULL",
    "star": "SELECT * FROM people",
    "star_of_one": "SELECT o.*, p.name FROM orders AS o JOIN people AS p ON p.id = o.person",
    "left_join": "SELECT p.name, o.id FROM people p LEFT JOIN orders o ON o.person = p.id AND o.state = 'paid'",
    "grouped": "SELECT person, count(*) AS orders, sum(total) AS total FROM orders GROUP BY person",
    "by_position": "SELECT state, count(note) AS notes FROM orders GROUP BY 1 HAVING count(*) > 1",
    "by_alias": "SELECT lower(name) AS low, count(*) FROM people GROUP BY low",
    "distinct_values": "SELECT DISTINCT note FROM orders",
    "counted_once": "SELECT count(DISTINCT note) AS notes FROM orders",
    "first_two": "SELECT id FROM orders ORDER BY total DESC, id LIMIT 2",
    "nulls_first": "SELECT id, total FROM orders ORDER BY total NULLS FIRST, 1 LIMIT 3 OFFSET 1",
    "subquery": "SELECT s.person FROM (SELECT person, max(total) AS most FROM orders GROUP BY person) AS s "
    "WHERE s.most > 8",
    "common": "WITH paid AS (SELECT person, total FROM orders WHERE state = 'paid') SELECT * FROM paid",
    "either": "SELECT name FROM people UNION SELECT note FROM orders",
    "all_numbers": "SELECT boss FROM people UNION ALL SELECT person FROM orders",
    "present": "SELECT name FROM people p WHERE EXISTS (SELECT 1 AS one FROM orders o WHERE o.person = p.id)",
    "within": "SELECT name FROM people WHERE id IN (SELECT person FROM orders WHERE note = 'y')",
    "scalar": "SELECT name, (SELECT count(*) AS n FROM orders o WHERE o.person = p.id) AS n FROM people p",
    "computed": "SELECT id, CASE WHEN total > 5 THEN 'much' ELSE 'little' END AS size, "
    "coalesce(note, '-') AS note FROM orders",
    "of_a_view": "SELECT name FROM plain",
    "using_one": "SELECT id, name, total FROM people JOIN (SELECT person AS id, total FROM orders) AS o USING (id)",
    "using_all": "SELECT * FROM (SELECT name, id FROM people) AS p "
    "LEFT JOIN (SELECT total, person AS id FROM orders) AS o USING (id)",
    "using_twice": "SELECT * FROM (SELECT note, id FROM orders) AS a "
    "JOIN (SELECT person, id FROM orders) AS b USING (id) "
    "JOIN (SELECT name, id, boss AS person FROM people) AS c USING (person, id)",
    "using_qualified": "SELECT o.id AS own, p.id AS other, id FROM people AS p LEFT JOIN orders AS o USING (id)",
    "crossed": "SELECT p.id AS a, q.id AS b FROM people p CROSS JOIN people q WHERE p.id < q.id",
}
REFUSED = {
    "windowed": "SELECT id, row_number() OVER (ORDER BY id) AS n FROM orders",
    "distinct_on": "SELECT DISTINCT ON (person) id FROM orders ORDER BY person, id",
    "lateral": "SELECT p.id FROM people p, LATERAL (SELECT 1 AS x) AS s",
    "of_a_function": "SELECT g AS n FROM generate_series(1, 3) AS g",
    "recursive": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r",
    "using_nothing": "SELECT total FROM people JOIN orders USING (name)",
    "using_alias": "SELECT j.id FROM people JOIN orders USING (id) AS j",
    "natural": "SELECT name FROM people NATURAL JOIN orders",
    "unknown": "SELECT foo(id) AS x FROM people",
    "gone": "SELECT id FROM elsewhere",
    "ambiguous": "SELECT id FROM people, orders",
    "twice": "SELECT id, id FROM people",
    "values_only": "VALUES (1), (2)",
    "text_aggregate": "SELECT string_agg(name, ',') AS names FROM people",
    "longest": "SELECT max(name) AS last FROM people",
    "filtered": "SELECT count(*) FILTER (WHERE id > 1) AS n FROM people",
    "locked": "SELECT id FROM people FOR UPDATE",
}


def subject(queries: dict[str, str]) -> Design:
    made = design(TABLES)
    views = tuple(View(name=Name("public", name), query=query) for name, query in sorted(queries.items()))
    return replace(made, database=replace(made.database, views=views))


def rows(found: Any) -> list[tuple[str, ...]]:
    """Comparable over engines: numbers by value, the rest as text."""
    return sorted(tuple(_value(value) for value in row) for row in found)


def _value(value: Any) -> str:
    try:
        return f"{float(value):.4f}"
    except (TypeError, ValueError):
        return str(value)


@pytest.fixture(scope="module")
def wanted(server: Server) -> dict[str, list[tuple[str, ...]]]:
    with (
        server.scratch_database() as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        for statement in statements(design(TABLES)):
            connection.execute(statement.sql.encode())
        for statement in (*DATA, f"CREATE VIEW plain AS {VIEWS['plain']}"):
            connection.execute(statement.encode())
        return {name: rows(connection.execute(query.encode()).fetchall()) for name, query in VIEWS.items()}


@pytest.mark.parametrize("dialect", EXECUTED)
def test_views_give_the_same_rows(
    dialect: Dialect, request: pytest.FixtureRequest, wanted: dict[str, list[tuple[str, ...]]]
) -> None:
    engine: Engine = opened(dialect, request)
    made = engine.load(subject(VIEWS))
    engine.run(DATA)
    missing = [f.object for f in made.findings if f.message.startswith("the view is left out")]
    assert missing == []
    found = {name: rows(engine.rows(f"SELECT * FROM {name}")) for name in VIEWS}
    assert {name: found[name] for name in VIEWS if found[name] != wanted[name]} == {}


@pytest.mark.parametrize("dialect", TARGETS)
def test_what_cannot_be_translated_is_left_out_with_a_reason(dialect: Dialect) -> None:
    made = render(subject(REFUSED), dialect, "dpe")
    reasons = {f.object: f.message for f in made.findings if f.message.startswith("the view is left out: ")}
    assert set(reasons) == {f"public.{name}" for name in REFUSED}
    assert all(len(message) > len("the view is left out: ") for message in reasons.values())
    assert not any("VIEW" in statement for statement in made.statements)


SIDES = {
    "right_side": "SELECT id, name, note FROM people RIGHT JOIN orders USING (id)",
    "both_sides": "SELECT * FROM (SELECT id + 1 AS id, name FROM people) AS p FULL JOIN "
    "(SELECT id, note FROM orders WHERE id < 4) AS o USING (id)",
}


def test_a_column_of_using_is_that_of_the_side_that_keeps_its_rows(server: Server) -> None:
    engine = opened("duckdb", None)
    engine.load(subject(SIDES))
    engine.run(DATA)
    with (
        server.scratch_database() as database,
        psycopg.connect(database.conninfo, autocommit=True) as connection,
    ):
        for text in (*(str(one.sql) for one in statements(design(TABLES))), *DATA):
            connection.execute(text.encode())
        for name, query in SIDES.items():
            wanted = rows(connection.execute(query.encode()).fetchall())
            assert rows(engine.rows(f"SELECT * FROM {name}")) == wanted
            assert any("None" not in row[0] for row in wanted)


@pytest.mark.parametrize("dialect", ["bigquery", "snowflake", "spark"])
def test_views_are_read_back(dialect: Dialect) -> None:
    made = render(subject(VIEWS), dialect, "dpe")
    found = [statement for statement in made.statements if statement.startswith("CREATE VIEW")]
    assert len(found) == len(VIEWS)
    for statement in found:
        tree = sqlglot.parse_one(statement, read=dialect)
        assert (tree.key, tree.args["kind"]) == ("create", "VIEW")


@pytest.mark.parametrize("dialect", TARGETS)
def test_a_materialized_view_is_a_plain_one(dialect: Dialect) -> None:
    made = design(TABLES)
    index = Index(name="totals_key", elements=(IndexElement(column="person"),), unique=True)
    query = "SELECT person, sum(total) AS total FROM orders GROUP BY person"
    view = MaterializedView(name=Name("public", "totals"), query=query, indexes=(index,))
    out = render(replace(made, database=replace(made.database, materialized_views=(view,))), dialect, "dpe")
    assert any(statement.startswith("CREATE VIEW") for statement in out.statements)
    messages = {f.object: f.message for f in out.findings}
    assert "not materialized" in messages["public.totals"]
    assert "public.totals.totals_key" in messages
