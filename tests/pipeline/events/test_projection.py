"""Read models: each event once and in order whoever is late, built anew beside the live one, exchanged as a whole."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline.events import (
    EventStore,
    Feed,
    Projection,
    advance,
    projection_tables,
    start_rebuild,
    store_tables,
    swap,
)
from data_platform.postgres.server import Database
from data_platform.sql.text import Sql
from pipeline.sessions import Connection, run

STORE = EventStore("events")


def accounts(name: str = "Accounts", factor: int = 1) -> Projection:
    """Balances, with how many events each has seen: every event counts, in whatever order it must not come."""
    return Projection(
        name=name,
        feed=STORE.feed,
        tables=(
            Sql("CREATE TABLE account (id text PRIMARY KEY, balance int NOT NULL, seen bigint NOT NULL)"),
            Sql("CREATE INDEX ON account (balance)"),
        ),
        handlers={
            "Opened": Sql("INSERT INTO account VALUES (e.stream, 0, e.version)"),
            "Paid": Sql(
                f"UPDATE account SET balance = balance + {factor} * (e.payload ->> 'n')::int, seen = e.version"
                " WHERE id = e.stream AND seen = e.version - 1 -- in order"
            ),
            "Closed": Sql("DELETE FROM account WHERE id = e.stream AND seen = e.version - 1"),
        },
    )


@pytest.fixture
def made(connection: Connection) -> Connection:
    run(connection, store_tables(STORE))
    run(connection, projection_tables(accounts()))
    return connection


def append(connection: Connection, stream: str, *events: tuple[str, int]) -> None:
    written = [{"type": type_, "payload": {"n": n}} for type_, n in events]
    connection.execute("SELECT events.append(%s, NULL, %s)", [stream, Jsonb(written)])


def caught_up(connection: Connection, projection: Projection, at_most: int = 3, slot: str = "live") -> int:
    applied = 0
    while (count := run(connection, [advance(projection, at_most, slot)])[0][0]) > 0:
        applied += count
    return applied


def balances(connection: Connection, schema: str = '"Accounts"') -> dict[str, tuple[int, int]]:
    rows = connection.execute(f"SELECT id, balance, seen FROM {schema}.account".encode())
    return {id_: (balance, seen) for id_, balance, seen in rows}


def test_each_event_once_and_in_order(made: Connection) -> None:
    append(made, "a", ("Opened", 0), ("Paid", 5), ("Renamed", 0), ("Other", 0))
    append(made, "b", ("Opened", 0), ("Closed", 0), ("Opened", 0), ("Paid", 7))
    assert caught_up(made, accounts()) == 8
    assert caught_up(made, accounts()) == 0
    assert balances(made) == {"a": (5, 2), "b": (7, 4)}


def test_a_handler_that_fails_moves_nothing(made: Connection) -> None:
    append(made, "a", ("Opened", 0))
    append(made, "a", ("Opened", 0))
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(made, [advance(accounts())])
    assert balances(made) == {}
    assert run(made, [advance(accounts(), 1)]) == [(1, 1)]


def test_what_is_committed_late_is_not_lost(made: Connection, database: Database) -> None:
    with psycopg.connect(database.conninfo) as late:
        append(late, "a", ("Opened", 0))
        append(made, "b", ("Opened", 0))
        assert caught_up(made, accounts()) == 0, "b waits, for a smaller position may still appear"
        late.commit()
    assert caught_up(made, accounts()) == 2


def test_a_transaction_that_began_before_does_not_turn_a_stream_around(
    made: Connection, database: Database
) -> None:
    """Its id is the smaller one, though its event is the later: positions decide within a window."""
    with psycopg.connect(database.conninfo) as early:
        early.execute("SELECT pg_current_xact_id()")
        append(made, "a", ("Opened", 0))
        append(early, "a", ("Paid", 4))
        early.commit()
    caught_up(made, accounts(), 1)
    assert balances(made) == {"a": (4, 2)}


def test_six_writers_who_commit_late(
    made: Connection, database: Database, together: Callable[..., None]
) -> None:
    projection, done = accounts(), threading.Event()

    def follow() -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as own:
            while not done.is_set():
                run(own, [advance(projection, 7)])
                time.sleep(0.002)

    def write(number: int) -> None:
        rng = random.Random(number)
        with psycopg.connect(database.conninfo) as own:
            for turn in range(15):
                stream = f"s{rng.randrange(8)}.{number}"
                append(own, stream, ("Paid", 1)) if turn else append(own, f"s0.{number}", ("Opened", 0))
                append(own, f"shared{rng.randrange(3)}", ("Noted", 0))
                time.sleep(rng.random() * 0.2)
                own.commit() if rng.random() < 0.9 or not turn else own.rollback()

    followers = [threading.Thread(target=follow) for _ in range(2)]
    for one in followers:
        one.start()
    together(write, 6)
    done.set()
    for one in followers:
        one.join(20)
    caught_up(made, projection)
    paid = made.execute(
        "SELECT stream, count(*) FILTER (WHERE type = 'Paid')::int, max(version) FROM events.events"
        " WHERE stream LIKE 's0.%' GROUP BY stream"
    ).fetchall()
    assert balances(made) == {stream: (count, version) for stream, count, version in paid}


def test_built_anew_beside_and_exchanged(made: Connection, database: Database) -> None:
    append(made, "a", ("Opened", 0), ("Paid", 5))
    caught_up(made, accounts())
    changed = accounts(factor=100)
    run(made, start_rebuild(changed))
    run(made, start_rebuild(changed))
    assert caught_up(made, changed, 1, "next") == 2
    append(made, "a", ("Paid", 1))
    assert caught_up(made, accounts()) == 1
    assert balances(made) == {"a": (6, 3)}, "readers have the old one until the exchange"
    run(made, swap(changed))
    assert balances(made) == {"a": (600, 3)}
    append(made, "a", ("Paid", 1))
    assert caught_up(made, changed) == 1
    assert balances(made) == {"a": (700, 4)}
    left = made.execute("SELECT nspname::text FROM pg_namespace WHERE nspname ~ 'Acc'").fetchall()
    assert left == [("Accounts",)]


def test_a_view_elsewhere_stops_the_exchange(made: Connection) -> None:
    made.execute('CREATE VIEW report AS SELECT count(*) FROM "Accounts".account')
    run(made, start_rebuild(accounts()))
    with pytest.raises(psycopg.errors.DependentObjectsStillExist, match="report"):
        run(made, swap(accounts()))
    assert made.execute("SELECT count FROM report").fetchone() == (0,)


def from_elsewhere(connection: Connection) -> None:
    """As if this were restored from a dump of a cluster with many more transactions."""
    later = "((xid::text::numeric + 2 ^ 40::numeric)::bigint)::text::xid8"
    connection.execute("ALTER TABLE events.events DISABLE TRIGGER USER")
    connection.execute(f"UPDATE events.events SET xid = {later}".encode())
    moved = later.replace("xid::text", "window_from::text"), later.replace("xid::text", "window_to::text")
    connection.execute("UPDATE events.readers SET window_from = {}, window_to = {}".format(*moved).encode())
    connection.execute("ALTER TABLE events.events ENABLE TRIGGER USER")


def test_restored_from_a_dump(made: Connection) -> None:
    append(made, "a", ("Opened", 0), ("Paid", 5), ("Paid", 1))
    run(made, [advance(accounts(), 2)])
    from_elsewhere(made)
    append(made, "a", ("Paid", 10))
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="not of this cluster"):
        run(made, [advance(accounts())])
    made.execute("SELECT events.adopt()")
    assert caught_up(made, accounts()) == 2
    assert balances(made) == {"a": (16, 4)}
    with pytest.raises(psycopg.Error, match="only added"):
        made.execute("DELETE FROM events.events")


def test_a_place_that_no_number_says_is_not_adopted(made: Connection) -> None:
    append(made, "b", ("Opened", 0))
    append(made, "c", ("Opened", 0))
    run(made, [advance(accounts())])
    made.execute("ALTER TABLE events.events DISABLE TRIGGER USER")
    made.execute("UPDATE events.events SET xid = '9223372036854775807' WHERE stream = 'b'")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="has not read position 1 and"):
        made.execute("SELECT events.adopt()")


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from(["Opened", "Paid", "Paid", "Closed"]), st.integers(-5, 5)
    ),
    max_size=12,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, steps=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_equal_to_a_fold(made: Connection, events: list[tuple[str, str, int]], steps: list[int]) -> None:
    """Whatever the size of the steps, live and built anew. Streams of an example have names of their own."""
    example = str(time.monotonic_ns())
    folded: dict[str, tuple[int, int]] = {}
    versions: dict[str, int] = {}
    for number, (letter, drawn, n) in enumerate(events):
        stream = f"{example}.{letter}"
        balance, seen = folded.get(stream, (0, -1))
        type_ = "Noted" if drawn == "Opened" and stream in folded else drawn
        versions[stream] = versions.get(stream, 0) + 1
        append(made, stream, (type_, n))
        if type_ == "Opened":
            folded[stream] = (0, versions[stream])
        elif type_ in ("Paid", "Closed") and seen == versions[stream] - 1:
            folded[stream] = (balance + n, versions[stream])
            if type_ == "Closed":
                del folded[stream]
        run(made, [advance(accounts(), steps[number % len(steps)])])
    caught_up(made, accounts(), steps[0])
    own = {key: value for key, value in balances(made).items() if key.startswith(example)}
    assert own == folded
    run(made, start_rebuild(accounts()))
    run(made, swap(accounts()))
    assert {key: value for key, value in balances(made).items() if key.startswith(example)} == folded


@pytest.mark.parametrize(
    "wrong",
    [
        {"tables": (Sql("DROP TABLE x"),)},
        {"tables": (Sql("CREATE TABLE a (); CREATE TABLE b ()"),)},
        {"handlers": {"Paid": Sql("SELECT 1")}},
        {"handlers": {"Paid": Sql("DELETE FROM a; DROP TABLE b")}},
        {"handlers": {"Paid": Sql("nonsense")}},
        {"name": "x" * 60},
    ],
)
def test_what_is_no_projection_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageProblem):
        Projection(**{"name": "p", "feed": Feed(Name("e", "f")), "tables": (), "handlers": {}, **wrong})
