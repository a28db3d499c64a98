"""Clients that go on asking while something is done to their table."""

from __future__ import annotations

import time

import pytest

from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database
from data_platform.postgres.traffic import Operation, Script, idle_reader, traffic

T = Name("public", "t")
READER = Script(
    T, "reader", (Operation("select", "SELECT n FROM t WHERE id = $1", (("1",), ("2",)), ("n",)),)
)
WRITER = Script(
    T,
    "writer",
    (
        Operation("insert", "INSERT INTO t (n) VALUES ($1) RETURNING id::text", (("9",),), ("n",)),
        Operation("delete", "DELETE FROM t WHERE id = $1", returned=True),
        Operation("update", "UPDATE t SET n = n WHERE id = $1", (("1",),), ("n",)),
    ),
)


@pytest.fixture
def table(database: Database) -> Database:
    with connect(database.conninfo, read_only=False) as owner:
        owner.execute("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n integer)")
        owner.execute("INSERT INTO t (n) SELECT n FROM generate_series(1, 10) AS n")
    return database


def test_clients_read_and_write_and_leave_what_they_found(table: Database) -> None:
    with traffic(table.conninfo, [READER, WRITER]) as (reader, writer):
        time.sleep(0.3)
    assert len(reader.samples) > 10
    assert {sample.action for sample in writer.samples} == {"insert", "delete", "update"}
    assert not [sample for client in (reader, writer) for sample in client.samples if sample.failure]
    assert all(sample.end >= sample.start for sample in reader.samples)
    with connect(table.conninfo, read_only=True) as owner:
        rows = owner.execute("SELECT count(*) FROM t WHERE n <> 9 OR id < 11").fetchone()
        assert rows == (10,)


def test_a_lock_is_felt_as_long_as_it_is_held(table: Database) -> None:
    with traffic(table.conninfo, [READER]) as (reader,), connect(table.conninfo, read_only=False) as owner:
        with owner.transaction():
            owner.execute("LOCK TABLE t")
            time.sleep(0.3)
        time.sleep(0.1)
    longest = max(sample.seconds for sample in reader.samples)
    assert 0.25 < longest < 2


def test_what_goes_wrong_is_noted_and_the_client_goes_on(table: Database) -> None:
    with traffic(table.conninfo, [READER]) as (reader,), connect(table.conninfo, read_only=False) as owner:
        owner.execute("ALTER TABLE t RENAME COLUMN n TO m")
        time.sleep(0.2)
        owner.execute("ALTER TABLE t RENAME COLUMN m TO n")
        time.sleep(0.3)
    states = [sample.failure.sqlstate if sample.failure else "" for sample in reader.samples]
    assert "42703" in states
    assert states[-1] == ""


def test_a_client_that_is_killed_connects_again(table: Database) -> None:
    with (
        traffic(table.conninfo, [READER]) as (reader,),
        connect(table.admin_conninfo, read_only=False) as admin,
    ):
        (first,) = reader.pids
        admin.execute("SELECT pg_terminate_backend(%s)", [first])
        time.sleep(0.4)
    assert len(reader.pids) == 2
    assert reader.samples[-1].failure is None


def test_what_never_worked_is_not_asked_again(table: Database) -> None:
    wrong = Script(T, "reader", (Operation("select", "SELECT nothing FROM t"),))
    with traffic(table.conninfo, [wrong]) as (client,):
        time.sleep(0.1)
    assert client.dropped["select"].sqlstate == "42703"
    assert client.samples == []


def test_an_idle_reader_holds_its_lock_until_the_block_ends(table: Database) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND mode = 'AccessShareLock'"
    with connect(table.conninfo, read_only=True) as owner:
        with idle_reader(table.conninfo, ["t"], 5):
            assert owner.execute(query).fetchone() == (1,)
        assert owner.execute(query).fetchone() == (0,)
