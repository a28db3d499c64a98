"""What is lost: values that are nowhere any more, and nothing that was only moved."""

from __future__ import annotations

import pytest

from data_platform.migration.prove import state
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database

BASE = """
CREATE TABLE orders (id bigint PRIMARY KEY, amount integer NOT NULL, note text, at timestamptz);
INSERT INTO orders SELECT n, n % 17, 'note ' || n, timestamptz '2025-01-01' + n * interval '1 hour'
  FROM generate_series(1, 100) AS n;
CREATE TABLE empty (id bigint);
"""

KEPT = [
    "ALTER TABLE orders RENAME TO purchases",
    "ALTER TABLE orders RENAME COLUMN note TO remark",
    "ALTER TABLE orders ALTER amount TYPE bigint",
    "ALTER TABLE orders ALTER amount TYPE text",
    "ALTER TABLE orders ADD copy text; UPDATE orders SET copy = note; ALTER TABLE orders DROP note",
    "CREATE TABLE notes AS SELECT id, note FROM orders; ALTER TABLE orders DROP note",
    "CREATE TABLE copy AS TABLE orders; DROP TABLE orders; ALTER TABLE copy RENAME TO orders",
    "DROP TABLE empty",
    "INSERT INTO orders VALUES (101, 1)",
    "CREATE SCHEMA old; ALTER TABLE orders SET SCHEMA old",
]
LOST = [
    ("ALTER TABLE orders DROP note", {"public.orders.note"}),
    ("DROP TABLE orders", {"public.orders"}),
    ("TRUNCATE orders", {"public.orders"}),
    ("DELETE FROM orders WHERE id > 50", {"public.orders"}),
    ("ALTER TABLE orders ALTER at TYPE date", {"public.orders.at"}),
    ("ALTER TABLE orders ALTER note TYPE varchar(6) USING left(note, 6)", {"public.orders.note"}),
    ("ALTER TABLE orders DROP note, ADD note text", {"public.orders.note"}),
]


def lost(database: Database, change: str) -> tuple[state.Lost, ...]:
    with connect(database.conninfo, read_only=False) as connection:
        connection.execute(BASE)
        before = state.rows(connection)
        connection.execute(change.encode())
        return state.lost(before, state.rows(connection))


@pytest.mark.parametrize("change", KEPT)
def test_what_is_moved_is_not_lost(database: Database, change: str) -> None:
    assert lost(database, change) == ()


@pytest.mark.parametrize(("change", "names"), LOST)
def test_what_is_gone_is_named(database: Database, change: str, names: set[str]) -> None:
    assert {one.object for one in lost(database, change)} == names


def test_rows_that_are_chosen_are_told_apart_from_all_rows(database: Database) -> None:
    (one,) = lost(database, "DELETE FROM orders WHERE id > 75")
    assert (one.some, one.what) == (True, "25% of its rows")


def test_a_partition_that_is_detached_keeps_its_rows(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as connection:
        connection.execute(
            "CREATE TABLE t (id bigint) PARTITION BY RANGE (id);"
            "CREATE TABLE a PARTITION OF t FOR VALUES FROM (1) TO (9);"
            "CREATE TABLE b PARTITION OF t FOR VALUES FROM (9) TO (20); INSERT INTO t SELECT generate_series(1, 19)"
        )
        before = state.rows(connection)
        connection.execute("ALTER TABLE t DETACH PARTITION a")
        detached = state.rows(connection)
        connection.execute("DROP TABLE a")
        assert state.lost(before, detached) == ()
        assert [one.object for one in state.lost(before, state.rows(connection))] == ["public.t"]


def test_two_states_that_should_be_the_same(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as connection:
        connection.execute(BASE)
        before = state.rows(connection)
        assert state.changed(before, state.rows(connection)) == ()
        connection.execute("UPDATE orders SET note = upper(note) WHERE id = 3; DELETE FROM empty")
        (one,) = state.changed(before, state.rows(connection))
        assert one.object == "public.orders.note"
