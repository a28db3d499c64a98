"""Events: versions without gap or fork, nothing changed afterwards, old ones read as new ones, a subject forgotten."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.events import CONFLICT, REFUSED, EventStore, Upcaster, store_tables
from data_platform.postgres.server import Database
from pipeline.sessions import Connection, run

STORE = EventStore("Shop events")
APPEND = 'SELECT "Shop events".append(%s, %s, %s)'


@pytest.fixture
def store(connection: Connection) -> Connection:
    run(connection, store_tables(STORE))
    run(connection, store_tables(STORE))
    return connection


def append(
    connection: Connection, stream: str, expected: int | None, *types: str, subject: str | None = None
) -> int:
    events = [{"type": type_, "payload": {"n": n}, "subject": subject} for n, type_ in enumerate(types)]
    row = connection.execute(APPEND, [stream, expected, Jsonb(events)]).fetchone()
    assert row
    return int(row[0])


def versions(connection: Connection, stream: str) -> list[Any]:
    return connection.execute('SELECT version, type FROM "Shop events".read_stream(%s)', [stream]).fetchall()


def test_versions_count_up_in_their_stream(store: Connection) -> None:
    assert append(store, "a", 0, "Opened", "Named") == 2
    assert append(store, "a", 2, "Closed") == 3
    assert append(store, "a", None, "Opened") == 4
    assert append(store, "b", 0, "Opened") == 1
    assert versions(store, "a") == [(1, "Opened"), (2, "Named"), (3, "Closed"), (4, "Opened")]


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_another_version_than_expected_is_a_conflict_of_its_own(store: Connection, expected: int) -> None:
    append(store, "a", 0, "Opened", "Named")
    with pytest.raises(psycopg.Error) as caught:
        append(store, "a", expected, "Closed")
    assert caught.value.sqlstate == CONFLICT
    assert f"stream a is at version 2, not {expected}" in str(caught.value)
    assert len(versions(store, "a")) == 2


@pytest.mark.parametrize("events", ["[]", "{}", "null"])
def test_no_event_is_a_mistake(store: Connection, events: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        store.execute(APPEND, ["a", 0, Jsonb(json.loads(events))])
    with pytest.raises(psycopg.errors.NotNullViolation):
        store.execute(APPEND, ["a", 0, Jsonb([{"type": "Opened"}])])


def test_two_writers_who_expect_the_same_version(store: Connection, database: Database) -> None:
    """The second waits for the first, and then has a conflict; with no expectation it comes after it."""
    raised: list[str | None] = []

    def write(expected: int | None) -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as other:
            try:
                append(other, "a", expected, "Second")
                raised.append(None)
            except psycopg.Error as error:
                raised.append(error.sqlstate)

    for expected in (0, None):
        with store.transaction():
            append(store, "a", expected, "First")
            thread = threading.Thread(target=write, args=[expected])
            thread.start()
            thread.join(0.2)
            assert thread.is_alive()
        thread.join(10)
    assert raised == [CONFLICT, None]
    assert versions(store, "a") == [(1, "First"), (2, "First"), (3, "Second")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET payload = '{{}}'",
        "UPDATE {} SET erased_at = now(), payload = '{{}}', metadata = '{{}}', type = 'x' WHERE subject IS NOT NULL",
        "UPDATE {} SET erased_at = now(), payload = '{{}}', metadata = '{{}}' WHERE subject IS NULL",
        "DELETE FROM {}",
        "TRUNCATE {}",
    ],
)
def test_nothing_is_changed_afterwards(store: Connection, statement: str) -> None:
    append(store, "a", 0, "Opened", subject="ada")
    append(store, "a", 1, "Named")
    with pytest.raises(psycopg.Error) as caught:
        store.execute(statement.format('"Shop events".events').encode())
    assert caught.value.sqlstate == REFUSED


def test_old_events_are_read_as_new_ones(connection: Connection) -> None:
    connection.execute("CREATE SCHEMA up")
    bodies = {
        "one": 'p || \'{"currency": "EUR"}\'',
        "two": "p - 'n' || jsonb_build_object('amount', p -> 'n')",
    }
    for name, expression in bodies.items():
        connection.execute(
            f"CREATE FUNCTION up.{name}(p jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN {expression}".encode()
        )
    steps = (Upcaster("Paid", 1, Name("up", "one")), Upcaster("Paid", 2, Name("up", "two")))
    run(connection, store_tables(EventStore("Shop events", steps)))
    append(connection, "a", 0, "Paid", "Closed")
    connection.execute(APPEND, ["a", 2, Jsonb([{"type": "Paid", "schema_version": 2, "payload": {"n": 7}}])])
    read = 'SELECT type, schema_version, payload FROM "Shop events".read_stream(%s)'
    assert connection.execute(read, ["a"]).fetchall() == [
        ("Paid", 3, {"amount": 0, "currency": "EUR"}),
        ("Closed", 1, {"n": 1}),
        ("Paid", 3, {"amount": 7}),
    ]
    stored = connection.execute('SELECT payload FROM "Shop events".events ORDER BY position').fetchall()
    assert stored[0] == ({"n": 0},), "as it was written"


def test_two_functions_for_one_version_are_refused() -> None:
    step = Upcaster("Paid", 1, Name("up", "one"))
    with pytest.raises(UsageProblem, match="Paid 1"):
        EventStore("e", (step, step))


def test_a_snapshot_is_the_newest(store: Connection) -> None:
    save = 'SELECT "Shop events".save_snapshot(%s, %s, %s, %s)'
    for version, schema in ((5, 1), (3, 1), (4, 2), (9, 1)):
        store.execute(save, ["a", version, Jsonb({"v": version}), schema])
    found = store.execute('SELECT version, schema_version, state FROM "Shop events".snapshots').fetchall()
    assert found == [(4, 2, {"v": 4})], "one of a newer form wins, whatever its version"
    append(store, "a", 0, *"abcdef")
    after = store.execute("SELECT version FROM \"Shop events\".read_stream('a', 4)").fetchall()
    assert after == [(5,), (6,)]


def test_a_subject_is_forgotten(connection: Connection) -> None:
    connection.execute(
        "CREATE FUNCTION need(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS"
        " $$ BEGIN ASSERT p ? 'n'; RETURN p; END $$"
    )
    store = EventStore("Shop events", (Upcaster("Named", 1, Name("public", "need")),))
    run(connection, store_tables(store))
    append(connection, "a", 0, "Named", "Named", subject="person 7")
    append(connection, "b", 0, "Named", subject="person 8")
    connection.execute(
        "SELECT \"Shop events\".save_snapshot('a', 2, '{}'), \"Shop events\".save_snapshot('b', 1, '{}')"
    )
    erase = 'SELECT "Shop events".erase(%s, %s)'
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute(erase, ["person 7", ""])
    assert connection.execute(erase, ["person 7", "asked on 3 May"]).fetchone() == (2,)
    assert connection.execute(erase, ["person 7", "again"]).fetchone() == (0,)
    rows = connection.execute(
        'SELECT stream, version, type, payload FROM "Shop events".current_events ORDER BY position'
    ).fetchall()
    told = {"reason": "asked on 3 May", "subject": "person 7"}
    assert rows == [
        ("a", 1, "Named", {}),
        ("a", 2, "Named", {}),
        ("b", 1, "Named", {"n": 0}),
        ("a", 3, "SubjectErased", told),
    ]
    assert connection.execute('SELECT stream FROM "Shop events".snapshots').fetchall() == [("b",)]


def test_who_writes_while_a_subject_is_forgotten_is_waited_for(store: Connection, database: Database) -> None:
    """Content that was being appended, and a snapshot that was being saved, go too; a later one is not taken."""
    append(store, "a", 0, "Named", subject="person 7")
    save, erase = (
        'SELECT "Shop events".save_snapshot(%s, %s, \'{"n": 0}\')',
        'SELECT "Shop events".erase(%s, %s)',
    )
    erased: list[int] = []

    def forget() -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as other:
            erased.extend(other.execute(erase, ["person 7", "asked"]).fetchone() or ())

    thread = threading.Thread(target=forget)
    with psycopg.connect(database.conninfo) as writer:
        append(writer, "a", 1, "Named", subject="person 7")
        append(writer, "b", 0, "Named", subject="person 7")
        writer.execute(save, ["b", 1])
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(10)
    assert erased == [3]
    left = "SELECT count(*) FROM \"Shop events\".events WHERE type = 'Named' AND payload <> '{}'"
    assert store.execute(left).fetchone() == (0,)
    assert versions(store, "a") == [(1, "Named"), (2, "Named"), (3, "SubjectErased")]
    store.execute(save, ["b", 1])
    assert store.execute('SELECT count(*) FROM "Shop events".snapshots').fetchone() == (0,)
    store.execute(save, ["b", 2])
    assert store.execute('SELECT count(*) FROM "Shop events".snapshots').fetchone() == (1,)


def test_a_writer_who_was_first_in_the_stream_does_not_stop_an_erasure(
    store: Connection, database: Database
) -> None:
    append(store, "a", 0, "Named", subject="person 7")

    def forget() -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as other:
            other.execute("SELECT \"Shop events\".erase('person 7', 'asked')")

    thread = threading.Thread(target=forget)
    with psycopg.connect(database.conninfo) as writer:
        append(writer, "a", 1, "Paid")
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(10)
    assert versions(store, "a") == [(1, "Named"), (2, "Paid"), (3, "SubjectErased")]


@pytest.mark.parametrize("call", ["erase('person 7', 'asked')", "save_snapshot('a', 1, '{}')"])
def test_an_old_snapshot_forgets_nobody(store: Connection, call: str) -> None:
    store.execute("SET default_transaction_isolation = 'repeatable read'")
    with pytest.raises(psycopg.errors.ActiveSqlTransaction, match="needs READ COMMITTED"):
        store.execute(f'SELECT "Shop events".{call}'.encode())


def first_elsewhere(connection: Connection, stream: str, type_: str) -> bool:
    """Read and append; whether another writer was first."""
    reached = len(versions(connection, stream))
    try:
        append(connection, stream, reached, type_)
    except psycopg.Error as error:
        if error.sqlstate != CONFLICT:
            raise
        return True
    return False


def test_appending_at_once_leaves_no_gap_and_no_fork(
    store: Connection, database: Database, together: Callable[..., None]
) -> None:
    """Six writers on three streams who read, decide, append and begin again on a conflict."""

    def write(number: int) -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as own:
            for turn in range(20):
                stream = f"s{(number + turn) % 3}"
                while first_elsewhere(own, stream, f"{number}.{turn}"):
                    pass

    together(write, 6)
    found = [versions(store, f"s{n}") for n in range(3)]
    assert sum(map(len, found)) == 120
    for rows in found:
        assert [version for version, _ in rows] == list(range(1, len(rows) + 1))
    assert len({type_ for rows in found for _, type_ in rows}) == 120
