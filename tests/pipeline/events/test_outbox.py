"""An outbox: six writers who commit late; read models that lose nothing, apply nothing twice, and bear repeats."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.events import (
    Outbox,
    Projection,
    advance,
    guarded_upsert,
    outbox_tables,
    peek,
    projection_tables,
    purge,
    register,
)
from data_platform.postgres.server import Database
from data_platform.sql.text import Sql
from pipeline.sessions import Connection, run

OUTBOX = Outbox("Box", Name("public", "Orders"), ("shop", "No."))
GUARDED = guarded_upsert("orders", ["shop", "No."], ["total"])
MODEL = Projection(
    name="model",
    feed=OUTBOX.feed,
    tables=(
        Sql(
            'CREATE TABLE orders (shop int, "No." int, total int, _version bigint, _gone boolean,'
            ' applied int DEFAULT 1, PRIMARY KEY (shop, "No."))'
        ),
        Sql("CREATE TABLE told (position bigint)"),
    ),
    handlers={
        "insert": GUARDED,
        "delete": GUARDED,
        "update": Sql(f"WITH noted AS (INSERT INTO told VALUES (e.position)) {GUARDED}"),
    },
)


@pytest.fixture
def made(connection: Connection) -> Connection:
    connection.execute('CREATE TABLE "Orders" (shop int, "No." int, total int, PRIMARY KEY (shop, "No."))')
    run(connection, outbox_tables(OUTBOX))
    run(connection, projection_tables(MODEL))
    return connection


def model(connection: Connection) -> list[Any]:
    return connection.execute(
        'SELECT shop, "No.", total FROM model.orders WHERE NOT _gone ORDER BY 1, 2'
    ).fetchall()


def source(connection: Connection) -> list[Any]:
    return connection.execute('SELECT * FROM "Orders" ORDER BY 1, 2').fetchall()


def test_a_change_is_told_by_its_own_transaction(made: Connection) -> None:
    with made.transaction(force_rollback=True):
        made.execute('INSERT INTO "Orders" VALUES (1, 1, 10)')
    made.execute('INSERT INTO "Orders" VALUES (1, 1, 10), (1, 2, 20)')
    made.execute('UPDATE "Orders" SET "No." = 3 WHERE "No." = 1')
    made.execute('DELETE FROM "Orders" WHERE "No." = 2')
    rows = made.execute('SELECT stream, type FROM "Box".outbox ORDER BY position').fetchall()
    assert rows == [
        ("[1, 1]", "insert"),
        ("[1, 2]", "insert"),
        ("[1, 1]", "delete"),
        ("[1, 3]", "insert"),
        ("[1, 2]", "delete"),
    ]
    run(made, [advance(MODEL)])
    assert model(made) == source(made) == [(1, 3, 10)]
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        made.execute('TRUNCATE "Orders"')


def test_told_again_or_late_changes_nothing(made: Connection) -> None:
    made.execute('INSERT INTO "Orders" VALUES (1, 1, 10)')
    made.execute('UPDATE "Orders" SET total = 11')
    made.execute('DELETE FROM "Orders"')
    run(made, [advance(MODEL)])
    before = made.execute("SELECT ctid, * FROM model.orders").fetchall()
    for at in ("'0'", "'0'"):
        made.execute(f'UPDATE "Box".readers SET window_from = {at}, window_to = {at}, position = 0'.encode())
        run(made, [advance(MODEL, 1)])
        run(made, [advance(MODEL)])
    assert made.execute("SELECT ctid, * FROM model.orders").fetchall() == before
    assert model(made) == []


def write(database: Database, number: int, turns: int = 15) -> None:
    """Changes of random rows, committed up to 200 ms later; now and then rolled back."""
    rng = random.Random(number)
    with psycopg.connect(database.conninfo) as own:
        for _ in range(turns):
            key = [rng.randrange(2), rng.randrange(3)]
            if rng.random() < 0.3:
                own.execute('DELETE FROM "Orders" WHERE (shop, "No.") = (%s, %s)', key)
            else:
                own.execute(
                    'INSERT INTO "Orders" VALUES (%s, %s, %s) ON CONFLICT (shop, "No.") DO UPDATE'
                    " SET total = excluded.total",
                    [*key, rng.randrange(1000)],
                )
            time.sleep(rng.random() * 0.05 if number % 2 else rng.random() * 0.2)
            own.rollback() if rng.random() < 0.1 else own.commit()


def test_six_writers_who_commit_late(
    made: Connection, database: Database, together: Callable[..., None]
) -> None:
    """Two read models: ours, and a relay that reads, writes elsewhere, confirms, and is killed in between at random."""
    run(made, [register(OUTBOX.feed, "relay")])
    done = threading.Event()
    told: list[tuple[int, str, Any]] = []
    elsewhere: dict[str, tuple[int, Any]] = {}

    def project() -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as own:
            while not done.is_set():
                run(own, [advance(MODEL, 5)])
                time.sleep(0.002)

    def relay(kills: random.Random, connection: Connection) -> int:
        rows = connection.execute(peek(OUTBOX.feed, "relay", 5).encode()).fetchall()
        for position, stream, version, type_, payload, _, _, _, _ in rows:
            told.append((position, stream, payload))
            if version > elsewhere.get(stream, (0, None))[0]:
                elsewhere[stream] = (version, None if type_ == "delete" else payload["total"])
            if kills.random() < 0.1:
                return len(rows)
        if rows:
            reached = [*rows[-1][-2:], rows[-1][0]]
            connection.execute(
                'SELECT "Box".confirm(%s, %s::text::xid8, %s::text::xid8, %s)', ["relay", *reached]
            )
        return len(rows)

    def follow() -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as own:
            while not done.is_set():
                relay(random.Random(), own)
                time.sleep(0.002)

    threads = [threading.Thread(target=one) for one in (project, project, follow)]
    for one in threads:
        one.start()
    together(lambda number: write(database, number), 6)
    done.set()
    for one in threads:
        one.join(20)
    while run(made, [advance(MODEL)])[0][0]:
        pass
    while relay(random.Random(), made):
        pass
    assert model(made) == source(made)
    updates = made.execute("SELECT position FROM \"Box\".outbox WHERE type = 'update' ORDER BY 1").fetchall()
    assert made.execute("SELECT position FROM model.told ORDER BY 1").fetchall() == updates, "each once"
    there = {stream: total for stream, (_, total) in elsewhere.items() if total is not None}
    assert there == {f"[{shop}, {number}]": total for shop, number, total in source(made)}
    positions = {position for position, _, _ in told}
    assert positions == {p for (p,) in made.execute('SELECT position FROM "Box".outbox')}, "none lost"


def test_what_all_have_read_can_go(made: Connection) -> None:
    run(made, [register(OUTBOX.feed, "relay")])
    made.execute('INSERT INTO "Orders" VALUES (1, 1, 10)')
    run(made, [advance(MODEL)])
    made.execute('INSERT INTO "Orders" VALUES (1, 2, 10)')
    run(made, [advance(MODEL), purge(OUTBOX)])
    assert made.execute('SELECT count(*) FROM "Box".outbox').fetchone() == (2,), "the relay has read nothing"
    made.execute("DELETE FROM \"Box\".readers WHERE name = 'relay'")
    run(made, [purge(OUTBOX)])
    assert made.execute('SELECT count(*) FROM "Box".outbox').fetchone() == (1,)


def test_a_reader_that_is_not_there(made: Connection) -> None:
    with pytest.raises(psycopg.errors.NoData, match="nobody"):
        run(made, [peek(OUTBOX.feed, "nobody")])
    with pytest.raises(UsageProblem):
        Outbox("b", Name("public", "t"), ())
