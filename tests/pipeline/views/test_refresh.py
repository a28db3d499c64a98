"""Materialized views: the order of refreshing, CONCURRENTLY where it can be, and how old each is."""

from __future__ import annotations

import pytest
from psycopg.rows import dict_row

from data_platform.model.database import Name
from data_platform.pipeline.views import MaterializedView, refresh, refresh_plan, refresh_tables
from data_platform.postgres.queries import query
from pipeline.sessions import Connection, run

MADE = """
CREATE TABLE sales (id int, amount int);
CREATE SCHEMA "Mart";
CREATE MATERIALIZED VIEW "Mart".daily AS SELECT id, sum(amount) AS amount FROM sales GROUP BY id;
CREATE UNIQUE INDEX ON "Mart".daily (id);
CREATE VIEW joined AS SELECT d.* FROM "Mart".daily AS d JOIN sales USING (id);
CREATE MATERIALIZED VIEW "A total" AS SELECT sum(amount) AS amount FROM joined;
CREATE MATERIALIZED VIEW pairs AS SELECT t.amount + daily.id AS amount FROM "A total" AS t CROSS JOIN "Mart".daily;
CREATE UNIQUE INDEX ON pairs ((amount + 1));
CREATE MATERIALIZED VIEW empty AS SELECT 1 AS one WITH NO DATA;
CREATE UNIQUE INDEX ON empty (one);
"""


@pytest.fixture
def made(connection: Connection) -> Connection:
    connection.execute(MADE)
    run(connection, refresh_tables("dpe"))
    return connection


def views(connection: Connection) -> list[MaterializedView]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query("materialized_views"), {"schemas": ["public", "Mart"]}).fetchall()
    return [MaterializedView(name=Name(row.pop("schema"), row.pop("name")), **row) for row in rows]


def test_each_after_what_it_reads(made: Connection) -> None:
    found = [(str(one.view), one.level, one.concurrently) for one in refresh_plan(reversed(views(made)))]
    assert found == [
        ("Mart.daily", 1, True),
        ("public.empty", 1, False),
        ("public.A total", 2, False),
        ("public.pairs", 3, False),
    ]


def test_it_is_said_why_readers_will_wait(made: Connection) -> None:
    reasons = {one.view.name: one.why_not for one in refresh_plan(views(made))}
    assert reasons["daily"] is None
    assert "never filled" in str(reasons["empty"])
    assert "no unique index" in str(reasons["A total"])
    assert "of an expression" in str(reasons["pairs"])
    assert {one.why_not for one in refresh_plan(views(made), concurrently=False)} == {"not asked for"}


def test_all_are_new_and_it_is_recorded(made: Connection) -> None:
    made.execute("INSERT INTO sales VALUES (1, 5), (2, 6)")
    for one in refresh_plan(views(made)):
        run(made, [refresh("dpe", one, "0/16B3748")])
    assert made.execute("SELECT * FROM pairs ORDER BY 1").fetchall() == [(12,), (13,)]
    told = made.execute(
        "SELECT view_name, rows, beside, source_position, seconds > 0, age >= '0' FROM dpe.staleness"
        " WHERE populated ORDER BY view_name"
    ).fetchall()
    assert [row[:3] for row in told] == [
        ("A total", 1, False),
        ("daily", 2, True),
        ("empty", 1, False),
        ("pairs", 2, False),
    ]
    assert {row[3:] for row in told} == {("0/16B3748", True, True)}
    again = {one.view.name: one.concurrently for one in refresh_plan(views(made))}
    assert again["empty"], "it is filled now"


def test_a_refresh_that_fails_is_not_recorded(made: Connection) -> None:
    made.execute("CREATE MATERIALIZED VIEW broken AS SELECT 1 / (id - 7) AS x FROM sales")
    made.execute("INSERT INTO sales VALUES (7, 1)")
    (one,) = (one for one in refresh_plan(views(made)) if one.view.name == "broken")
    with pytest.raises(Exception, match="division by zero"):
        run(made, [refresh("dpe", one)])
    found = made.execute("SELECT refreshed_at FROM dpe.staleness WHERE view_name = 'broken'").fetchall()
    assert found == [(None,)], "it is there, and was never refreshed"
