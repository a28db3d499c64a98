"""Fills of a plan as jobs on a live server."""

from __future__ import annotations

import random
import threading
import time

import pytest

from data_platform.migration.backfill.jobs import fills_of, jobs_of
from data_platform.migration.plan.step import Fill
from data_platform.model.database import Name
from data_platform.postgres.backfill.job import Limits
from data_platform.postgres.backfill.run import backfill
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database
from data_platform.spec.backfill import Backfill
from data_platform.sql.text import Sql
from migration.plan.test_fill import FILL, SHOP, TRIGGER, meanwhile

COPY = Fill(
    table=Name("public", "orders"),
    into=Name("public", "copies"),
    values=(("id", Sql("id")), ("amount", Sql("amount"))),
    needed=Sql("NOT EXISTS (SELECT FROM copies WHERE copies.id = orders.id)"),
    key=("id",),
)


def test_a_fill_of_columns(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as live:
        live.execute(SHOP)
        (done,) = backfill(database.conninfo, jobs_of([FILL]), Limits(batch_s=0.02))
        assert (done.what, done.rows, done.left) == ("orders: amount_new, times", 5000, False)
        assert live.execute(
            "SELECT min(times), max(times), sum(amount_new - amount) FROM orders"
        ).fetchone() == (
            1,
            1,
            0,
        )


@pytest.mark.parametrize("seed", range(2))
def test_a_copy_undoes_no_client(database: Database, seed: int) -> None:
    def writing(stop: threading.Event, number: int) -> None:
        chance = random.Random(seed * 10 + number)
        with connect(database.conninfo, read_only=False, lock_timeout_ms=0) as client:
            while not stop.is_set():
                key = chance.randint(1, 5000) * 3
                with client.transaction():
                    if chance.random() < 0.5:
                        client.execute("UPDATE orders SET amount = amount + 7 WHERE id = %s", [key])
                    else:
                        client.execute("DELETE FROM orders WHERE id = %s", [key])

    with connect(database.conninfo, read_only=False) as live:
        live.execute(SHOP + TRIGGER)
        with meanwhile(*[lambda stop, n=n: writing(stop, n) for n in range(3)]):
            (done,) = backfill(database.conninfo, jobs_of([COPY]), Limits(batch_s=0.01, max_rate=8000))
            time.sleep(0.1)
        assert done.what == "orders into copies"
        assert live.execute("SELECT id, amount FROM orders EXCEPT TABLE copies").fetchall() == []
        assert live.execute("TABLE copies EXCEPT SELECT id, amount FROM orders").fetchall() == []


def test_an_operation_without_a_condition_is_for_every_row() -> None:
    (fill,) = fills_of([Backfill(table=Name("app", "t"), values=(("a", Sql("1")),))])
    (job,) = jobs_of([fill])
    assert not job.tells_done
    assert job.mark(("id",)) != job.mark(("other",))
    assert job.statement(Sql("true")).startswith("UPDATE app.t SET a = 1")
