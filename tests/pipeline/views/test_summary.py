"""Summaries equal to the aggregate: after random statements, with writers at once, and where a minimum goes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.views import Measure, Summary, refill, summary_tables, verify
from data_platform.postgres.server import Database, Server
from data_platform.sql.text import Sql
from pipeline.sessions import Connection, run

SHOWN = (
    Measure("orders", "count"),
    Measure("counted", "count", "amount"),
    Measure("total", "sum", "amount"),
    Measure("mean", "avg", "amount"),
    Measure("least", "min", "amount"),
    Measure("greatest", "max", "amount"),
    Measure("first day", "min", "Day"),
    Measure("points", "sum", "points"),
)
COLUMNS = {
    "shop": Sql("integer"),
    "Day": Sql("date"),
    "amount": Sql("numeric(12, 2)"),
    "points": Sql("bigint"),
}


def summary(**given: Any) -> Summary:
    settings: dict[str, Any] = {
        "view": Name("public", "per shop"),
        "source": Name("public", "Orders"),
        "groups": ("shop", "Day"),
        "measures": SHOWN,
        "columns": COLUMNS,
        "nullable": ("Day",),
        "where": Sql("amount IS DISTINCT FROM 99"),
    }
    return Summary(**{**settings, **given})


@pytest.fixture
def made(connection: Connection) -> Connection:
    columns = 'id int PRIMARY KEY, shop int NOT NULL, "Day" date, amount numeric(12, 2), points bigint'
    connection.execute(f'CREATE TABLE "Orders" ({columns})')
    connection.execute("INSERT INTO \"Orders\" VALUES (0, 1, '2024-01-01', 5, 2)")
    run(connection, summary_tables(summary()))
    return connection


FRESH = (
    'SELECT shop, "Day", count(*), count(amount), sum(amount), avg(amount), min(amount), max(amount), min("Day"),'
    ' sum(points) FROM "Orders" WHERE amount IS DISTINCT FROM 99 GROUP BY shop, "Day" ORDER BY shop, "Day"'
)


def check(connection: Connection) -> None:
    kept = connection.execute('SELECT * FROM "per shop" ORDER BY shop, "Day"').fetchall()
    assert kept == connection.execute(FRESH).fetchall()
    assert run(connection, [verify(summary())]) == []


IDS, SHOPS, AMOUNTS = st.integers(0, 9), st.integers(1, 2), st.sampled_from(["NULL", "1", "2.5", "3", "99"])
DAYS = st.sampled_from(["NULL", "'2024-01-01'", "'2024-01-02'"])
ROWS = st.builds(
    "({}, {}, {}, {}, {})".format, IDS, SHOPS, DAYS, AMOUNTS, st.sampled_from(["NULL", "7", "-3"])
)
STATEMENTS = st.one_of(
    st.lists(ROWS, min_size=1, max_size=4).map(
        lambda rows: f'INSERT INTO "Orders" VALUES {", ".join(rows)} ON CONFLICT DO NOTHING'
    ),
    ROWS.map(
        lambda row: (
            f'INSERT INTO "Orders" VALUES {row} ON CONFLICT (id) DO UPDATE'
            ' SET amount = excluded.amount, shop = excluded.shop, "Day" = excluded."Day"'
        )
    ),
    st.builds(
        'UPDATE "Orders" SET amount = {}, "Day" = {} WHERE id % 3 = {}'.format,
        AMOUNTS,
        DAYS,
        st.integers(0, 2),
    ),
    st.builds('UPDATE "Orders" SET shop = 3 - shop WHERE id < {}'.format, IDS),
    st.builds('DELETE FROM "Orders" WHERE id BETWEEN {} AND {}'.format, IDS, IDS),
    ROWS.map(
        lambda row: (
            f'MERGE INTO "Orders" AS o USING (VALUES {row}) AS r (i, s, d, a, p) ON o.id = r.i'
            " WHEN MATCHED AND o.shop = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET amount = r.a::numeric"
            " WHEN NOT MATCHED THEN INSERT VALUES (r.i, r.s, r.d::date, r.a::numeric, r.p::bigint)"
        )
    ),
    st.just('TRUNCATE "Orders"'),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements=st.lists(STATEMENTS, max_size=10))
def test_after_every_statement(made: Connection, statements: list[str]) -> None:
    for statement in statements:
        made.execute(statement.encode())
        check(made)


@pytest.fixture
def superuser(server: Server, database: Database) -> Iterator[Connection]:
    """In the same database, with rights that its owner does not have."""
    with psycopg.connect(server.conninfo, dbname=database.name, autocommit=True) as opened:
        yield opened


def test_six_writers_at_once(
    made: Connection, superuser: Connection, database: Database, together: Callable[..., None]
) -> None:
    """Some roll back, some meet in a deadlock and begin again."""

    def statement(rng: random.Random) -> str:
        id_, shop, amount = rng.randrange(40), rng.randrange(1, 3), rng.randrange(4)
        return rng.choice(
            [
                f"INSERT INTO \"Orders\" VALUES ({id_}, {shop}, '2024-01-01', {amount}) ON CONFLICT (id) DO UPDATE"
                " SET amount = excluded.amount, shop = excluded.shop",
                f'DELETE FROM "Orders" WHERE id = {id_}',
                f'UPDATE "Orders" SET amount = {amount} WHERE id BETWEEN {id_} AND {id_ + 3}',
            ]
        )

    def write(number: int) -> None:
        rng = random.Random(number)
        with psycopg.connect(database.conninfo) as own:
            for _ in range(40):
                try:
                    for _ in range(rng.randrange(1, 3)):
                        own.execute(statement(rng).encode())
                    time.sleep(rng.random() * 0.02)
                    own.commit() if rng.random() < 0.8 else own.rollback()
                except psycopg.errors.DeadlockDetected:
                    own.rollback()

    superuser.execute(f"ALTER DATABASE {database.name} SET deadlock_timeout = '10ms'")
    together(write, 6)
    assert made.execute('SELECT count(*) > 5 FROM "Orders"').fetchone() == (True,)
    check(made)


def test_a_minimum_that_goes_while_a_smaller_one_comes(made: Connection, database: Database) -> None:
    """The delete waits for the group's row, and then sees what was committed meanwhile."""
    made.execute("INSERT INTO \"Orders\" VALUES (1, 1, '2024-01-01', 1, 0), (2, 1, '2024-01-01', 3, 0)")
    with psycopg.connect(database.conninfo) as other, psycopg.connect(database.conninfo) as third:
        other.execute("INSERT INTO \"Orders\" VALUES (3, 1, '2024-01-01', 0.5, 0)")
        third.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            third.execute('DELETE FROM "Orders" WHERE id = 1')
        third.rollback()
        other.commit()
    made.execute('DELETE FROM "Orders" WHERE id = 1')
    check(made)
    made.execute('DELETE FROM "Orders" WHERE id = 3')
    check(made)


