"""A column in the place of another: nobody loses a write, and every form of it goes there and back."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.prove import Reached, reach
from data_platform.migration.plan.step import Step
from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.load import Script
from data_platform.postgres.scratch import Database
from data_platform.postgres.server import Server

T = Name("public", "t")


def planned(server: Server, before: str, after: str, **hints: object) -> Reached:
    reached = reach((Script("a", before),), (Script("b", after),), server, hints=Hints(**hints))  # type: ignore[arg-type]
    assert reached.broken is None
    assert reached.left.equal, reached.left
    assert reached.down is not None
    assert reached.down.equal, reached.down
    return reached


def run(connection: psycopg.Connection, statements: tuple[str, ...], *, together: bool) -> None:
    if together:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement.encode())
    else:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def ground(database: Database, sql: str) -> Iterator[psycopg.Connection]:
    with connect(database.conninfo, read_only=False) as connection:
        connection.autocommit = True
        connection.execute(sql.encode())
        yield connection


OLD = "CREATE TABLE t (id integer PRIMARY KEY, name text NOT NULL DEFAULT '', n integer)"
NEW = "CREATE TABLE t (id integer PRIMARY KEY, label text NOT NULL DEFAULT '', n bigint)"


class Client(threading.Thread):
    """Writes values that nobody else writes to rows of its own, and remembers the last of each."""

    def __init__(self, conninfo: str, column: str, ids: range, seed: int) -> None:
        super().__init__(daemon=True)
        self.conninfo, self.column, self.ids, self.seed = conninfo, column, ids, seed
        self.wrote: dict[int, tuple[str, int]] = {}
        self.refused: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        luck = random.Random(self.seed)
        with connect(self.conninfo, read_only=False) as connection:
            connection.autocommit = True
            connection.prepare_threshold = None
            number = 0
            while not self.over.is_set():
                number += 1
                row = luck.choice(self.ids)
                values = f"{self.column} {number}", number
                try:
                    self._write(connection, row, values, fresh=luck.random() < 0.3)
                    self.wrote[row] = values
                except psycopg.Error as error:
                    self.refused.append(str(error))

    def _write(
        self, connection: psycopg.Connection, row: int, values: tuple[str, int], *, fresh: bool
    ) -> None:
        with connection.transaction():
            if fresh:
                connection.execute("DELETE FROM t WHERE id = %s", [row])
                insert = f"INSERT INTO t (id, {self.column}, n) VALUES (%s, %s, %s)"
                connection.execute(insert.encode(), [row, *values])
            else:
                update = f"UPDATE t SET {self.column} = %s, n = %s WHERE id = %s"
                connection.execute(update.encode(), [*values, row])

    def stop(self) -> None:
        self.over.set()
        self.join(20)
        assert not self.is_alive()


@pytest.mark.parametrize("seed", [1, 2])
def test_no_write_of_either_application_is_lost(server: Server, database: Database, seed: int) -> None:
    plan = planned(server, OLD, NEW, columns={(T, "label"): "name"}).plan
    filled = f"{OLD}; INSERT INTO t SELECT i, 'first', 0 FROM generate_series(1, 3000) AS i"
    with ground(database, filled) as connection:
        old = Client(database.conninfo, "name", range(1, 1001), seed)
        new = Client(database.conninfo, "label", range(1001, 2001), seed)
        old.start()
        for step in plan.steps:
            if step.phase == "contract" and new.ident is None:
                new.start()  # the new application is deployed while the old one is still there
                threading.Event().wait(0.3)
            if step.ends_old and old.is_alive():
                old.stop()
            run(connection, step.up, together=step.transaction)
        new.stop()
        assert (old.refused, new.refused) == ([], [])
        assert len(old.wrote) > 50
        assert len(new.wrote) > 50
        held = {row[0]: row[1:] for row in connection.execute("SELECT id, label, n FROM t")}
    expected = dict.fromkeys(range(1, 3001), ("first", 0)) | old.wrote | new.wrote
    assert held == expected


def test_both_names_say_the_same_until_contract(server: Server, database: Database) -> None:
    plan = planned(server, OLD, NEW, columns={(T, "label"): "name"}).plan
    with ground(database, f"{OLD}; INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)") as connection:
        for step in (one for one in plan.steps if one.phase != "contract"):
            run(connection, step.up, together=step.transaction)
        for change in (
            "UPDATE t SET name = 'old' WHERE id = 1",
            "UPDATE t SET label = 'new' WHERE id = 2",
            "INSERT INTO t (id, name) VALUES (3, 'by the old')",
            "INSERT INTO t (id, label) VALUES (4, 'by the new')",
            "INSERT INTO t (id) VALUES (5)",
        ):
            connection.execute(change.encode())
        found = connection.execute("SELECT name, label FROM t ORDER BY id").fetchall()
    assert found == [(one, one) for one in ("old", "new", "by the old", "by the new", "")]


def test_after_the_swap_the_way_back_keeps_what_was_written(server: Server, database: Database) -> None:
    plan = planned(server, OLD, OLD.replace("n integer", "n numeric")).plan
    swap = next(number for number, step in enumerate(plan.steps) if step.name.startswith("swap"))
    with ground(database, f"{OLD}; INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)") as connection:
        for step in plan.steps[: swap + 1]:
            run(connection, step.up, together=step.transaction)
        connection.execute("UPDATE t SET n = 7 WHERE id = 1")
        connection.execute("UPDATE t SET n = 99999999999 WHERE id = 2")
        run(connection, plan.steps[swap].down, together=True)
        found = connection.execute("SELECT n FROM t ORDER BY id").fetchall()
    assert found == [(7,), (None,)]  # what the old type cannot hold is NULL there, and nobody was refused


def test_a_value_that_the_new_type_cannot_hold_stops_the_fill(server: Server, database: Database) -> None:
    after = OLD.replace("name text NOT NULL DEFAULT ''", "name integer NOT NULL DEFAULT 0")
    plan = planned(server, OLD, after).plan
    with (
        ground(database, f"{OLD}; INSERT INTO t VALUES (1, 'one', 1)") as connection,
        pytest.raises(psycopg.errors.InvalidTextRepresentation),
    ):
        _all(connection, plan.steps)
    with connect(database.conninfo, read_only=True) as connection:
        assert connection.execute("SELECT name FROM t").fetchone() == ("one",)


def _all(connection: psycopg.Connection, steps: tuple[Step, ...]) -> None:
    for step in steps:
        run(connection, step.up, together=step.transaction)


KEYS = """
CREATE TABLE p (
    id {type} GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, up {type} REFERENCES p, code varchar(10) UNIQUE);
