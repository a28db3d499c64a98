"""Fills as SQL: every row once, whatever clients do meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.migration.plan.fill import batches
from data_platform.migration.plan.step import Fill
from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database
from data_platform.sql.text import Sql, body, parse

SHOP = """
CREATE TABLE orders (id bigint PRIMARY KEY, amount integer NOT NULL, amount_new bigint, times int NOT NULL DEFAULT 0);
INSERT INTO orders SELECT n * 3, n FROM generate_series(1, 5000) AS n;
"""
FILL = Fill(
    table=Name("public", "orders"),
    values=(("amount_new", Sql("amount::bigint")), ("times", Sql("orders.times + 1"))),
    needed=Sql("amount_new IS DISTINCT FROM amount::bigint"),
    key=("id",),
)


@pytest.fixture
def shop(database: Database) -> Iterator[psycopg.Connection]:
    with connect(database.conninfo, read_only=False) as connection:
        connection.execute(SHOP)
        yield connection


def run(connection: psycopg.Connection, fill: Fill) -> None:
    for statement in batches(fill):
        connection.execute(statement)


@contextmanager
def meanwhile(*works: Callable[[threading.Event], None]) -> Iterator[threading.Event]:
    """Run each work(stop) in a thread until the block ends; what one raises fails the test."""
    stop = threading.Event()
    raised: list[BaseException] = []

    def guarded(work: Callable[[threading.Event], None]) -> None:
        try:
            work(stop)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield stop
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not raised, raised


def test_every_row_is_filled_once_and_again_changes_nothing(shop: psycopg.Connection) -> None:
    for _ in range(2):
        run(shop, FILL)
        assert shop.execute(
            "SELECT count(*), sum(amount_new - amount), max(times) FROM orders"
        ).fetchone() == (5000, 0, 1)


@pytest.mark.parametrize(
    ("key", "columns", "rows"),
    [
        (("b", "a"), "a int, b text", "n % 7, 'x' || n / 7"),
        (("a",), 'a text COLLATE "C"', "CASE WHEN n % 2 = 0 THEN 'B' ELSE 'a' END || n"),
        (("a",), "a uuid", "gen_random_uuid()"),
        (("a",), "a numeric", "n / 7.0"),
        (("a",), "a timestamptz", "'2026-01-01'::timestamptz + n * interval '1 microsecond'"),
        (('odd "key"',), '"odd ""key""" date', "'2026-01-01'::date + n"),
    ],
)
def test_keys_of_every_type(database: Database, key: tuple[str, ...], columns: str, rows: str) -> None:
    with connect(database.conninfo, read_only=False) as live:
        live.execute(f'CREATE SCHEMA app; CREATE TABLE app."T" ({columns}, dpe_rows int)')
        live.execute(f'INSERT INTO app."T" SELECT {rows} FROM generate_series(1, 3000) AS n')
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in key)
        live.execute(f'ALTER TABLE app."T" ADD PRIMARY KEY ({names})')
        fill = Fill(
            table=Name("app", "T"),
            values=(("dpe_rows", Sql("coalesce(dpe_rows, 0) + 1")),),
            needed=Sql("dpe_rows IS NULL"),
            key=key,
        )
        run(live, fill)
        assert live.execute('SELECT count(*), min(dpe_rows), max(dpe_rows) FROM app."T"').fetchone() == (
            3000,
            1,
            1,
        )


@pytest.mark.parametrize("key", [("id",), ()])
def test_a_partitioned_table(database: Database, key: tuple[str, ...]) -> None:
    with connect(database.conninfo, read_only=False) as live:
        live.execute("CREATE TABLE events (id int, a int) PARTITION BY RANGE (id)")
        for start, end in ((1, 2001), (2001, 2501), (2501, 4501)):
            bounds = f"FROM ({start}) TO ({end})"
            live.execute(f"CREATE TABLE events_{start} PARTITION OF events FOR VALUES {bounds}")
        live.execute("ALTER TABLE events ADD PRIMARY KEY (id)")
        live.execute("INSERT INTO events SELECT n FROM generate_series(1, 4000) AS n")
        run(
            live,
            Fill(
                table=Name("public", "events"), values=(("a", Sql("id")),), needed=Sql("a IS NULL"), key=key
            ),
        )
        assert live.execute("SELECT count(*) FROM events WHERE a = id").fetchone() == (4000,)