def test_writers_need_no_right_to_the_summary(made: Connection, superuser: Connection) -> None:
    superuser.execute("CREATE ROLE clerk")
    try:
        superuser.execute('GRANT INSERT ON "Orders" TO clerk')
        superuser.execute("SET ROLE clerk")
        superuser.execute("INSERT INTO \"Orders\" VALUES (8, 2, '2024-01-01', 1, 1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            superuser.execute('DELETE FROM "per shop_parts"')
        check(made)
    finally:
        superuser.execute("RESET ROLE")
        superuser.execute("DROP OWNED BY clerk")
        superuser.execute("DROP ROLE clerk")


def test_what_was_done_with_triggers_off_is_seen_and_filled_again(
    made: Connection, superuser: Connection
) -> None:
    superuser.execute("SET session_replication_role = replica")
    superuser.execute("INSERT INTO \"Orders\" VALUES (7, 2, '2024-01-05', 1, 1)")
    assert [row[0] for row in run(made, [verify(summary())])] == [2]
    run(made, [refill(summary())])
    check(made)


def test_a_sum_that_would_be_no_number_is_refused(made: Connection) -> None:
    made.execute('ALTER TABLE "Orders" ALTER amount TYPE numeric')
    with pytest.raises(psycopg.errors.CheckViolation):
        made.execute("INSERT INTO \"Orders\" VALUES (7, 1, '2024-01-01', 'NaN', 1)")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"groups": (), "nullable": ()}, "no groups"),
        ({"columns": {**COLUMNS, "amount": Sql("double precision")}}, "kept exactly"),
        ({"columns": {}}, "types are missing"),
        ({"server_version": 14}, "needs PostgreSQL 15"),
        ({"measures": (Measure("x", "sum"),)}, "of which column"),
        ({"measures": (Measure("shop", "count"),)}, "twice: shop"),
        ({"nullable": ("amount",)}, "no group: amount"),
        ({"view": Name("public", "x" * 60)}, "too long"),
    ],
)
def test_a_summary_that_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        summary(**wrong)
