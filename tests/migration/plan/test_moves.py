"""A table split in two and two merged into one: both applications at work, nothing lost, there and back."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from data_platform.migration.plan.prove import Reached
from data_platform.migration.plan.step import Step
from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database
from data_platform.postgres.server import Server
from migration.operations.test_operations import planned

WHOLE = "CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, bio text, level integer NOT NULL DEFAULT 1)"
PARTS = """
CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE profiles (user_id integer PRIMARY KEY REFERENCES users, bio text, level integer NOT NULL DEFAULT 1)
"""
SPLIT = {"split_table": {"table": "users", "columns": ["bio", "level"], "into": "profiles"}}
MERGE = {"merge_tables": {"table": "users", "side": "profiles"}}
BIO = {"split_table": {"table": "users", "columns": ["user_bio", "level"], "into": "profiles"}}
BIOS = {"split_table": {"table": "profiles", "columns": ["bio"], "into": "bios"}}
ROWS = 2000


def plan_of(server: Server, tmp_path: Path, base: str, *operations: dict[str, object]) -> Reached:
    reached = planned(server, tmp_path, base, list(operations))
    assert reached.broken is None
    assert reached.left.equal, reached.left
    assert reached.down is not None
    assert reached.down.equal, reached.down
    assert not any(step.lost for step in reached.plan.steps)
    return reached


def run(connection: psycopg.Connection, step: Step, *, down: bool = False) -> None:
    """As files do: with a lock_timeout that is less than clients wait for a deadlock, again where it was too short."""
    statements = step.down if down else step.up
    while step.transaction:
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '400ms'")
                for statement in statements:
                    connection.execute(statement.encode())
        except psycopg.errors.LockNotAvailable:
            continue
        return
    for statement in statements:
        connection.execute(statement.encode())


@contextmanager
def ground(database: Database, sql: str) -> Iterator[psycopg.Connection]:
    with connect(database.conninfo, read_only=False) as connection:
        connection.autocommit = True
        connection.execute(sql.encode())
        yield connection


class Client(threading.Thread):
    """One application: writes rows of its own, in one table or in two, and remembers the last of each."""

    def __init__(self, conninfo: str, ids: range, key: str | None, seed: int) -> None:
        super().__init__(daemon=True)
        self.conninfo, self.ids, self.key, self.seed = conninfo, ids, key, seed
        self.wrote: dict[int, tuple[str | None, int] | None] = {}
        self.refused: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        luck = random.Random(self.seed)
        with connect(self.conninfo, read_only=False) as connection:
            connection.autocommit = True
            connection.prepare_threshold = None
            number = 10  # a row of nothing but defaults is none on the way back
            while not self.over.is_set():
                number += 1
                row, values = luck.choice(self.ids), (luck.choice([None, f"{number}"]), number)
                try:
                    with connection.transaction():
                        self._write(connection, row, values, luck.random())
                    self.wrote[row] = values
                except psycopg.Error as error:
                    self.refused.append(str(error))

    def _write(
        self, connection: psycopg.Connection, row: int, values: tuple[str | None, int], luck: float
    ) -> None:
        if luck < 0.3:
            if self.key:
                connection.execute(f"DELETE FROM profiles WHERE {self.key} = %s".encode(), [row])
            connection.execute("DELETE FROM users WHERE id = %s", [row])
            if self.key:
                connection.execute("INSERT INTO users (id, name) VALUES (%s, 'n')", [row])
                insert = f"INSERT INTO profiles ({self.key}, bio, level) VALUES (%s, %s, %s)"
                connection.execute(insert.encode(), [row, *values])
            else:
                insert = "INSERT INTO users (id, name, bio, level) VALUES (%s, 'n', %s, %s)"
                connection.execute(insert, [row, *values])
        else:
            where = (
                f"profiles SET bio = %s, level = %s WHERE {self.key}"
                if self.key
                else ("users SET bio = %s, level = %s WHERE id")
            )
            connection.execute(f"UPDATE {where} = %s".encode(), [*values, row])

    def stop(self) -> None:
        self.over.set()
        self.join(20)
        assert not self.is_alive()


@pytest.mark.parametrize("split", [True, False], ids=["split", "merge"])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_write_of_either_application_is_lost(
    server: Server, database: Database, tmp_path: Path, split: bool, seed: int
) -> None:
    base, operation = (WHOLE, SPLIT) if split else (PARTS, MERGE)
    plan = plan_of(server, tmp_path, base, operation).plan
    rows = f"FROM generate_series(1, {ROWS}) AS i"
    filled = (
        f"{base}; INSERT INTO users SELECT i, 'n', 'first', 7 {rows}"
        if split
        else f"{base}; INSERT INTO users SELECT i, 'n' {rows}; INSERT INTO profiles SELECT i, 'first', 7 {rows}"
    )
    with ground(database, filled) as connection:
        old = Client(database.conninfo, range(1, 601), None if split else "user_id", seed)
        new = Client(database.conninfo, range(601, 1201), "id" if split else None, seed)
        old.start()
        for step in plan.steps:
            if step.phase == "contract" and new.ident is None:
                new.start()  # the new application is deployed while the old one is still there
                threading.Event().wait(0.4)
            if step.ends_old and old.is_alive():
                old.stop()
            run(connection, step)
        new.stop()
        assert (old.refused, new.refused) == ([], [])
        assert len(old.wrote) > 50
        assert len(new.wrote) > 50
        where = "users LEFT JOIN profiles USING (id)" if split else "users"
        held = {r[0]: r[1:] for r in connection.execute(f"SELECT id, bio, level FROM {where}".encode())}
        expected = dict.fromkeys(range(1, ROWS + 1), ("first", 7)) | old.wrote | new.wrote
        assert held == expected
        for step in reversed(plan.steps):
            run(connection, step, down=True)
        back = "users" if split else "users LEFT JOIN profiles ON user_id = id"
        again = {r[0]: r[1:] for r in connection.execute(f"SELECT id, bio, level FROM {back}".encode())}
        assert again == expected


def test_a_row_of_the_side_that_is_deleted_alone_leaves_defaults(
    server: Server, database: Database, tmp_path: Path
) -> None:
    plan = plan_of(server, tmp_path, WHOLE, SPLIT).plan
    with ground(
        database, f"{WHOLE}; INSERT INTO users VALUES (1, 'a', 'b', 3), (2, 'a', 'b', 3)"
    ) as connection:
        for step in (one for one in plan.steps if one.phase != "contract"):
            run(connection, step)
        connection.execute("DELETE FROM profiles WHERE id = 1")
        connection.execute("DELETE FROM users WHERE id = 2")
        assert connection.execute("SELECT bio, level FROM users").fetchall() == [(None, 1)]
        assert connection.execute("SELECT count(*) FROM profiles").fetchone() == (0,)


def test_rows_without_a_partner_get_what_fill_says(
    server: Server, database: Database, tmp_path: Path
) -> None:
    fill = {"merge_tables": {"table": "users", "side": "profiles", "fill": {"level": 9}}}
    plan = plan_of(server, tmp_path, PARTS, fill).plan
    rows = "INSERT INTO users VALUES (1, 'a'), (2, 'b'); INSERT INTO profiles VALUES (1, 'x', 4)"
    with ground(database, f"{PARTS}; {rows}") as connection:
        for step in plan.steps:
            run(connection, step)
        found = connection.execute("SELECT bio, level FROM users ORDER BY id").fetchall()
    assert found == [("x", 4), (None, 9)]


def renamed(table: str, to: str, column: str | None = None) -> dict[str, object]:
    if column is None:
        return {"rename_table": {"table": table, "to": to}}
    return {"rename_column": {"table": table, "column": column, "to": to}}


@pytest.mark.parametrize(
    ("base", "operations", "query"),
    [
        (WHOLE, [SPLIT, renamed("profiles", "bios")], "SELECT bio, level FROM bios"),
        (WHOLE, [SPLIT, {"move_to_schema": {"table": "profiles", "schema": "app"}}], "TABLE app.profiles"),
        (WHOLE, [SPLIT, renamed("users", "people")], "SELECT bio, level FROM profiles"),
        (WHOLE, [SPLIT, renamed("profiles", "about", "bio")], "SELECT about, level FROM profiles"),
        (
            WHOLE,
            [renamed("users", "user_bio", "bio"), BIO],
            "SELECT user_bio, level FROM profiles JOIN users USING (id)",
        ),
        (WHOLE, [SPLIT, BIOS], "SELECT bio, level FROM bios JOIN profiles USING (id)"),
        (WHOLE, [SPLIT, MERGE, renamed("users", "about", "bio")], "SELECT about, level FROM users"),
        (
            PARTS,
            [MERGE, renamed("users", "people"), renamed("people", "about", "bio")],
            "SELECT about, level FROM people",
        ),
        (
            PARTS,
            [
                renamed("profiles", "about", "bio"),
                renamed("profiles", "bios"),
                {"merge_tables": {"table": "users", "side": "bios"}},
            ],
            "SELECT about, level FROM users",
        ),
    ],
)
def test_values_arrive_under_whatever_name(
    server: Server,
    database: Database,
    tmp_path: Path,
    base: str,
    operations: list[dict[str, object]],
    query: str,
) -> None:
    plan = plan_of(server, tmp_path, base, *operations).plan
    assert plan.refused == ()
    rows = (
        "INSERT INTO users VALUES (1, 'a', 'x', 4)"
        if base is WHOLE
        else "INSERT INTO users VALUES (1, 'a'); INSERT INTO profiles VALUES (1, 'x', 4)"
    )
    with ground(database, f"{base}; {rows}") as connection:
        for step in plan.steps:
            run(connection, step)
        ((*_, bio, level),) = connection.execute(query.encode()).fetchall()
    assert (bio, level) == ("x", 4)


@pytest.mark.parametrize(
    ("operation", "lost"),
    [
        ({"drop_table": {"table": "profiles"}}, {"public.users.bio", "public.users.level"}),
        ({"drop_column": {"table": "profiles", "column": "bio"}}, {"public.users.bio"}),
    ],
)
def test_what_is_split_off_and_dropped_is_lost(
    server: Server, tmp_path: Path, operation: dict[str, object], lost: set[str]
) -> None:
    plan = planned(server, tmp_path, WHOLE, [SPLIT, operation]).plan
    assert {name for step in plan.steps for name in step.lost} == lost