CREATE TABLE c (id bigint PRIMARY KEY, p {type} NOT NULL REFERENCES p ON DELETE CASCADE, during int4range,
    CHECK (p > 0));
CREATE INDEX c_p ON c (p) WHERE p > 10;
CREATE INDEX c_sum ON c ((p + 1));
CREATE VIEW seen AS SELECT c.id, p.id AS of FROM c JOIN p ON p.id = c.p;
CREATE POLICY mine ON c USING (p = 1);
ALTER TABLE c ENABLE ROW LEVEL SECURITY;
COMMENT ON COLUMN c.p IS 'whose';
GRANT SELECT (p) ON c TO public;
"""


def test_keys_with_all_that_hangs_on_them(server: Server) -> None:
    plan = planned(server, KEYS.format(type="integer"), KEYS.format(type="bigint")).plan
    assert not any(step.blocks for step in plan.steps)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("id serial PRIMARY KEY, v text", "id serial PRIMARY KEY, v jsonb"),
        ("id integer PRIMARY KEY, v json", "id integer PRIMARY KEY, v jsonb"),
        ("id integer PRIMARY KEY, v point", "id integer PRIMARY KEY, v text"),
        ("id integer PRIMARY KEY, v text[]", "id integer PRIMARY KEY, v varchar(5)[]"),
        ("id integer PRIMARY KEY, v text, w text", "id integer PRIMARY KEY, v integer, w date"),
        ("id integer PRIMARY KEY, v text UNIQUE", "id integer PRIMARY KEY, v uuid UNIQUE"),
        ("a int, v text UNIQUE NULLS NOT DISTINCT", "a int, v uuid UNIQUE NULLS NOT DISTINCT"),
        ('"a b" integer PRIMARY KEY, "c;d" text', '"a b" bigint PRIMARY KEY, "c;d" integer'),
        ("id integer, v text", "id integer, v integer"),
        ("id integer PRIMARY KEY, old text", "id integer PRIMARY KEY, old integer"),
    ],
)
def test_types_there_and_back(server: Server, before: str, after: str) -> None:
    plan = planned(server, f"CREATE TABLE t ({before})", f"CREATE TABLE t ({after})").plan
    assert any(step.name.startswith("swap") for step in plan.steps)
    assert not any(step.blocks for step in plan.steps)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("varchar(10)", "varchar(20)"),
        ("varchar(10)", "text"),
        ("numeric(8, 2)", "numeric(10, 2)"),
        ("cidr", "inet"),
        ("timestamp", "timestamptz"),
    ],
)
def test_types_that_are_stored_alike_change_in_place(server: Server, before: str, after: str) -> None:
    plan = planned(server, f"CREATE TABLE t (v {before})", f"CREATE TABLE t (v {after})").plan
    assert [(step.phase, step.fill) for step in plan.steps] == [("expand", None)]