def test_a_table_without_a_key_goes_by_pages_while_clients_move_its_rows(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as live:
        live.execute("CREATE TABLE log (n int, note text, filled int NOT NULL DEFAULT 0)")
        live.execute("CREATE INDEX ON log (n)")
        live.execute("INSERT INTO log SELECT n, repeat('x', 200) FROM generate_series(1, 20000) AS n")
        live.execute("DELETE FROM log WHERE n % 3 = 0")
        live.execute("VACUUM log")  # its free space takes rows that are updated later in the table

        def moving(stop: threading.Event) -> None:
            with connect(database.conninfo, read_only=False) as client:
                while not stop.is_set():
                    number = random.randint(15000, 20000)
                    client.execute("UPDATE log SET note = note || 'y' WHERE n = %s", [number])

        fill = Fill(
            table=Name("public", "log"), values=(("filled", Sql("filled + 1")),), needed=Sql("filled = 0")
        )
        with meanwhile(moving):
            run(live, fill)
        assert live.execute("SELECT min(filled), max(filled) FROM log").fetchone() == (1, 1)


def test_it_ends_while_clients_insert_and_waits_for_rows_that_they_hold(
    database: Database, shop: psycopg.Connection
) -> None:
    def inserting(stop: threading.Event) -> None:
        with connect(database.conninfo, read_only=False) as client:
            number = 100_000
            while not stop.is_set():
                number += 1
                client.execute("INSERT INTO orders VALUES (%s, 1, 1)", [number])

    def holding(stop: threading.Event) -> None:
        with connect(database.conninfo, read_only=False) as client, client.transaction():
            client.execute("UPDATE orders SET amount = amount WHERE id = 3000")
            time.sleep(0.8)

    with meanwhile(inserting, holding):
        time.sleep(0.1)
        run(shop, FILL)
    assert shop.execute("SELECT count(*) FROM orders WHERE id <= 15000 AND times = 1").fetchone() == (5000,)


TRIGGER = """
CREATE TABLE copies (id bigint PRIMARY KEY, amount integer NOT NULL);
CREATE FUNCTION carry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'DELETE' THEN DELETE FROM copies WHERE id = OLD.id;
    ELSE INSERT INTO copies VALUES (NEW.id, NEW.amount) ON CONFLICT (id) DO UPDATE SET amount = NEW.amount; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER carry AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION carry();
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_copy_undoes_no_client(database: Database, shop: psycopg.Connection, seed: int) -> None:
    shop.execute(TRIGGER)

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
                    if chance.random() < 0.1:
                        time.sleep(0.02)

    fill = Fill(
        table=Name("public", "orders"),
        into=Name("public", "copies"),
        values=(("id", Sql("id")), ("amount", Sql("amount"))),
        needed=Sql("NOT EXISTS (SELECT FROM copies WHERE copies.id = orders.id)"),
        key=("id",),
    )
    with meanwhile(*[lambda stop, n=n: writing(stop, n) for n in range(3)]):
        run(shop, fill)
        time.sleep(0.1)
    assert shop.execute("TABLE copies EXCEPT SELECT id, amount FROM orders").fetchall() == []
    assert shop.execute("SELECT id, amount FROM orders EXCEPT TABLE copies").fetchall() == []


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=15))
def test_any_name_and_any_text_stay_inside(text: str) -> None:
    name = text[:15]
    value = Sql(body(text))
    fill = Fill(table=Name(name, name), values=((name, value),), needed=Sql("true"), key=(name,))
    (one,) = batches(fill)
    assert [statement.stmt.WhichOneof("node") for statement in parse(one).stmts] == ["do_stmt"]


SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.0002); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION slow();
"""
DONE = "SELECT count(*) FILTER (WHERE times = 1), count(*) FROM orders"


def test_killed_in_the_middle_it_is_run_again(database: Database, shop: psycopg.Connection) -> None:
    shop.execute(SLOW)
    with connect(database.conninfo, read_only=False) as victim:

        def kill(_stop: threading.Event) -> None:
            while not (shop.execute(DONE).fetchone() or (0,))[0]:
                time.sleep(0.01)
            shop.execute("SELECT pg_terminate_backend(%s)", [victim.info.backend_pid])

        with meanwhile(kill), pytest.raises(psycopg.OperationalError):
            run(victim, FILL)
    done, rows = shop.execute(DONE).fetchone() or (0, 0)
    assert 0 < done < rows
    run(shop, FILL)
    assert shop.execute("SELECT min(times), max(times) FROM orders").fetchone() == (1, 1)
